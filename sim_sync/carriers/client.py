"""Sends a carrier's requests: through its rate limit, over the wire, judged by its dialect, and again where that helps.

Logins come here too. Transient failures are ridden out with the one formula of `core.backoff`; too long a wait frees
the worker.
"""

import logging
import random
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from sim_sync.carriers.auth import Authorizer
from sim_sync.carriers.dialect import Dialect, error_for, never, refuses_a_login, retry_after_for
from sim_sync.carriers.http import HttpClient
from sim_sync.carriers.messages import Request, Response
from sim_sync.carriers.rate_limit import Permit, RateLimiter
from sim_sync.carriers.secrets import Redactor
from sim_sync.carriers.settings import Retry
from sim_sync.core.backoff import wait_seconds
from sim_sync.core.errors import (
    AuthenticationFailed,
    NoRoomLeft,
    ParkRequired,
    SimSyncError,
    Throttled,
    TransientError,
    WaitCause,
    WarehouseUnavailable,
)
from sim_sync.core.pages import Effort
from sim_sync.core.ports import Waiter
from sim_sync.core.text import counted

#: Statuses with which a login is refused: OAuth2 says 400 where others say 401 (RFC 6749, 5.2).
_LOGIN_REFUSED = frozenset({400, 401, 403})
_REMEMBERED_CREDENTIALS = 8


@dataclass(slots=True)
class Paused:
    """How long the carrier's own word has kept the requests for one page waiting."""

    seconds: float = 0.0

    def added_to(self, effort: Effort) -> Effort:
        """Return what a page has cost with these waits."""
        return replace(effort, throttled_seconds=effort.throttled_seconds + self.seconds)


@dataclass(frozen=True, slots=True)
class _Logins:
    """`LoginTransport` of the requests for one page."""

    client: "CarrierClient"
    paused: Paused

    def log_in(self, request: Request, headers: Mapping[str, str] | None = None) -> Response:
        """See `LoginTransport`."""
        return self.client.log_in(request, headers or {}, self.paused)

    def hide(self, secret: str) -> None:
        """See `LoginTransport`."""
        self.client.hide(secret)


class CarrierClient:
    """The way of all requests to one carrier. Keeps the limits, obeys every `Retry-After`."""

    def __init__(
        self,
        http: HttpClient,
        client_for: Callable[[str], HttpClient],
        rate_limiter: RateLimiter,
        dialect: Dialect,
        redactor: Redactor,
        *,
        auth_keys: str,
        now: Callable[[], datetime],
    ) -> None:
        self._http = http
        self._client_for = client_for
        self._rate_limiter = rate_limiter
        self._dialect = dialect
        self._redactor = redactor
        self._auth_keys = auth_keys
        self._now = now
        self._elsewhere: dict[str, HttpClient] = {}
        self._elsewhere_lock = threading.Lock()
        #: Credentials that the carrier has taken, as objects: of the last ones, because requests on their way at the
        #: time of a renewal carry older ones.
        self._accepted: tuple[Mapping[str, str], ...] = ()

    def request(
        self, request: Request, auth: Authorizer, paused: Paused, is_page: Callable[[Response], bool] = never
    ) -> tuple[Response, SimSyncError | None]:
        """Send one request with its credentials, renewed once where the carrier refuses them.

        Args:
            request: what to send.
            auth: whose credentials.
            paused: what the carrier's own word has kept the page's requests waiting is added to it.
            is_page: says that an answer is what was asked for, whatever else it might mean.

        Returns the answer, and the error that it is, if it is a permanent one.

        Raises:
            TransientError, ParkRequired: the carrier cannot be asked now.
            CarrierError: of the wire, or of a login.
        """
        transport = _Logins(self, paused)
        credentials = auth.headers(transport)
        response = self._send(self._http, request, credentials, paused)
        fresh = auth.renewed(credentials, transport) if self._have_expired(credentials, response) else None
        if fresh is not None:
            credentials, response = fresh, self._send(self._http, request, fresh, paused)
        failure = error_for(response, self._dialect, self._now(), lambda: self._http.told(request, response))
        if failure is None and not self._were_accepted(credentials):
            self._accepted = (*self._accepted, credentials)[-_REMEMBERED_CREDENTIALS:]
        if isinstance(failure, TransientError | ParkRequired) and not is_page(response):
            raise failure
        if fresh is not None and isinstance(failure, AuthenticationFailed):
            failure = AuthenticationFailed(f"{failure}; a fresh login did not help")
        return response, failure

    def _have_expired(self, credentials: Mapping[str, str], response: Response) -> bool:
        if self._dialect.throttling.is_said_by(response):
            return False
        # The same object, not an equal one: of a token that was never good, a fresh one is not better.
        is_perhaps = self._were_accepted(credentials) and self._dialect.credentials_may_have_expired(response)
        return is_perhaps or self._dialect.credentials_expired(response)

    def _were_accepted(self, credentials: Mapping[str, str]) -> bool:
        return any(credentials is taken for taken in self._accepted)

    def log_in(self, request: Request, headers: Mapping[str, str], paused: Paused) -> Response:
        """Send a login call and return its answer; see `LoginTransport`."""
        http, request = self._place_of(request)
        response = self._send(http, request, headers, paused)
        is_refused = response.status in _LOGIN_REFUSED or refuses_a_login(response)
        if is_refused and not self._dialect.throttling.is_said_by(response):
            raise AuthenticationFailed(
                f"{http.told(request, response)}; the carrier refused the login: check {self._auth_keys} under "
                "`auth` in carriers.yaml"
            )
        failure = error_for(response, self._dialect, self._now(), lambda: http.told(request, response))
        if failure is not None:
            raise failure
        return response

    def hide(self, secret: str) -> None:
        """Hide a fresh secret from now on; see `LoginTransport`."""
        self._redactor.add(secret)

    def _send(self, http: HttpClient, request: Request, headers: Mapping[str, str], paused: Paused) -> Response:
        http.prepare()
        with self._rate_limiter.acquire() as permit:
            paused.seconds += permit.paused_seconds
            response = http.fetch(request, headers, partial(self._note_sent, permit))
        is_slower = self._dialect.throttling.is_said_by(response)
        seconds = retry_after_for(response, self._dialect, self._now(), is_slower=is_slower)
        if seconds is not None and seconds > 0:
            self._rate_limiter.pause(seconds)
        if is_slower:
            self._rate_limiter.slow_down(permit)
        elif response.status < 400:
            self._rate_limiter.speed_up(permit)
        return response

    def _note_sent(self, permit: Permit) -> None:
        with suppress(TransientError):  # the request is on its way, whether or not its time could be corrected
            self._rate_limiter.note_sent(permit)

    def _place_of(self, request: Request) -> tuple[HttpClient, Request]:
        """Return where a login call goes: to `base_url`, or to the origin of a URL from `carriers.yaml`."""
        if request.path.startswith("/"):
            return self._http, request
        parts = urlsplit(request.path)
        origin = f"{parts.scheme}://{parts.netloc}"
        path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        with self._elsewhere_lock:
            if origin not in self._elsewhere:
                self._elsewhere[origin] = self._client_for(origin)
            client = self._elsewhere[origin]
        return client, replace(request, path=path)


_log = logging.getLogger("sim_sync.carriers")

Found = TypeVar("Found")


@dataclass(slots=True)
class _Tally:
    retries: int = 0
    throttled_seconds: float = 0.0
    last_error: str | None = None


class Retrier:
    """Tries again and again, as the settings of a carrier say."""

    def __init__(self, retry: Retry, waiter: Waiter, *, chance: Callable[[], float] = random.random) -> None:
        self._retry = retry
        self._waiter = waiter
        self._chance = chance

    def call(self, attempt: Callable[[], Found]) -> tuple[Found, Effort]:
        """Return what `attempt` returns in the end, and what it cost.

        Raises:
            ParkRequired: all attempts are used up, or the next wait is longer than `park_after_seconds`.
            StopRequested: a wait was cut short.
        """
        tally = _Tally()
        retrying = Retrying(
            retry=retry_if_exception(_may_pass),
            stop=stop_after_attempt(self._retry.max_attempts),
            wait=self._wait_seconds,
            sleep=self._waiter.wait,
            before_sleep=lambda state: self._before_sleep(state, tally),
            retry_error_callback=self._free_the_worker,
        )
        try:
            found: Found = retrying(attempt)
        except ParkRequired as wait:
            raise wait.after(retries=tally.retries, throttled_seconds=tally.throttled_seconds) from None
        return found, Effort(tally.retries, tally.throttled_seconds, tally.last_error)

    def _wait_seconds(self, state: RetryCallState) -> float:
        return wait_seconds(
            state.attempt_number - 1,
            base_seconds=self._retry.base_seconds,
            ceiling_seconds=self._retry.ceiling_seconds,
            chance=self._chance(),
            retry_after_seconds=_error_of(state).retry_after_seconds,
        )

    def _before_sleep(self, state: RetryCallState, tally: _Tally) -> None:
        error = _error_of(state)
        wait = state.next_action.sleep if state.next_action else 0.0
        if wait > self._retry.park_after_seconds:
            told = f"{error}; the carrier asks for a wait of {wait:.0f} s"
            raise ParkRequired(told, wait_seconds=wait, cause=_cause_of(error)) from None
        tally.retries += 1
        tally.last_error = str(error)
        if isinstance(error, Throttled) or error.retry_after_seconds is not None:
            tally.throttled_seconds += wait
        _log.warning("%s; attempt %d follows in %.1f s", error, state.attempt_number + 1, wait)

    def _free_the_worker(self, state: RetryCallState) -> None:
        error = _error_of(state)
        wait = max(self._wait_seconds(state), self._retry.ceiling_seconds)
        told = f"{error}; no better after {counted(state.attempt_number, 'attempt')}"
        raise ParkRequired(told, wait_seconds=wait, is_outage=True, cause=_cause_of(error)) from None


def _may_pass(error: BaseException) -> bool:
    """Return whether the same request may well succeed in a while.

    That the warehouse is away, where limits are shared in it, was ridden out already, and is not the carrier's outage.
    """
    return isinstance(error, TransientError) and not isinstance(error, WarehouseUnavailable)


def _cause_of(error: TransientError) -> WaitCause:
    match error:
        case Throttled():
            return WaitCause.THROTTLED
        case NoRoomLeft():
            return WaitCause.NO_ROOM_LEFT
        case _:
            return WaitCause.CARRIER_DOWN


def _error_of(state: RetryCallState) -> TransientError:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, TransientError):
        raise TypeError(f"expected a transient error, found {error!r}")
    return error
