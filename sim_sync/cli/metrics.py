"""`sim-sync metrics`: what Prometheus is told, to standard output, into a file, or on an endpoint."""

import errno
import socket
import threading
from collections.abc import Callable
from contextlib import closing
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

from sim_sync.cli.exports import replacing
from sim_sync.cli.exposition import exposition, exposition_of_failure
from sim_sync.config import load_config
from sim_sync.core.errors import InputError, SimSyncError
from sim_sync.processes import put_into
from sim_sync.terminal.output import ExitCode, print_lines, say
from sim_sync.warehouse import open_warehouse_to_read
from sim_sync.warehouse.overviews import carrier_figures

# The endpoint of `sim-sync metrics --listen`: `GET /metrics` and nothing else. Knows no figures and no warehouse.


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


# The command: figures of now, to where they are wanted.


def show_metrics(*, listen: str | None, output: Path | None) -> ExitCode:
    """Print the metrics once, write them once, or serve them until SIGTERM or Ctrl-C."""
    if listen is not None and output is not None:
        raise InputError("give either --listen or --output: one serves until it is told to end, the other writes once")
    if listen is not None:
        return _serve(listen)
    if output is not None:
        return _write(output)
    print_lines(_exposed()[0].decode().splitlines())
    return ExitCode.DONE


def _exposed(accept: str | None = None) -> tuple[bytes, str]:
    """Return the exposition of now. The configuration is read each time, as every run does."""
    config = load_config()
    max_age_hours = {name: config.max_age_hours(name) for name in config.carrier_names}
    with closing(open_warehouse_to_read(config.warehouse_url)) as warehouse:
        figures = carrier_figures(warehouse.engine, max_age_hours, warehouse.sessions.now())
    return exposition(figures, accept)


def _write(output: Path) -> ExitCode:
    """Write the metrics into a file.

    Where there are none, the file says that alone: what was true before would pass for what is true now.
    """
    try:
        body, _ = _exposed()
    except SimSyncError:
        replace_file(output, exposition_of_failure())
        raise
    replace_file(output, body)
    return ExitCode.DONE


def replace_file(path: Path, body: bytes) -> None:
    """Put a file in the place of another one, or where there is none: whoever reads it sees the one or the other.

    Its mode is that of the umask: a collector is another user, and metrics hold nothing secret.

    Raises:
        InputError: it cannot be written there.
    """
    with replacing(path) as part:
        part.write_bytes(body)


def _serve(listen: str) -> ExitCode:
    ends: SimpleQueue[str] = SimpleQueue()
    with put_into(ends), MetricsServer(parse_address(listen), _scrape) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.05,), name="metrics", daemon=True)
        serving.start()
        say(f"metrics at {server.url}; Ctrl-C ends it")
        reason = ends.get()
        server.shutdown()
        serving.join()
    say(f"ended: {reason}")
    return ExitCode.DONE


def _scrape(accept: str | None) -> Reply:
    try:
        body, content_type = _exposed(accept)
    except SimSyncError as error:
        sentence = " ".join(str(error).split())
        return Reply(HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, f"# {sentence}\n".encode() + exposition_of_failure())
    return Reply(HTTPStatus.OK, content_type, body)
