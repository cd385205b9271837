#!/usr/bin/env bash
# Telnyx's own SDK shortens a Retry-After of more than a minute to half a second.
#
# A carrier that throttles says for how long in `Retry-After`. The SDK keeps a wait of up to 60 s; a longer one it takes
# for unreasonable and uses its own backoff instead, which begins below a second. So the longer a carrier asks to be left
# alone, the sooner it is asked again, and the call has failed for good within two seconds.
# Whoever walks a list with it has to catch `RateLimitError` and read the header from its response.
#
# Seen on 2026-11-28 with telnyx 4.189.0, Python 3.11:
#     Retry-After: 2    -> 2 waits of at least 2 s, then RateLimitError
#     Retry-After: 3600 -> 2 waits of less than 2 s, then RateLimitError
# Exits 0 while this is so, 1 with what came instead when it has changed.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check telnyx==4.189.0
cd "$folder"
PATH="$folder/venv/bin:$PATH" python - <<'PYTHON'
import http.server
import sys
import threading
import time

import telnyx

asked: list[float] = []
wanted = "2"


class Throttled(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        asked.append(time.monotonic())
        body = b'{"errors": [{"code": "10011", "title": "Too many requests"}]}'
        self.send_response(429)
        self.send_header("Retry-After", wanted)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Throttled)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = telnyx.Telnyx(api_key="none", base_url=f"http://127.0.0.1:{server.server_port}/v2")
waits = {}
for wanted in ("2", "3600"):
    asked.clear()
    try:
        list(client.sim_cards.list())
        sys.exit("changed: no error")
    except telnyx.RateLimitError:
        waits[wanted] = [later - sooner for sooner, later in zip(asked, asked[1:])]
print(waits)
as_asked = len(waits["2"]) == 2 and min(waits["2"]) >= 1.9
shortened = len(waits["3600"]) == 2 and max(waits["3600"]) < 2
sys.exit(0 if as_asked and shortened else "changed")
PYTHON
