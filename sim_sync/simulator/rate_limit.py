"""How often a simulated carrier may be asked, and how often it was: a bucket that refills, and the peaks it saw."""

import threading
import time
from collections import deque
from collections.abc import Callable
from math import ceil


class RateLimit:
    """A token bucket: `burst` requests at once, refilled at that many a second; without a rate, all are allowed.

    `clock` reports seconds that never go back. Safe for many threads.
    """

    def __init__(
        self, per_second: float | None, burst: int | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._burst = burst or (1 if per_second is None else max(ceil(per_second), 1))
        self._clock = clock
        self._lock = threading.Lock()
        self._level = float(self._burst)
        self._filled = clock()

    def take(self) -> float | None:
        """Take one request out of the bucket; return None, or how many seconds to wait where it is empty."""
        if self._per_second is None:
            return None
        with self._lock:
            now = self._clock()
            self._level = min(self._level + (now - self._filled) * self._per_second, self._burst)
            self._filled = now
            if self._level < 1:
                return (1 - self._level) / self._per_second
            self._level -= 1
            return None


class Peak:
    """The most requests in any one second. Safe for many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._recent: deque[float] = deque()
        self.highest = 0

    def count(self) -> None:
        """Count a request that arrives now."""
        with self._lock:
            now = self._clock()
            self._recent.append(now)
            while self._recent[0] <= now - 1:
                self._recent.popleft()
            self.highest = max(self.highest, len(self._recent))
