"""Times as HTTP headers tell them. Pure; our own time is an argument."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return what the header `Retry-After` asks for (RFC 9110, 10.2.3): seconds, or a date on the carrier's clock."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        seconds = float(text)
        return seconds if math.isfinite(seconds) else None
    due = http_date(text)
    if due is None:
        return None
    # The carrier's clock, as told by its `Date`; without it, ours has to do.
    return max((due - (http_date(headers.get("date", "")) or now)).total_seconds(), 0.0)


def http_date(text: str) -> datetime | None:
    """Return a date in any of HTTP's three forms (RFC 9110, 5.6.7), in UTC; None where it is none."""
    try:
        found = parsedate_to_datetime(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
