"""Keeps a carrier's requests per second. Waiting for one's turn hears a stop, like every other wait."""

import math

from pyrate_limiter import InMemoryBucket, Limiter, Rate

from sim_sync.carriers.settings import RateLimit
from sim_sync.core.ports import Waiter

_LOOK_AGAIN_SECONDS = 0.01


class Turnstile:
    """Lets through so many requests per second, and no burst beyond them."""

    def __init__(self, limit: RateLimit, waiter: Waiter) -> None:
        self._waiter = waiter
        self._limiter = None if limit.requests_per_second is None else _limiter(limit.requests_per_second)

    def pass_through(self) -> None:
        """Return when the next request may be sent."""
        while self._limiter is not None and not self._limiter.try_acquire("request", blocking=False):
            self._waiter.wait(_LOOK_AGAIN_SECONDS)


def _limiter(requests_per_second: float) -> Limiter:
    # One request in every 1/rate seconds: never above the limit in any second, and no burst at its start.
    interval_ms = math.ceil(1000 / requests_per_second)
    return Limiter(InMemoryBucket([Rate(1, interval_ms)]))
