"""Watches one request from outside and cuts its connection: where it takes too long, and where nobody waits any more.

The HTTP client's own timeouts begin again with every byte, so an answer that drips in would keep a sync from stopping.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

#: An answer that comes so soon after a stop is still taken: the page is not asked for again. Whoever ends a process
#: waits longer than this (Docker: 10 seconds, Kubernetes: 30).
GRACE_SECONDS = 2.0
_LOOK_EVERY_SECONDS = 0.1


class CutOff(Exception):
    """The connection was cut: `is_stop` where the sync has to stop, else because the request took too long."""

    def __init__(self, *, is_stop: bool) -> None:
        super().__init__("stop" if is_stop else "too late")
        self.is_stop = is_stop


@dataclass(frozen=True, slots=True)
class CutOffLimits:
    """How long a whole answer may take, and how long once `is_stopped` says that the sync has to stop."""

    response_seconds: float
    grace_seconds: float = GRACE_SECONDS
    is_stopped: Callable[[], bool] = lambda: False


class Watch:
    """What became of one request that is watched."""

    def __init__(self, limits: CutOffLimits) -> None:
        self._limits = limits
        self._cut: CutOff | None = None

    def raise_if_cut(self) -> None:
        """Raise `CutOff` where the connection was cut: whatever the client made of it is not the carrier's doing."""
        if self._cut is not None:
            raise self._cut from None

    def wait(self, done: threading.Event, cut: Callable[[], None]) -> None:
        """Wait until the request is done, and cut its connection when its time is over."""
        deadline, is_stop = time.monotonic() + self._limits.response_seconds, False
        while not done.wait(min(max(deadline - time.monotonic(), 0.0), _LOOK_EVERY_SECONDS)):
            now = time.monotonic()
            if not is_stop and self._limits.is_stopped():
                is_stop = now + self._limits.grace_seconds < deadline
                deadline = min(deadline, now + self._limits.grace_seconds)
            if now >= deadline:
                self._cut = CutOff(is_stop=is_stop)
                cut()
                return


@contextmanager
def watched(cut: Callable[[], None], limits: CutOffLimits) -> Iterator[Watch]:
    """Call `cut` when what is done in here takes longer than the limits allow."""
    watch, done = Watch(limits), threading.Event()
    thread = threading.Thread(target=watch.wait, args=(done, cut), name="watch of a request", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        done.set()


def cut_socket(connected: socket.socket) -> None:
    """End a connection in both directions; whoever reads from it in another thread finds its end."""
    with suppress(OSError):
        # Not the method of a TLS socket: that would take its session away from the thread that reads.
        socket.socket.shutdown(connected, socket.SHUT_RDWR)
