"""What a carrier's answer means: a page, a wait, or an error. Pure.

`Dialect` holds what a vendor says in its own way: "slower", "quota gone", "log in again" and "this is an error", each a
rule over one answer. Its defaults are HTTP's, and what carriers agree about though no standard says so. `error_for` and
`retry_after_for` ask these rules; what is done about the outcome is in `client`.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import starmap
from typing import Any

from sim_sync.carriers.json_bodies import lookup_of, members, texts
from sim_sync.carriers.messages import Response
from sim_sync.carriers.waits import (
    asks_for_a_wait,
    carriers_now,
    is_limit_used_up,
    requested_wait,
    seconds_until,
    throttled_wait,
)
from sim_sync.core.errors import (
    AuthenticationFailed,
    CarrierUnavailable,
    ParkRequired,
    SimSyncError,
    Throttled,
    TransientError,
    UnexpectedResponse,
    WaitCause,
)

# --- what carriers agree about ---------------------------------------------------------------------------------------

#: Statuses that are about who asks and when, wherever they come, and never about what is there.
ABOUT_WHO_OR_WHEN = frozenset({401, 403, 407, 408, 425, 429})
#: Refusals that mean just that, whatever stands beside them: who asks (401, 407), and what is asked for (404, 410).
_REFUSED_FOR_GOOD = frozenset({401, 404, 407, 410})
#: 401 is HTTP's; 419, 440 and 498 are those of frameworks and gateways for a session or token that ran out.
_EXPIRED_STATUSES = frozenset({401, 419, 440, 498})
_SLOWER = re.compile(
    r"rate.?limit|too.{0,3}many.{0,3}(?:request|call)|throttl|slow.{0,3}down|over.{0,3}qps|too.(?:fast|frequent)"
    r"|(?:request|call|api|usage|daily|hourly)s?.{0,3}limit.{0,3}(?:exceed|reach)"
    r"|quota.{0,20}(?:exceed|exhaust|reach|used.up)|exceed.{0,20}(?:quota|\brate\b)",
    re.IGNORECASE | re.DOTALL,
)
_EXPIRED = re.compile(
    r"(?:token|session|jwt|login).{0,20}(?:expired|invalid|no longer|not valid)"
    r"|(?:expired|invalid).{0,3}(?:token|session|jwt)",
    re.IGNORECASE | re.DOTALL,
)
_DENIED = re.compile(
    r"unauthori[sz]ed|unauthenticated|not.authori[sz]ed|forbidden|access.denied|permission.denied"
    r"|(?:invalid|wrong|bad|unknown).{0,3}(?:credential|password|api.?key|client|token)|authentication.{0,3}fail",
    re.IGNORECASE | re.DOTALL,
)
_TEMPORARY = re.compile(
    r"temporar|unavailable|server.{0,3}error|internal|try.{0,3}again|time.?out|maintenance", re.IGNORECASE
)
#: Members of a document that say how it went, without marks and case.
_FLAGS = frozenset({"success", "successful", "issuccess", "ok"})
_ERRORS = frozenset({"error", "errors", "errormessage", "errorcode", "errordescription"})
_OUTCOMES = frozenset({"status", "result", "outcome"})
_CODES = frozenset({"status", "statuscode", "code", "httpstatus"})
_FAILURES = frozenset({"error", "err", "fail", "failed", "failure"})
_NOTHING = frozenset({"", "0", "ok", "none", "null", "no", "false", "success", "no error", "nan"})
_MARKS = re.compile(r"[^a-z]")


def asks_to_slow_down(response: Response) -> bool:
    """Say yes to a refusal (4xx), or an error told with a 2xx, that means "slower": by a wait, a limit, or its words.

    Examples: GitHub's, Google's and Mashery's 403, AWS's 400, a 200 with `{"error": "rate limit exceeded"}`.
    """
    if 400 <= response.status < 500 and response.status not in _REFUSED_FOR_GOOD:
        return asks_for_a_wait(response) or is_limit_used_up(response.headers) or _says(response, _SLOWER)
    return documents_an_error(response) and (_has_code(response.body, {429}) or _says(response, _SLOWER))


def says_that_login_expired(response: Response) -> bool:
    """Say yes where the credentials on the request are no longer taken."""
    challenge = response.headers.get("www-authenticate", "")
    return response.status in _EXPIRED_STATUSES or (response.status >= 400 and "invalid_token" in challenge)


def may_be_an_expired_login(response: Response) -> bool:
    """Say yes to what means an expired login if the same credentials were taken before: 403, or words that say so."""
    if response.status == 403:
        return True
    is_error = 400 <= response.status < 500 or documents_an_error(response)
    return is_error and (_has_code(response.body, {401, 403}) or _says(response, _EXPIRED))


def documents_an_error(response: Response) -> bool:
    """Say yes to a 2xx whose body is an error document: `success: false`, an `error`, `status: error`, `code: 500`."""
    if not (200 <= response.status < 300 and isinstance(response.body, Mapping)):
        return False
    return any(starmap(_reports_an_error, response.body.items()))


def denies_access(response: Response) -> bool:
    """Say yes to an error document of a 2xx that means refused credentials."""
    return documents_an_error(response) and (
        _has_code(response.body, {401, 403}) or _says(response, _DENIED) or _says(response, _EXPIRED)
    )


def refuses_a_login(response: Response) -> bool:
    """Say yes to an error document of a 2xx to a login, unless it speaks of the carrier's own trouble."""
    if not documents_an_error(response):
        return False
    return not (_has_code(response.body, set(range(500, 600))) or _says(response, _TEMPORARY))


def _reports_an_error(name: Any, value: Any) -> bool:
    key = _MARKS.sub("", str(name).lower())
    if key in _FLAGS:
        return value is False
    if key in _ERRORS:
        return _is_something(value)
    is_failure = key in _OUTCOMES and isinstance(value, str) and value.strip().lower() in _FAILURES
    return is_failure or (key in _CODES and _code_of(value) in range(400, 600))


def _is_something(value: Any) -> bool:
    """Return whether an error is told: `{"code": 0, "message": "OK"}` and `[]` are none."""
    if isinstance(value, Mapping | list):
        return any(_is_something(member) for _, member in members(value) if not isinstance(member, Mapping | list))
    return value is not None and str(value).strip().lower() not in _NOTHING


def _has_code(body: Any, codes: set[int]) -> bool:
    return any(_bare(key) in {*_CODES, "errorcode"} and _code_of(value) in codes for key, value in members(body))


def _code_of(value: Any) -> int | None:
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _says(response: Response, words: re.Pattern[str]) -> bool:
    return any(words.search(text) for text in texts(response.body))


def _bare(key: str) -> str:
    return _MARKS.sub("", key.lower())


# --- what a vendor says in its own way -------------------------------------------------------------------------------

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


# --- what an answer is -----------------------------------------------------------------------------------------------

#: Statuses that pass by themselves, with every 5xx: the request was too slow (408) or too early (425).
_PASSING_STATUSES = frozenset({408, 425})


def error_for(response: Response, dialect: Dialect, now: datetime, told: Callable[[], str]) -> SimSyncError | None:
    """Return the error that an answer is; None where it is the page that was asked for.

    `told` says what was being done and what came, without secrets.
    """
    if dialect.throttling.is_said_by(response):
        return _slower(response, dialect, now, told())
    if dialect.failed(response) or dialect.unavailable(response) or dialect.credentials_expired(response):
        return _said_by_dialect(response, dialect, now, told())
    in_body = dialect.error_in_body
    if in_body is not None and in_body.sign(response) and (response.status < 300 or in_body.denied(response)):
        return _said_in_body(response, dialect, in_body, now, told())
    if 200 <= response.status < 300:
        return None
    return _said_by_status(response, dialect, now, told())


def retry_after_for(
    response: Response, dialect: Dialect, now: datetime, *, is_slower: bool | None = None
) -> float | None:
    """Return how long nobody may ask this carrier, where an answer says so: throttled, or a 5xx that names a wait.

    `is_slower` is whether it means "slower", where that is known.
    """
    if dialect.throttling.quota_gone(response):
        return _quota_wait_seconds(response, dialect, now)
    if dialect.throttling.is_said_by(response) if is_slower is None else is_slower:
        return _bounded(dialect.throttling.wait_seconds(response, now), dialect)
    if dialect.failed(response) or not (_passes_by_itself(response.status) or dialect.unavailable(response)):
        return None
    return _bounded(requested_wait(response, now), dialect)


def _slower(response: Response, dialect: Dialect, now: datetime, told: str) -> SimSyncError:
    if dialect.throttling.quota_gone(response):
        wait = _quota_wait_seconds(response, dialect, now)
        return ParkRequired(
            f"{told}; the account's quota is used up and is there again in {wait:.0f} s",
            wait_seconds=wait,
            cause=WaitCause.QUOTA_USED_UP,
        )
    return _transient(Throttled, told, dialect.throttling.wait_seconds(response, now), dialect)


def _quota_wait_seconds(response: Response, dialect: Dialect, now: datetime) -> float:
    # When a quota returns is known from the vendor's documentation: only what this one answer says is bounded.
    returns = dialect.throttling.quota_returns(response, now) or 0.0
    return max(returns, _bounded(dialect.throttling.wait_seconds(response, now), dialect) or 0.0)


def _said_by_dialect(response: Response, dialect: Dialect, now: datetime, told: str) -> SimSyncError:
    if dialect.failed(response):
        return UnexpectedResponse(f"{told}, which is final for this carrier")
    if dialect.unavailable(response):
        return _transient(CarrierUnavailable, told, requested_wait(response, now), dialect)
    return AuthenticationFailed(f"{told}; the carrier refused the credentials: check `auth` in carriers.yaml")


def _said_in_body(response: Response, dialect: Dialect, in_body: ErrorInBody, now: datetime, told: str) -> SimSyncError:
    told = f"{told}, which reports an error"
    if in_body.denied(response):
        return AuthenticationFailed(f"{told}: the carrier refused the credentials")
    if in_body.permanent(response):
        return UnexpectedResponse(f"{told}; expected a success")
    return _transient(CarrierUnavailable, told, requested_wait(response, now), dialect)


def _said_by_status(response: Response, dialect: Dialect, now: datetime, told: str) -> SimSyncError:
    if _passes_by_itself(response.status):
        return _transient(CarrierUnavailable, told, requested_wait(response, now), dialect)
    if response.status in {401, 403}:
        return AuthenticationFailed(
            f"{told}; the carrier does not let these credentials list SIMs: check `auth` in carriers.yaml, and the "
            "rights of the account"
        )
    if response.status == 407:
        return UnexpectedResponse(f"{told}; a proxy on the way asks for credentials, which are never sent to one")
    return UnexpectedResponse(f"{told}; expected a success: check `base_url` and the account in carriers.yaml")


def _transient(kind: type[TransientError], told: str, wait_seconds: float | None, dialect: Dialect) -> TransientError:
    longest = dialect.longest_wait_seconds
    if wait_seconds is not None and wait_seconds > longest:
        told = (
            f"{told}; it asks for a wait of {wait_seconds / 3600:,.0f} hours; it is tried again after "
            f"{longest / 3600:,.4g} hours (retry.max_wait_seconds)"
        )
    return kind(told, retry_after_seconds=_bounded(wait_seconds, dialect))


def _bounded(wait_seconds: float | None, dialect: Dialect) -> float | None:
    return None if wait_seconds is None else min(wait_seconds, dialect.longest_wait_seconds)


def _passes_by_itself(status: int) -> bool:
    return status >= 500 or status in _PASSING_STATUSES
