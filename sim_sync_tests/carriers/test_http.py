"""What happens on the wire, on real sockets: every wait is bounded, and no request leaves its origin."""

import gzip
import json
import socket
import traceback
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from sim_sync.carriers.http import CutOffLimits, HttpClient
from sim_sync.carriers.messages import Request
from sim_sync.carriers.pagination.links import origin_of
from sim_sync.carriers.secrets import Redactor
from sim_sync.carriers.settings import LinkRule, Timeouts
from sim_sync.core.errors import (
    AuthenticationFailed,
    CarrierUnavailable,
    ForeignOrigin,
    SimSyncError,
    StopRequested,
    UnexpectedResponse,
)
from sim_sync.core.sync import StopReason
from sim_sync.worker.stopping import StopSignal
from sim_sync_tests.fakes.raw_server import Play, RawServer, Script, in_turn, reply, serving

ASK = Request(path="/v1/sims", params={"limit": "2"})
CREDENTIALS = {"Authorization": "Bearer tok-3n-s3cret"}
SECRET = "tok-3n-s3cret"
TIMEOUTS = Timeouts(connect_seconds=30, read_seconds=30)


def client(base_url: str) -> HttpClient:
    return HttpClient("acme", base_url, TIMEOUTS, Redactor([SECRET]))


def failure(script: Script, kind: type[SimSyncError], *, call: Request = ASK) -> str:
    """Return the text of the error that a script's answer leads to, with all that hangs on it."""
    with serving(script) as server, pytest.raises(kind) as caught:
        client(server.url).fetch(call, CREDENTIALS)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    text = "".join(traceback.format_exception(caught.value))
    assert SECRET not in text
    return str(caught.value)


def test_a_request_carries_its_parameters_headers_and_credentials_and_says_who_asks() -> None:
    call = Request(path="/v1/sims", params={"page[number]": "1", "q": "a b&c"}, headers={"X-Kind": "list"})
    with serving(in_turn(reply(200, {"sims": []}))) as server:
        response = client(server.url).fetch(call, CREDENTIALS)
    (received,) = server.received
    assert (received.method, received.path) == ("GET", "/v1/sims")
    assert received.query == {"page[number]": ["1"], "q": ["a b&c"]}
    assert received.headers["x-kind"] == "list"
    assert received.headers["authorization"] == CREDENTIALS["Authorization"]
    assert received.headers["user-agent"].startswith("sim_sync/")
    assert (response.status, response.body) == (200, {"sims": []})


def test_a_query_in_the_path_is_sent_as_it_stands() -> None:
    with serving(in_turn(reply(200, {}))) as server:
        client(server.url).fetch(Request(path="/v1/sims?PageToken=a%2Fb%3D%3D&Page=1"), {})
    assert server.received[0].target == "/v1/sims?PageToken=a%2Fb%3D%3D&Page=1"


@pytest.mark.parametrize(
    ("call", "content_type", "body"),
    [
        (Request(method="POST", path="/l", body={"a": 1}), "application/json", b'{"a":1}'),
        (
            Request(method="POST", path="/l", form={"a": "1", "b": "x y"}),
            "application/x-www-form-urlencoded",
            b"a=1&b=x+y",
        ),
    ],
)
def test_a_body_is_sent_as_json_or_as_a_form(call: Request, content_type: str, body: bytes) -> None:
    with serving(in_turn(reply(200, {}))) as server:
        client(server.url).fetch(call, {})
    assert server.received[0].headers["content-type"] == content_type
    assert server.received[0].body == body


def test_whole_numbers_keep_every_digit() -> None:
    raw = b'{"iccid": 89883070000123456789, "usage": 1.5, "id": 123.0}'
    with serving(in_turn(reply(raw=raw))) as server:
        body = client(server.url).fetch(ASK, {}).body
    assert body == {"iccid": "89883070000123456789", "usage": 1.5, "id": 123.0}
    assert isinstance(body["id"], float)


@pytest.mark.parametrize("status", [200, 202, 429, 500, 404])
def test_an_answer_comes_back_whatever_its_status(status: int) -> None:
    with serving(in_turn(reply(status, {"message": "x"}, {"Retry-After": "7"}))) as server:
        response = client(server.url).fetch(ASK, {})
    assert (response.status, response.body, response.headers["retry-after"]) == (status, {"message": "x"}, "7")


@pytest.mark.parametrize("status", [204, 205])
def test_a_status_without_a_body_has_none(status: int) -> None:
    end = "" if status == 204 else "Content-Length: 0\r\n"
    with serving(in_turn(f"HTTP/1.1 {status} Nothing\r\n{end}\r\n".encode())) as server:
        assert client(server.url).fetch(ASK, {}).body is None


def test_a_connection_is_kept_for_the_next_request() -> None:
    connections = set()

    def script(_request: object) -> object:
        def play(connection: socket.socket) -> bool:
            connections.add(connection.getpeername())
            connection.sendall(reply(200, {}))
            return True

        return play

    with serving(script) as server:  # type: ignore[arg-type]
        sender = client(server.url)
        for _ in range(5):
            sender.fetch(ASK, {})
    assert len(connections) == 1


def test_a_cookie_is_not_sent_back() -> None:
    with serving(in_turn(reply(200, {}, {"Set-Cookie": "session=abc; Path=/"}))) as server:
        sender = client(server.url)
        sender.fetch(ASK, {})
        sender.fetch(ASK, {})
    assert "cookie" not in server.received[1].headers


def test_the_environment_adds_no_proxy_and_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with serving(in_turn(reply(200, {}))) as server:
        client(server.url).fetch(ASK, {})
    assert "authorization" not in server.received[0].headers


# What is no whole answer is tried again by the caller


def _cut_off(connection: socket.socket) -> bool:
    connection.sendall(reply(200, {"sims": ["x" * 5000]})[:-100])
    return False


def _reset(connection: socket.socket) -> bool:
    # Linger 0: closing sends RST.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    return False


def _nothing(connection: socket.socket) -> bool:
    return False


def _no_http(connection: socket.socket) -> bool:
    connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    return False


@pytest.mark.parametrize("play", [_cut_off, _reset, _nothing, _no_http])
def test_an_answer_that_breaks_off_is_no_answer(play: object) -> None:
    assert "carrier acme: GET http://127.0.0.1" in failure(lambda _: play, CarrierUnavailable)  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html>Please log in</html>",
        b'{"sims": [',
        b'{"name": "\xe2\x82',
        b"[" * 200_000,
    ],
    ids=["empty", "html", "cut", "cut in a letter", "deep"],
)
def test_a_success_without_whole_json_is_no_answer(raw: bytes) -> None:
    assert "HTTP 200, but the answer is" in failure(in_turn(reply(raw=raw)), CarrierUnavailable)


@pytest.mark.parametrize(
    ("raw", "content_type", "told"),
    [
        (b"{}", "application/json; charset=klingon", "is in the charset 'klingon', which is not known; expected UTF-8"),
        (b"{}", "application/json; charset=rot13", "is in the charset 'rot13', which is not known; expected UTF-8"),
        (b'{"id": 1}\n{"id": 2}\n', "application/x-ndjson", "is several JSON documents one after another"),
    ],
)
def test_a_success_that_no_waiting_makes_readable_is_no_outage(raw: bytes, content_type: str, told: str) -> None:
    responses = in_turn(reply(raw=raw, headers={"Content-Type": content_type}))
    assert told in failure(responses, UnexpectedResponse)


def test_an_error_page_of_a_gateway_is_shown_short_and_without_secrets() -> None:
    raw = f"<html>{' ' * 300}{'x' * 150} {SECRET} {'y' * 300}</html>".encode()
    with serving(in_turn(reply(502, raw=raw))) as server:
        sender = client(server.url)
        told = sender.told(ASK, sender.fetch(ASK, CREDENTIALS))
    assert "HTTP 502 (<html> xxx" in told
    assert SECRET not in told
    assert SECRET[:6] not in told
    assert len(told) < 400


def test_a_secret_is_not_shown_in_half_where_a_message_is_cut_off() -> None:
    bodies = [f"<{'x' * length}{SECRET}>".encode() for length in range(180, 201)]
    with serving(in_turn(*[reply(502, raw=body) for body in bodies])) as server:
        sender = client(server.url)
        for _ in bodies:
            told = sender.told(ASK, sender.fetch(ASK, CREDENTIALS))
            assert SECRET[:3] not in told


@pytest.mark.parametrize("raw", [b'{"m": "a\\u0000b\\ud800c\\u001bd"}', b"a\x00b\xff\x1bc"])
def test_a_message_holds_only_what_can_be_stored_and_printed(raw: bytes) -> None:
    with serving(in_turn(reply(500, raw=raw))) as server:
        sender = client(server.url)
        told = sender.told(ASK, sender.fetch(ASK, CREDENTIALS))
    assert told.isprintable()
    assert "b\ufffd" in told


def test_a_carrier_that_falls_silent_is_left_after_the_read_timeout() -> None:
    def silent(_request: object) -> object:
        return lambda _connection: server.pause(30)

    with serving(silent) as server, pytest.raises(CarrierUnavailable, match="ReadTimeout"):  # type: ignore[arg-type]
        HttpClient("acme", server.url, Timeouts(read_seconds=0.2), Redactor()).fetch(ASK, CREDENTIALS)


DRIPS = pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[",
    ],
    ids=["body", "header", "chunk", "body without an end"],
)


def dripping(head: bytes, server: list[RawServer]) -> Play:
    """Send the start of an answer, and then spaces without an end, one after the other."""

    def drip(connection: socket.socket) -> bool:
        connection.sendall(head)
        while server[0].pause(0.02):
            connection.sendall(b" ")
        return False

    return drip


@contextmanager
def dripping_after(answers_before: int, head: bytes) -> Iterator[RawServer]:
    """Serve whole answers first, and then one that drips in."""
    servers: list[RawServer] = []
    with serving(in_turn(*[reply(200, {})] * answers_before, dripping(head, servers))) as server:
        servers.append(server)
        yield server


@DRIPS
@pytest.mark.parametrize("answers_before", [0, 1], ids=["new connection", "kept connection"])
def test_a_carrier_that_drips_is_cut_off(head: bytes, answers_before: int) -> None:
    with dripping_after(answers_before, head) as server:
        sender = HttpClient("acme", server.url, TIMEOUTS, Redactor(), limits=CutOffLimits(1))
        for _ in range(answers_before):
            sender.fetch(ASK, CREDENTIALS)
        with pytest.raises(CarrierUnavailable, match="not whole after 1 s"):
            sender.fetch(ASK, CREDENTIALS)


@DRIPS
@pytest.mark.parametrize("answers_before", [0, 1], ids=["new connection", "kept connection"])
def test_a_stop_cuts_what_is_on_the_wire(head: bytes, answers_before: int) -> None:
    stop = StopSignal()
    with dripping_after(answers_before, head) as server:
        limits = CutOffLimits(3600, grace_seconds=0.1, is_stopped=stop.is_stopped)
        sender = HttpClient("acme", server.url, TIMEOUTS, Redactor(), limits=limits)
        for _ in range(answers_before):
            sender.fetch(ASK, CREDENTIALS)
        stop.request(StopReason.SHUTDOWN)
        with pytest.raises(StopRequested, match="was cut off to stop the sync"):
            sender.fetch(ASK, CREDENTIALS)


def test_an_answer_that_is_only_slow_to_start_is_cut_by_a_stop_too() -> None:
    def silent(_request: object) -> object:
        return lambda _connection: server.pause(3600)

    limits = CutOffLimits(3600, grace_seconds=0.1, is_stopped=lambda: True)
    with serving(silent) as server:  # type: ignore[arg-type]
        sender = HttpClient("acme", server.url, TIMEOUTS, Redactor(), limits=limits)
        with pytest.raises(StopRequested):
            sender.fetch(ASK, CREDENTIALS)


def test_an_answer_that_comes_soon_after_a_stop_is_taken() -> None:
    with serving(in_turn(reply(200, {"sims": [1]}))) as server:
        limits = CutOffLimits(3600, grace_seconds=3600, is_stopped=lambda: True)
        assert HttpClient("acme", server.url, TIMEOUTS, Redactor(), limits=limits).fetch(ASK, {}).status == 200


def test_nobody_listening_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(CarrierUnavailable, match="carrier acme: GET http://127"):
        client(f"http://127.0.0.1:{port}").fetch(ASK, CREDENTIALS)


# What unpacks or grows without a bound is refused


def _bomb(megabytes: int) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    parts = [packer.compress(b" " * (1024 * 1024)) for _ in range(megabytes)]
    return b"".join([*parts, packer.flush()])


def test_a_packed_answer_is_unpacked() -> None:
    raw = gzip.compress(json.dumps({"sims": [1]}).encode())
    with serving(in_turn(reply(raw=raw, headers={"Content-Encoding": "gzip"}))) as server:
        assert client(server.url).fetch(ASK, {}).body == {"sims": [1]}
    assert server.received[0].headers["accept-encoding"] == "gzip, deflate"


def test_an_answer_that_unpacks_to_more_than_any_page_is_refused() -> None:
    bomb = reply(raw=_bomb(80), headers={"Content-Encoding": "gzip"})
    assert len(bomb) < 1024 * 1024
    assert "larger than 67,108,864 bytes" in failure(in_turn(bomb), UnexpectedResponse)


def test_a_stream_without_end_is_refused() -> None:
    def endless(connection: socket.socket) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(200):
            connection.sendall(b"100000\r\n" + b" " * 0x100000 + b"\r\n")
        return False

    assert "larger than" in failure(lambda _: endless, UnexpectedResponse)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip"])
def test_an_encoding_that_was_not_asked_for_is_refused(encoding: str) -> None:
    response = reply(raw=b"whatever", headers={"Content-Encoding": encoding})
    assert "encoding" in failure(in_turn(response), UnexpectedResponse)


def test_a_broken_packing_is_no_answer() -> None:
    failure(in_turn(reply(raw=b"no gzip", headers={"Content-Encoding": "gzip"})), CarrierUnavailable)


# Origins


@pytest.fixture
def elsewhere() -> Iterator[RawServer]:
    """A second origin, which must not be asked."""
    with serving(in_turn(reply(200, {}))) as server:
        yield server
        assert server.received == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_origin_gets_no_request(status: int, elsewhere: RawServer) -> None:
    told = failure(in_turn(reply(status, headers={"Location": f"{elsewhere.url}/v1/sims?x=1"})), ForeignOrigin)
    assert f"leads to '{origin_of(elsewhere.url)}'" in told
    assert "no request and no credentials were sent there" in told


def test_a_redirect_within_the_origin_is_told() -> None:
    told = failure(in_turn(reply(308, headers={"Location": "/v1/sims/?token=abcdef"})), UnexpectedResponse)
    assert "HTTP 308, a redirect to '/v1/sims/'" in told
    assert "check `base_url` of acme" in told


def test_a_redirect_is_not_followed_even_without_a_place_to_go() -> None:
    failure(in_turn(reply(302)), UnexpectedResponse)


@pytest.mark.parametrize(
    "path", ["@127.0.0.1:9/x", "//127.0.0.1:9/x", "http://127.0.0.1:9/x", ".evil.example/x", "x", ""]
)
def test_a_path_cannot_lead_away(path: str) -> None:
    with serving(in_turn(reply(200, {}))) as server:
        if path.startswith("/"):
            client(server.url).fetch(Request(path=path), CREDENTIALS)
            assert server.received[0].target == path
        else:
            with pytest.raises(ForeignOrigin):
                client(server.url).fetch(Request(path=path), CREDENTIALS)
            assert server.received == []


BASE = "https://api.acme.example/rest"


@pytest.mark.parametrize(
    ("link", "path"),
    [
        ("https://api.acme.example/rest/v1/sims?page=2", "/v1/sims?page=2"),
        ("https://API.acme.example:443/rest/v1/sims", "/v1/sims"),
        ("/rest/v1/sims?a=b%2Fc", "/v1/sims?a=b%2Fc"),
        ("?page=3", "/v1/sims?page=3"),
        ("https://api.acme.example/rest//v1/sims?x=1", "//v1/sims?x=1"),
        ("https://api.acme.example/rest/v1/sims?page=2#part", "/v1/sims?page=2"),
        ("http://api.acme.example/rest/v1/sims?page=2", "/v1/sims?page=2"),
        ("http://API.acme.example:80/rest/v1/sims?page=2", "/v1/sims?page=2"),
        ("http://api.acme.example:443/rest/v1/sims?page=2", "/v1/sims?page=2"),
    ],
)
def test_a_link_of_the_origin_becomes_path_and_query(link: str, path: str) -> None:
    assert client(BASE).path_of(ASK, link) == path


@pytest.mark.parametrize(
    "link",
    [
        "http://api.acme.example:8080/rest/v1/sims",
        "http://name@api.acme.example/rest/v1/sims",
        "http://api.acme.example.evil.example/rest/v1/sims",
        "http:///rest/v1/sims",
        "https://api.acme.example:8443/rest/v1/sims",
        "https://api.acme.example.evil.example/rest/v1/sims",
        "https://api.acme.example@evil.example/rest/v1/sims",
        "//evil.example/rest/v1/sims",
        "https://name@api.acme.example/rest/v1/sims",
        "https://evil.example\\@api.acme.example/rest/v1/sims",
        "https://api.acme.example:port/rest/v1/sims",
        "ftp://api.acme.example/rest/v1/sims",
        "javascript:alert(1)",
    ],
)
def test_a_link_to_another_origin_is_refused(link: str) -> None:
    with pytest.raises(ForeignOrigin, match="no request and no credentials were sent there"):
        client(BASE).path_of(ASK, link)


@pytest.mark.parametrize(
    ("base_url", "link"),
    [
        ("https://api.acme.example:8443/rest", "http://api.acme.example:8443/rest/v1/sims"),
        ("http://127.0.0.1:8585/rest", "https://127.0.0.1:8585/rest/v1/sims"),
        ("http://localhost/rest", "https://localhost/rest/v1/sims"),
    ],
)
def test_a_link_that_has_only_the_scheme_of_the_proxys_other_side_is_no_foreign_one(base_url: str, link: str) -> None:
    assert client(base_url).path_of(ASK, link) == "/v1/sims"


def test_a_foreign_link_names_the_key_that_takes_its_path_alone() -> None:
    with pytest.raises(ForeignOrigin, match="`links: path_only`"):
        client(BASE).path_of(ASK, "http://sims.internal/rest/v1/sims")


@pytest.mark.parametrize(
    ("link", "path"),
    [
        ("http://api.acme.example/rest/v1/sims?page=2", "/v1/sims?page=2"),
        ("http://sims.internal:8080/rest/v1/sims?page=2", "/v1/sims?page=2"),
        ("http://sims.internal:8080/v1/sims?page=2", "/v1/sims?page=2"),
        ("//sims.internal/v1/sims?a=b%2Fc#part", "/v1/sims?a=b%2Fc"),
        ("http://me:secret@10.0.0.7/v1/sims?page=2", "/v1/sims?page=2"),
        ("http://10.0.0.7//evil.example/x?page=2", "//evil.example/x?page=2"),
        ("?page=3", "/v1/sims?page=3"),
    ],
)
def test_behind_a_proxy_path_and_query_of_a_link_are_taken_alone_where_that_is_asked_for(link: str, path: str) -> None:
    assert client(BASE).path_of(ASK, link, LinkRule.PATH_ONLY) == path


def test_a_foreign_link_is_told_so_that_any_database_can_keep_it() -> None:
    with pytest.raises(ForeignOrigin) as caught:
        client(BASE).path_of(ASK, "https://ev\ud800il\x00.example/rest")
    assert str(caught.value).isprintable()


def test_a_link_out_of_the_base_path_is_refused_instead_of_asked_for_somewhere_else() -> None:
    with pytest.raises(UnexpectedResponse, match=r"out of '/rest': give a shorter `base_url`"):
        client(BASE).path_of(ASK, "https://api.acme.example/v2/sims?page=2")


def test_a_link_that_is_none_is_refused() -> None:
    with pytest.raises(UnexpectedResponse, match="not a URL"):
        client(BASE).path_of(ASK, "https://[half/")


# Credentials that no header can carry


@pytest.mark.parametrize(
    "value", ["Bearer abc\n", "Bearer a\r\nX-Evil: 1", "Bearer ключ", " Bearer abc", "Bearer\x00abc"]
)
def test_credentials_that_no_header_can_carry_are_refused_unsent_and_unseen(value: str) -> None:
    with serving(in_turn(reply(200, {}))) as server, pytest.raises(AuthenticationFailed) as caught:
        client(server.url).fetch(ASK, {"Authorization": value})
    assert server.received == []
    assert "Authorization have a space or line end around them" in str(caught.value)
    assert "abc" not in str(caught.value)
    assert "ключ" not in str(caught.value)


def test_it_is_told_when_a_request_is_written_before_its_answer_is_there() -> None:
    told: list[int] = []

    def answer(_received: object) -> bytes:
        return reply(200, {"sims": []})

    with serving(answer) as server:
        at = client(server.url)
        for number in range(3):  # of the same connection, too
            at.fetch(ASK, CREDENTIALS, partial(told.append, number))
    assert told == [0, 1, 2]
