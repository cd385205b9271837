"""Webhooks and mail on real sockets: what a receiver gets, and what becomes of a message that it does not take."""

import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sim_sync.alerts.notices import Notice, generic_body, trial_notice
from sim_sync.alerts.receivers import MailReceiver, WebhookReceiver, signature
from sim_sync.config.alerts import Smtp, Webhook
from sim_sync.core.errors import DeliveryFailed
from sim_sync_tests.docs.documents import PROJECT, code_blocks
from sim_sync_tests.fakes.certificates import Certificates
from sim_sync_tests.fakes.clock import START
from sim_sync_tests.fakes.mail_server import mail_server
from sim_sync_tests.fakes.raw_server import RawServer, reply, serving

SECRET = "a-s3cret-that-signs"
PASSWORD = "pa55-w0rd-of-mail"
OPENING = Notice(
    id="6f0b7f2b4f7c0d3c5c2f2ddc8f0f9a11",
    event="opened",
    alert=12,
    kind="session_failed",
    carrier="acme",
    message="acme: session failed after page 7: HTTP 401 <!channel> & ü",
    opened_at=START,
)
END = Notice(
    id="another", event="closed", alert=12, kind="session_failed", carrier="acme", message="acme: over",
    opened_at=START, closed_at=START + timedelta(hours=2),
)  # fmt: skip


@pytest.fixture
def taking() -> Iterator[RawServer]:
    """A server that takes everything."""
    with serving(lambda _request: reply(200, raw=b"ok")) as server:
        yield server


def a_webhook(url: str, *, attempt_seconds: float = 30, **settings: Any) -> WebhookReceiver:
    values = {"url": f"{url}/s3cr3t-path", **settings}
    return WebhookReceiver("ops", Webhook(**values), clock=lambda: 1_767_225_600.4, attempt_seconds=attempt_seconds)


def a_mailbox(port: int, *, attempt_seconds: float = 30, **settings: Any) -> MailReceiver:
    values: dict[str, Any] = {"host": "127.0.0.1", "port": port, "from": "sims@example.com", "to": "oncall@example.com"}
    return MailReceiver("mail", Smtp(**values | settings), attempt_seconds=attempt_seconds)


def failure(receiver: WebhookReceiver | MailReceiver) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as caught:
        receiver.send(OPENING)
    for secret in ("s3cr3t-path", SECRET, PASSWORD):
        assert secret not in str(caught.value)
    assert caught.value.__context__ is None or "s3cr3t" not in str(caught.value.__context__)
    return caught.value


# --- webhooks --------------------------------------------------------------------------------------------------------


def test_a_webhook_gets_an_object_of_json(taking: RawServer) -> None:
    a_webhook(taking.url).send(OPENING)
    a_webhook(taking.url).send(END)
    opening, end = taking.received
    assert (opening.method, opening.path, opening.headers["content-type"]) == (
        "POST",
        "/s3cr3t-path",
        "application/json",
    )
    assert opening.json() == {
        "version": 1,
        "id": OPENING.id,
        "event": "opened",
        "alert": 12,
        "kind": "session_failed",
        "carrier": "acme",
        "title": "acme: session failed",
        "message": OPENING.message,
        "opened_at": "2026-03-02T02:00:00+00:00",
        "closed_at": None,
    }
    assert opening.headers["idempotency-key"] == OPENING.id
    assert end.json()["title"] == "acme: session failed is over"
    assert end.json()["closed_at"] == "2026-03-02T04:00:00+00:00"


def test_without_a_secret_nothing_is_signed(taking: RawServer) -> None:
    a_webhook(taking.url).send(OPENING)
    assert not [name for name in taking.received[0].headers if name.startswith("x-sim-sync")]


def test_the_documented_check_takes_our_signature_and_no_other(taking: RawServer) -> None:
    a_webhook(taking.url, secret=SECRET).send(OPENING)
    (request,) = taking.received
    (check,) = code_blocks(PROJECT / "docs" / "alerting.md", "python")
    known: dict[str, Any] = {}
    exec(check, known)  # noqa: S102 - what the page tells people to run
    known["time"] = type("Clock", (), {"time": staticmethod(lambda: 1_767_225_700.0)})
    headers = {
        "X-Sim-Sync-" + name: request.headers[f"x-sim-sync-{name.lower()}"] for name in ("Timestamp", "Signature")
    }
    assert known["is_ours"](SECRET, headers, request.body)
    assert not known["is_ours"](SECRET, headers, request.body + b" ")
    assert not known["is_ours"]("another-secret", headers, request.body)
    assert not known["is_ours"](SECRET, headers | {"X-Sim-Sync-Timestamp": "1767225601"}, request.body)
    known["time"] = type("Clock", (), {"time": staticmethod(lambda: 1_767_226_000.0)})
    assert not known["is_ours"](SECRET, headers, request.body)


def test_a_signature_is_the_hmac_of_timestamp_full_stop_and_body() -> None:
    """Computed by `printf '1767225600.{}' | openssl dgst -sha256 -hmac a-s3cret-that-signs`."""
    assert (
        signature(SECRET, "1767225600", b"{}") == "v1=649093655df7fb73922148d58f212ee222807dad00cbb7ee0b3d68131d52548b"
    )


def test_slack_gets_text_in_which_a_carrier_cannot_write_markup(taking: RawServer) -> None:
    a_webhook(taking.url, format="slack").send(OPENING)
    (request,) = taking.received
    assert request.json() == {
        "text": ":red_circle: *acme: session failed*\n"
        "acme: session failed after page 7: HTTP 401 &lt;!channel&gt; &amp; ü"
    }


def test_a_test_says_that_it_is_one(taking: RawServer) -> None:
    for form in ("generic", "slack"):
        a_webhook(taking.url, format=form).send(trial_notice("ops", START))
    generic, slack = taking.received
    assert (generic.json()["event"], generic.json()["carrier"]) == ("test", None)
    assert "Nothing has happened" in slack.json()["text"]


@pytest.mark.parametrize("status", [400, 404, 410, 500, 503])
def test_a_status_that_is_no_success_is_told(status: int) -> None:
    with serving(lambda _request: reply(status, raw=b"s3cr3t-path")) as server:
        assert str(failure(a_webhook(server.url))) == f"HTTP {status}"


def test_a_redirect_is_not_followed(taking: RawServer) -> None:
    with serving(lambda _request: reply(302, headers={"Location": f"{taking.url}/elsewhere"})) as server:
        assert "redirects are not followed" in str(failure(a_webhook(server.url)))
    assert taking.received == []


def test_a_wait_that_a_webhook_names_is_passed_on() -> None:
    with serving(lambda _request: reply(429, headers={"Retry-After": "30"})) as server:
        assert failure(a_webhook(server.url)).retry_after_seconds == 30


def test_a_port_without_a_server_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert "refused" in str(failure(a_webhook(f"http://127.0.0.1:{port}")))


def test_an_answer_that_drips_in_is_cut_off() -> None:
    def drip(connection: socket.socket) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while server.pause(0.02):
            connection.sendall(b"X-More: and more\r\n")
        return False

    with serving(lambda _request: drip) as server:
        assert str(failure(a_webhook(server.url, attempt_seconds=0.5))) == "no whole answer within 0.5 s"


def test_a_webhook_over_tls_proves_who_it_is(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda _request: reply(200), certificates.server(certificates.good)) as server:
        assert "CERTIFICATE_VERIFY_FAILED" in str(failure(a_webhook(server.url)))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.issuer))
        a_webhook(server.url).send(OPENING)
    assert len(server.received) == 1


def test_nothing_of_a_receiver_is_in_its_printed_form() -> None:
    settings = Webhook(url="https://hooks.example/s3cr3t-path", secret=SECRET)
    mail = Smtp(host="mail", user="u", password=PASSWORD, to="a@b.c", **{"from": "a@b.c"})
    for printed in (repr(settings), str(settings), repr(mail), repr(WebhookReceiver("a", settings))):
        assert not re.search(f"s3cr3t-path|{SECRET}|{PASSWORD}", printed)


# --- mail ------------------------------------------------------------------------------------------------------------


def test_a_mail_says_what_happened_and_is_one_thread_with_its_end() -> None:
    with mail_server() as server:
        receiver = a_mailbox(server.port, starttls=False, to=["a@example.com", "b@example.com"])
        receiver.send(OPENING)
        receiver.send(END)
    opening, end = (received.mail for received in server.received)
    assert server.received[0].recipients == ["a@example.com", "b@example.com"]
    assert server.received[0].sender == "sims@example.com"
    assert opening["Subject"] == "[sim_sync] acme: session failed"
    assert opening["Message-ID"] == f"<{OPENING.id}@sim-sync.invalid>"
    assert opening["Auto-Submitted"] == "auto-generated"
    assert OPENING.message in opening.get_content()
    assert opening["References"] == end["References"]
    assert end["Subject"] == "[sim_sync] acme: session failed is over"


def test_a_password_goes_over_starttls_or_tls_alone(trusted: Certificates) -> None:
    context = trusted.server(trusted.good)
    with mail_server(tls=context) as server:
        a_mailbox(server.port, user="sims", password=PASSWORD).send(OPENING)
    with mail_server(tls=context, is_tls_from_the_start=True) as other:
        a_mailbox(other.port, tls=True, user="sims", password=PASSWORD).send(OPENING)
    for received in (*server.received, *other.received):
        assert (received.login, received.is_encrypted) == (f"\0sims\0{PASSWORD}", True)
    assert len(server.received) == len(other.received) == 1


def test_a_server_without_starttls_gets_nothing() -> None:
    with mail_server() as server:
        assert "STARTTLS" in str(failure(a_mailbox(server.port)))
    assert server.received == []


def test_a_mail_server_that_does_not_prove_who_it_is_gets_nothing(certificates: Certificates) -> None:
    with mail_server(tls=certificates.server(certificates.of_another_host)) as server:
        assert "CERTIFICATE_VERIFY_FAILED" in str(failure(a_mailbox(server.port, user="u", password=PASSWORD)))
    assert server.received == []


@pytest.mark.parametrize(
    ("replies", "told"),
    [
        ({"AUTH": f"535 not {PASSWORD}"}, "535"),
        ({"MAIL": "451 later"}, "451"),
        ({"RCPT": "550 nobody"}, "refused all recipients"),
        ({"DATA": "554 no"}, "554"),
    ],
)
def test_a_refusal_of_a_mail_server_is_told_without_a_secret(replies: dict[str, str], told: str) -> None:
    with mail_server(replies=replies) as server:
        assert told in str(failure(a_mailbox(server.port, starttls=False, user="u", password=PASSWORD)))


def test_a_mail_server_that_says_nothing_is_cut_off() -> None:
    silence = threading.Event()
    with mail_server(before_greeting=lambda: silence.wait(60)) as server:
        assert str(failure(a_mailbox(server.port, starttls=False, attempt_seconds=0.5)))
        silence.set()


def test_a_carrier_cannot_write_a_header_of_a_mail() -> None:
    with mail_server() as server:
        a_mailbox(server.port, starttls=False).send(replace(OPENING, message="x\r\n.\r\nRCPT TO:<evil@example.com>"))
    (received,) = server.received
    assert received.recipients == ["oncall@example.com"]


def test_the_examples_of_the_page_are_as_the_program_writes_them() -> None:
    (example,) = code_blocks(PROJECT / "docs" / "alerting.md", "json")
    assert re.findall(r'"(\w+)": ', example) == re.findall(r'"(\w+)": ', generic_body(OPENING).decode())
