"""How a carrier says "slower", "quota gone", "log in again" and "this is an error": its dialect, as plain rules.

Every rule is a pure function of an answer. What is done about it is in `verdict` and `throttle`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sim_sync.carriers.http_dates import http_date, retry_after_seconds
from sim_sync.carriers.messages import Answer
from sim_sync.carriers.paths import lookup_of

#: Says yes or no to an answer.
Sign = Callable[[Answer], bool]
#: Says how many seconds an answer asks to wait; None where it does not tell. The time is ours, with a time zone.
WaitRule = Callable[[Answer, datetime], float | None]


def never(_answer: Answer) -> bool:
    """Say no."""
    return False


def body_says(expression: str) -> Sign:
    """Say yes where a JMESPath expression over the body is true: `status.status == 'ERR'`."""
    lookup = lookup_of(expression)

    def says(answer: Answer) -> bool:
        return bool(lookup(answer.body))

    return says


def told_retry_after(answer: Answer, now: datetime) -> float | None:
    """Read `Retry-After`: seconds, or a date on the carrier's clock (RFC 9110, 10.2.3)."""
    return retry_after_seconds(answer.headers, now)


def seconds_left(header: str) -> WaitRule:
    """Read a header that says how many seconds are left: Telnyx's `x-ratelimit-reset`, Soracom's own."""

    def told(answer: Answer, _now: datetime) -> float | None:
        return _number(answer.headers.get(header.lower()))

    return told


def epoch_seconds(header: str) -> WaitRule:
    """Read a header that names the end of the wait in seconds since 1970: Onomondo's `x-ratelimit-reset`."""

    def told(answer: Answer, now: datetime) -> float | None:
        due = _number(answer.headers.get(header.lower()))
        if due is None:
            return None
        carriers_now = http_date(answer.headers.get("date", "")) or now
        return max(due - carriers_now.timestamp(), 0.0)

    return told


def seconds_to_next_month(_answer: Answer, now: datetime) -> float:
    """Say how long it takes to the first of the next month, UTC: when a monthly quota is there again."""
    this_month = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    next_month = (this_month + timedelta(days=32)).replace(day=1)
    return (next_month - now).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttling:
    """How a carrier says: slower.

    `statuses` always mean it; `told` finds it in the body of any answer, a 200 too. The longest wait that a rule of
    `waits` reads counts, and `default_wait_seconds` where none does. `quota_gone` tells an empty account from a fast
    one among the throttled answers: it parks for `quota_returns` seconds.
    """

    statuses: frozenset[int] = frozenset({429})
    told: Sign = never
    waits: Sequence[WaitRule] = (told_retry_after,)
    default_wait_seconds: float | None = None
    quota_gone: Sign = never
    quota_returns: WaitRule = seconds_to_next_month

    def is_told_by(self, answer: Answer) -> bool:
        """Return whether an answer means: slower."""
        return answer.status in self.statuses or self.told(answer) or self.quota_gone(answer)

    def wait_seconds(self, answer: Answer, now: datetime) -> float | None:
        """Return the wait that a throttled answer asks for; None where neither it nor the vendor's page says."""
        told = [seconds for rule in self.waits if (seconds := rule(answer, now)) is not None]
        return max(told, default=self.default_wait_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorInBody:
    """A body that tells an error whatever the status says.

    `sign` finds it. It is taken for something that passes by itself, because vendors send it for their own troubles;
    `denied` finds those among them that mean refused credentials, `permanent` those that waiting does not cure.
    """

    sign: Sign
    denied: Sign = never
    permanent: Sign = never


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """All that a carrier says in its own way. The defaults are HTTP's."""

    throttling: Throttling = Throttling()
    error_in_body: ErrorInBody | None = None
    #: The credentials on the request have run out: log in again, once.
    credentials_expired: Sign = lambda answer: answer.status == 401


def _number(text: str | None) -> float | None:
    try:
        found = float((text or "").strip())
    except ValueError:
        return None
    return found if math.isfinite(found) and found >= 0 else None
