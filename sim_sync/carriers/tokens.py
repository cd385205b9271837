"""Credentials that are exchanged for tokens: kept in memory only, renewed before they run out and once on a 401.

How a login looks on the wire is in `logins`; nothing here knows a vendor.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sim_sync.carriers.auth import LoginTransport
from sim_sync.core.errors import AuthenticationFailed, Throttled

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
        """Return the configured secrets; tokens are told to the desk as they come."""
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
