"""Sends a carrier's requests: through its turnstile, over the wire, and judged by its dialect. Logins come here too."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit

from sim_sync.carriers.auth import Authorizer
from sim_sync.carriers.dialect import Dialect
from sim_sync.carriers.http import HttpClient
from sim_sync.carriers.messages import Answer, Ask
from sim_sync.carriers.secrets import Redactor
from sim_sync.carriers.signs import refuses_a_login
from sim_sync.carriers.throttle import Turnstile
from sim_sync.carriers.verdict import hold_seconds_of, trouble_of
from sim_sync.core.errors import AuthenticationFailed, SimSyncError

#: Statuses with which a login is refused: OAuth2 says 400 where others say 401 (RFC 6749, 5.2).
_LOGIN_REFUSED = frozenset({400, 401, 403})


class CarrierDesk:
    """`Desk` of one carrier, and the way of all its requests. Keeps the limits and obeys every `Retry-After`."""

    def __init__(
        self,
        http: HttpClient,
        client_for: Callable[[str], HttpClient],
        turnstile: Turnstile,
        dialect: Dialect,
        redactor: Redactor,
        *,
        auth_keys: str,
        now: Callable[[], datetime],
    ) -> None:
        self._http = http
        self._client_for = client_for
        self._turnstile = turnstile
        self._dialect = dialect
        self._redactor = redactor
        self._auth_keys = auth_keys
        self._now = now
        self._elsewhere: dict[str, HttpClient] = {}
        self._elsewhere_lock = threading.Lock()
        self._held = threading.local()
        self._accepted: Mapping[str, str] | None = None

    def ask(self, ask: Ask, auth: Authorizer) -> tuple[Answer, SimSyncError | None]:
        """Send one request with its credentials, renewed once where the carrier refuses them.

        Returns the answer, and the error that it is, if it is one. Errors of the wire and of a login are raised.
        """
        credentials = auth.headers(self)
        answer = self._send(self._http, ask, credentials)
        fresh = auth.renewed(credentials, self) if self._have_expired(credentials, answer) else None
        if fresh is not None:
            credentials, answer = fresh, self._send(self._http, ask, fresh)
        trouble = self._trouble(self._http, ask, answer)
        if trouble is None:
            self._accepted = credentials
        if fresh is not None and isinstance(trouble, AuthenticationFailed):
            trouble = AuthenticationFailed(f"{trouble}; a fresh login did not help")
        return answer, trouble

    def _have_expired(self, credentials: Mapping[str, str], answer: Answer) -> bool:
        if self._dialect.throttling.is_told_by(answer):
            return False
        # The same object, not an equal one: of a token that was never good, a fresh one is not better.
        were_good = credentials is self._accepted
        is_perhaps = were_good and self._dialect.credentials_may_have_expired(answer)
        return is_perhaps or self._dialect.credentials_expired(answer)

    def log_in(self, ask: Ask, headers: Mapping[str, str] | None = None) -> Answer:
        """See `Desk`."""
        http, ask = self._place_of(ask)
        answer = self._send(http, ask, headers or {})
        is_refused = answer.status in _LOGIN_REFUSED or refuses_a_login(answer)
        if is_refused and not self._dialect.throttling.is_told_by(answer):
            raise AuthenticationFailed(
                f"{http.told(ask, answer)}; the carrier refused the login: check {self._auth_keys} under `auth` in "
                "carriers.yaml"
            )
        trouble = self._trouble(http, ask, answer)
        if trouble is not None:
            raise trouble
        return answer

    def hide(self, secret: str) -> None:
        """See `Desk`."""
        self._redactor.add(secret)

    def take_held_seconds(self) -> float:
        """Return how long this thread's requests were held since it was last asked."""
        seconds: float = getattr(self._held, "seconds", 0.0)
        self._held.seconds = 0.0
        return seconds

    def _send(self, http: HttpClient, ask: Ask, headers: Mapping[str, str]) -> Answer:
        http.prepare()
        with self._turnstile.admitted() as admission:
            self._held.seconds = getattr(self._held, "seconds", 0.0) + admission.held_seconds
            answer = http.fetch(ask, headers)
        now = self._now()
        seconds = hold_seconds_of(answer, self._dialect, now)
        if seconds is not None and seconds > 0:
            self._turnstile.hold(seconds)
        if self._dialect.throttling.is_told_by(answer):
            self._turnstile.slow_down(admission)
        elif answer.status < 400:
            self._turnstile.speed_up(admission)
        return answer

    def _trouble(self, http: HttpClient, ask: Ask, answer: Answer) -> SimSyncError | None:
        return trouble_of(answer, self._dialect, self._now(), lambda: http.told(ask, answer))

    def _place_of(self, ask: Ask) -> tuple[HttpClient, Ask]:
        """Return where a login call goes: to `base_url`, or to the origin of a URL from `carriers.yaml`."""
        if ask.path.startswith("/"):
            return self._http, ask
        parts = urlsplit(ask.path)
        origin = f"{parts.scheme}://{parts.netloc}"
        path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        with self._elsewhere_lock:
            if origin not in self._elsewhere:
                self._elsewhere[origin] = self._client_for(origin)
            client = self._elsewhere[origin]
        return client, replace(ask, path=path)
