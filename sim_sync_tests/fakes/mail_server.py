"""A mail server on loopback: it speaks as much SMTP (RFC 5321) as a client needs to hand a message over."""

import base64
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any


@dataclass
class Received:
    """A message that was handed over, and what was known of its sender then."""

    sender: str
    recipients: list[str]
    mail: EmailMessage
    login: str | None
    is_encrypted: bool


@dataclass
class MailServer:
    """`received` are the messages in their order. `replies` answers a command, by its first word, in another way."""

    tls: ssl.SSLContext | None = None
    is_tls_from_the_start: bool = False
    replies: dict[str, str] = field(default_factory=dict)
    #: What happens before a connection is greeted.
    before_greeting: Callable[[], object] = lambda: None
    received: list[Received] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def serve(self) -> None:
        """Answer one connection after the other, until `stop`."""
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, suppress(OSError, ValueError):
                    self._converse(connection)

    def stop(self) -> None:
        """Listen no longer."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _converse(self, connection: socket.socket) -> None:
        connection.settimeout(30)
        self.before_greeting()
        if self.is_tls_from_the_start and self.tls is not None:
            connection = self.tls.wrap_socket(connection, server_side=True)
        _Conversation(self, connection).run()


class _Conversation:
    def __init__(self, server: MailServer, connection: socket.socket) -> None:
        self._server = server
        self._connection = connection
        self._stream: Any = connection.makefile("rb")
        self._login: str | None = None
        self._sender = ""
        self._recipients: list[str] = []

    def run(self) -> None:
        self._say("220 mail.example ESMTP")
        while line := self._stream.readline().decode().strip():
            word, _, rest = line.partition(" ")
            if word.upper() == "QUIT":
                return
            answer = self._server.replies.get(word.upper())
            if answer is not None:
                self._say(answer)
            else:
                getattr(self, f"_{word.lower()}")(rest)

    def _ehlo(self, _rest: str) -> None:
        is_open = not isinstance(self._connection, ssl.SSLSocket)
        offers = ["STARTTLS"] if self._server.tls is not None and is_open else ["AUTH PLAIN"]
        self._say("\r\n".join(["250-mail.example", *(f"250 {offer}" for offer in offers)]))

    def _starttls(self, _rest: str) -> None:
        self._say("220 go ahead")
        assert self._server.tls is not None
        self._connection = self._server.tls.wrap_socket(self._connection, server_side=True)
        self._stream = self._connection.makefile("rb")

    def _auth(self, rest: str) -> None:
        self._login = base64.b64decode(rest.split()[1]).decode()
        self._say("235 welcome")

    def _mail(self, rest: str) -> None:
        self._sender = rest.partition("<")[2].partition(">")[0]
        self._say("250 fine")

    def _rcpt(self, rest: str) -> None:
        self._recipients.append(rest.partition("<")[2].partition(">")[0])
        self._say("250 fine")

    def _rset(self, _rest: str) -> None:
        self._say("250 fine")

    def _data(self, _rest: str) -> None:
        self._say("354 begin")
        lines = []
        while (line := self._stream.readline()) not in {b".\r\n", b""}:
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        mail = message_from_bytes(b"".join(lines), policy=default)
        assert isinstance(mail, EmailMessage)
        encrypted = isinstance(self._connection, ssl.SSLSocket)
        self._server.received.append(Received(self._sender, self._recipients, mail, self._login, encrypted))
        self._say("250 taken")

    def _say(self, text: str) -> None:
        self._connection.sendall(f"{text}\r\n".encode())


@contextmanager
def mail_server(**options: Any) -> Iterator[MailServer]:
    """Serve for the time of a test."""
    server = MailServer(**options)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(timeout=10)
