"""Time that passes only while somebody waits: a monotonic clock, a wall clock and a Waiter that agree."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from sim_sync.core.errors import StopRequested
from sim_sync_tests.fakes.clock import START


class MovingTime:
    """A clock, and a `Waiter` that moves it. `late_by` is how much later than asked each wait ends."""

    def __init__(
        self,
        start_seconds: float = 1000.0,
        *,
        late_by: Callable[[], float] = lambda: 0.0,
        stop_at_wait: int | None = None,
    ) -> None:
        self.waits: list[float] = []
        self._lock = threading.Lock()
        self._start_seconds = start_seconds
        self._seconds = start_seconds
        self._late_by = late_by
        self._stop_at_wait = stop_at_wait

    def monotonic(self) -> float:
        """Return the seconds of a clock that only moves forward."""
        with self._lock:
            return self._seconds

    def now(self) -> datetime:
        """Return the time of day that belongs to it."""
        return START + timedelta(seconds=self.monotonic() - self._start_seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass without a wait."""
        with self._lock:
            self._seconds += seconds

    def is_stopped(self) -> bool:
        """Return whether the test has armed a stop that is due."""
        return self._stop_at_wait is not None and len(self.waits) > self._stop_at_wait

    def wait(self, seconds: float) -> None:
        """Let the time pass at once, or raise `StopRequested` where the test armed it."""
        with self._lock:
            self.waits.append(seconds)
            if self._stop_at_wait is not None and len(self.waits) > self._stop_at_wait:
                raise StopRequested(f"asked to stop during a wait of {seconds:g} seconds")
            self._seconds += seconds + self._late_by()
