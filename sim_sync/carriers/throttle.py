"""Keeps a carrier's limits: requests per second, bursts, requests in flight, and what the carrier itself asks for.

Waiting for one's turn hears a stop, like every other wait. The rules are in `pacing` and `pace`.
"""

import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

from sim_sync.carriers.pacing import Traffic, Turn, held, next_turn, recovered, slowed
from sim_sync.carriers.settings import RateLimit
from sim_sync.carriers.shared_limits import OwnTraffic, SharedTraffic, TrafficStore, limits_folder
from sim_sync.core.errors import ParkRequired, WaitCause
from sim_sync.core.ports import Waiter

#: How often a place among the requests in flight is looked for. Only as many threads as are started wait for one.
_LOOK_AGAIN_SECONDS = 0.02
#: The pace is observed over so many requests; the median gap, because a hold is no gap.
_OBSERVED_REQUESTS = 9


@dataclass(slots=True)
class Admission:
    """One request on its way: when it was let through, and how long the carrier's own word kept it waiting."""

    admitted_at: float
    held_seconds: float = field(default=0.0)


class Turnstile:
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
        store: TrafficStore | None = None,
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
    def admitted(self) -> Iterator[Admission]:
        """Wait for a place and for one's turn, and keep the place while the request is on its way.

        Raises:
            ParkRequired: the carrier asked for a longer wait than a worker should sleep.
            StopRequested: a wait was cut short.
        """
        give_back = self._take_place()
        try:
            yield self._take_turn()
        finally:
            give_back()

    def slow_down(self, admission: Admission) -> None:
        """Halve the pace: the carrier said so in the answer to this request."""
        observed = self._observed()
        self._change(
            lambda traffic, now: slowed(traffic, self._limit, now, admitted_at=admission.admitted_at, observed=observed)
        )
        self._is_slowed = True

    def hold(self, seconds: float) -> None:
        """Let nobody through for so many seconds."""
        self._change(lambda traffic, now: held(traffic, now, seconds=seconds))

    def speed_up(self, admission: Admission) -> None:
        """Take a good answer as leave to go a little faster, where the pace was halved."""
        if self._is_slowed:
            self._change(lambda traffic, now: recovered(traffic, now, admitted_at=admission.admitted_at))

    def _take_place(self) -> Callable[[], None]:
        while (give_back := self._store.take_slot(self._limit.max_in_flight)) is None:
            self._waiter.wait(_LOOK_AGAIN_SECONDS)
        return give_back

    def _take_turn(self) -> Admission:
        held_seconds = 0.0
        while True:
            now, turn = self._ask()
            if turn.wait_seconds <= 0:
                with self._recent_lock:
                    self._recent.append(now)
                return Admission(now, held_seconds)
            if turn.is_hold:
                held_seconds += turn.wait_seconds
                self._give_the_worker_back_for(turn)
            self._waiter.wait(turn.wait_seconds)

    def _ask(self) -> tuple[float, Turn]:
        def ask(traffic: Traffic) -> tuple[Traffic, tuple[float, Turn]]:
            now = self._monotonic()
            traffic, turn = next_turn(traffic, self._limit, now)
            self._is_slowed = traffic.pace.requests_per_second is not None
            return traffic, (now, turn)

        return self._store.change(ask)

    def _change(self, rule: Callable[[Traffic, float], Traffic]) -> None:
        self._store.change(lambda traffic: (rule(traffic, self._monotonic()), None))

    def _give_the_worker_back_for(self, turn: Turn) -> None:
        if turn.wait_seconds > self._park_after_seconds:
            raise ParkRequired(
                f"carrier {self._carrier} asked to be left alone for another {turn.wait_seconds:.0f} s",
                wait_seconds=turn.wait_seconds,
                cause=WaitCause.THROTTLED,
            )

    def _observed(self) -> float | None:
        with self._recent_lock:
            gaps = [later - earlier for earlier, later in pairwise(self._recent)]
        gap = statistics.median(gaps) if gaps else 0.0
        return 1 / gap if gap > 0 else None


def _store_for(limit: RateLimit) -> TrafficStore:
    return OwnTraffic() if limit.shared_key is None else SharedTraffic(limits_folder(), limit.shared_key)
