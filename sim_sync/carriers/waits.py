"""Where an answer says how long to wait: `Retry-After`, the headers of a rate limit, members of its body. Pure."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from sim_sync.carriers.documents import members
from sim_sync.carriers.http_dates import http_date
from sim_sync.carriers.messages import Response
from sim_sync.carriers.wait_forms import seconds_until

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
