"""How credentials are put on a request: the ways that need no login. Those that log in first are in `logins`.

An authorizer knows its secrets and shows none of them; it may be used by many threads at once.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sim_sync.carriers.messages import Request, Response


class LoginTransport(Protocol):
    """Where an authorizer takes its login calls; the source of a carrier has one."""

    def log_in(self, request: Request, headers: Mapping[str, str] | None = None) -> Response:
        """Send a login call and return its answer, a success. A path stays on `base_url`, a URL is configured.

        Raises:
            Throttled, CarrierUnavailable: it is transient; the request that needed the login is tried again.
            AuthenticationFailed: the carrier refused the credentials.
            UnexpectedResponse: any other answer.
        """

    def hide(self, secret: str) -> None:
        """Hide a fresh secret from now on, wherever text is shown."""


class Authorizer(Protocol):
    """Puts credentials on a request."""

    def headers(self, transport: LoginTransport) -> Mapping[str, str]:
        """Return the headers that carry the credentials, after a login where one is due."""

    def renewed(self, refused: Mapping[str, str], transport: LoginTransport) -> Mapping[str, str] | None:
        """Return fresh headers in place of `refused`, the object that `headers` or `renewed` returned; None where there
        is nothing to renew.
        """

    def secrets(self) -> Sequence[str]:
        """Return what must not be seen of the configured credentials, in the forms in which it travels."""


class _FixedAuth:
    """What static credentials have in common: a refusal of them is final."""

    __slots__ = ()

    def renewed(self, refused: Mapping[str, str], transport: LoginTransport) -> Mapping[str, str] | None:
        """Return None: there is nothing to renew."""
        return None


@dataclass(frozen=True, slots=True)
class NoAuth(_FixedAuth):
    """No credentials at all."""

    def headers(self, transport: LoginTransport) -> Mapping[str, str]:
        """Return no header."""
        return {}

    def secrets(self) -> Sequence[str]:
        """Return nothing."""
        return []


@dataclass(frozen=True, slots=True)
class BasicAuth(_FixedAuth):
    """HTTP Basic (RFC 7617)."""

    username: str = field(repr=False)
    password: str = field(repr=False)

    def headers(self, transport: LoginTransport) -> Mapping[str, str]:
        """Return the `Authorization` header."""
        return basic_header(self.username, self.password)

    def secrets(self) -> Sequence[str]:
        """Return the forms in which the password travels."""
        return [self.password, f"{self.username}:{self.password}"]


@dataclass(frozen=True, slots=True)
class HeaderAuth(_FixedAuth):
    """A key in a header of any name; `value` is the whole value, a word before the key included."""

    name: str
    value: str = field(repr=False)

    def headers(self, transport: LoginTransport) -> Mapping[str, str]:
        """Return the header."""
        return {self.name: self.value}

    def secrets(self) -> Sequence[str]:
        """Return the value, and its last word: the key without its scheme."""
        return [self.value, *self.value.split()[-1:]]


@dataclass(frozen=True, slots=True)
class BearerAuth(_FixedAuth):
    """A bearer token that does not change (RFC 6750)."""

    token: str = field(repr=False)

    def headers(self, transport: LoginTransport) -> Mapping[str, str]:
        """Return the `Authorization` header."""
        return {"Authorization": f"Bearer {self.token}"}

    def secrets(self) -> Sequence[str]:
        """Return the token."""
        return [self.token]


def basic_header(username: str, password: str) -> Mapping[str, str]:
    """Return the header of HTTP Basic."""
    encoded = base64.b64encode(f"{username}:{password}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}
