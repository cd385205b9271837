"""How a running sync is asked to stop, and how every wait of it hears that at once."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from sim_sync.core.errors import StopRequested
from sim_sync.core.sync import StopReason
from sim_sync.processes import handled_by


class StopSignal:
    """A request to stop, raised by a signal, by the lease keeper or by a person; the first reason counts."""

    def __init__(self) -> None:
        # Not an Event: a signal is handled inside of the very wait that it is to end, where the lock of an Event may be
        # taken. This queue is the one thing of the standard library that may be filled from there.
        self._calls: queue.SimpleQueue[None] = queue.SimpleQueue()
        #: Why to stop, or None to continue.
        self.reason: StopReason | None = None
        #: The loss of the session that was noticed elsewhere, if that is why to stop.
        self.error: BaseException | None = None
        #: The signal that asked, if one did.
        self.signal_number: int | None = None

    def request(self, reason: StopReason, *, error: BaseException | None = None) -> None:
        """Ask to stop; every wait in progress ends now."""
        if self.reason is None:
            self.reason, self.error = reason, error
        self._calls.put(None)

    def is_stopped(self) -> bool:
        """Return whether somebody has asked to stop."""
        return self.reason is not None

    def wait(self, seconds: float) -> None:
        """Wait, as a `Waiter` does: return after `seconds`, or raise `StopRequested` when asked to stop."""
        with suppress(queue.Empty):
            self._calls.get(timeout=max(seconds, 0.0))
            self._calls.put(None)  # for every other wait, and the next
            raise StopRequested(f"a wait of {seconds:.0f} s was cut short: {self.reason}")


@contextmanager
def stopped_by_signals(stop: StopSignal) -> Iterator[None]:
    """Turn SIGTERM and SIGINT into a request to stop after the current page, if that comes soon.

    Outside of the main thread, change nothing. The handlers that were there before are back in place afterwards, so
    that who installed them can be told.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, _frame: FrameType | None) -> None:
        stop.signal_number = number
        stop.request(StopReason.SHUTDOWN)

    with handled_by(ask):
        yield
