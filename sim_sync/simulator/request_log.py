"""What a simulated carrier was asked, for tests to read: the newest requests, without any secret."""

import threading
from collections import deque
from dataclasses import dataclass

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
