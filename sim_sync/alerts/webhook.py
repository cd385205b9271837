"""Sends a message over HTTP, signed where there is a secret. The only module that opens a connection to a webhook.

The address of a webhook is as secret as a password: no text that leaves this module holds it.
"""

import hashlib
import hmac
import ssl
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import httpx2

from sim_sync import __version__
from sim_sync.alerts.notices import Notice, generic_body, slack_body
from sim_sync.carriers.http import CutOff, CutOffLimits, cut_socket, watched
from sim_sync.carriers.secrets import Redactor
from sim_sync.carriers.tls import tls_context
from sim_sync.config.alerts import Webhook
from sim_sync.core.errors import DeliveryFailed
from sim_sync.core.text import printable

#: How long one attempt may take as a whole, and how long a connection.
ATTEMPT_SECONDS, CONNECT_SECONDS = 10.0, 5.0
TIMESTAMP_HEADER, SIGNATURE_HEADER, ID_HEADER = "X-Sim-Sync-Timestamp", "X-Sim-Sync-Signature", "Idempotency-Key"
#: So much of an answer is read; what it says is of no use to us.
_READ_OF_AN_ANSWER = 64 * 1024


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return what the header `X-Sim-Sync-Signature` says: HMAC-SHA256 over timestamp, a full stop and the body."""
    signed = timestamp.encode("ascii") + b"." + body
    return "v1=" + hmac.new(secret.encode("utf-8", "surrogateescape"), signed, hashlib.sha256).hexdigest()


class WebhookReceiver:
    """One webhook; `clock` says the time that is signed, in seconds since 1970."""

    def __init__(
        self,
        name: str,
        settings: Webhook,
        *,
        clock: Callable[[], float] = time.time,
        attempt_seconds: float = ATTEMPT_SECONDS,
    ) -> None:
        self.name = name
        self._settings = settings
        self._clock = clock
        self._limits = CutOffLimits(attempt_seconds)
        self._redactor = Redactor([settings.url.get_secret_value(), *self._secrets()])

    def send(self, notice: Notice) -> None:
        """Send one message; a success is any 2xx.

        Raises:
            DeliveryFailed: it was not taken, or nobody knows whether it was.
        """
        body = slack_body(notice) if self._settings.format == "slack" else generic_body(notice)
        status, headers = self._posted(body, self._headers(notice, body))
        if not 200 <= status < 300:
            redirects = "; redirects are not followed" if 300 <= status < 400 else ""
            raise DeliveryFailed(f"HTTP {status}{redirects}", retry_after_seconds=_retry_after(headers))

    def _headers(self, notice: Notice, body: bytes) -> Mapping[str, str]:
        headers = {"Content-Type": "application/json", ID_HEADER: notice.id}
        for secret in self._secrets():
            timestamp = f"{self._clock():.0f}"
            headers |= {TIMESTAMP_HEADER: timestamp, SIGNATURE_HEADER: signature(secret, timestamp, body)}
        return headers

    def _secrets(self) -> list[str]:
        return [] if self._settings.secret is None else [self._settings.secret.get_secret_value()]

    def _posted(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str]]:
        try:
            return self._exchange(body, headers)
        except CutOff:
            told = f"no whole answer within {self._limits.response_seconds:g} s"
        except (httpx2.HTTPError, httpx2.InvalidURL, ssl.SSLError, OSError, UnicodeError, ValueError) as error:
            told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        # Out here, so that the client's error, which knows the address, is not even its context.
        raise DeliveryFailed(printable(self._redactor(told)))

    def _exchange(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str]]:
        connected: list[Any] = []

        def note(event: str, found: Mapping[str, Any]) -> None:
            if event in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
                connected.append(found["return_value"])

        def cut() -> None:
            raw = connected[-1].get_extra_info("socket") if connected else None
            if raw is not None:
                cut_socket(raw)

        with self._client() as client, watched(cut, self._limits) as watch:
            try:
                url = self._settings.url.get_secret_value()
                with client.stream("POST", url, content=body, headers=dict(headers), extensions={"trace": note}) as got:
                    next(got.iter_raw(_READ_OF_AN_ANSWER), b"")
                    return got.status_code, {name.lower(): value for name, value in got.headers.items()}
            finally:
                watch.raise_if_cut()

    def _client(self) -> httpx2.Client:
        return httpx2.Client(
            timeout=httpx2.Timeout(self._limits.response_seconds, connect=CONNECT_SECONDS),
            verify=tls_context() or _host_context(),
            headers={"User-Agent": f"sim_sync/{__version__}"},
            follow_redirects=False,
            trust_env=False,  # a proxy or .netrc of the environment must not see the address
        )


@cache
def _host_context() -> ssl.SSLContext:
    return httpx2.create_ssl_context(trust_env=False)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    text = headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
