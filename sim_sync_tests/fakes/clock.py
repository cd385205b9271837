"""A clock that moves only when told. Nothing in here reads the real time."""

import threading
from datetime import UTC, datetime, timedelta

#: Where every test's time starts: a night, in a year that is no special one.
START = datetime(2026, 3, 2, 2, 0, 0, tzinfo=UTC)


class SettableClock:
    """A clock for the warehouse, whose time is an argument of the test."""

    def __init__(self, start: datetime = START) -> None:
        self._lock = threading.Lock()
        self._now = start

    def now(self) -> datetime:
        """Return the time that was last set."""
        with self._lock:
            return self._now

    def advance(self, seconds: float) -> datetime:
        """Move the time forward and return it."""
        with self._lock:
            self._now += timedelta(seconds=seconds)
            return self._now

    def set(self, now: datetime) -> None:
        """Set the time, backwards too: real clocks are put right while a sync runs."""
        with self._lock:
            self._now = now
