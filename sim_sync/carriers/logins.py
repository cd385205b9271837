"""Credentials that come from a login: kept in memory only, renewed before they run out and once on a 401.

How a login looks on the wire is here too: OAuth2 client credentials, a JSON login, and logins that build on each other;
none of them keeps anything, and nothing here knows a vendor.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from sim_sync.carriers.auth import LoginTransport, basic_header
from sim_sync.carriers.json_bodies import lookup_of
from sim_sync.carriers.messages import Request, Response
from sim_sync.core.errors import AuthenticationFailed, InternalError, Throttled, UnexpectedResponse

# --- the life of a token ---------------------------------------------------------------------------------------------

#: A token is renewed this long before it runs out, or after nine tenths of its life, whichever is later.
_MARGIN_SECONDS = 60.0
_MARGIN_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a login gave: the headers that carry it, and how long it lasts from when it was asked for.

    `idle_seconds` is after how long without a request it dies; None is no limit that the carrier tells.
    `refresh_token` buys the next grant without the credentials.
    """

    headers: Mapping[str, str] = field(repr=False)
    expires_in_seconds: float | None = None
    idle_seconds: float | None = None
    refresh_token: str | None = field(default=None, repr=False)


class Login(Protocol):
    """One way to exchange credentials for a grant."""

    def log_in(self, transport: LoginTransport, carried: Mapping[str, str]) -> Grant:
        """Exchange the credentials; `carried` are the headers of the logins before this one in a chain."""

    def refresh(self, transport: LoginTransport, refresh_token: str) -> Grant:
        """Exchange a refresh token, which is spent by it. Asked only where a grant of this login had one."""

    def secrets(self) -> Sequence[str]:
        """Return the configured secrets, in the forms in which they travel."""


class TokenAuth:
    """An `Authorizer` over a login. Many threads may use one: a token that dies costs one login, whoever sees it.

    A login that the carrier refused is never repeated: some lock the account after a few.
    """

    def __init__(self, login: Login, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._login = login
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._grant: Grant | None = None
        self._granted_at = 0.0
        self._used_at = 0.0
        self._refusal: str | None = None

    def headers(self, transport: LoginTransport) -> Mapping[str, str]:
        """Return the headers of a grant that is still good, after a login where one is due."""
        with self._lock:
            now = self._monotonic()
            grant = self._grant
            if grant is None or self._is_due(grant, now):
                grant = self._renew(transport)
            self._used_at = self._monotonic()
            return grant.headers

    def renewed(self, refused: Mapping[str, str], transport: LoginTransport) -> Mapping[str, str] | None:
        """Return the headers of a fresh grant; another thread may have fetched it in the meantime."""
        with self._lock:
            grant = self._grant
            # The same object, not an equal one: some carriers give the same token again for as long as it lives.
            if grant is None or grant.headers is refused:
                grant = self._renew(transport)
            self._used_at = self._monotonic()
            return grant.headers

    def secrets(self) -> Sequence[str]:
        """Return the configured secrets; tokens are hidden as they come."""
        return self._login.secrets()

    def _is_due(self, grant: Grant, now: float) -> bool:
        return _is_over(now - self._granted_at, grant.expires_in_seconds) or _is_over(
            now - self._used_at, grant.idle_seconds
        )

    def _renew(self, transport: LoginTransport) -> Grant:
        if self._refusal is not None:
            raise AuthenticationFailed(self._refusal)
        asked_at = self._monotonic()
        try:
            grant = self._refreshed(transport) or self._login.log_in(transport, {})
        except AuthenticationFailed as refusal:
            self._grant, self._refusal = None, f"{refusal}; the login is not repeated"
            raise AuthenticationFailed(self._refusal) from None
        self._grant, self._granted_at = grant, asked_at
        return grant

    def _refreshed(self, transport: LoginTransport) -> Grant | None:
        """Exchange the refresh token, if there is one; None where only a login helps."""
        # A single-use token counts as spent as soon as it is sent: an answer that got lost may have spent it.
        spent, self._grant = self._grant, None
        if spent is None or spent.refresh_token is None:
            return None
        try:
            return self._login.refresh(transport, spent.refresh_token)
        except Throttled:  # it was not looked at, so it is as good as before
            self._grant = spent
            raise
        except AuthenticationFailed:
            return None


def _is_over(age_seconds: float, life_seconds: float | None) -> bool:
    if life_seconds is None:
        return False
    return age_seconds >= life_seconds - min(_MARGIN_SECONDS, life_seconds * _MARGIN_SHARE)


# --- the forms of a login --------------------------------------------------------------------------------------------


class ClientAuth(Enum):
    """How an OAuth2 client says who it is (RFC 6749, 2.3.1), and in what its request is written."""

    #: `grant_type`, `client_id` and `client_secret` in a form: KORE.
    FORM = "form"
    #: HTTP Basic, and `grant_type` in a form, as the RFC prefers it: ThingSpace.
    BASIC_FORM = "basic_form"
    #: HTTP Basic, and `grant_type` in a JSON body: 1NCE.
    BASIC_JSON = "basic_json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredentials:
    """OAuth2 client credentials (RFC 6749, 4.4). `token_url` is a path on `base_url` or a URL of its own."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    client_auth: ClientAuth = ClientAuth.FORM
    #: More fields of the request: `scope`, `audience`.
    extra: Mapping[str, str] = field(default_factory=dict)

    def log_in(self, transport: LoginTransport, carried: Mapping[str, str]) -> Grant:
        """Ask for an access token."""
        fields = {"grant_type": "client_credentials", **self.extra}
        headers: Mapping[str, str] = {}
        if self.client_auth is ClientAuth.FORM:
            fields |= {"client_id": self.client_id, "client_secret": self.client_secret}
        else:
            headers = basic_header(self.client_id, self.client_secret)
        if self.client_auth is ClientAuth.BASIC_JSON:
            request = Request(method="POST", path=self.token_url, body=fields)
        else:
            request = Request(method="POST", path=self.token_url, form=fields)
        return _bearer_grant(transport, transport.log_in(request, headers))

    def refresh(self, transport: LoginTransport, refresh_token: str) -> Grant:
        """Refuse: this flow has no refresh tokens (RFC 6749, 4.4.3)."""
        raise InternalError("client credentials have no refresh token")

    def secrets(self) -> Sequence[str]:
        """Return the client's secret, alone and as HTTP Basic sends it."""
        return [self.client_secret, f"{self.client_id}:{self.client_secret}"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonLogin:
    """POST a JSON body to a path, and put values of the JSON answer on headers.

    `headers` are templates over the answer: `{"Authorization": "Bearer {auth_token}"}` puts the answer's member
    `auth_token` there; `tokens` gives each name in a template its JMESPath path in the answer. `expires_in` and
    `refresh_token` are such paths too. `idle_seconds` is a session's life without a request.
    """

    path: str
    body: Mapping[str, Any] = field(repr=False)
    #: The values of `body` that must not be seen.
    hidden: Sequence[str] = field(repr=False)
    tokens: Mapping[str, str]
    headers: Mapping[str, str]
    expires_in: str | None = None
    #: A life that the vendor documents but the answer does not tell.
    lasts_seconds: float | None = None
    idle_seconds: float | None = None
    refresh_token: str | None = None
    #: Where a refresh token is exchanged, and as which member of a JSON body.
    refresh_path: str | None = None
    refresh_member: str = "refresh_token"

    def log_in(self, transport: LoginTransport, carried: Mapping[str, str]) -> Grant:
        """Log in with the credentials."""
        return self._grant(
            transport, transport.log_in(Request(method="POST", path=self.path, body=dict(self.body)), carried)
        )

    def refresh(self, transport: LoginTransport, refresh_token: str) -> Grant:
        """Exchange a refresh token at `refresh_path`."""
        if self.refresh_path is None:
            raise InternalError("a login with refresh tokens needs a refresh_path")
        body = {self.refresh_member: refresh_token}
        return self._grant(transport, transport.log_in(Request(method="POST", path=self.refresh_path, body=body)))

    def secrets(self) -> Sequence[str]:
        """Return the hidden values of the body."""
        return list(self.hidden)

    def _grant(self, transport: LoginTransport, response: Response) -> Grant:
        found = {name: _secret_at(transport, response, path) for name, path in self.tokens.items()}
        expires_in = None if self.expires_in is None else _seconds_at(response, self.expires_in)
        refresh_token = None if self.refresh_token is None else _secret_at(transport, response, self.refresh_token)
        return Grant(
            headers={name: template.format_map(found) for name, template in self.headers.items()},
            expires_in_seconds=expires_in if expires_in is not None else self.lasts_seconds,
            idle_seconds=self.idle_seconds,
            refresh_token=refresh_token,
        )


@dataclass(frozen=True, slots=True)
class LoginChain:
    """Logins in their order, each sent with the headers of those before it; every request carries all of them.

    All are done again together: a login never goes out with an older token, so that a refusal of it is about its own
    credentials and not about a token that ran out on the way (ThingSpace locks an account after five bad logins).
    """

    logins: Sequence[Login]

    def log_in(self, transport: LoginTransport, carried: Mapping[str, str]) -> Grant:
        """Do one login after the other."""
        headers = carried
        grants = []
        for login in self.logins:
            grant = login.log_in(transport, headers)
            headers = {**headers, **grant.headers}
            grants.append(grant)
        return Grant(
            headers=headers,
            expires_in_seconds=_shortest([grant.expires_in_seconds for grant in grants]),
            idle_seconds=_shortest([grant.idle_seconds for grant in grants]),
        )

    def refresh(self, transport: LoginTransport, refresh_token: str) -> Grant:
        """Refuse: a chain's grants carry no refresh token."""
        raise InternalError("a chain of logins has no refresh token")

    def secrets(self) -> Sequence[str]:
        """Return the secrets of all."""
        return [secret for login in self.logins for secret in login.secrets()]


def _bearer_grant(transport: LoginTransport, response: Response) -> Grant:
    token = _secret_at(transport, response, "access_token")
    return Grant(headers={"Authorization": f"Bearer {token}"}, expires_in_seconds=_seconds_at(response, "expires_in"))


def _secret_at(transport: LoginTransport, response: Response, path: str) -> str:
    """Return a token of a login's answer, hidden from now on. The answer's values are never shown."""
    found = lookup_of(path)(response.body)
    if not isinstance(found, str) or not found:
        raise UnexpectedResponse(f"expected a text at {path!r} in the answer to the login, found {_kind(found)}")
    transport.hide(found)
    return found


def _seconds_at(response: Response, path: str) -> float | None:
    """Return a life in seconds, where the answer tells one: a number, or a number in a text."""
    found = lookup_of(path)(response.body)
    try:
        seconds = float(found)
    except (TypeError, ValueError):
        return None
    return seconds if 0 < seconds < float("inf") else None


def _shortest(lives: Sequence[float | None]) -> float | None:
    return min((life for life in lives if life is not None), default=None)


def _kind(found: Any) -> str:
    return "nothing" if found is None else "an empty text" if found == "" else f"a {type(found).__name__}"
