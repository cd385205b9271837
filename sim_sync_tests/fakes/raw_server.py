"""A server on loopback that answers byte by byte as a test says, and keeps what it was asked."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Received:
    """One request as it came over the wire; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The target without its query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> Mapping[str, list[str]]:
        """The parameters of the query."""
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def form(self) -> Mapping[str, str]:
        """The body as a form."""
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


#: Sends an answer on a connection, whole or not. When it returns false, the connection is closed.
Play = Callable[[socket.socket], bool]
#: Chooses the answer to a request: its bytes, or how they are played.
Script = Callable[[Received], bytes | Play]


def reply(
    status: int = 200, body: Any = None, headers: Mapping[str, str] | None = None, *, raw: bytes | None = None
) -> bytes:
    """Return a whole answer: `body` as JSON, or `raw` as it is."""
    content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
    head = {"Content-Type": "application/json", "Content-Length": str(len(content)), **(headers or {})}
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in head.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + content


class RawServer:
    """The server of a test. `received` are the requests in their order."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.received: list[Received] = []
        self._script = script
        self._tls = tls
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self._listener.getsockname()[1]}"

    def start(self) -> None:
        """Answer from now on."""
        self._start_thread(self._accept)

    def stop(self) -> None:
        """Close everything, and wait for the threads."""
        self._stopped.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            opened, threads = list(self._open), list(self._threads)
        for connection in opened:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in threads:
            thread.join(timeout=10)

    def pause(self, seconds: float) -> bool:
        """Be silent for a while; return whether the test continues."""
        return not self._stopped.wait(seconds)

    def asked(self, path: str) -> list[Received]:
        """Return the requests to a path."""
        with self._lock:
            return [request for request in self.received if request.path == path]

    def _start_thread(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        with self._lock:
            self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.append(connection)
            self._start_thread(self._serve, connection)

    def _secured(self, connection: socket.socket) -> socket.socket:
        if self._tls is None:
            return connection
        secured = self._tls.wrap_socket(connection, server_side=True)
        with self._lock:
            self._open.append(secured)
        return secured

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), self._secured(connection) as secured, secured.makefile("rb") as stream:
            while (request := _read(stream)) is not None:
                with self._lock:
                    self.received.append(request)
                answer = self._script(request)
                if isinstance(answer, bytes):
                    secured.sendall(answer)
                elif not answer(secured):
                    return


def _read(stream: Any) -> Received | None:
    line = stream.readline().decode("latin-1").strip()
    if not line:
        return None
    method, target, _ = line.split(" ", 2)
    headers = {}
    while header := stream.readline().decode("latin-1").strip():
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    return Received(method, target, headers, stream.read(int(headers.get("content-length", "0"))))


@contextmanager
def serving(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    """Serve for the time of a test, over TLS where it is given."""
    server = RawServer(script, tls)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def in_turn(*answers: bytes | Play) -> Script:
    """Return a script that gives one answer after the other, and the last one from then on."""
    lock = threading.Lock()
    left = list(answers)

    def script(_request: Received) -> bytes | Play:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return script
