"""TLS on real sockets: what a wait does not cure fails the carrier and says what to do; a broken handshake may pass."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sim_sync.carriers.http import CutOffLimits, HttpClient
from sim_sync.carriers.messages import Request
from sim_sync.carriers.secrets import Redactor
from sim_sync.carriers.settings import Timeouts
from sim_sync.carriers.tls import lasting_tls_failure, tls_context, unknown_name
from sim_sync.core.errors import CarrierUnavailable, ConfigError, InsecureConnection, SimSyncError, StopRequested
from sim_sync_tests.fakes.certificates import Certificates
from sim_sync_tests.fakes.raw_server import in_turn, reply, serving

SECRET = "tok-3n-s3cret"


def client(url: str, limits: CutOffLimits | None = None, *, connect_seconds: float = 30) -> HttpClient:
    timeouts = Timeouts(connect_seconds=connect_seconds, read_seconds=30)
    return HttpClient("acme", url, timeouts, Redactor([SECRET]), limits=limits)


def failure(url: str, kind: type[SimSyncError]) -> str:
    with pytest.raises(kind) as caught:
        client(url).fetch(Request(path="/v1/sims"), {"Authorization": f"Bearer {SECRET}"})
    assert caught.value.__context__ is None
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_an_issuer_that_the_environment_names_is_trusted(trusted: Certificates) -> None:
    with serving(in_turn(reply(200, {"sims": []})), trusted.server(trusted.good)) as server:
        assert client(server.url).fetch(Request(path="/v1/sims"), {}).body == {"sims": []}


def test_an_issuer_that_nobody_knows_is_a_permanent_error_that_says_what_to_do(certificates: Certificates) -> None:
    with serving(in_turn(reply(200, {})), certificates.server(certificates.good)) as server:
        told = failure(server.url, InsecureConnection)
    assert f"carrier acme: GET {server.url}/v1/sims: no secure connection: the certificate is not trusted" in told
    assert "SSL_CERT_FILE, in the environment of Dagster, too" in told
    assert server.received == []


def test_a_certificate_that_is_over_or_of_another_host_is_permanent_too(trusted: Certificates) -> None:
    with serving(in_turn(reply(200, {})), trusted.server(trusted.expired)) as server:
        assert "(certificate has expired): whoever runs the server has to renew it" in failure(
            server.url, InsecureConnection
        )
    with serving(in_turn(reply(200, {})), trusted.server(trusted.of_another_host)) as server:
        assert "check `base_url`: it was issued for another host" in failure(server.url, InsecureConnection)


def test_a_server_that_asks_for_a_certificate_of_ours_is_permanent(trusted: Certificates) -> None:
    context = trusted.server(trusted.good)
    context.load_verify_locations(trusted.issuer)
    context.verify_mode = ssl.CERT_REQUIRED
    with serving(in_turn(reply(200, {})), context) as server:
        assert "asks for a certificate of the client" in failure(server.url, InsecureConnection)


def test_a_server_without_a_cipher_in_common_is_permanent(trusted: Certificates) -> None:
    context = trusted.server(trusted.good)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA")
    with serving(in_turn(reply(200, {})), context) as server:
        assert "no TLS version or cipher in common" in failure(server.url, InsecureConnection)


def test_a_port_that_speaks_no_tls_is_permanent() -> None:
    with _answering_a_handshake(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        assert "this port does not speak TLS: check `base_url`" in failure(url, InsecureConnection)


@pytest.mark.parametrize("response", [b"", b"\x15\x03\x03\x00\x02\x02\x50"], ids=["nothing", "alert: internal error"])
def test_a_handshake_that_breaks_off_may_pass(response: bytes) -> None:
    with _answering_a_handshake(response) as url:
        failure(url, CarrierUnavailable)


@contextmanager
def _answering_a_handshake(response: bytes) -> Iterator[str]:
    """Answer the first message of a TLS handshake with some bytes, and close."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(response)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(timeout=30)


def test_a_stop_cuts_what_drips_in_over_tls(trusted: Certificates) -> None:
    def drip(connection: socket.socket) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while server.pause(0.02):
            connection.sendall(b" ")
        return False

    limits = CutOffLimits(3600, grace_seconds=0.1, is_stopped=lambda: True)
    with serving(in_turn(drip), trusted.server(trusted.good)) as server:
        sender = client(server.url, limits)
        with pytest.raises(StopRequested):
            sender.fetch(Request(path="/v1/sims"), {})


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_cannot_be_read_are_a_problem_of_the_environment(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "issuers.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError) as caught:
        tls_context({"SSL_CERT_FILE": str(file)})
    assert "environment: SSL_CERT_FILE: expected certificates in PEM form that can be read, found" in str(caught.value)


def test_without_a_word_in_the_environment_the_hosts_own_certificates_count() -> None:
    assert tls_context({}) is None
    assert tls_context({"SSL_CERT_FILE": ""}) is None


@pytest.mark.parametrize(
    ("reason", "is_permanent"),
    [
        ("TLSV1_ALERT_PROTOCOL_VERSION", True),
        ("UNSUPPORTED_PROTOCOL", True),
        ("DH_KEY_TOO_SMALL", True),
        ("TLSV1_ALERT_UNKNOWN_CA", True),
        ("TLSV1_UNRECOGNIZED_NAME", True),
        ("UNEXPECTED_EOF_WHILE_READING", False),
        ("TLSV1_ALERT_INTERNAL_ERROR", False),
        ("DECRYPTION_FAILED_OR_BAD_RECORD_MAC", False),
        (None, False),
    ],
)
def test_a_reason_of_openssl_is_permanent_or_may_pass(reason: str | None, is_permanent: bool) -> None:
    failed = ssl.SSLError(1, "failed")
    failed.reason = reason  # type: ignore[assignment]  # as OpenSSL leaves it
    wrapped = OSError("wrapped")
    wrapped.__cause__ = failed
    assert (lasting_tls_failure(wrapped) is not None) is is_permanent


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "knows no such name: check `base_url`"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), "does not answer at the moment"),
        (ConnectionRefusedError(111, "refused"), "None"),
    ],
)
def test_a_name_that_leads_nowhere_is_told_apart_from_a_dns_that_is_away(error: OSError, told: str) -> None:
    assert told in str(unknown_name(error))


def test_a_name_that_does_not_exist_may_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_name: object, **_wish: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    told = failure("https://no-such-host.invalid", CarrierUnavailable)
    assert "knows no such name: check `base_url`, and the network (Name or service not known)" in told
