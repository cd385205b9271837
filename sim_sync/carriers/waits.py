"""Where an answer says how long to wait: `Retry-After`, the headers of a rate limit, members of its body. Pure."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from sim_sync.carriers.http_dates import http_date
from sim_sync.carriers.messages import Answer
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
#: An error document is small; in a larger one no wait is looked for beyond this.
_MOST_MEMBERS = 1000
_DEEPEST = 6
_MILLISECOND = 0.001


def requested_wait(answer: Answer, now: datetime) -> float | None:
    """Return the seconds that an answer asks to wait, the longest of them; None where it does not say.

    Points in time are on the carrier's clock, as its `Date` shows it; `now` is ours, for an answer without one.
    """
    theirs = carriers_now(answer, now)
    return max([*_asked_in_headers(answer.headers, theirs), *_asked_in_body(answer.body, theirs)], default=None)


def throttled_wait(answer: Answer, now: datetime) -> float | None:
    """Return the same for an answer that means "slower": without a wait, when its rate limit starts again."""
    asked = requested_wait(answer, now)
    return asked or max(_resets(answer.headers, carriers_now(answer, now)), default=asked)


def is_limit_used_up(headers: Mapping[str, str]) -> bool:
    """Return whether the headers of a rate limit say that no request is left in it."""
    left = [value for name, value in headers.items() if _LEFT_HEADER.fullmatch(name)]
    return any(map(_is_none_left, [*left, *_RATE_LIMIT_LEFT.findall(headers.get(_RATE_LIMIT, ""))]))


def carriers_now(answer: Answer, now: datetime) -> datetime:
    """Return what the carrier's clock showed when it answered; our time where it does not say."""
    return http_date(answer.headers.get("date", "")) or now


def _asked_in_headers(headers: Mapping[str, str], now: datetime) -> Iterator[float]:
    for name, value in headers.items():
        if found := _WAIT_HEADER.fullmatch(name):
            yield from _seconds_of(value, now, in_milliseconds=bool(found[1]))


def _asked_in_body(body: Any, now: datetime) -> Iterator[float]:
    for key, value in _members(body):
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


def _members(body: Any) -> Iterator[tuple[str, Any]]:
    """Yield the members of a document and of what is in it, level by level, a bounded number of them."""
    level, left = [body], _MOST_MEMBERS
    for _ in range(_DEEPEST):
        found = list(islice((member for value in level for member in _children(value)), left))
        yield from ((key, value) for key, value in found if key is not None)
        level, left = [value for _, value in found], left - len(found)


def _children(value: Any) -> Iterator[tuple[str | None, Any]]:
    if isinstance(value, Mapping):
        yield from ((str(key), member) for key, member in value.items())
    elif isinstance(value, list):
        yield from ((None, member) for member in value)
