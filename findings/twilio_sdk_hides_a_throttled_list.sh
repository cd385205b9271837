#!/usr/bin/env bash
# In Twilio's own SDK a throttled fetch says 429, a throttled list says nothing that a program can ask for.
#
# `fetch()` of one SIM raises `TwilioRestException` with `.status` 429 and `.code` 20429, as the documentation shows.
# `list()`, `stream()` and `page()`, which are what a walk of a fleet uses, raise the parent `TwilioException` instead,
# which has neither: `except TwilioRestException as error: if error.status == 429` never sees the list's throttling.
# And `TwilioHttpClient(max_retries=3)` does not help: it asks again where no answer came, never after a 429, whatever
# Retry-After says. The walk ends on its second page, with the rows so far gone unless the caller kept them.
# Status and headers are in the exception all the same: `error.args[1]` is the response.
#
# Seen on 2026-11-28 with twilio 9.13.0, Python 3.11:
#     fetch -> TwilioRestException status 429, code 20429, 1 request
#     list  -> TwilioException without status or code, 2 requests: page 1, and the one that was throttled
# Exits 0 while this is so, 1 with what came instead when it has changed.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check twilio==9.13.0
cd "$folder"
PATH="$folder/venv/bin:$PATH" python - <<'PYTHON'
import http.server
import json
import sys
import threading
from urllib.parse import urlsplit

from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

ACCOUNT = "AC" + "0" * 32
SIM = "HS" + "0" * 32
asked: list[str] = []
throttled = {"code": 20429, "message": "Too Many Requests", "more_info": "", "status": 429}
first_page = {
    "sims": [{"sid": SIM, "iccid": "8988307000000000001", "status": "active", "account_sid": ACCOUNT}],
    "meta": {"key": "sims", "page": 0, "page_size": 1, "next_page_url": "https://supersim.twilio.com/v1/Sims?Page=1"},
}


class Carrier(http.server.BaseHTTPRequestHandler):
    """One page, and 429 for all else."""

    def do_GET(self) -> None:
        asked.append(self.path)
        is_first = self.path == "/v1/Sims?PageSize=1"
        body = json.dumps(first_page if is_first else throttled).encode()
        self.send_response(200 if is_first else 429)
        if not is_first:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Carrier)
threading.Thread(target=server.serve_forever, daemon=True).start()


class Loopback(TwilioHttpClient):
    """Sends what is meant for Twilio to the server above."""

    def request(self, method, uri, *args, **options):
        meant = urlsplit(uri)
        return super().request(
            method, f"http://127.0.0.1:{server.server_port}{meant.path}?{meant.query}".rstrip("?"), *args, **options
        )


sims = Client(ACCOUNT, "none", http_client=Loopback(max_retries=3)).supersim.v1.sims
seen = {}
for name, call in {"fetch": lambda: sims(SIM).fetch(), "list": lambda: sims.list(page_size=1)}.items():
    asked.clear()
    try:
        call()
        sys.exit("changed: no error")
    except TwilioException as error:
        told = (getattr(error, "status", None), getattr(error, "code", None))
        seen[name] = (type(error), told, len(asked))
        print(name, type(error).__name__, told, f"{len(asked)} requests")
        if name == "list":
            response = error.args[1]
            print("the response:", response.status_code, response.headers.get("Retry-After"))
as_seen = {"fetch": (TwilioRestException, (429, 20429), 1), "list": (TwilioException, (None, None), 2)}
sys.exit(0 if seen == as_seen and response.status_code == 429 else "changed")
PYTHON
