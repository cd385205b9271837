"""How often the end of a walk lies in the range that was told: simulated walks, looked at from 20 % on.

A walk is a list of pages; each takes its work, its wait for the carrier, and what was lost before it between owners.
What is told is what `core.progress` tells; nothing here sleeps.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import fmean, median
from typing import NamedTuple

from sim_sync.core import progress
from sim_sync.core.session import Session, State
from sim_sync_tests.bench.figures import Figure

KINDS = ("steady", "throttled", "throttled in bursts", "changing speed", "parked", "quota by quota", "all of it")
_START = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
_LEASE = timedelta(seconds=30)
_FIRST_LOOK = 0.2


class SimulatedPage(NamedTuple):
    """What a page takes, in seconds: work, waiting for the carrier, and what was lost before it between two owners."""

    work: float
    wait: float = 0.0
    away: float = 0.0


class EndLook(NamedTuple):
    """One look at a walk: whether its end lay in the range, and how wide that was in times of what really remained."""

    is_in_range: bool
    width: float


def a_simulated_walk(kind: str, seed: int) -> Sequence[SimulatedPage]:
    """Return a walk of one of `KINDS`; the same seed gives the same walk."""
    rng = random.Random(f"{kind} {seed}")
    return list(_pages(kind, rng))


def _pages(kind: str, rng: random.Random) -> Iterator[SimulatedPage]:
    pages, usual = rng.choice([40, 100, 300, 1000]), rng.choice([0.2, 1.0, 4.0])
    turn, factor = rng.uniform(0.1, 0.9) * pages, rng.choice([0.5, 0.67, 1.5, 2.0])
    parks = sorted(rng.randrange(1, pages) for _ in range(rng.choice([1, 2])))
    drift = 0.0
    for number in range(pages):
        speed, wait, away = 1.0, 0.0, 0.0
        if kind in {"changing speed", "all of it"}:
            drift = 0.98 * drift + rng.gauss(0, 0.08)
            speed = math.exp(drift) * (factor if number > turn else 1.0)
        if kind in {"throttled", "all of it"} and rng.random() < 0.04:
            wait = usual + rng.expovariate(1 / (8 * usual))
        if kind == "throttled in bursts" and number % 100 > 80:
            wait = 3 * usual * rng.random()
        if kind in {"parked", "all of it"} and number in parks:
            away = pages * usual * rng.uniform(0.03, 0.3 if kind == "parked" else 0.15)
        if kind == "quota by quota" and number and number % max(pages // 8, 5) == 0:
            away = pages * usual * 0.08
        hang = 20 if rng.random() < 0.01 else 1
        yield SimulatedPage(hang * usual * speed * rng.lognormvariate(0, 0.35), wait, away)


def looks_at(pages: Sequence[SimulatedPage]) -> Iterator[EndLook]:
    """Yield a look at each twentieth of a walk, from a fifth of it on."""
    ends_at = sum(map(sum, pages))
    marks = {round(len(pages) * share / 20) for share in range(round(20 * _FIRST_LOOK), 20)}
    elapsed, recent, waited = 0.0, (), 0.0  # type: float, tuple[float, ...], float
    for done, page in enumerate(pages, start=1):
        elapsed, waited = elapsed + sum(page), waited + page.wait
        # A new owner's first page has no page before it to be measured from.
        recent = () if page.away else progress.remembered(recent, page.work)
        now = _START + timedelta(seconds=elapsed)
        walk = replace(_WALK, updated_at=now, pages_done=done, pages_expected=len(pages), throttled_seconds=waited)
        if done in marks and (look := _look(walk, recent, ends_at - elapsed)):
            yield look


def _look(walk: Session, recent: Sequence[float], left: float) -> EndLook | None:
    now, pace = walk.updated_at, progress.pace_of(recent)
    eta_at = progress.eta(now, pages_done=walk.pages_done, pages_expected=walk.pages_expected, pace_seconds=pace)
    told = progress.remaining(replace(walk, eta_at=eta_at, lease_expires_at=now + _LEASE), recent, now)
    if told.low_seconds is None or told.high_seconds is None:
        return None
    is_in_range = told.low_seconds <= left + 0.5 and left - 0.5 <= told.high_seconds  # they are whole seconds
    return EndLook(is_in_range, (told.high_seconds - told.low_seconds) / max(left, 1.0))


_WALK = Session(
    session_id="acme-1",
    session_number=1,
    carrier="acme",
    state=State.RUNNING,
    cursor={"page": 1},
    fence=1,
    config_hash="c",
    started_at=_START,
    updated_at=_START,
)


def range_of_the_end(walks: int) -> Iterator[Figure]:
    """Measure in how many looks the real end lies in the range, and how wide the range is, by kind of walk."""
    for kind in KINDS:
        looks = [look for seed in range(walks) for look in looks_at(a_simulated_walk(kind, 10_000 + seed))]
        share = 100 * fmean(look.is_in_range for look in looks)
        yield Figure(f"ETA, walks {kind}: looks in which the end lies in the range", share, "%", at_least=80)
        width = median(look.width for look in looks)
        yield Figure(f"ETA, walks {kind}: width of the range against what remains, median", width, "x")
