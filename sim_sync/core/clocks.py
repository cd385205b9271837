"""Points in time: what written ones are worth while a clock may have been wrong, and which ones people type. Pure."""

import re
from datetime import UTC, datetime, timedelta

from sim_sync.core.errors import InputError

# What written times are worth while a clock may have been wrong: one rule for everything that waits.
#
# A clock that was days ahead, and is put right, leaves times behind that lie in the future: a wait until one of them
# would last for days. A wait is therefore over, too, where the clock stands before the time at which it began, or
# where it would still last longer than any wait is. What comes too early is only told to wait again.


#: So far the clocks of a deployment differ, or are put right, without meaning anything.
TOLERANCE = timedelta(minutes=5)
#: Without a completed walk for so long, a carrier is not fresh (`max_age_hours` in `carriers.yaml`).
DEFAULT_MAX_AGE_HOURS = 36.0


def is_ahead(time: datetime, now: datetime) -> bool:
    """Return whether a time that was written as "now" lies in the future: the clock was wrong then, or is now."""
    return time - now > TOLERANCE


def is_over(until: datetime, *, since: datetime, now: datetime, longest: timedelta) -> bool:
    """Return whether a wait is over.

    Args:
        until: when it ends, by the clock of the time at which it began.
        since: when it began, by the same clock.
        now: what the clock shows.
        longest: so long such a wait is at most.
    """
    return until <= now or is_ahead(since, now) or until - now > longest + TOLERANCE


# The points in time that people type: a date, a time, or how long ago.


_SPAN = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([smhdw])\s*", re.IGNORECASE)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_since(text: str, now: datetime) -> datetime:
    """Return the time that a text means: `2026-03-02`, `2026-03-02T14:00`, `24h` (before `now`), `7d`.

    Without an offset it is UTC, and a date is its first moment. A time that the calendar does not reach is its first.

    Raises:
        InputError: it is none of these.
    """
    if span := _SPAN.fullmatch(text):
        return _before(now, float(span[1]), _UNITS[span[2].lower()])
    try:
        found = datetime.fromisoformat(text.strip())
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InputError(
            f"expected a date such as 2026-03-02, a time such as 2026-03-02T14:00 (UTC), or how long ago such as 24h "
            f"or 7d (s, m, h, d, w), found {text!r}"
        ) from None


def _before(now: datetime, count: float, unit: str) -> datetime:
    try:
        return now - timedelta(**{unit: count})
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)
