"""How far a walk is, when it ends and what it knows of that end; how long past ones took, and figures of both. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import fmean, median
from typing import NamedTuple

from sim_sync.core.clocks import DEFAULT_MAX_AGE_HOURS
from sim_sync.core.errors import EndlessList
from sim_sync.core.notes import CarrierOverview
from sim_sync.core.pages import Page, PageDiff
from sim_sync.core.session import Session, SessionInternals, SessionRecord, State
from sim_sync.core.storable import storable_count
from sim_sync.core.text import counted

# --- how far a walk is and when it will end; waiting is counted apart from working -----------------------------------

#: So many of a run's last pages decide about its pace, and before that many of them nothing is said.
PAGES_REMEMBERED = 20
PAGES_NEEDED = 3
#: A page that took longer counts as that many median pages: one that hung says little about the others.
_AT_MOST_MEDIANS = 3.0
#: How much less each page counts than the one after it: the last seven pages count as much as all before them.
_DECAY = 0.9


def remembered(page_seconds: Sequence[float], newest: float) -> tuple[float, ...]:
    """Return the times of a run's last pages with that of its newest one. A clock that was put back makes it 0."""
    return (*page_seconds, round(max(newest, 0.0), 3))[-PAGES_REMEMBERED:]


def pace_of(page_seconds: Sequence[float]) -> float | None:
    """Return how long a page takes, in seconds, as the last ones of a run did; None where they are too few.

    A robust mean, exponentially weighted: one page that took a hundred times as long moves it by a quarter at most.
    """
    if len(page_seconds) < PAGES_NEEDED:
        return None
    most = _AT_MOST_MEDIANS * median(page_seconds)
    weights = [_DECAY**age for age in reversed(range(len(page_seconds)))]
    return fmean((min(seconds, most) for seconds in page_seconds), weights)


def pages_for(records: int | None, *, pages_done: int, records_seen: int) -> int | None:
    """Return how many pages a list of `records` makes at the page size seen so far; None where nothing is known."""
    if records is None or pages_done == 0 or records_seen == 0:
        return None
    return storable_count(max(-(-records * pages_done // records_seen), pages_done))


def is_estimate(session: Session, carrier_total: int | None) -> bool:
    """Return whether the pages expected follow from an earlier walk or our own list, and not from the carrier.

    Args:
        session: the session behind its last page.
        carrier_total: the number of records that the carrier has told in this walk, if it has.
    """
    if carrier_total is not None or session.pages_expected is None or session.state is State.COMPLETED:
        return False
    # A carrier may tell pages alone: then they are other ones than what we would have guessed.
    guess = pages_for(session.records_expected, pages_done=session.pages_done, records_seen=session.records_seen)
    return session.pages_expected == guess


def pages_per_minute(session: Session, page_seconds: Sequence[float], now: datetime) -> float | None:
    """Return the pace of the last pages, waits left out; None while nobody works, or where they are too few."""
    pace = pace_of(page_seconds) if _is_at_work(session, now) else None
    return None if pace is None or pace <= 0 else round(60 / pace, 1)


def percent(pages_done: int, pages_expected: int | None, *, finished: bool = False) -> float | None:
    """Return how much of the walk is done. Below 100 until it is finished: an estimate is not an end."""
    if finished:
        return 100.0
    if not pages_expected:
        return None
    return min(round(100.0 * pages_done / pages_expected, 1), 99.9)


def percent_of(session: Session) -> float | None:
    """Return how much of its walk is done."""
    return percent(session.pages_done, session.pages_expected, finished=session.state is State.COMPLETED)


class Remaining(NamedTuple):
    """In how many seconds a walk will end: what to expect, and between what it may well be. None where nobody knows."""

    seconds: int | None = None
    low_seconds: int | None = None
    high_seconds: int | None = None


#: What the range of an end allows for. Found on simulated walks (`sim_sync_tests.bench.ends`): from 20 % on, the end
#: lies in it in more than 80 % of the looks at walks of each kind, with throttles, parks and changing speed.
_DOUBT = 1.3
_DOUBT_OF_A_CHANGE = 0.4
_DOUBT_OF_A_PAGE = 1.1
_DOUBT_OF_WAITS = 1.5


def remaining(session: Session, page_seconds: Sequence[float], now: datetime) -> Remaining:
    """Return in how many seconds a session's walk will end, from the times of its last pages and of the whole walk.

    The end that is expected leaves waits out. Their share of the walk so far, and what the walk lost between two
    owners, are in its range. Nothing is said while nobody works on it, also where its owner was lost without a word.
    """
    if session.eta_at is None or not _is_at_work(session, now):
        return Remaining()
    seconds = (session.eta_at - now).total_seconds()
    pace, pages = pace_of(page_seconds), (session.pages_expected or 0) - session.pages_done
    if pace is None:
        return Remaining(_count_down(seconds))
    elapsed = (session.updated_at - session.started_at).total_seconds()
    low, high = end_range(pages, pace, session.pages_done, elapsed, session.throttled_seconds)
    gone = (now - session.updated_at).total_seconds()
    expected = _count_down(seconds)
    return Remaining(expected, min(_count_down(low - gone), expected), max(_count_down(high - gone), expected))


def end_range(pages: int, pace: float, done: int, elapsed: float, waited: float) -> tuple[float, float]:
    """Return between how many seconds a walk's last `pages` may well take.

    Args:
        pages: how many are left.
        pace: how long the last ones took, in seconds, waits left out.
        done: how many are done.
        elapsed: how long the walk took for them, in seconds, with all waits and stops.
        waited: how much of that it waited for the carrier.
    """
    overall = max(elapsed, 0.0) / done if done else pace
    without_waits = max(overall - waited / done, 0.0) if done else pace
    without_waits = without_waits or pace
    slower, quicker = max(pace, without_waits), min(pace, without_waits)
    change = math.log(slower / quicker) if quicker > 0 else 1.0
    doubt = _DOUBT + _DOUBT_OF_A_CHANGE * min(change, 0.7)
    chance = _DOUBT_OF_A_PAGE * pace * math.sqrt(max(pages, 0))
    low = pages * quicker / doubt - chance
    return max(low, 0.0), max(pages * slower * doubt, pages * overall * _DOUBT_OF_WAITS) + chance


def _is_at_work(session: Session, now: datetime) -> bool:
    return session.lease_expires_at is not None and now < session.lease_expires_at


def _count_down(seconds: float) -> int:
    return max(round(seconds), 0)


def eta(now: datetime, *, pages_done: int, pages_expected: int | None, pace_seconds: float | None) -> datetime | None:
    """Return when the last page will be committed at the present pace, or None where that cannot be known."""
    if pages_expected is None or pace_seconds is None:
        return None
    remaining = pages_expected - pages_done
    if remaining < 0:  # the estimate was too low: say nothing instead of something wrong
        return None
    try:
        return now + timedelta(seconds=remaining * pace_seconds)
    except OverflowError:  # a total that means nothing: its end is behind the calendar's
        return None


# --- how long walks took, and whether tonight is slow ----------------------------------------------------------------

#: So many completed walks before one say what is usual for it.
WALKS_COMPARED = 7
#: States in which nobody continues without a person, or the next night: the walk has taken what it took until then.
_STOPPED = frozenset({State.PAUSED, State.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class PastWalk:
    """One walk of the history.

    `sims_seen` counts its distinct SIMs, and is None until it is completed. `earlier_seconds` are the durations of up
    to `WALKS_COMPARED` completed walks of the same carrier before it.
    """

    session: Session
    sims_seen: int | None = None
    earlier_seconds: Sequence[float] = ()

    @property
    def resumes(self) -> int:
        """How often somebody continued with it: every one raised its fence."""
        return self.session.fence - 1

    @property
    def usual_seconds(self) -> float | None:
        """How long a walk of this carrier took before it: the median, or None where none was completed."""
        return median(self.earlier_seconds) if self.earlier_seconds else None

    def duration_seconds(self, now: datetime) -> float | None:
        """Return how long the walk took, or has taken until now, all waits included.

        One that is paused or has failed took until then. None where its end is before its beginning: a clock was put
        back meanwhile, and nobody knows.
        """
        session = self.session
        end = session.finished_at or (session.updated_at if session.state in _STOPPED else now)
        return seconds_between(session.started_at, end)


def seconds_between(start: datetime, end: datetime) -> float | None:
    """Return how long something took, in seconds; None where a clock was put back in between."""
    seconds = (end - start).total_seconds()
    return None if seconds < 0 else round(seconds, 3)


# --- what machines are told: the figures behind `sim-sync metrics` ---------------------------------------------------


class Totals(NamedTuple):
    """What all walks of a carrier together did. None of them ever falls."""

    pages: int = 0
    records: int = 0
    sims_added: int = 0
    sims_changed: int = 0
    retries: int = 0
    throttled_seconds: float = 0.0
    resumes: int = 0
    completed_walks: int = 0
    superseded_walks: int = 0


class Problem(NamedTuple):
    """The words of a discrepancy that figures are told apart by."""

    kind: str
    severity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierFigures:
    """What is known of one carrier at the moment `now`.

    `max_age_hours` is for how long a completed walk keeps it fresh. `discrepancies` counts the open ones, and is None
    where nothing was ever compared; `monthly_cost` is what these cost, and None where nothing is priced.
    `undelivered_alerts` counts alerts with a message that a receiver has not taken yet.
    """

    overview: CarrierOverview
    now: datetime
    max_age_hours: float = DEFAULT_MAX_AGE_HOURS
    totals: Totals = field(default_factory=Totals)
    discrepancies: Mapping[Problem, int] | None = None
    monthly_cost: Decimal | None = None
    undelivered_alerts: int = 0

    @property
    def carrier(self) -> str:
        """The carrier's name."""
        return self.overview.carrier

    @property
    def last_certified(self) -> Session | None:
        """The last walk that was certified complete."""
        return self.overview.sweeps.last

    @property
    def last_certified_at(self) -> datetime | None:
        """When the last certified walk ended."""
        return None if self.last_certified is None else self.last_certified.finished_at


# --- what a walk knows about having seen everything ------------------------------------------------------------------
#
# It is kept with the pages, and asked for at the end (`sweep`). A walk that has no end stops here, too: a list that
# merely grows brings SIMs that were not seen, an endless one none.


def learned(record: SessionRecord, page: Page, diff: PageDiff) -> SessionInternals:
    """Return what is known of the walk with one page more.

    Raises:
        EndlessList: the walk has reached one of its bounds.
    """
    known = record.internals
    has_told = known.carrier_total is not None
    total = page.records_total
    _check_length(record)
    return replace(
        known,
        sims_listed=known.sims_listed
        + (diff.first_seen if page.is_reread else len(page.sims) + page.as_before - page.overlap),
        carrier_total=known.carrier_total if total is None else total,
        total_fallen=known.total_fallen + _fall(known.carrier_total, total),
        total_is_stale=has_told if total is None else False,
        walk_gap=known.walk_gap or page.gap,
        end_doubt=page.end_doubt,
        moves_unseen=known.moves_unseen or page.moves_unseen,
        idle_pages=_idle_pages(record, page, diff),
    )


def started_again(record: SessionRecord) -> SessionInternals:
    """Return what is known of a walk that starts again: nothing, but that its pages so far will bring nothing new."""
    return replace(
        record.internals,
        sims_listed=0,
        total_fallen=0,
        total_is_stale=False,
        walk_gap=None,
        end_doubt=None,
        moves_unseen=False,
        longest_break_seconds=0.0,
        idle_pages=-record.session.pages_done,
    )


def after_a_break(record: SessionRecord, now: datetime) -> SessionInternals:
    """Return what is known of a walk that somebody continues with: how long nobody did."""
    known, session = record.internals, record.session
    seconds = (now - session.updated_at).total_seconds() if session.pages_done else 0.0
    return replace(known, longest_break_seconds=max(known.longest_break_seconds, seconds))


def _fall(before: int | None, now: int | None) -> int:
    return 0 if before is None or now is None else max(before - now, 0)


def _idle_pages(record: SessionRecord, page: Page, diff: PageDiff) -> int:
    known, session = record.internals, record.session
    if diff.first_seen or (page.rejected and not page.as_before and not page.sims):
        return 0
    if page.is_reread:
        return known.idle_pages
    if known.idle_pages >= known.max_idle_pages and page.next_cursor is not None:
        idle = counted(known.max_idle_pages, "page")
        raise EndlessList(
            f"carrier {session.carrier}: page {session.pages_done + 1}: {idle} in a row brought no SIM that this walk "
            "had not seen, and the carrier still names a next page, so its list seems to have no end. "
            f"{page.advice_on_repeats}; if that many such pages are usual, raise `max_idle_pages`"
        )
    return known.idle_pages + 1


def _check_length(record: SessionRecord) -> None:
    known, session = record.internals, record.session
    if session.pages_done >= known.max_pages:
        raise EndlessList(
            f"carrier {session.carrier}: page {session.pages_done + 1}: the walk is longer than `max_pages_per_walk` "
            f"({known.max_pages:,}) allows. If the fleet is so large, raise it, or let `page_size` be larger; if not, "
            "the list has no end: check the pagination and `sim_id` in carriers.yaml"
        )
