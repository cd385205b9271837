"""Sends a message by mail. The only module that opens a connection to a mail server."""

import smtplib
import socket
import ssl
from contextlib import suppress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from sim_sync.alerts.notices import Notice
from sim_sync.alerts.webhook import ATTEMPT_SECONDS
from sim_sync.carriers.http import CutOff, CutOffLimits, cut_socket, watched
from sim_sync.carriers.secrets import Redactor
from sim_sync.carriers.tls import tls_context
from sim_sync.config.alerts import Smtp
from sim_sync.core.errors import DeliveryFailed
from sim_sync.core.text import printable

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
