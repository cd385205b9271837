"""A raw HTTP client: `http.client` and sockets, so that tests see what is on the wire."""

import base64
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sim_sync.simulator.credentials import SIMULATED_CREDENTIALS

USERNAME = SIMULATED_CREDENTIALS["username"]
PASSWORD = SIMULATED_CREDENTIALS["password"]
_NEVER = threading.Event()


def basic(username: str = USERNAME, password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()}


@dataclass(frozen=True)
class Seen:
    """An answer as the client saw it."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One keep-alive connection to an origin."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)

    def get(self, target: str, headers: Mapping[str, str] | None = None) -> Seen:
        return self.send("GET", target, headers=headers)

    def send(
        self, method: str, target: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Seen:
        self._connection.request(method, target, body=body, headers=basic() if headers is None else headers)
        response = self._connection.getresponse()
        return Seen(response.status, dict(response.headers), response.read())

    def close(self) -> None:
        self._connection.close()


@contextmanager
def client(url: str) -> Iterator[Client]:
    opened = Client(url)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def sent_request(url: str, target: str) -> Iterator[socket.socket]:
    """Send a GET request, and give the socket on which nothing has been read yet."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=30) as raw:
        lines = [f"GET {target} HTTP/1.1", f"Host: {parts.netloc}", f"Authorization: {basic()['Authorization']}"]
        raw.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        yield raw


def read_to_end(raw: socket.socket) -> bytes:
    """Read until the other side closes."""
    return b"".join(iter(lambda: raw.recv(65536), b""))


def target_of(url: str) -> str:
    """Return path and query of a URL."""
    return urlsplit(url)._replace(scheme="", netloc="").geturl()


def walk(url: str, *, page_size: int, between_pages: Callable[[int], None] = lambda _: None) -> list[dict[str, Any]]:
    """Return the records of a whole walk along the next links; `between_pages` is called with each page's number."""
    records: list[dict[str, Any]] = []
    link: str | None = f"{url}/v1/Sims?PageSize={page_size}"
    with client(url) as carrier:
        while link:
            page = carrier.get(target_of(link)).json()
            records.extend(page["sims"])
            link = page["meta"]["next_page_url"]
            between_pages(page["meta"]["page"])
    return records


def eventually(holds: Callable[[], bool], *, seconds: float = 20) -> None:
    """Return as soon as the condition holds; fail when it does not come true."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "the condition did not come true"
        _NEVER.wait(0.005)
