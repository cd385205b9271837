"""What an answer means: a page, a wait, or an error. Pure; what a vendor says in its own way is its `Dialect`."""

from collections.abc import Callable
from datetime import datetime

from sim_sync.carriers.dialect import Dialect, ErrorInBody
from sim_sync.carriers.http_dates import retry_after_seconds
from sim_sync.carriers.messages import Answer
from sim_sync.core.errors import (
    AuthenticationFailed,
    CarrierUnavailable,
    ParkRequired,
    SimSyncError,
    Throttled,
    UnexpectedAnswer,
)

#: Statuses that pass by themselves, with every 5xx: the request was too slow (408) or too early (425).
_PASSING_STATUSES = frozenset({408, 425})


def trouble_of(answer: Answer, dialect: Dialect, now: datetime, told: Callable[[], str]) -> SimSyncError | None:
    """Return the error that an answer is; None where it is the page that was asked for.

    `told` says what was being done and what came, without secrets.
    """
    if dialect.throttling.is_told_by(answer):
        return _slower(answer, dialect, now, told())
    in_body = dialect.error_in_body
    if in_body is not None and in_body.sign(answer) and (answer.status < 300 or in_body.denied(answer)):
        return _told_in_body(answer, in_body, now, told())
    if dialect.credentials_expired(answer):
        return AuthenticationFailed(f"{told()}; the carrier refused the credentials: check `auth` in carriers.yaml")
    if 200 <= answer.status < 300:
        return None
    return _told_by_status(answer, now, told())


def hold_seconds_of(answer: Answer, dialect: Dialect, now: datetime) -> float | None:
    """Return how long nobody may ask this carrier, where an answer says so: throttled, or a 5xx with `Retry-After`."""
    if dialect.throttling.quota_gone(answer):
        return _quota_wait_seconds(answer, dialect, now)
    if dialect.throttling.is_told_by(answer):
        return dialect.throttling.wait_seconds(answer, now)
    return retry_after_seconds(answer.headers, now) if _passes_by_itself(answer.status) else None


def _slower(answer: Answer, dialect: Dialect, now: datetime, told: str) -> SimSyncError:
    if dialect.throttling.quota_gone(answer):
        wait = _quota_wait_seconds(answer, dialect, now)
        return ParkRequired(
            f"{told}; the account's quota is used up and is there again in {wait:.0f} s", wait_seconds=wait
        )
    return Throttled(told, retry_after_seconds=dialect.throttling.wait_seconds(answer, now))


def _quota_wait_seconds(answer: Answer, dialect: Dialect, now: datetime) -> float:
    returns = dialect.throttling.quota_returns(answer, now) or 0.0
    return max(returns, dialect.throttling.wait_seconds(answer, now) or 0.0)


def _told_in_body(answer: Answer, in_body: ErrorInBody, now: datetime, told: str) -> SimSyncError:
    told = f"{told}, which tells an error"
    if in_body.denied(answer):
        return AuthenticationFailed(f"{told}: the carrier refused the credentials")
    if in_body.permanent(answer):
        return UnexpectedAnswer(f"{told}; expected a success")
    return CarrierUnavailable(told, retry_after_seconds=retry_after_seconds(answer.headers, now))


def _told_by_status(answer: Answer, now: datetime, told: str) -> SimSyncError:
    if _passes_by_itself(answer.status):
        return CarrierUnavailable(told, retry_after_seconds=retry_after_seconds(answer.headers, now))
    if answer.status in {401, 403}:
        return AuthenticationFailed(
            f"{told}; the carrier does not let these credentials list SIMs: check `auth` in carriers.yaml, and the "
            "rights of the account"
        )
    return UnexpectedAnswer(f"{told}; expected a success: check `base_url` and the account in carriers.yaml")


def _passes_by_itself(status: int) -> bool:
    return status >= 500 or status in _PASSING_STATUSES
