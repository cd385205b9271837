"""Keeps a carrier's limits: requests per second, bursts, requests in flight, and what the carrier itself asks for.

Waiting for one's turn hears a stop, like every other wait. The rules are in `rate_limit` and `adaptive_rate`.
"""

import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

from sim_sync.carriers.rate_limit import Permission, RateLimitState, next_permission, paused, recovered, slowed
from sim_sync.carriers.settings import RateLimit
from sim_sync.carriers.shared_limits import InMemoryRateLimits, RateLimitStore, SharedRateLimits, limits_folder
from sim_sync.core.errors import ParkRequired, WaitCause
from sim_sync.core.ports import Waiter

#: How often a place among the requests in flight is looked for. Only as many threads as are started wait for one.
_LOOK_AGAIN_SECONDS = 0.02
#: The pace is observed over that many requests; the median gap, because a hold is no gap.
_OBSERVED_REQUESTS = 9


@dataclass(slots=True)
class Permit:
    """One request on its way: when it was let through, and how long the carrier's own word kept it waiting."""

    admitted_at: float
    paused_seconds: float = field(default=0.0)


class RateLimiter:
    """Lets requests through as the limits allow. Many threads may wait at one, and many processes at a shared one.

    A hold longer than `park_after_seconds` raises `ParkRequired`: the worker has better things to do.
    """

    def __init__(
        self,
        limit: RateLimit,
        waiter: Waiter,
        *,
        carrier: str,
        park_after_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
        store: RateLimitStore | None = None,
    ) -> None:
        self._limit = limit
        self._waiter = waiter
        self._carrier = carrier
        self._park_after_seconds = park_after_seconds
        self._monotonic = monotonic
        self._store = store or _store_for(limit)
        self._recent: deque[float] = deque(maxlen=_OBSERVED_REQUESTS)
        self._recent_lock = threading.Lock()
        self._is_slowed = False

    @contextmanager
    def acquire(self) -> Iterator[Permit]:
        """Wait for a place and for one's turn, and keep the place while the request is on its way.

        Raises:
            ParkRequired: the carrier asked for a longer wait than a worker should sleep.
            StopRequested: a wait was cut short.
        """
        give_back = self._wait_for_slot()
        try:
            yield self._wait_for_permit()
        finally:
            give_back()

    def slow_down(self, permit: Permit) -> None:
        """Halve the pace: the carrier said so in the answer to this request."""
        observed = self._observed()
        self._change(
            lambda state, now: slowed(state, self._limit, now, admitted_at=permit.admitted_at, observed=observed)
        )
        self._is_slowed = True

    def pause(self, seconds: float) -> None:
        """Let nobody through for that many seconds."""
        self._change(lambda state, now: paused(state, now, seconds=seconds))

    def speed_up(self, permit: Permit) -> None:
        """Take a good answer as leave to go a little faster, where the pace was halved."""
        if self._is_slowed:
            self._change(lambda state, now: recovered(state, now, admitted_at=permit.admitted_at))

    def _wait_for_slot(self) -> Callable[[], None]:
        while (give_back := self._store.take_slot(self._limit.max_in_flight)) is None:
            self._waiter.wait(_LOOK_AGAIN_SECONDS)
        return give_back

    def _wait_for_permit(self) -> Permit:
        paused_seconds = 0.0
        while True:
            now, permission = self._ask()
            if permission.wait_seconds <= 0:
                with self._recent_lock:
                    self._recent.append(now)
                return Permit(now, paused_seconds)
            if permission.is_pause:
                paused_seconds += permission.wait_seconds
                self._free_the_worker_for(permission)
            self._waiter.wait(permission.wait_seconds)

    def _ask(self) -> tuple[float, Permission]:
        def request(state: RateLimitState) -> tuple[RateLimitState, tuple[float, Permission]]:
            now = self._monotonic()
            state, permission = next_permission(state, self._limit, now)
            self._is_slowed = state.adaptive_rate.requests_per_second is not None
            return state, (now, permission)

        return self._store.change(request)

    def _change(self, rule: Callable[[RateLimitState, float], RateLimitState]) -> None:
        self._store.change(lambda state: (rule(state, self._monotonic()), None))

    def _free_the_worker_for(self, permission: Permission) -> None:
        if permission.wait_seconds > self._park_after_seconds:
            raise ParkRequired(
                f"carrier {self._carrier} asked to be left alone for another {permission.wait_seconds:.0f} s",
                wait_seconds=permission.wait_seconds,
                cause=WaitCause.THROTTLED,
            )

    def _observed(self) -> float | None:
        with self._recent_lock:
            gaps = [later - earlier for earlier, later in pairwise(self._recent)]
        gap = statistics.median(gaps) if gaps else 0.0
        return 1 / gap if gap > 0 else None


def _store_for(limit: RateLimit) -> RateLimitStore:
    return InMemoryRateLimits() if limit.shared_key is None else SharedRateLimits(limits_folder(), limit.shared_key)
