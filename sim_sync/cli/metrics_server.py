"""The endpoint of `sim-sync metrics --listen`: `GET /metrics` and nothing else. Knows no figures and no warehouse."""

import errno
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from sim_sync.core.errors import InputError

#: Scrapers at the same time; one more is hung up on.
_AT_ONCE = 16
#: Who is silent for so long is hung up on.
_SILENCE_SECONDS = 10
_TEXT = "text/plain; charset=utf-8"


class Reply(NamedTuple):
    """What a scraper gets."""

    status: HTTPStatus
    content_type: str
    body: bytes


#: Returns the metrics, in a format that the header `Accept` names.
Scrape = Callable[[str | None], Reply]


class Address(NamedTuple):
    """Where to listen."""

    host: str
    port: int


def parse_address(text: str) -> Address:
    """Return the host and the port of `HOST:PORT`; an IPv6 address stands in brackets, and port 0 takes a free one.

    Raises:
        InputError: it is something else.
    """
    host, colon, port = text.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    is_host = bool(host) and (is_bracketed or not set(host) & set(":[]/@ "))
    if not (colon and is_host and port.isascii() and port.isdecimal() and int(port) <= 65535):
        raise InputError(f"--listen: expected HOST:PORT, such as 127.0.0.1:9464 or [::1]:9464, found {text!r}")
    return Address(host.strip("[]"), int(port))


class MetricsServer(ThreadingHTTPServer):
    """Listens as soon as it is made, and serves in `serve_forever`.

    Raises:
        InputError: the address cannot be listened on.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: Address, scrape: Scrape) -> None:
        self._scrape = scrape
        self._scraping = threading.Lock()
        self._free = threading.BoundedSemaphore(_AT_ONCE)
        try:
            self.address_family, found = _resolved(address)
            super().__init__(found, _Handler)
        except (OSError, UnicodeError) as error:
            raise InputError(f"--listen: cannot listen on {address.host}:{address.port}: {_reason(error)}") from None

    @property
    def url(self) -> str:
        """Where the metrics are."""
        host, port = self.server_address[:2]
        shown = f"[{host!s}]" if self.address_family == socket.AF_INET6 else str(host)
        return f"http://{shown}:{port}/metrics"

    def scrape(self, accept: str | None) -> Reply:
        """Return the metrics; one scraper after the other, however many there are."""
        with self._scraping:
            return self._scrape(accept)

    def server_bind(self) -> None:
        """Bind without asking the resolver for this machine's name, as the base class does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a scraper in a thread of its own, or hang up where there are too many."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one scraper to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about a scraper that hangs up."""


class _Handler(BaseHTTPRequestHandler):
    server: MetricsServer
    server_version = "sim_sync"
    sys_version = ""
    timeout = _SILENCE_SECONDS

    def __getattr__(self, name: str) -> Any:
        # `http.server` looks for `do_METHOD`, and answers 501 for a method that it does not find.
        if name.startswith("do_"):
            return self._refuse_method
        raise AttributeError(name)

    def do_GET(self) -> None:
        """Answer with the metrics."""
        if self.path.partition("?")[0] == "/metrics":
            self._send(self.server.scrape(self.headers.get("Accept")))
        else:
            self._send(Reply(HTTPStatus.NOT_FOUND, _TEXT, b"only /metrics is here\n"))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Write nothing: a scraper comes every few seconds."""

    def _refuse_method(self) -> None:
        self._send(Reply(HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, b"only GET is answered\n"), Allow="GET")

    def _send(self, reply: Reply, **headers: str) -> None:
        self.send_response(reply.status)
        for name, value in {
            "Content-Type": reply.content_type,
            "Content-Length": str(len(reply.body)),
            **headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)


def _resolved(address: Address) -> tuple[socket.AddressFamily, Any]:
    found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # A name such as localhost may mean both: a scraper that is told the name tries IPv4 too, not every one IPv6.
    family, _, _, _, where = min(found, key=lambda one: one[0] != socket.AF_INET)
    return family, where


def _reason(error: Exception) -> str:
    if not isinstance(error, OSError):
        return "no host has such a name"
    if error.errno == errno.EADDRINUSE:
        return "the port is in use; end what listens there, or take another port"
    return error.strerror or type(error).__name__
