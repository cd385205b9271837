"""The receivers of alerts: a signed webhook, generic or as Slack takes it, and mail by SMTP.

Nothing else opens a connection to a webhook or a mail server.
"""

import hashlib
import hmac
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Protocol

import httpx2

from sim_sync.alerts.notices import Notice, generic_body, slack_body
from sim_sync.carriers.http import CutOff, CutOffLimits, Line, cut_socket, watched
from sim_sync.carriers.secrets import Redactor
from sim_sync.carriers.settings import Timeouts
from sim_sync.carriers.tls import tls_context
from sim_sync.config.alerts import Alerts, Smtp, Webhook
from sim_sync.core.errors import DeliveryFailed
from sim_sync.core.text import printable

# Webhooks: a message over HTTP, signed where there is a secret.
#
# The address of a webhook is as secret as a password: no text that leaves this module holds it.


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
        timeouts = Timeouts(read_seconds=self._limits.response_seconds, connect_seconds=CONNECT_SECONDS)
        line = Line(timeouts, headers)
        with line.client as client, watched(line.cut, self._limits) as watch:
            try:
                url = self._settings.url.get_secret_value()
                with client.stream("POST", url, content=body, extensions={"trace": line.note}) as got:
                    next(got.iter_raw(_READ_OF_AN_ANSWER), b"")
                    return got.status_code, {name.lower(): value for name, value in got.headers.items()}
            finally:
                watch.raise_if_cut()


def _retry_after(headers: Mapping[str, str]) -> float | None:
    text = headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


# Mail: a message by SMTP.


_SUBMISSION_PORT, _TLS_PORT = 587, 465
_TOLD = 200


class MailReceiver:
    """Mailboxes behind one server."""

    def __init__(self, name: str, settings: Smtp, *, attempt_seconds: float = ATTEMPT_SECONDS) -> None:
        self.name = name
        self._settings = settings
        self._limits = CutOffLimits(attempt_seconds)
        password = settings.password
        self._redactor = Redactor([] if password is None else [password.get_secret_value()])

    def send(self, notice: Notice) -> None:
        """Send one message to all addresses; one that is refused while others are not is a success.

        Raises:
            DeliveryFailed: the server did not take it, or nobody knows whether it did.
        """
        try:
            self._submit(mail_of(notice, self._settings))
        except CutOff:
            told = f"not sent within {self._limits.response_seconds:g} s"
        except (smtplib.SMTPException, OSError, UnicodeError, ValueError) as error:
            told = _told(error)
        else:
            return
        raise DeliveryFailed(printable(self._redactor(told))[:_TOLD])

    def _submit(self, mail: EmailMessage) -> None:
        server = _Server(self._settings, self._limits.response_seconds)
        with watched(server.cut, self._limits) as watch:
            try:
                server.submit(mail)
            finally:
                watch.raise_if_cut()


class _Server:
    """One conversation with a mail server, which another thread can cut."""

    def __init__(self, settings: Smtp, seconds: float) -> None:
        self._settings = settings
        name = socket.gethostname()  # the library would ask the resolver, which may take long
        if settings.tls:
            self._smtp: smtplib.SMTP = smtplib.SMTP_SSL(local_hostname=name, timeout=seconds, context=_context())
        else:
            self._smtp = smtplib.SMTP(local_hostname=name, timeout=seconds)

    def cut(self) -> None:
        """End the conversation."""
        if (connected := self._smtp.sock) is not None:
            cut_socket(connected)

    def submit(self, mail: EmailMessage) -> None:
        """Connect, log in where there is a login, and hand the mail over."""
        settings = self._settings
        # Certificates are checked against this name.
        self._smtp._host = settings.host  # type: ignore[attr-defined]  # noqa: SLF001 - `connect` leaves it empty
        try:
            self._smtp.connect(settings.host, settings.port or (_TLS_PORT if settings.tls else _SUBMISSION_PORT))
            if settings.starttls and not settings.tls:
                self._smtp.starttls(context=_context())
            if settings.user is not None and settings.password is not None:
                self._smtp.login(settings.user, settings.password.get_secret_value())
            self._smtp.send_message(mail, settings.sender, list(settings.to))
            with suppress(OSError):  # it is taken; what the server says to the farewell is not waited for
                self._smtp.putcmd("QUIT")
        finally:
            self._smtp.close()


def mail_of(notice: Notice, settings: Smtp) -> EmailMessage:
    """Return a message as a mail; the end of an alert answers its opening, so that both are one thread."""
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"] = settings.sender, ", ".join(settings.to)
    mail["Subject"] = f"[sim_sync] {notice.title}"
    mail["Date"] = format_datetime(notice.closed_at or notice.opened_at)
    mail["Message-ID"] = f"<{notice.id}@sim-sync.invalid>"
    if notice.alert is not None:
        mail["References"] = f"<alert-{notice.alert}.{notice.opened_at:%Y%m%d%H%M%S%f}@sim-sync.invalid>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(f"{notice.message}\n\nopened: {notice.opened_at:%Y-%m-%d %H:%M:%S} UTC\n")
    return mail


def _context() -> ssl.SSLContext:
    return tls_context() or ssl.create_default_context()


def _told(error: Exception) -> str:
    """Return what a mail server said, or why none was reached."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "the server refused all recipients"
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


# The receivers of a configuration, as what can be sent to.


class Receiver(Protocol):
    """Somebody who can be told something."""

    @property
    def name(self) -> str:
        """What people call it."""

    def send(self, notice: Notice) -> None:
        """Send one message, within a bounded time.

        Raises:
            DeliveryFailed: it was not taken, or nobody knows whether it was.
        """


def receivers_of(settings: Alerts) -> Mapping[str, Receiver]:
    """Return the receivers by their names."""
    return {
        name: WebhookReceiver(name, one) if isinstance(one, Webhook) else MailReceiver(name, one)
        for name, one in settings.named().items()
    }
