"""A carrier whose answers were recorded: it costs next to nothing, so that what is measured is who reads them.

What it has not yet been asked, it asks the simulator behind it, and keeps the answer. Runs as a process of its own, on
the standard library alone: `python recorded.py URL` prints the URL that it serves as.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

_LOOPBACK = "127.0.0.1"


@contextmanager
def recorded_carrier(url: str) -> Iterator[str]:
    """Serve the answers of the simulator at `url` again and again, and yield the URL that they are served at."""
    command = [sys.executable, str(Path(__file__)), url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


class _Recording(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, upstream: str) -> None:
        super().__init__((_LOOPBACK, 0), _Recorded)
        self._upstream = upstream
        self.url = f"http://{_LOOPBACK}:{self.server_address[1]}"
        self._answers: dict[str, bytes] = {}
        self._opener = build_opener(ProxyHandler({}))

    def answer(self, target: str, authorization: str) -> bytes:
        """Return the whole answer to a request, as it was given the first time."""
        found = self._answers.get(target)
        if found is None:
            request = Request(self._upstream + target, headers={"Authorization": authorization})  # noqa: S310  # loopback only
            with self._opener.open(request, timeout=60) as response:
                body = response.read().replace(self._upstream.encode(), self.url.encode())
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            found = self._answers[target] = head.encode() + body
        return found


class _Recorded(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Recording

    def do_GET(self) -> None:
        self.wfile.write(self.server.answer(self.path, self.headers.get("Authorization", "")))

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - as in the base class
        pass


if __name__ == "__main__":
    with _Recording(sys.argv[1]) as serving:
        sys.stdout.write(f"{serving.url}\n")
        sys.stdout.flush()
        serving.serve_forever()
