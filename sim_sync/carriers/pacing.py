"""When the next request may be sent: a pure rule over a small state, the same for one process and for many.

The times are seconds of one monotonic clock; the algorithm for the spacing is pyrate-limiter's GCRA.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pyrate_limiter import GCRA, Rate

from sim_sync.carriers.pace import Pace
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
class Traffic:
    """What is remembered of a carrier's requests.

    `free_at_us` is when GCRA's bucket would be empty, in microseconds; `recent` are when the last requests were let
    through, as many as fit into a window of the limit; `seen_at` is the last time that this state was changed.
    """

    free_at_us: int = 0
    recent: tuple[float, ...] = ()
    pace: Pace = field(default_factory=Pace)
    slowed_at: float = -math.inf
    held_until: float = -math.inf
    seen_at: float = -math.inf

    def at(self, now: float) -> "Traffic":
        """Return the state as the clock has it now: a machine that was started anew counts from 0 again."""
        back = self.seen_at - now
        if back <= 0:
            return self
        return replace(
            self,
            free_at_us=self.free_at_us - round(back * 1e6),
            recent=tuple(time - back for time in self.recent),
            slowed_at=self.slowed_at - back,
            held_until=self.held_until - back,
            seen_at=now,
        )

    def as_json(self) -> Mapping[str, Any]:
        """Return the state as plain values; what never happened is null."""
        return {
            "free_at_us": self.free_at_us,
            "recent": self.recent,
            "pace": [self.pace.requests_per_second, self.pace.recovers_to],
            "slowed_at": _or_null(self.slowed_at),
            "held_until": _or_null(self.held_until),
            "seen_at": _or_null(self.seen_at),
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Traffic":
        """Return the state that `as_json` wrote."""
        return cls(
            free_at_us=int(found["free_at_us"]),
            recent=tuple(found["recent"]),
            pace=Pace(*found["pace"]),
            slowed_at=_or_never(found["slowed_at"]),
            held_until=_or_never(found["held_until"]),
            seen_at=_or_never(found["seen_at"]),
        )


@dataclass(frozen=True, slots=True)
class Turn:
    """Whether a request may be sent now (`wait_seconds` is 0) or when to ask again; `is_hold`: the carrier said so."""

    wait_seconds: float = 0.0
    is_hold: bool = False


def next_turn(traffic: Traffic, limit: RateLimit, now: float) -> tuple[Traffic, Turn]:
    """Decide about one request at `now`; only one that may be sent changes the state."""
    traffic = traffic.at(now)
    if now < traffic.held_until:
        return traffic, Turn(traffic.held_until - now, is_hold=True)
    rate = traffic.pace.limit(limit.requests_per_second)
    if rate is None:
        return replace(traffic, seen_at=now), Turn()
    burst = _burst_of(traffic, limit)
    free_at_us, wait_for_space = _spaced(traffic.free_at_us, rate, burst, now)
    recent, wait_for_window = _within_window(traffic.recent, rate, burst, now)
    wait = max(wait_for_space, wait_for_window)
    if wait > 0:
        return traffic, Turn(wait)
    return replace(traffic, free_at_us=free_at_us, recent=recent, seen_at=now), Turn()


def slowed(traffic: Traffic, limit: RateLimit, now: float, *, admitted_at: float, observed: float | None) -> Traffic:
    """Halve the pace, once for all the requests that were on their way when the carrier said so."""
    traffic = traffic.at(now)
    if admitted_at <= traffic.slowed_at:
        return traffic
    pace = traffic.pace.slowed(limit.requests_per_second, observed)
    return replace(traffic, pace=pace, slowed_at=now, seen_at=now)


def held(traffic: Traffic, now: float, *, seconds: float) -> Traffic:
    """Let nobody through for so many seconds; a longer hold stays."""
    traffic = traffic.at(now)
    return replace(traffic, held_until=max(traffic.held_until, now + seconds), seen_at=now)


def recovered(traffic: Traffic, now: float, *, admitted_at: float) -> Traffic:
    """Count a good answer to a request that was sent after the last slow-down."""
    traffic = traffic.at(now)
    if admitted_at <= traffic.slowed_at:
        return traffic
    return replace(traffic, pace=traffic.pace.recovered(), seen_at=now)


def _burst_of(traffic: Traffic, limit: RateLimit) -> int:
    # A carrier that said "slower" gets no bursts until the pace is full again.
    return limit.burst or 1 if traffic.pace.requests_per_second is None else 1


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
