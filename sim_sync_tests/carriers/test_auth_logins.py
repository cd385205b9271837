"""How each login looks on the wire, after the vendors' own pages, and what it makes of the answer."""

import base64
from typing import Any

import pytest

from sim_sync.carriers.logins import ClientAuth, ClientCredentials, Grant, JsonLogin, Login, LoginChain
from sim_sync.carriers.messages import Request
from sim_sync.core.errors import AuthenticationFailed, InternalError, UnexpectedResponse
from sim_sync_tests.fakes.transport import RecordingDesk

BASIC = {"Authorization": "Basic " + base64.b64encode(b"the-client:the-secret").decode()}


def client(client_auth: ClientAuth, **more: Any) -> ClientCredentials:
    return ClientCredentials(
        token_url="/token", client_id="the-client", client_secret="the-secret", client_auth=client_auth, **more
    )


def emnify() -> JsonLogin:
    return JsonLogin(
        path="/api/v1/authenticate",
        body={"application_token": "app-token"},
        hidden=["app-token"],
        tokens={"auth_token": "auth_token"},
        headers={"Authorization": "Bearer {auth_token}"},
    )


def soracom() -> JsonLogin:
    return JsonLogin(
        path="/v1/auth",
        body={"authKeyId": "keyId-1", "authKey": "the-key"},
        hidden=["the-key"],
        tokens={"key": "apiKey", "token": "token"},
        headers={"X-Soracom-API-Key": "{key}", "X-Soracom-Token": "{token}"},
        lasts_seconds=86_400,
    )


def thingspace() -> LoginChain:
    session = JsonLogin(
        path="/api/m2m/v1/session/login",
        body={"username": "me", "password": "the-password"},
        hidden=["the-password"],
        tokens={"token": "sessionToken"},
        headers={"VZ-M2M-Token": "{token}"},
        idle_seconds=1200,
    )
    return LoginChain([client(ClientAuth.BASIC_FORM), session])


@pytest.mark.parametrize(
    ("client_auth", "call", "headers"),
    [
        (
            ClientAuth.FORM,
            Request(
                method="POST",
                path="/token",
                form={"grant_type": "client_credentials", "client_id": "the-client", "client_secret": "the-secret"},
            ),
            {},
        ),
        (
            ClientAuth.BASIC_FORM,
            Request(method="POST", path="/token", form={"grant_type": "client_credentials"}),
            BASIC,
        ),
        (
            ClientAuth.BASIC_JSON,
            Request(method="POST", path="/token", body={"grant_type": "client_credentials"}),
            BASIC,
        ),
    ],
)
def test_client_credentials_are_sent_as_each_vendor_wants_them(
    client_auth: ClientAuth, call: Request, headers: dict[str, str]
) -> None:
    transport = RecordingDesk({"access_token": "fresh", "token_type": "bearer", "expires_in": 3600})
    grant = client(client_auth).log_in(transport, {})
    assert transport.asked == [(call, headers)]
    assert grant == Grant(headers={"Authorization": "Bearer fresh"}, expires_in_seconds=3600)
    assert transport.hidden == ["fresh"]


def test_more_fields_go_into_the_token_request() -> None:
    transport = RecordingDesk({"access_token": "fresh"})
    client(ClientAuth.BASIC_FORM, extra={"scope": "sims.read"}).log_in(transport, {})
    assert transport.asked[0][0].form == {"grant_type": "client_credentials", "scope": "sims.read"}


@pytest.mark.parametrize(
    ("told", "seconds"),
    [(3600, 3600), ("3599", 3599), (0.5, 0.5), (None, None), ("soon", None), (0, None), (-1, None), ([], None)],
)
def test_a_life_is_taken_from_the_answer_where_it_tells_one(told: Any, seconds: float | None) -> None:
    transport = RecordingDesk({"access_token": "fresh", "expires_in": told})
    assert client(ClientAuth.FORM).log_in(transport, {}).expires_in_seconds == seconds


def test_one_value_of_an_answer_becomes_a_bearer_token() -> None:
    transport = RecordingDesk({"auth_token": "jwt.jwt.jwt"})
    assert emnify().log_in(transport, {}).headers == {"Authorization": "Bearer jwt.jwt.jwt"}
    call = Request(method="POST", path="/api/v1/authenticate", body={"application_token": "app-token"})
    assert transport.asked == [(call, {})]


def test_two_values_of_an_answer_become_two_headers() -> None:
    transport = RecordingDesk({"apiKey": "api-{key}", "token": "tok", "operatorId": "OP1"})
    grant = soracom().log_in(transport, {})
    assert grant.headers == {"X-Soracom-API-Key": "api-{key}", "X-Soracom-Token": "tok"}
    assert grant.expires_in_seconds == 86_400
    assert sorted(transport.hidden) == ["api-{key}", "tok"]


def test_a_chain_sends_each_login_with_what_the_ones_before_gave_and_carries_all() -> None:
    transport = RecordingDesk({"access_token": "bearer-1", "expires_in": 3600}, {"sessionToken": "session-1"})
    grant = thingspace().log_in(transport, {})
    (_, first), (second_ask, second) = transport.asked
    assert first == BASIC
    assert second == {"Authorization": "Bearer bearer-1"}
    assert second_ask == Request(
        method="POST", path="/api/m2m/v1/session/login", body={"username": "me", "password": "the-password"}
    )
    assert grant.headers == {"Authorization": "Bearer bearer-1", "VZ-M2M-Token": "session-1"}
    assert (grant.expires_in_seconds, grant.idle_seconds) == (3600, 1200)


def test_a_chain_stops_at_the_first_refusal() -> None:
    transport = RecordingDesk(AuthenticationFailed("no"))
    with pytest.raises(AuthenticationFailed):
        thingspace().log_in(transport, {})
    assert len(transport.asked) == 1


def test_a_refresh_token_is_exchanged_at_its_own_path() -> None:
    login = JsonLogin(
        path="/auth",
        body={"user": "me", "password": "pw"},
        hidden=["pw"],
        tokens={"t": "data.access"},
        headers={"Authorization": "Bearer {t}"},
        expires_in="data.lives",
        refresh_token="data.refresh",
        refresh_path="/auth/refresh",
        refresh_member="refreshToken",
    )
    transport = RecordingDesk({"data": {"access": "access-2", "refresh": "refresh-2", "lives": 14_400}})
    grant = login.refresh(transport, "refresh-1")
    assert transport.asked == [(Request(method="POST", path="/auth/refresh", body={"refreshToken": "refresh-1"}), {})]
    assert grant == Grant(
        headers={"Authorization": "Bearer access-2"}, expires_in_seconds=14_400, refresh_token="refresh-2"
    )
    assert transport.hidden == ["access-2", "refresh-2"]


@pytest.mark.parametrize(
    "body", [None, [], "text", {}, {"auth_token": None}, {"auth_token": 12345678}, {"auth_token": ""}]
)
def test_an_answer_without_a_token_is_refused_and_its_values_are_not_shown(body: Any) -> None:
    with pytest.raises(
        UnexpectedResponse, match="expected a text at 'auth_token' in the answer to the login"
    ) as caught:
        emnify().log_in(RecordingDesk(body), {})
    assert "12345678" not in str(caught.value)


@pytest.mark.parametrize("login", [client(ClientAuth.FORM), emnify(), soracom(), thingspace()])
def test_a_login_knows_its_secrets_and_shows_none(login: Login) -> None:
    assert login.secrets()
    for secret in login.secrets():
        assert secret not in repr(login)


@pytest.mark.parametrize("login", [client(ClientAuth.FORM), emnify(), thingspace()])
def test_a_login_without_refresh_tokens_has_none_to_exchange(login: Login) -> None:
    with pytest.raises(InternalError):
        login.refresh(RecordingDesk({}), "x")


def test_a_grant_shows_no_token() -> None:
    assert "tok" not in repr(Grant(headers={"A": "tok"}, refresh_token="tok"))
