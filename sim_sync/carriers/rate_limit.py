"""The rate limit of a carrier: the rule, its waits, and its state in memory; one that is shared is in `shared_limits`.

The rule is pure: from a small state and the time to the next state, the same for one process and for many. The times
are seconds of one clock, that of where the state is kept; the algorithm for the spacing is pyrate-limiter's GCRA. A
carrier that says "slower" halves the rate, and good answers bring it slowly back. `RateLimiter` keeps the limits:
requests per second, bursts, requests in flight, and what the carrier itself asks for. Its waits hear a stop, like every
other wait.
"""

import math
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Any, Protocol, TypeVar

from pyrate_limiter import GCRA, Rate

from sim_sync.carriers.settings import RateLimit
from sim_sync.core.errors import ParkRequired, WaitCause
from sim_sync.core.ports import Waiter

# --- the rule --------------------------------------------------------------------------------------------------------

_SLOWED_SHARE = 0.5
#: Twenty-five good answers make up for one halving.
_RECOVERED_SHARE = 0.02
#: So often halved, and no further: below it the waits that the carrier names do the rest.
_LEAST_SHARE = 1 / 64


@dataclass(frozen=True, slots=True)
class AdaptiveRate:
    """Requests per second after a carrier said "slower", and what they recover to; None is the full pace."""

    requests_per_second: float | None = None
    recovers_to: float | None = None

    def slowed(self, full: float | None, observed: float | None) -> "AdaptiveRate":
        """Return half of the pace.

        `full` is the limit of the settings. `observed` is how fast the carrier really was asked: where nothing was
        limited, or the limit was not reached, only half of that is slower.
        """
        known = [rate for rate in (self.requests_per_second, full, observed) if rate is not None]
        recovers_to = self.recovers_to or full or observed
        if not known or recovers_to is None:
            return self
        return AdaptiveRate(max(min(known) * _SLOWED_SHARE, recovers_to * _LEAST_SHARE), recovers_to)

    def recovered(self) -> "AdaptiveRate":
        """Return the pace after one more good answer: a fixed share of the full pace is added."""
        if self.requests_per_second is None or self.recovers_to is None:
            return self
        faster = self.requests_per_second + self.recovers_to * _RECOVERED_SHARE
        return AdaptiveRate() if faster >= self.recovers_to else AdaptiveRate(faster, self.recovers_to)

    def limit(self, full: float | None) -> float | None:
        """Return the requests per second that hold now; None is no limit."""
        return full if self.requests_per_second is None else self.requests_per_second


#: In the window of a limit, this much longer, no more is sent than the limit allows in the window itself: room for what
#: the network does to the distance between requests. A long run gets 98 % of the limit.
_MARGIN = 1.02
#: A request that was let through late does not delay those after it, up to this.
_CATCH_UP_SECONDS = 0.05
#: A rule of GCRA in which a request weighs the microseconds that it keeps the next one away.
_ONE_A_MICROSECOND = 1000, 1
_GCRA = GCRA()


@dataclass(frozen=True, slots=True)
class RateLimitState:
    """What is remembered of a carrier's requests.

    `free_at_us` is when GCRA's bucket would be empty, in microseconds; `recent` are when the last requests were let
    through, as many as fit into a window of the limit; `seen_at` is the last time that this state was changed.
    """

    free_at_us: int = 0
    recent: tuple[float, ...] = ()
    adaptive_rate: AdaptiveRate = field(default_factory=AdaptiveRate)
    slowed_at: float = -math.inf
    paused_until: float = -math.inf
    seen_at: float = -math.inf

    def at(self, now: float) -> "RateLimitState":
        """Return the state as the clock has it now: a machine that was started again counts from 0 again."""
        back = self.seen_at - now
        if back <= 0:
            return self
        return replace(
            self,
            free_at_us=self.free_at_us - round(back * 1e6),
            recent=tuple(time - back for time in self.recent),
            slowed_at=self.slowed_at - back,
            paused_until=self.paused_until - back,
            seen_at=now,
        )

    def as_json(self) -> Mapping[str, Any]:
        """Return the state as plain values; what never happened is null."""
        return {
            "free_at_us": self.free_at_us,
            "recent": self.recent,
            "pace": [self.adaptive_rate.requests_per_second, self.adaptive_rate.recovers_to],
            "slowed_at": _or_null(self.slowed_at),
            "held_until": _or_null(self.paused_until),
            "seen_at": _or_null(self.seen_at),
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "RateLimitState":
        """Return the state that `as_json` wrote."""
        return cls(
            free_at_us=int(found["free_at_us"]),
            recent=tuple(found["recent"]),
            adaptive_rate=AdaptiveRate(*found["pace"]),
            slowed_at=_or_never(found["slowed_at"]),
            paused_until=_or_never(found["held_until"]),
            seen_at=_or_never(found["seen_at"]),
        )


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether a request may be sent now (`wait_seconds` is 0) or when to ask again; `is_pause`: the carrier said so."""

    wait_seconds: float = 0.0
    is_pause: bool = False


def next_permission(
    state: RateLimitState, limit: RateLimit, now: float, slack_seconds: float = 0.0
) -> tuple[RateLimitState, Permission]:
    """Decide about one request at `now`; only one that may be sent changes the state.

    `slack_seconds` is how much sooner than others a request may leave after it was let through: no window that is
    shorter by that sees more than the limit either.
    """
    if now < state.seen_at:
        state = state.at(now)
    if now < state.paused_until:
        return state, Permission(state.paused_until - now, is_pause=True)
    rate = state.adaptive_rate.limit(limit.requests_per_second)
    if rate is None:
        return replace(state, seen_at=now), Permission()
    burst = _burst_of(state, limit)
    free_at_us, wait_for_space = _spaced(state.free_at_us, rate, burst, now)
    recent, wait_for_window = _within_window(state.recent, rate, burst, now, slack_seconds)
    wait = max(wait_for_space, wait_for_window)
    if wait > 0:
        return state, Permission(wait)
    return replace(state, free_at_us=free_at_us, recent=recent, seen_at=now), Permission()


def slowed(
    state: RateLimitState, limit: RateLimit, now: float, *, admitted_at: float, observed: float | None
) -> RateLimitState:
    """Halve the pace, once for all the requests that were on their way when the carrier said so."""
    state = state.at(now)
    if admitted_at <= state.slowed_at:
        return state
    adaptive_rate = state.adaptive_rate.slowed(limit.requests_per_second, observed)
    return replace(state, adaptive_rate=adaptive_rate, slowed_at=now, seen_at=now)


def paused(state: RateLimitState, now: float, *, seconds: float) -> RateLimitState:
    """Let nobody through for that many seconds; a longer hold stays."""
    state = state.at(now)
    return replace(state, paused_until=max(state.paused_until, now + seconds), seen_at=now)


def sent_late(state: RateLimitState, now: float, *, admitted_at: float) -> RateLimitState:
    """Count a request that was let through as one that leaves now: those after it keep their distance from that.

    So long after it was let through that others have taken its place, it counts in the place of the earliest of them.
    """
    if not state.recent or now <= admitted_at:
        return state
    others = list(state.recent)
    if admitted_at in others:
        others.remove(admitted_at)
    return replace(state, recent=tuple(sorted([*others, now]))[-len(state.recent) :], seen_at=now)


def recovered(state: RateLimitState, now: float, *, admitted_at: float) -> RateLimitState:
    """Count a good answer to a request that was sent after the last slow-down."""
    state = state.at(now)
    if admitted_at <= state.slowed_at:
        return state
    return replace(state, adaptive_rate=state.adaptive_rate.recovered(), seen_at=now)


def _burst_of(state: RateLimitState, limit: RateLimit) -> int:
    # A carrier that said "slower" gets no bursts until the pace is full again.
    return limit.burst or 1 if state.adaptive_rate.requests_per_second is None else 1


def _spaced(free_at_us: int, rate: float, burst: int, now: float) -> tuple[int, float]:
    """Keep the distance between requests; return GCRA's new state and the wait."""
    weight = math.ceil(1e6 / rate)
    catch_up = max(weight * (burst - 1), round(_CATCH_UP_SECONDS * 1e6))
    rule = [Rate(*_ONE_A_MICROSECOND, burst=weight + catch_up)]
    state, decision = _GCRA.step(rule, (free_at_us,), math.floor(now * 1000), weight)
    if decision.allowed:
        return int(state[0]), 0.0
    return free_at_us, max((decision.retry_after_ms or 1) / 1000, 0.001)


def _within_window(
    recent: tuple[float, ...], rate: float, burst: int, now: float, slack_seconds: float
) -> tuple[tuple[float, ...], float]:
    """Keep the number of requests in any window, whatever was caught up or sent in a burst; return times and wait.

    The window is a second; longer where a whole number of requests, or the burst, takes longer at the limit.
    """
    most = max(math.ceil(rate), burst)
    recent = recent[-most:]
    if len(recent) < most:
        return (*recent, now), 0.0
    return (*recent[1:], now), max(recent[0] + most / rate * _MARGIN + slack_seconds - now, 0.0)


def _or_null(time: float) -> float | None:
    return None if math.isinf(time) else time


def _or_never(time: float | None) -> float:
    return -math.inf if time is None else time


# --- waiting for one's turn ------------------------------------------------------------------------------------------

#: A request that leaves so long after it was let through is counted again, where that costs a transaction.
LATE_SECONDS = 0.02
#: A stop is heard so soon by those who are not next.
_HEAR_SECONDS = 1.0
_A_MOMENT = 0.001
#: The pace is observed over that many requests; the median gap, because a hold is no gap.
_OBSERVED_REQUESTS = 9


Outcome = TypeVar("Outcome")
#: A pure rule: from the state and the time to the next state and what is to be told about it.
Change = Callable[[RateLimitState, float], tuple[RateLimitState, Outcome]]


class RateLimitStore(Protocol):
    """Keeps the state of one limit, and the clock that its times are of. Changes happen one after the other."""

    @property
    def slack_seconds(self) -> float:
        """How much sooner than others a request may leave after it was let through here."""

    @property
    def late_seconds(self) -> float:
        """How long after it was let through a request may leave and need not be counted again: when it really left."""

    @property
    def look_again_seconds(self) -> float:
        """How often a place among the requests in flight is looked for."""

    def change(self, rule: Change[Outcome]) -> Outcome:
        """Replace the state by what the rule makes of it."""

    def take_slot(self, slots: int) -> Callable[[], None] | None:
        """Take one of that many slots for a request on its way; return how to give it back, None if all are taken."""


#: Where looking for a place costs next to nothing. Only as many threads as are started wait for one.
LOOK_AGAIN_SECONDS = 0.02


class InMemoryRateLimits:
    """The state of a limit that is this process's own."""

    slack_seconds = 0.0
    late_seconds = 0.002
    look_again_seconds = LOOK_AGAIN_SECONDS

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._state = RateLimitState()
        self._in_flight = 0

    def change(self, rule: Change[Outcome]) -> Outcome:
        """See `RateLimitStore`."""
        with self._lock:
            self._state, outcome = rule(self._state, self._monotonic())
            return outcome

    def take_slot(self, slots: int) -> Callable[[], None] | None:
        """See `RateLimitStore`."""
        with self._lock:
            if self._in_flight >= slots:
                return None
            self._in_flight += 1
            return self._give_back

    def _give_back(self) -> None:
        with self._lock:
            self._in_flight -= 1


@dataclass(slots=True)
class Permit:
    """One request on its way: when it was let through, and how long the carrier's own word kept it waiting."""

    admitted_at: float
    paused_seconds: float = field(default=0.0)
    #: When that was by this process's own clock.
    passed_at: float = field(default=0.0)


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
        store: RateLimitStore,
    ) -> None:
        self._limit = limit
        self._waiter = waiter
        self._carrier = carrier
        self._park_after_seconds = park_after_seconds
        self._store = store
        self._recent: deque[float] = deque(maxlen=_OBSERVED_REQUESTS)
        self._recent_lock = threading.Lock()
        #: Whoever has it is the one thread here that waits for the next turn: of many that wake at the same moment all
        #: but one would have to ask again, and the one would leave later for it.
        self._next = threading.Lock()
        #: How long this carrier's own word has kept those waiting that were next.
        self._paused_seconds = 0.0
        self._is_slowed = False

    @contextmanager
    def acquire(self) -> Iterator[Permit]:
        """Wait for a place and for one's turn, and keep the place while the request is on its way.

        Raises:
            ParkRequired: the carrier asked for a longer wait than a worker should sleep.
            StopRequested: a wait was cut short.
        """
        while (give_back := self._store.take_slot(self._limit.max_in_flight)) is None:
            self._waiter.wait(self._store.look_again_seconds)
        permit = Permit(-math.inf)
        try:
            self._wait_for_a_turn(permit)
            with self._recent_lock:
                self._recent.append(permit.admitted_at)
            yield permit
        finally:
            give_back()

    def _wait_for_a_turn(self, permit: Permit) -> None:
        queued_at, paused_before = time.monotonic(), self._paused_seconds
        while not self._next.acquire(timeout=_HEAR_SECONDS):
            self._waiter.wait(_A_MOMENT)  # raises where nobody waits any more
        try:
            permit.paused_seconds = min(self._paused_seconds - paused_before, time.monotonic() - queued_at)
            permit.passed_at = self._asked_at_last(permit)
        finally:
            self._next.release()
        self.note_sent(permit)  # as far as can be told by now

    def _asked_at_last(self, permit: Permit) -> float:
        """Wait for the next turn, and return when it was asked for with success."""
        asked_at = time.monotonic()
        while (wait := self._store.change(partial(self._admit, permit))).wait_seconds > 0:
            if wait.is_pause:
                self._free_the_worker_for(wait)
            self._waiter.wait(wait.wait_seconds)
            if wait.is_pause:
                permit.paused_seconds += wait.wait_seconds
                self._paused_seconds += wait.wait_seconds
            asked_at = time.monotonic()
        return asked_at

    def note_sent(self, permit: Permit) -> None:
        """Count a request from when it was written, where that was late: beside others, a thread may have to wait."""
        now = time.monotonic()
        if now - permit.passed_at <= self._store.late_seconds:
            return  # and a later note still sees the whole delay
        permit.passed_at, counted_at = now, permit.admitted_at

        def count_from_now(state: RateLimitState, now: float) -> RateLimitState:
            permit.admitted_at = now
            return sent_late(state, now, admitted_at=counted_at)

        self._change(count_from_now)

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

    def _admit(self, permit: Permit, state: RateLimitState, now: float) -> tuple[RateLimitState, Permission]:
        permit.admitted_at = now
        self._is_slowed = state.adaptive_rate.requests_per_second is not None
        return next_permission(state, self._limit, now, self._store.slack_seconds)

    def _change(self, rule: Callable[[RateLimitState, float], RateLimitState]) -> None:
        self._store.change(lambda state, now: (rule(state, now), None))

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
