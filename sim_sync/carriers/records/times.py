"""The forms in which carriers send times."""

from datetime import UTC, datetime
from typing import Any

#: Seconds since 1970 stay below this until the year 5138; milliseconds have been above it since 1973.
_MILLISECONDS_FROM = 100_000_000_000


def parse_time(value: Any) -> datetime:
    """Return a time as an aware UTC time.

    Text is ISO 8601, with a `T` or a space; without an offset it is in UTC. A number, or text of digits only, is in
    seconds or milliseconds since 1970; which of them, its size tells.

    Raises:
        ValueError, OverflowError: it is no time.
    """
    if isinstance(value, str):
        return _epoch(int(value)) if value.isdigit() else _iso(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _epoch(value)
    raise ValueError(f"expected a time, found {type(value).__name__}")


def _iso(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is UTC:
        return found
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _epoch(number: float) -> datetime:
    return datetime.fromtimestamp(number / 1000 if number >= _MILLISECONDS_FROM else number, UTC)
