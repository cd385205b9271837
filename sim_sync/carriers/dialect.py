"""How a carrier says "slower", "quota gone", "log in again" and "this is an error": its dialect, as plain rules.

Every rule is a pure function of an answer. What is done about it is in `responses` and `throttle`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sim_sync.carriers.messages import Response
from sim_sync.carriers.paths import lookup_of
from sim_sync.carriers.signs import (
    asks_to_slow_down,
    denies_access,
    documents_an_error,
    may_be_an_expired_login,
    says_that_login_expired,
)
from sim_sync.carriers.wait_forms import seconds_until
from sim_sync.carriers.waits import carriers_now, throttled_wait

#: Says yes or no to an answer.
Sign = Callable[[Response], bool]
#: Says how many seconds an answer asks to wait; None where it does not tell. The time is ours, with a time zone.
WaitRule = Callable[[Response, datetime], float | None]


def never(_response: Response) -> bool:
    """Say no."""
    return False


def body_says(expression: str) -> Sign:
    """Say yes where a JMESPath expression over the body is true: `status.status == 'ERR'`."""
    lookup = lookup_of(expression)

    def says(response: Response) -> bool:
        return bool(lookup(response.body))

    return says


def wait_header(name: str) -> WaitRule:
    """Read a header of the vendor's own: seconds that are left, or the point in time at which the wait is over."""

    def told(response: Response, now: datetime) -> float | None:
        return seconds_until(response.headers.get(name.lower()), carriers_now(response, now))

    return told


def seconds_to_next_month(_response: Response, now: datetime) -> float:
    """Say how long it takes to the first of the next month, UTC: when a monthly quota is there again."""
    this_month = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    next_month = (this_month + timedelta(days=32)).replace(day=1)
    return (next_month - now).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttling:
    """How a carrier says: slower.

    `statuses` always mean it; `common` finds it in the ways in which carriers commonly say it, `told` in the vendor's
    own, in the body of any answer, a 200 too. The longest wait that a rule of `waits` reads counts, and
    `default_wait_seconds` where none does. `quota_gone` reports an empty account from a fast one among the throttled
    answers: it parks for `quota_returns` seconds.
    """

    statuses: frozenset[int] = frozenset({429})
    common: Sign = asks_to_slow_down
    told: Sign = never
    waits: Sequence[WaitRule] = (throttled_wait,)
    default_wait_seconds: float | None = None
    quota_gone: Sign = never
    quota_returns: WaitRule = seconds_to_next_month

    def is_said_by(self, response: Response) -> bool:
        """Return whether an answer means: slower."""
        is_plain = response.status in self.statuses or self.common(response)
        return is_plain or self.told(response) or self.quota_gone(response)

    def wait_seconds(self, response: Response, now: datetime) -> float | None:
        """Return the wait that a throttled answer asks for; None where neither it nor the vendor's page says."""
        told = [seconds for rule in self.waits if (seconds := rule(response, now)) is not None]
        return max(told, default=self.default_wait_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorInBody:
    """A body that reports an error whatever the status says.

    `sign` finds it. It is taken for a transient failure, because vendors send it for their own troubles;
    `denied` finds those among them that mean refused credentials, `permanent` those that waiting does not cure.
    """

    sign: Sign
    denied: Sign = never
    permanent: Sign = never


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """All that a carrier says in its own way. The defaults are HTTP's."""

    throttling: Throttling = Throttling()
    #: Final, and out of reach for the moment, whatever the status says; what is throttled is neither.
    failed: Sign = never
    unavailable: Sign = never
    error_in_body: ErrorInBody | None = ErrorInBody(sign=documents_an_error, denied=denies_access)
    #: The credentials on the request have run out: log in again, once.
    credentials_expired: Sign = says_that_login_expired
    #: The same, if the carrier has taken these very credentials before.
    credentials_may_have_expired: Sign = may_be_an_expired_login
    #: No wait that an answer names is longer (`retry.max_wait_seconds`).
    longest_wait_seconds: float = math.inf
