"""The points in time that people type: a date, a time, or how long ago."""

import re
from datetime import UTC, datetime, timedelta

from sim_sync.core.errors import InputError

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
