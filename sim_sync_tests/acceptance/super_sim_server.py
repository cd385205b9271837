"""A server that speaks Twilio's Super SIM list call, written from the vendor's OpenAPI file alone.

It shares no code with the simulated carriers, so that an error in the understanding of the vendor cannot hide on both
sides. It is strict: wrong credentials, unknown parameters, a `PageSize` out of bounds and a `PageToken` that it did not
give out are refused, and it remembers every request.
"""

import base64
import json
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

ACCOUNT = "AC" + "5e" * 16
TOKEN = "a-token-of-nobody"
_STATUSES = ("new", "ready", "active", "inactive", "scheduled")
_KNOWN_PARAMETERS = {"Status", "Fleet", "Iccid", "PageSize", "Page", "PageToken"}


def sim(number: int) -> dict[str, Any]:
    """Return a record with every property that the vendor's schema has. Some have no name and no fleet."""
    sid = f"HS{number:032x}"
    url = f"https://supersim.twilio.com/v1/Sims/{sid}"
    return {
        "sid": sid,
        "unique_name": None if number % 3 == 0 else f"meter {number}",
        "account_sid": ACCOUNT,
        "iccid": f"8988307{number:012}",
        "status": _STATUSES[number % len(_STATUSES)],
        "fleet_sid": None if number % 4 == 0 else "HF" + "0a" * 16,
        "date_created": "2024-02-29T12:00:00Z",
        "date_updated": "2025-01-31T23:59:59Z",
        "url": url,
        "links": {"billing_periods": f"{url}/BillingPeriods"},
    }


class SuperSimServer(ThreadingHTTPServer):
    """Lists its `sims` in their order. `refusals` says what was wrong with requests that were refused."""

    daemon_threads = True

    def __init__(self, sims: Sequence[dict[str, Any]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.sims = sims
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.pages_served = 0
        self.refusals: list[str] = []
        self._tokens: dict[str, int] = {}

    def token_for(self, position: int) -> str:
        """Return a new token for a position in the list."""
        token = "PA" + secrets.token_hex(16)
        self._tokens[token] = position
        return token

    def position_of(self, token: str | None) -> int | None:
        """Return the position that a token stands for: the start without one, None where it was never given out."""
        return 0 if token is None else self._tokens.get(token)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SuperSimServer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        query = dict(pairs)
        if parts.path != "/v1/Sims":
            return self._refuse(404, 20404, f"no such resource: {parts.path}")
        if self.headers.get("Authorization") != _basic(ACCOUNT, TOKEN):
            return self._refuse(401, 20003, "Authenticate")
        if len(query) != len(pairs) or not set(query) <= _KNOWN_PARAMETERS:
            return self._refuse(400, 20001, f"unknown or repeated parameters: {parts.query}")
        size = query.get("PageSize", "50")
        if not size.isdigit() or not 1 <= int(size) <= 1000:
            return self._refuse(400, 20001, f"PageSize out of bounds: {size}")
        position = self.server.position_of(query.get("PageToken"))
        if position is None:
            return self._refuse(400, 20001, "Invalid PageToken")
        return self._answer_page(position, int(size), int(query.get("Page", "0")))

    def _answer_page(self, position: int, size: int, page: int) -> None:
        end = position + size
        token = self.server.token_for(end) if end < len(self.server.sims) else None
        meta = {
            "first_page_url": self._link(size, 0),
            "key": "sims",
            "next_page_url": None if token is None else self._link(size, page + 1, token),
            "page": page,
            "page_size": size,
            "previous_page_url": None,
            "url": f"{self.server.url}{self.path}",
        }
        self.server.pages_served += 1
        self._answer(200, {"meta": meta, "sims": self.server.sims[position:end]})

    def _link(self, size: int, page: int, token: str | None = None) -> str:
        query = {"PageSize": size, "Page": page} | ({} if token is None else {"PageToken": token})
        return f"{self.server.url}/v1/Sims?{urlencode(query)}"

    def _refuse(self, status: int, code: int, message: str) -> None:
        self.server.refusals.append(message)
        self._answer(status, {"code": code, "message": message, "more_info": "", "status": status})

    def _answer(self, status: int, body: Any) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the standard library calls it
        """Print nothing."""


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


@contextmanager
def super_sim_server(sims: Sequence[dict[str, Any]]) -> Iterator[SuperSimServer]:
    """Serve SIMs on loopback until the end of the block."""
    with SuperSimServer(sims) as server:
        thread = threading.Thread(target=server.serve_forever, name="super sim server", daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
