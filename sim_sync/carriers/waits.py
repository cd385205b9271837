"""How long an answer says to wait: where that stands, and the forms in which it is written. Pure.

`Retry-After`, the headers of a rate limit and members of the body say it; `Retry-After` is seconds or a date (RFC 9110,
10.2.3). Real carriers also send a duration, seconds, milli-, micro- or nanoseconds since 1970, and ISO 8601. The
writer's clock is an argument.
"""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from sim_sync.carriers.json_bodies import members
from sim_sync.carriers.messages import Response


def http_date(text: str) -> datetime | None:
    """Return a date in any of HTTP's three forms (RFC 9110, 5.6.7), in UTC; None where it is none."""
    try:
        found = parsedate_to_datetime(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None


# --- the forms of a wait ---------------------------------------------------------------------------------------------

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


# --- where it stands -------------------------------------------------------------------------------------------------

_WAIT_HEADER = re.compile(r"(?:x-)?(?:ms-)?retry-?after(?:-(ms|milliseconds))?(?:-seconds)?")
#: `X-RateLimit-Reset`, `RateLimit-Reset`, `X-RateLimit-Reset-Requests`: seconds, or a point in time.
_RESET_HEADER = re.compile(r"(?:x-)?rate-?limit-reset(?:-.*)?")
_LEFT_HEADER = re.compile(r"(?:x-)?rate-?limit-remaining(?:-.*)?")
#: The one header of the IETF's drafts: `limit=10, remaining=0, reset=30`, or `"default";r=0;t=30`.
_RATE_LIMIT = "ratelimit"
_RATE_LIMIT_RESET = re.compile(r"(?:^|[;,\s])(?:reset|t)\s*=\s*(\d+)", re.ASCII)
_RATE_LIMIT_LEFT = re.compile(r"(?:^|[;,\s])(?:remaining|r)\s*=\s*(\d+)", re.ASCII)
#: `retry_after`, `retryAfterMs`, `retry_in_seconds`, `retryDelay`, `wait_seconds`; compared without case and marks.
_WAIT_MEMBER = re.compile(
    r"(?:retry(?:after|at|delay)(?:in)?|retryin|wait(?:time)?)(ms|millis|milliseconds)?(?:s|secs?|seconds)?"
)
_NO_LETTER = re.compile(r"[^a-z]")
_MILLISECOND = 0.001
_ANY_TIME = datetime(1970, 1, 1, tzinfo=UTC)


def requested_wait(response: Response, now: datetime) -> float | None:
    """Return the seconds that an answer asks to wait, the longest of them; None where it does not say.

    Points in time are on the carrier's clock, as its `Date` shows it; `now` is ours, for an answer without one.
    """
    theirs = carriers_now(response, now)
    return max([*_asked_in_headers(response.headers, theirs), *_asked_in_body(response.body, theirs)], default=None)


def asks_for_a_wait(response: Response) -> bool:
    """Return whether an answer asks to wait, however long."""
    return requested_wait(response, _ANY_TIME) is not None


def throttled_wait(response: Response, now: datetime) -> float | None:
    """Return the same for an answer that means "slower": without a wait, when its rate limit starts again."""
    asked = requested_wait(response, now)
    return asked or max(_resets(response.headers, carriers_now(response, now)), default=asked)


def is_limit_used_up(headers: Mapping[str, str]) -> bool:
    """Return whether the headers of a rate limit say that no request is left in it."""
    left = [value for name, value in headers.items() if _LEFT_HEADER.fullmatch(name)]
    return any(map(_is_none_left, [*left, *_RATE_LIMIT_LEFT.findall(headers.get(_RATE_LIMIT, ""))]))


def carriers_now(response: Response, now: datetime) -> datetime:
    """Return what the carrier's clock showed when it answered; our time where it does not say."""
    return http_date(response.headers.get("date", "")) or now


def _asked_in_headers(headers: Mapping[str, str], now: datetime) -> Iterator[float]:
    for name, value in headers.items():
        if found := _WAIT_HEADER.fullmatch(name):
            yield from _seconds_of(value, now, in_milliseconds=bool(found[1]))


def _asked_in_body(body: Any, now: datetime) -> Iterator[float]:
    for key, value in members(body):
        if found := _WAIT_MEMBER.fullmatch(_NO_LETTER.sub("", key.lower())):
            yield from _seconds_of(value, now, in_milliseconds=bool(found[1]))


def _resets(headers: Mapping[str, str], now: datetime) -> Iterator[float]:
    """Yield when each limit starts again, except for those in which requests are left: it was another one."""
    for name, value in headers.items():
        if _RESET_HEADER.fullmatch(name) and _is_none_left(headers.get(_left_header_of(name), "0")):
            yield from _seconds_of(value, now)
    in_one = headers.get(_RATE_LIMIT, "")
    if all(map(_is_none_left, _RATE_LIMIT_LEFT.findall(in_one))):
        for value in _RATE_LIMIT_RESET.findall(in_one):
            yield from _seconds_of(value, now)


def _left_header_of(reset_header: str) -> str:
    return reset_header.replace("reset-after", "reset").replace("reset", "remaining")


def _seconds_of(value: Any, now: datetime, *, in_milliseconds: bool = False) -> Iterator[float]:
    seconds = seconds_until(value, now, unit_seconds=_MILLISECOND if in_milliseconds else 1.0)
    if seconds is not None:
        yield seconds


def _is_none_left(text: str) -> bool:
    try:
        return float(text) <= 0
    except ValueError:
        return False
