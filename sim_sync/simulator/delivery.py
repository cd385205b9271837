"""How an answer reaches the client, or fails to: whole, cut off, late, never, as a reset. Knows sockets, no vendor."""

import socket
import struct
import threading
import time
from email.utils import formatdate

from sim_sync.simulator.faults import ConnectionReset, Fault, SlowDrip, SlowStart, Stall, TruncatedBody
from sim_sync.simulator.vendor import Response, phrase_of

_POLL_SECONDS = 0.02


class Connection:
    """The server's end of one client connection. `stopping` ends every wait at shutdown."""

    def __init__(self, connection: socket.socket, stopping: threading.Event) -> None:
        self._connection = connection
        self._stopping = stopping

    def deliver(self, response: Response, fault: Fault | None = None) -> bool:
        """Send an answer as a fault has it, and return whether the connection may be used again."""
        match fault:
            case ConnectionReset():
                self._reset()
                return False
            case Stall(seconds=seconds, where=where):
                if where == "body":
                    self._connection.sendall(_first_half(response))
                self._hold(seconds)
                return False
            case TruncatedBody():
                self._connection.sendall(_first_half(response))
                return False
            case SlowDrip(seconds=seconds, pieces=pieces):
                return self._drip(response, seconds, pieces)
            case SlowStart(seconds=seconds) if not self._hold(seconds):
                return False
            case _:
                self._connection.sendall(_head(response) + response.body)
                return True

    def _drip(self, response: Response, seconds: float, pieces: int) -> bool:
        self._connection.sendall(_head(response))
        size = -(-len(response.body) // pieces) or 1
        for start in range(0, len(response.body), size):
            if not self._hold(seconds / pieces):
                return False
            self._connection.sendall(response.body[start : start + size])
        return True

    def _hold(self, seconds: float) -> bool:
        """Wait, and return whether the client is still there and the server still wanted."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self._stopping.wait(min(left, _POLL_SECONDS)) or self._client_has_gone():
                return False
        return True

    def _client_has_gone(self) -> bool:
        try:
            return self._connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False

    def _reset(self) -> None:
        """Close with a zero linger time, which makes the kernel send RST instead of FIN (socket(7), SO_LINGER)."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Detached, because the socket's file objects would keep it open until the handler ends, which closes politely.
        socket.close(self._connection.detach())


def _head(response: Response) -> bytes:
    lines = [
        f"HTTP/1.1 {response.status} {phrase_of(response.status)}",
        f"Date: {formatdate(usegmt=True)}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(response.body)}",
        *(f"{name}: {value}" for name, value in response.headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _first_half(response: Response) -> bytes:
    return _head(response) + response.body[: len(response.body) // 2]
