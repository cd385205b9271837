"""A Waiter that waits for nothing: it writes down what it was asked for."""

from sim_sync.core.errors import StopRequested
from sim_sync_tests.fakes.clock import SettableClock


class RecordingWaiter:
    """Records every wait, moves a clock by it, and asks for a stop where the test wants one.

    `stop_at_wait` is the number of the wait, from 0, that is cut short by a stop; so are all after it.
    """

    def __init__(self, clock: SettableClock | None = None, *, stop_at_wait: int | None = None) -> None:
        self.waits: list[float] = []
        self._clock = clock
        self._stop_at_wait = stop_at_wait

    def is_stopped(self) -> bool:
        """Return whether the test has armed a stop that is due."""
        return self._stop_at_wait is not None and len(self.waits) > self._stop_at_wait

    def wait(self, seconds: float) -> None:
        """Return at once, or raise `StopRequested` where the test armed it."""
        number = len(self.waits)
        self.waits.append(seconds)
        if self._stop_at_wait is not None and number >= self._stop_at_wait:
            raise StopRequested(f"asked to stop during a wait of {seconds:g} seconds")
        if self._clock is not None:
            self._clock.advance(seconds)
