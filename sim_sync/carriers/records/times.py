"""The forms in which carriers send times. One that may mean two times means none: it is refused, not guessed."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

#: Digits alone are read only as times in between: there were no SIMs before, and later ones are another unit's.
_FIRST = datetime(1991, 1, 1, tzinfo=UTC)
_LAST = datetime(2100, 1, 1, tzinfo=UTC)
#: The first time that no signed number of 32 bits can count in seconds.
_BEYOND_32_BITS = datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC)
_1970 = datetime(1970, 1, 1, tzinfo=UTC)
#: Units since 1970, as parts of a second.
_UNITS = (1, 1_000, 1_000_000, 1_000_000_000)
#: Numbers that can mean nothing but seconds, or nothing but milliseconds; nearly all are among them.
_SURELY_SECONDS = range(662_688_000, 1_991_000_000)
_SURELY_MILLISECONDS = range(662_688_000_000, 4_102_444_800_000)
#: More digits than any unit of a time has.
_MOST_DIGITS = 19
#: Dates without separators by their number of digits (ISO 8601's basic form, and what databases print).
_COMPACT = {
    8: "%Y%m%d",
    10: "%Y%m%d%H",
    12: "%Y%m%d%H%M",
    14: "%Y%m%d%H%M%S",
    16: "%Y%m%d%H%M%S%f",
    17: "%Y%m%d%H%M%S%f",
}
_DECIMAL = re.compile(r"([0-9]{9,10})\.([0-9]{1,9})")
#: RFC 5322's form, with those zones only that say how far they are from UTC.
_RFC_5322 = re.compile(
    r"(?:[A-Z][a-z]{2},? )?[0-9]{1,2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}(?::[0-9]{2})? "
    r"(?:GMT|UTC?|Z|[+-][0-9]{4})"
)
#: What may follow ISO 8601: the name of the zone, whose offset stands before (Java), or UTC by its name.
_ZONE_NAME = re.compile(r"\[[A-Za-z0-9_+/-]+\]$")
_UTC_NAME = re.compile(r" ?(?:UTC|GMT|z)$")


def parse_time(value: Any) -> datetime:
    """Return a time as an aware UTC time.

    Text is ISO 8601, with a `T` or a space, or RFC 5322; without an offset it is in UTC. A number, or text of digits
    only, is a date without separators, or seconds, milliseconds, microseconds or nanoseconds since 1970: which of them,
    its size tells, and one of which it does not is refused.

    Raises:
        ValueError, OverflowError: it is not a time.
    """
    if isinstance(value, str):
        return _of_digits(value) if value.isascii() and value.isdigit() else _of_text(value)
    if isinstance(value, float):
        return _of_fraction(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return _of_number(value)
    raise ValueError(f"expected a time, found {type(value).__name__}")


def _of_text(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return _of_other_text(text)
    if found.tzinfo is UTC:
        return found
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _of_other_text(text: str) -> datetime:
    if found := _DECIMAL.fullmatch(text):
        return _of_digits(found[1]) + timedelta(microseconds=int(found[2].ljust(9, "0")[:6]))
    if _RFC_5322.fullmatch(text):
        return parsedate_to_datetime(text).astimezone(UTC)
    plain = _UTC_NAME.sub("Z", _ZONE_NAME.sub("", text.strip()))
    if plain == text:
        raise ValueError("expected a time, found another text")
    return parse_time(plain)


def _of_fraction(number: float) -> datetime:
    if number.is_integer():
        return _of_number(int(number))
    whole, fraction = divmod(number, 1)
    found = _of_number(int(whole))
    # Only seconds are sent with a fraction that a time can keep.
    return found + timedelta(seconds=fraction) if whole < 10**10 else found


def _of_digits(digits: str) -> datetime:
    if len(digits) > _MOST_DIGITS:
        raise ValueError("expected a time, found more digits than one has")
    return _of_number(int(digits), digits)


def _of_number(number: int, digits: str | None = None) -> datetime:
    if number in _SURELY_SECONDS:
        return datetime.fromtimestamp(number, UTC)
    if number in _SURELY_MILLISECONDS:
        return datetime.fromtimestamp(number / 1000, UTC)
    if not 0 <= number < 10**_MOST_DIGITS:
        raise ValueError("expected a time, found a number that is none")
    found = {time for time in _readings(digits or str(number)) if _FIRST <= time < _LAST}
    if len(found) != 1:
        raise ValueError(f"expected digits that mean one time, found some that mean {len(found) or 'none'}")
    return found.pop()


def _readings(digits: str) -> Iterator[datetime]:
    """Yield all times that digits may mean."""
    for unit in _UNITS:
        whole, parts = divmod(int(digits), unit)
        if whole < _LAST.timestamp():
            since = _1970 + timedelta(seconds=whole, microseconds=parts * 1_000_000 // unit)
            yield since
            if unit == 1 and since >= _BEYOND_32_BITS:
                yield from _compact(digits, "%y%m%d%H%M")  # likelier a year of two digits
    if form := _COMPACT.get(len(digits)):
        yield from _compact(digits, form)


def _compact(digits: str, form: str) -> Iterator[datetime]:
    try:
        yield datetime.strptime(digits, form).replace(tzinfo=UTC)
    except ValueError:
        return
