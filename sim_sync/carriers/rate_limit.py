"""When the next request may be sent: a pure rule over a small state, the same for one process and for many.

The times are seconds of one monotonic clock; the algorithm for the spacing is pyrate-limiter's GCRA.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pyrate_limiter import GCRA, Rate

from sim_sync.carriers.adaptive_rate import AdaptiveRate
from sim_sync.carriers.settings import RateLimit

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
    """Whether a request may be sent now (`wait_seconds` is 0) or when to ask again; `is_hold`: the carrier said so."""

    wait_seconds: float = 0.0
    is_pause: bool = False


def next_permission(state: RateLimitState, limit: RateLimit, now: float) -> tuple[RateLimitState, Permission]:
    """Decide about one request at `now`; only one that may be sent changes the state."""
    state = state.at(now)
    if now < state.paused_until:
        return state, Permission(state.paused_until - now, is_pause=True)
    rate = state.adaptive_rate.limit(limit.requests_per_second)
    if rate is None:
        return replace(state, seen_at=now), Permission()
    burst = _burst_of(state, limit)
    free_at_us, wait_for_space = _spaced(state.free_at_us, rate, burst, now)
    recent, wait_for_window = _within_window(state.recent, rate, burst, now)
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


def _within_window(recent: tuple[float, ...], rate: float, burst: int, now: float) -> tuple[tuple[float, ...], float]:
    """Keep the number of requests in any window, whatever was caught up or sent in a burst; return times and wait.

    The window is a second; longer where a whole number of requests, or the burst, takes longer at the limit.
    """
    most = max(math.ceil(rate), burst)
    recent = recent[-most:]
    if len(recent) < most:
        return (*recent, now), 0.0
    return (*recent[1:], now), max(recent[0] + most / rate * _MARGIN - now, 0.0)


def _or_null(time: float) -> float | None:
    return None if math.isinf(time) else time


def _or_never(time: float | None) -> float:
    return -math.inf if time is None else time
