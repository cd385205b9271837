"""How far a walk is and when it will end: percent, pace and an honest ETA. Waiting is counted apart from working."""

from datetime import datetime, timedelta

from sim_sync.core.storable import storable_count

#: Weight of the newest page in the moving mean: about the last twenty pages decide.
_NEWEST_WEIGHT = 0.1


def next_pace(pace_seconds: float | None, page_seconds: float) -> float:
    """Return the new moving mean of seconds per page, waiting excluded."""
    page_seconds = max(page_seconds, 0.0)
    if pace_seconds is None:
        return page_seconds
    return pace_seconds + _NEWEST_WEIGHT * (page_seconds - pace_seconds)


def pages_for(records: int | None, *, pages_done: int, records_seen: int) -> int | None:
    """Return how many pages a list of `records` makes at the page size seen so far; None where nothing is known."""
    if records is None or pages_done == 0 or records_seen == 0:
        return None
    return storable_count(max(-(-records * pages_done // records_seen), pages_done))


def percent(pages_done: int, pages_expected: int | None, *, finished: bool = False) -> float | None:
    """Return how much of the walk is done. Below 100 until it is finished: an estimate is not an end."""
    if finished:
        return 100.0
    if not pages_expected:
        return None
    return min(round(100.0 * pages_done / pages_expected, 1), 99.9)


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
