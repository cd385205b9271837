"""How simulated vendors check who asks: basic and bearer authentication, tokens, OAuth 2.0."""

import base64
import binascii
import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked_dataclass

from sim_sync.simulator.credentials import TOKEN_MARK
from sim_sync.simulator.vendor import Authentication, Request, Response, json_response

# HTTP Basic credentials (RFC 7617) as the carrier's side checks them.


def basic_authentication(request: Request, *, username: str, password: str) -> Authentication:
    """Return whether the request carries exactly these credentials."""
    header = request.headers.get("authorization")
    if header is None:
        return "missing"
    scheme, _, encoded = header.partition(" ")
    try:
        given = base64.b64decode(encoded.strip(), validate=True)
    except binascii.Error:
        return "wrong"
    expected = f"{username}:{password}".encode()
    return "ok" if scheme.lower() == "basic" and hmac.compare_digest(given, expected) else "wrong"


# The tokens that a carrier issues and later accepts: for seconds, for uses, until idle, or until expired.


Clock = Callable[[], float]


@checked_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class TokenOptions:
    """How long the tokens of a mount live: seconds (None: as long as the vendor's), and requests."""

    token_seconds: Annotated[float, Field(gt=0)] | None = None
    token_uses: Annotated[int, Field(ge=1)] | None = None


@dataclass
class _Life:
    until: float
    last_used: float
    uses: int = 0


class TokenEndpoint:
    """Issues tokens and says what they are worth. Safe for many threads.

    A token is good for `life_seconds`, for `uses` requests and as long as it is used at least every `idle_seconds`;
    None is without end. `reissue`: who asks again gets the token that is still good. `clock` reports seconds that never
    go back.
    """

    def __init__(
        self,
        *,
        life_seconds: float,
        uses: int | None = None,
        idle_seconds: float | None = None,
        reissue: bool = False,
        clock: Clock = time.monotonic,
    ) -> None:
        self.life_seconds = life_seconds
        self._uses = uses
        self._idle_seconds = idle_seconds
        self._reissue = reissue
        self._clock = clock
        self._lock = threading.Lock()
        self._lives: dict[str, _Life] = {}

    def issue(self, life_seconds: float | None = None) -> str:
        """Return a token that is good from now on, for so long or as long as all."""
        with self._lock:
            self._lives = {token: life for token, life in self._lives.items() if self._is_good(life)}
            if self._reissue and self._lives:
                return next(iter(self._lives))
            token = f"{TOKEN_MARK}{secrets.token_hex(16)}"
            now = self._clock()
            self._lives[token] = _Life(now + (life_seconds or self.life_seconds), now)
            return token

    def seconds_left(self, token: str) -> int:
        """Return for how many whole seconds a token will still be good, if it is used often enough."""
        with self._lock:
            life = self._lives.get(token)
            return 0 if life is None else max(int(life.until - self._clock()), 0)

    def worth(self, token: str | None) -> Authentication:
        """Return what a token is worth now; asking changes nothing."""
        if token is None:
            return "missing"
        with self._lock:
            life = self._lives.get(token)
            return "ok" if life is not None and self._is_good(life) else "wrong"

    def spend(self, token: str | None) -> None:
        """Count one use of a token."""
        with self._lock:
            if token is not None and (life := self._lives.get(token)) is not None:
                life.uses += 1
                life.last_used = self._clock()

    def expire(self) -> None:
        """Forget all tokens issued so far."""
        with self._lock:
            self._lives.clear()

    def _is_good(self, life: _Life) -> bool:
        now = self._clock()
        return (
            now < life.until
            and (self._uses is None or life.uses < self._uses)
            and (self._idle_seconds is None or now < life.last_used + self._idle_seconds)
        )


def token_endpoint(options: TokenOptions, *, life_seconds: float, reissue: bool = False) -> TokenEndpoint:
    """Return the endpoint of a vendor whose tokens live `life_seconds`, unless the mount chose otherwise."""
    return TokenEndpoint(life_seconds=options.token_seconds or life_seconds, uses=options.token_uses, reissue=reissue)


# Bearer tokens (RFC 6750) as the carrier's side reads them.


def bearer_token(request: Request) -> str | None:
    """Return the token of the request, or None where it carries none; another scheme is an empty token."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def secret_authentication(given: str | None, expected: str) -> Authentication:
    """Return what a secret is worth that never changes."""
    if given is None:
        return "missing"
    return "ok" if hmac.compare_digest(given.encode(), expected.encode()) else "wrong"


# The token call of OAuth 2.0 client credentials (RFC 6749, sections 4.4 and 5), as carriers' servers answer it.


def token_response(endpoint: TokenEndpoint, *, grant_type: object, client_is_known: bool) -> Response:
    """Return a token, or the refusal in the RFC's shape."""
    if not client_is_known:
        headers = {"WWW-Authenticate": 'Basic realm="token"'}
        return json_response(401, {"error": "invalid_client", "error_description": "Client is not known."}, headers)
    if grant_type != "client_credentials":
        description = "grant_type must be client_credentials"
        return json_response(400, {"error": "unsupported_grant_type", "error_description": description})
    token = endpoint.issue()
    document = {"access_token": token, "token_type": "Bearer", "expires_in": endpoint.seconds_left(token)}
    return json_response(200, document, {"Cache-Control": "no-store"})


def is_client(given_id: object, given_secret: object, *, client_id: str, client_secret: str) -> bool:
    """Return whether these are the client's credentials."""
    given = f"{given_id}:{given_secret}".encode()
    return hmac.compare_digest(given, f"{client_id}:{client_secret}".encode())
