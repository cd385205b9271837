"""What an answer means: a page, a wait, or an error. Pure; what a vendor says in its own way is its `Dialect`."""

from collections.abc import Callable
from datetime import datetime

from sim_sync.carriers.dialect import Dialect, ErrorInBody
from sim_sync.carriers.messages import Response
from sim_sync.carriers.waits import requested_wait
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


def retry_after_for(response: Response, dialect: Dialect, now: datetime) -> float | None:
    """Return how long nobody may ask this carrier, where an answer says so: throttled, or a 5xx that names a wait."""
    if dialect.throttling.quota_gone(response):
        return _quota_wait_seconds(response, dialect, now)
    if dialect.throttling.is_said_by(response):
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
