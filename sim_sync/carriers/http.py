"""The only module that opens a connection to a carrier. Every wait in it is bounded, and no request leaves its origin.

It turns what can happen on a wire into our errors; what an answer means is the connector's.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit, urlunsplit

import httpx2

from sim_sync import __version__
from sim_sync.carriers.messages import Answer, Ask
from sim_sync.carriers.secrets import Redactor
from sim_sync.carriers.settings import Timeouts
from sim_sync.core.errors import (
    AuthenticationFailed,
    CarrierUnavailable,
    ForeignOrigin,
    Throttled,
    UnexpectedAnswer,
)

#: No carrier's page is near this size; a larger one is refused instead of filling the memory.
MAX_BODY_BYTES = 64 * 1024 * 1024
#: A body that drips in may take this many times the read timeout as a whole.
_WHOLE_BODY_FACTOR = 10
_SHOWN_OF_A_BODY = 200


class Authorizer(Protocol):
    """Puts credentials on a request."""

    def headers(self) -> Mapping[str, str]:
        """Return the headers that carry the credentials."""

    def secrets(self) -> Sequence[str]:
        """Return what must not be seen of them, in the forms in which it travels."""


class HttpClient:
    """One carrier's connection. `base_url` is the only origin it ever talks to."""

    def __init__(
        self,
        carrier: str,
        base_url: str,
        timeouts: Timeouts,
        redactor: Redactor,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._carrier = carrier
        self._base_url = base_url.rstrip("/")
        self._origin = origin_of(base_url)
        self._redactor = redactor
        self._monotonic = monotonic
        self._now = now
        self._body_seconds = timeouts.read_seconds * _WHOLE_BODY_FACTOR
        self._client = httpx2.Client(
            timeout=httpx2.Timeout(timeouts.read_seconds, connect=timeouts.connect_seconds),
            headers={"User-Agent": f"sim_sync/{__version__}", "Accept": "application/json"},
            follow_redirects=False,
            trust_env=False,  # a proxy or .netrc of the environment must not see the credentials
        )

    def fetch(self, ask: Ask, credentials: Mapping[str, str]) -> Answer:
        """Send one request and return its answer, whatever its status.

        Raises:
            CarrierUnavailable: no answer, or not a whole one.
            ForeignOrigin: the answer is a redirect to another origin; nothing was sent there.
            UnexpectedAnswer: the answer is larger than any page, or a redirect.
        """
        url = self._base_url + ask.path
        if origin_of(url) != self._origin:
            raise ForeignOrigin(f"{self._doing(ask)}: {ask.path!r} leads away from {self._origin}")
        try:
            with self._client.stream(
                ask.method,
                url,
                params=dict(ask.params) or None,
                headers={**ask.headers, **credentials},
                json=ask.body,
                data=None if ask.form is None else dict(ask.form),
            ) as response:
                raw = self._read(response, ask)
                status, headers = response.status_code, {k.lower(): v for k, v in response.headers.items()}
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise CarrierUnavailable(self._redactor(f"{self._doing(ask)}: {_told(error)}")) from None
        if 300 <= status < 400:
            self._refuse_redirect(ask, status, headers.get("location", ""))
        return Answer(status=status, headers=headers, body=self._parse(ask, status, raw))

    def raise_for_status(self, ask: Ask, answer: Answer) -> None:
        """Turn an answer that is no success into our error: wait and retry, or stop this carrier.

        Raises:
            Throttled, CarrierUnavailable: 429, 5xx, with what `Retry-After` asks for.
            AuthenticationFailed: 401 or 403.
            UnexpectedAnswer: any other status that is not 2xx.
        """
        status = answer.status
        if 200 <= status < 300:
            return
        told = f"{self._doing(ask)}: HTTP {status}{self._shown(answer.body)}"
        retry_after = retry_after_seconds(answer.headers, self._now())
        if status == 429:
            raise Throttled(told, retry_after_seconds=retry_after)
        if status >= 500 or status == 408:
            raise CarrierUnavailable(told, retry_after_seconds=retry_after)
        if status in {401, 403}:
            raise AuthenticationFailed(
                f"{told}; the carrier refused the credentials: check `auth` of {self._carrier} in carriers.yaml"
            )
        raise UnexpectedAnswer(f"{told}; expected a page of SIMs: check `base_url` and the account of {self._carrier}")

    def path_of(self, ask: Ask, url: str) -> str:
        """Return path and query of a URL that the carrier supplied, relative to `base_url`.

        Raises:
            ForeignOrigin: it leads to another origin than the configured one; no request goes there.
        """
        absolute = urljoin(self._base_url + ask.path, url)
        if origin_of(absolute) != self._origin:
            raise ForeignOrigin(
                f"{self._doing(ask)}: the carrier's link leads to {origin_of(absolute)}, but only {self._origin} is "
                "configured; no request and no credentials were sent there"
            )
        parts = urlsplit(absolute)
        path = urlunsplit(("", "", parts.path, parts.query, ""))
        base_path = urlsplit(self._base_url).path
        return path.removeprefix(base_path) if path.startswith(f"{base_path}/") else path

    def _read(self, response: httpx2.Response, ask: Ask) -> bytes:
        deadline = self._monotonic() + self._body_seconds
        chunks, size = [], 0
        for chunk in response.iter_bytes():
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise UnexpectedAnswer(f"{self._doing(ask)}: the answer is larger than {MAX_BODY_BYTES:,} bytes")
            if self._monotonic() > deadline:
                raise CarrierUnavailable(
                    f"{self._doing(ask)}: the answer was not whole after {self._body_seconds:.0f} s"
                )
        return b"".join(chunks)

    def _parse(self, ask: Ask, status: int, raw: bytes) -> Any:
        if not raw:
            return None
        try:
            # Python's own parser: a 20-digit number stays a whole number. NaN is no JSON.
            return json.loads(raw, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            if not 200 <= status < 300:  # an error page of a gateway
                return raw[:_SHOWN_OF_A_BODY].decode("utf-8", errors="replace")
            raise CarrierUnavailable(
                f"{self._doing(ask)}: HTTP {status}, but the answer is no whole JSON ({type(error).__name__} in "
                f"{len(raw):,} bytes)"
            ) from None

    def _refuse_redirect(self, ask: Ask, status: int, location: str) -> None:
        self.path_of(ask, location)
        raise UnexpectedAnswer(
            f"{self._doing(ask)}: HTTP {status}, a redirect to {self._redactor(location.partition('?')[0])!r}; "
            f"expected a page: check `base_url` of {self._carrier}"
        )

    def _doing(self, ask: Ask) -> str:
        return f"carrier {self._carrier}: {ask.method} {self._base_url}{self._redactor(ask.path.partition('?')[0])}"

    def _shown(self, body: Any) -> str:
        if body is None:
            return ""
        text = body if isinstance(body, str) else json.dumps(body, default=str)
        return f" ({self._redactor(' '.join(text.split()))[:_SHOWN_OF_A_BODY]})"


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL, the way they are compared."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port or default}"


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return what the header `Retry-After` asks for (RFC 9110, 10.2.3): seconds, or a date on the carrier's clock."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.replace(".", "", 1).isdigit():
        return float(text)
    try:
        due = _http_date(text)
    except (TypeError, ValueError):
        return None
    with suppress(KeyError, TypeError, ValueError):  # without the carrier's clock, ours has to do
        now = _http_date(headers["date"])
    return max((due - now).total_seconds(), 0.0)


def _http_date(text: str) -> datetime:
    found = parsedate_to_datetime(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _told(error: Exception) -> str:
    text = str(error).strip()
    kind = type(error).__name__
    return f"{kind}: {text}" if text else kind


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
