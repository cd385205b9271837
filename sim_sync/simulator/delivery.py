"""How an answer reaches the client, or fails to, and the log of what was asked. Knows sockets, no vendor."""

import socket
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass
from email.utils import formatdate

from sim_sync.simulator.faults import ConnectionReset, Fault, SlowDrip, SlowStart, Stall, TruncatedBody
from sim_sync.simulator.vendor import Response, phrase_of

# What a simulated carrier was asked, for tests to read: the newest requests, without any secret.


#: How many requests are kept; older ones are forgotten and counted.
LOG_CAPACITY = 200_000


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One request to a carrier. Of its credentials only their worth is kept: `authentication`.

    `number` counts all requests of the process from 1. `status` is 0 where not even a status line was sent. Times are
    the machine's monotonic clock in nanoseconds; `answered_ns` is when sending began. `client` is the connection's
    other end, so that equal ones shared a connection. `in_flight` counts the carrier's requests at work on arrival.
    """

    number: int
    mount: str
    method: str
    path: str
    query: str
    status: int
    is_list: bool
    page_token: str | None
    page_number: int | None
    authentication: str
    fault: str | None
    client: str
    in_flight: int
    arrived_ns: int
    answered_ns: int


class RequestLog:
    """A ring of log entries. Safe for many threads."""

    def __init__(self, capacity: int = LOG_CAPACITY) -> None:
        self._lock = threading.Lock()
        self._entries: deque[LogEntry] = deque(maxlen=capacity)
        self._last_number = 0

    def next_number(self) -> int:
        """Return the number of the request that arrived just now."""
        with self._lock:
            self._last_number += 1
            return self._last_number

    def append(self, entry: LogEntry) -> None:
        """Keep an entry; the oldest one goes where the ring is full."""
        with self._lock:
            self._entries.append(entry)

    def entries(self, *, after: int = 0, limit: int | None = None, mount: str | None = None) -> list[LogEntry]:
        """Return the kept entries of one mount or all, whose number is greater than `after`, oldest first."""
        with self._lock:
            found = [e for e in self._entries if e.number > after and mount in (None, e.mount)]
        found.sort(key=lambda entry: entry.number)
        return found[:limit]

    def clear(self) -> int:
        """Forget all entries and return how many there were; numbers continue."""
        with self._lock:
            count = len(self._entries)
            self._entries.clear()
            return count


# How an answer reaches the client, or fails to: whole, cut off, late, never, as a reset. Knows sockets, no vendor.


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
