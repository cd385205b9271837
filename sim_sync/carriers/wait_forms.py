"""The forms in which a wait is written: seconds, a duration, a point in time. Pure; the writer's clock is an argument.

`Retry-After` is seconds or a date (RFC 9110, 10.2.3); real carriers also send seconds, milli-, micro- or nanoseconds
since 1970, and ISO 8601.
"""

import math
import re
from datetime import UTC, datetime
from typing import Any

from sim_sync.carriers.http_dates import http_date

#: A number from here on is a point in time: as a wait it would be 31 years, as a time it is in 2001.
_A_TIME_FROM = 1e9
#: A point in time may be in nano-, micro- or milliseconds, too.
_TIME_SCALES = (1e9, 1e6, 1e3)
#: No form of a wait is longer.
_LONGEST_TEXT = 200
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
_PART = r"(\d+(?:\.\d+)?)\s*(milliseconds?|millis|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)"
_PARTS = re.compile(_PART, re.IGNORECASE | re.ASCII)
#: `30s`, `1m30s`, `2 hours`, and ISO 8601's `PT1M30S`.
_DURATION = re.compile(rf"(?:PT)?(?:{_PART}\s*)+", re.IGNORECASE | re.ASCII)
_SECONDS_OF_A = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def seconds_until(value: Any, now: datetime, *, unit_seconds: float = 1.0) -> float | None:
    """Return how long a value says to wait, 0 where that is over; None where it says nothing of the kind.

    A number is in units of `unit_seconds`, or a point in time since 1970 where it is too large for a wait. Text is such
    a number, a duration, or a date of HTTP or of ISO 8601. `now` is what the writer's clock shows.
    """
    if isinstance(value, str):
        return _of_text(value, now, unit_seconds)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _of_number(value, now, unit_seconds)
    return None


def _of_text(text: str, now: datetime, unit_seconds: float) -> float | None:
    text = text.strip("\"' \t")
    if len(text) > _LONGEST_TEXT:
        return None
    if _NUMBER.fullmatch(text):
        return _of_number(float(text), now, unit_seconds)
    if _DURATION.fullmatch(text):
        return sum(float(amount) * _seconds_of_a(unit.lower()) for amount, unit in _PARTS.findall(text))
    due = http_date(text) or _iso_time(text)
    if due is not None:
        return max((due - now).total_seconds(), 0.0)
    # A header that came twice is one text with a comma in it: the longest wait counts.
    each = [_of_text(part, now, unit_seconds) for part in text.split(",")] if "," in text else []
    return max((seconds for seconds in each if seconds is not None), default=None)


def _of_number(number: float, now: datetime, unit_seconds: float) -> float | None:
    try:
        number = float(number)
    except OverflowError:
        return None
    if not math.isfinite(number):
        return None
    if number < _A_TIME_FROM:
        return max(number * unit_seconds, 0.0)
    scale = next((scale for scale in _TIME_SCALES if number >= _A_TIME_FROM * scale), 1.0)
    return max(number / scale - now.timestamp(), 0.0)


def _seconds_of_a(unit: str) -> float:
    return 0.001 if unit.startswith(("ms", "mil")) else _SECONDS_OF_A[unit[0]]


def _iso_time(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(re.sub(r"\s*(UTC|GMT)$", "+00:00", text))
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
