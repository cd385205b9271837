"""No failure of a request shows a secret: not its text, not its repr, nothing that it hangs on, and no log record.

The server of these tests is talkative: it sends back whatever it was sent, in every way that a gateway might.
"""

import base64
import json
import logging
import socket
import traceback
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from sim_sync.carriers.auth import Authorizer, BearerAuth, HeaderAuth
from sim_sync.carriers.logins import ClientAuth, ClientCredentials, JsonLogin, LoginChain, TokenAuth
from sim_sync.carriers.messages import Response
from sim_sync.carriers.settings import CarrierSettings, Retry
from sim_sync.core.errors import SimSyncError
from sim_sync_tests.carriers import plain
from sim_sync_tests.fakes.moving_time import MovingTime
from sim_sync_tests.fakes.raw_server import Play, Received, in_turn, reply, serving

TOKEN = "fresh-t0ken/of+the=login"
SESSION = "fresh-session-t0ken"
SECRETS = (plain.PASSWORD, TOKEN, SESSION)


def _echo(received: Received) -> str:
    """Return all of a request, and its decoded credentials."""
    scheme, _, value = received.headers.get("authorization", "").partition(" ")
    pair = base64.b64decode(value).decode() if scheme == "Basic" else value
    return json.dumps([received.target, dict(received.headers), received.body.decode(), pair])


def _as_json(status: int) -> Callable[[Received], bytes]:
    return lambda received: reply(status, {"message": "refused", "request": _echo(received)})


def _as_text(status: int) -> Callable[[Received], bytes]:
    return lambda received: reply(status, raw=f"<html>{_echo(received)}</html>".encode())


def _in_a_location(received: Received) -> bytes:
    return reply(302, headers={"Location": f"/{quote(_echo(received), safe='')}"})


def _in_a_foreign_location(received: Received) -> bytes:
    return reply(302, headers={"Location": f"http://127.0.0.1:9/{quote(_echo(received), safe='')}"})


def _in_a_broken_body(received: Received) -> bytes:
    return reply(raw=f'{{"request": {_echo(received)}'.encode())


def _in_a_cut_body(received: Received) -> Play:
    def play(connection: socket.socket) -> bool:
        connection.sendall(reply(200, {"request": _echo(received)})[:-5])
        return False

    return play


def _in_no_http(received: Received) -> Play:
    def play(connection: socket.socket) -> bool:
        connection.sendall(_echo(received).encode() + b"\r\n\r\n")
        return False

    return play


def _in_a_foreign_link(received: Received) -> bytes:
    return reply(200, {"sims": [], "next": f"http://127.0.0.1:9/{quote(_echo(received), safe='')}"})


def _in_a_link_of_the_wrong_kind(received: Received) -> bytes:
    return reply(200, {"sims": [], "next": {"url": _echo(received)}})


def _in_a_page_without_records(received: Received) -> bytes:
    return reply(200, {"request": _echo(received)})


ANSWERS = [
    *(_as_json(status) for status in (400, 401, 403, 404, 429, 500)),
    *(_as_text(status) for status in (401, 404, 502)),
    _in_a_location,
    _in_a_foreign_location,
    _in_a_broken_body,
    _in_a_cut_body,
    _in_no_http,
    _in_a_foreign_link,
    _in_a_link_of_the_wrong_kind,
    _in_a_page_without_records,
]


def _two_tokens(settings: CarrierSettings) -> Authorizer:
    password = settings.auth.password.get_secret_value()
    bearer = ClientCredentials(
        token_url="/token", client_id="id", client_secret=password, client_auth=ClientAuth.BASIC_JSON
    )
    session = JsonLogin(
        path="/session",
        body={"password": password},
        hidden=[password],
        tokens={"t": "sessionToken"},
        headers={"VZ-M2M-Token": "{t}"},
    )
    return TokenAuth(LoginChain([bearer, session]))


def _login_answer(received: Received) -> bytes | None:
    if received.path == "/token":
        return reply(200, {"access_token": TOKEN, "expires_in": 3600})
    if received.path == "/session":
        return reply(200, {"sessionToken": SESSION})
    return None


def shown(error: BaseException) -> str:
    """Return everything that an error shows, with all that it hangs on."""

    def chain(error: BaseException | None, depth: int = 0) -> Iterator[BaseException]:
        if error is not None and depth < 20:
            yield error
            yield from chain(error.__cause__, depth + 1)
            yield from chain(error.__context__, depth + 1)

    parts = [f"{link} {link!r} {link.args} {vars(link)}" for link in chain(error)]
    return "\n".join([*parts, *traceback.format_exception(error)])


def no_secret_in(text: str) -> None:
    for secret in SECRETS:
        for form in (
            secret,
            quote(secret, safe=""),
            secret[4:-4],
            base64.b64encode(secret.encode()).decode().rstrip("="),
        ):
            assert form not in text


@pytest.mark.parametrize("response", ANSWERS)
@pytest.mark.parametrize(
    "build_auth",
    [
        plain.basic,
        lambda settings: BearerAuth(settings.auth.password.get_secret_value()),
        lambda settings: HeaderAuth("X-Api-Key", f"Key {settings.auth.password.get_secret_value()}"),
        _two_tokens,
    ],
)
def test_no_failure_of_a_page_shows_a_secret(
    response: Callable[[Received], bytes | Play],
    build_auth: Callable[[CarrierSettings], Authorizer],
    caplog: pytest.LogCaptureFixture,
) -> None:
    time = MovingTime()
    with serving(lambda received: _login_answer(received) or response(received)) as server:
        given = plain.settings(server.url, retry=Retry(max_attempts=2))
        source = plain.carrier(server.url, time, of=plain.connector(build_auth=build_auth), given=given)
        with caplog.at_level(logging.DEBUG), pytest.raises(SimSyncError) as caught:
            source.fetch_page({})
    no_secret_in(shown(caught.value))
    no_secret_in("\n".join(f"{record.getMessage()} {record.args}" for record in caplog.records))
    no_secret_in(f"{source!r} {vars(source)}")
    assert "acme" in str(caught.value)


@pytest.mark.parametrize("response", ANSWERS)
@pytest.mark.parametrize("path", ["/token", "/session"])
def test_no_failure_of_a_login_shows_a_secret(
    response: Callable[[Received], bytes | Play], path: str, caplog: pytest.LogCaptureFixture
) -> None:
    def script(received: Received) -> bytes | Play:
        return response(received) if received.path == path else _login_answer(received) or plain.page("1")

    with serving(script) as server:
        given = plain.settings(server.url, retry=Retry(max_attempts=2))
        source = plain.carrier(server.url, MovingTime(), of=plain.connector(build_auth=_two_tokens), given=given)
        with caplog.at_level(logging.DEBUG), pytest.raises(SimSyncError) as caught:
            source.fetch_page({})
    no_secret_in(shown(caught.value))
    no_secret_in("\n".join(f"{record.getMessage()} {record.args}" for record in caplog.records))


def test_a_token_in_an_answer_of_the_wrong_shape_is_not_shown() -> None:
    response = reply(200, {"access_token": {"value": TOKEN}, "sessionToken": [SESSION]})
    with serving(in_turn(response)) as server:
        source = plain.carrier(server.url, MovingTime(), of=plain.connector(build_auth=_two_tokens))
        with pytest.raises(SimSyncError, match="expected a text at 'access_token'") as caught:
            source.fetch_page({})
    no_secret_in(shown(caught.value))


def test_a_connectors_own_error_does_not_quote_what_it_read() -> None:
    def records(response: Response) -> list[object]:
        return [response.body[response.body["echo"]]]

    with serving(lambda received: _login_answer(received) or reply(200, {"echo": _echo(received)})) as server:
        source = plain.carrier(server.url, MovingTime(), of=plain.connector(build_auth=_two_tokens, records=records))
        with pytest.raises(SimSyncError, match="KeyError in records") as caught:
            source.fetch_page({})
    no_secret_in(shown(caught.value))


def test_no_token_goes_into_a_cursor() -> None:
    with serving(lambda received: _login_answer(received) or plain.page("1", next_url="/v1/sims?after=1")) as server:
        source = plain.carrier(server.url, MovingTime(), of=plain.connector(build_auth=_two_tokens))
        page = source.fetch_page({})
    no_secret_in(json.dumps([page.next_cursor, source.first_cursor(), source.config_hash]))


@pytest.mark.parametrize("password", ["s3cret-wöörd", "s3cret-with-line-end\n", "s3cret\udcff-bytes"])
def test_a_secret_that_cannot_be_sent_is_not_shown_either(password: str) -> None:
    auth = plain.AccountAuth(password=SecretStr(password))
    connector = plain.connector(build_auth=lambda settings: BearerAuth(settings.auth.password.get_secret_value()))
    with serving(in_turn(plain.page("1"))) as server:
        given = plain.settings(server.url, auth=auth)
        with pytest.raises(SimSyncError, match="no header can carry") as caught:
            plain.carrier(server.url, MovingTime(), of=connector, given=given).fetch_page({})
        assert server.received == []
    assert "s3cret" not in shown(caught.value)
