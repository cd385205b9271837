"""Logins and tokens over real sockets: what is sent where, how often, and what a refusal leads to."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import SecretStr

from sim_sync.carriers.auth import Authorizer
from sim_sync.carriers.logins import ClientAuth, ClientCredentials, JsonLogin, LoginChain, TokenAuth
from sim_sync.carriers.settings import CarrierSettings, Credentials, LoginUrl, RateLimit, Retry
from sim_sync.carriers.source import RestCarrier
from sim_sync.core.errors import AuthenticationFailed, ForeignOrigin, ParkRequired
from sim_sync_tests.carriers import plain
from sim_sync_tests.fakes.moving_time import MovingTime
from sim_sync_tests.fakes.raw_server import Play, Received, Script, in_turn, reply, serving

REFUSED = reply(401, {"message": "token expired"})


class LoginAuth(Credentials):
    """A client's id and secret."""

    client_id: str = "the-client"
    client_secret: SecretStr = SecretStr("the-cl1ent-secret")
    token_url: LoginUrl = "/login"


class Account:
    """The carrier's side: numbers the tokens that it issues; only the last one is good for the list."""

    def __init__(self, *, login: Script | None = None, sims: Script | None = None) -> None:
        self.logins = 0
        self.revoked: set[str] = set()
        self._lock = threading.Lock()
        self._login = login
        self._sims = sims

    def __call__(self, received: Received) -> bytes | Play:
        if received.path == "/login":
            return self._login(received) if self._login else self.grant(received)
        if received.headers.get("authorization", "") in self.revoked:
            return REFUSED
        return self._sims(received) if self._sims else plain.page("1")

    def grant(self, _request: Received) -> bytes:
        with self._lock:
            self.logins += 1
            return reply(200, {"access_token": f"token-{self.logins:04}", "expires_in": 3600})


def client_credentials(time: MovingTime) -> Callable[[CarrierSettings], Authorizer]:
    def build(settings: CarrierSettings) -> Authorizer:
        auth = settings.auth
        login = ClientCredentials(
            token_url=auth.token_url,
            client_id=auth.client_id,
            client_secret=auth.client_secret.get_secret_value(),
            client_auth=ClientAuth.FORM,
        )
        return TokenAuth(login, monotonic=time.monotonic)

    return build


def carrier(url: str, time: MovingTime, *, token_url: str | None = None, in_flight: int = 1) -> RestCarrier:
    given = plain.settings(
        url,
        auth=LoginAuth(token_url=token_url or "/login"),
        rate_limit=RateLimit(max_in_flight=in_flight),
        retry=Retry(),
    )
    return plain.carrier(url, time, of=plain.connector(build_auth=client_credentials(time)), given=given)


def test_a_walk_logs_in_once_and_sends_the_token_with_every_page() -> None:
    account, time = Account(), MovingTime()
    with serving(account) as server:
        source = carrier(server.url, time)
        for _ in range(3):
            source.fetch_page({})
    login, *pages = server.received
    assert (login.method, login.path) == ("POST", "/login")
    assert login.form() == {
        "grant_type": "client_credentials",
        "client_id": "the-client",
        "client_secret": "the-cl1ent-secret",
    }
    assert "authorization" not in login.headers
    assert [page.headers["authorization"] for page in pages] == ["Bearer token-0001"] * 3


def test_a_token_that_dies_in_the_middle_is_renewed_once_and_the_page_is_asked_for_again() -> None:
    account, time = Account(), MovingTime()
    with serving(account) as server:
        source = carrier(server.url, time)
        source.fetch_page({})
        account.revoked.add("Bearer token-0001")
        page = source.fetch_page({})
    assert [sim.sim_id for sim in page.sims] == ["1"]
    assert [received.headers.get("authorization", "login") for received in server.received] == [
        "login",
        "Bearer token-0001",
        "Bearer token-0001",
        "login",
        "Bearer token-0002",
    ]
    assert time.waits == []
    assert page.effort.retries == 0


def test_a_token_is_renewed_before_it_runs_out() -> None:
    account, time = Account(), MovingTime()
    with serving(account) as server:
        source = carrier(server.url, time)
        source.fetch_page({})
        time.advance(3541)
        source.fetch_page({})
    assert account.logins == 2
    assert [page.headers["authorization"] for page in server.asked("/v1/sims")] == [
        "Bearer token-0001",
        "Bearer token-0002",
    ]


def test_a_fresh_token_that_is_refused_too_fails_without_another_login() -> None:
    account, time = Account(sims=in_turn(REFUSED)), MovingTime()
    with serving(account) as server:
        with pytest.raises(
            AuthenticationFailed, match=r"HTTP 401 \(.*token expired.*\); the carrier refused"
        ) as caught:
            carrier(server.url, time).fetch_page({})
        assert account.logins == 2
        assert len(server.asked("/v1/sims")) == 2
    assert "check `auth` in carriers.yaml" in str(caught.value)
    assert time.waits == []


@pytest.mark.parametrize("status", [401, 403])
def test_fixed_credentials_that_are_refused_are_not_sent_again(status: int) -> None:
    with serving(in_turn(reply(status, {"message": "no"}))) as server:
        with pytest.raises(AuthenticationFailed):
            plain.carrier(server.url, MovingTime()).fetch_page({})
        assert len(server.received) == 1


def test_a_403_is_no_reason_to_log_in_again() -> None:
    account = Account(sims=in_turn(reply(403, {"message": "no rights"})))
    with (
        serving(account) as server,
        pytest.raises(AuthenticationFailed, match="does not let these credentials list SIMs"),
    ):
        carrier(server.url, MovingTime()).fetch_page({})
    assert account.logins == 1


@pytest.mark.parametrize(
    "refused",
    [
        reply(403, {"error": "token no longer good"}),
        reply(403),
        reply(498, {"error": "Invalid Token"}),
        reply(400, {"errorCode": "SESSION_EXPIRED", "message": "Your session has expired"}),
        reply(400, {}, {"WWW-Authenticate": 'Bearer error="invalid_token"'}),
        reply(200, {"error": "token expired"}),
        reply(200, {"success": False, "code": 401}),
    ],
)
def test_a_token_that_was_good_is_renewed_however_the_carrier_says_that_it_ran_out(refused: bytes) -> None:
    time = MovingTime()
    account = Account(sims=in_turn(plain.page("1"), refused, plain.page("2"), refused, plain.page("3")))
    with serving(account) as server:
        source = carrier(server.url, time)
        assert [source.fetch_page({}).sims[0].sim_id for _ in range(3)] == ["1", "2", "3"]
    assert account.logins == 3
    assert time.waits == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_was_good_is_renewed_once_and_then_the_refusal_is_final(status: int) -> None:
    account = Account(sims=in_turn(plain.page("1"), reply(status, {"message": "no rights"})))
    with serving(account) as server:
        source = carrier(server.url, MovingTime())
        source.fetch_page({})
        with pytest.raises(AuthenticationFailed, match="a fresh login did not help"):
            source.fetch_page({})
        assert (account.logins, len(server.asked("/v1/sims"))) == (2, 3)


def test_a_throttled_refusal_does_not_cost_a_login() -> None:
    time = MovingTime()
    account = Account(sims=in_turn(plain.page("1"), reply(403, {}, {"Retry-After": "20"}), plain.page("2")))
    with serving(account) as server:
        source = carrier(server.url, time)
        source.fetch_page({})
        assert source.fetch_page({}).effort.throttled_seconds == 20.5
    assert account.logins == 1
    assert time.waits == [20.5]


def test_a_login_that_is_throttled_by_a_403_is_ridden_out() -> None:
    account, time = Account(login=in_turn(reply(403, {"error": "rate limit exceeded"}), REFUSED)), MovingTime()
    with serving(account) as server, pytest.raises(AuthenticationFailed, match="refused the login"):
        carrier(server.url, time).fetch_page({})
    assert time.waits == [1.5]


@pytest.mark.parametrize(("error", "logins"), [("invalid_client", 1), ("temporarily_unavailable", 8)])
def test_a_login_that_is_refused_by_the_body_of_a_success_is_not_repeated(error: str, logins: int) -> None:
    account = Account(login=in_turn(reply(200, {"error": error})))
    with serving(account) as server:
        with pytest.raises(AuthenticationFailed if logins == 1 else ParkRequired, match=error):
            carrier(server.url, MovingTime()).fetch_page({})
        assert len(server.received) == logins


def test_a_storm_of_401s_from_many_threads_causes_one_login() -> None:
    together = threading.Barrier(8)

    def sims(received: Received) -> bytes:
        if received.headers["authorization"] == "Bearer token-0001":
            together.wait(timeout=30)  # all eight are refused at the same time
            return REFUSED
        return plain.page("1")

    account = Account(sims=sims)
    with serving(account) as server:
        source = carrier(server.url, MovingTime(), in_flight=8)
        with ThreadPoolExecutor(8) as threads:
            pages = list(threads.map(lambda _: source.fetch_page({}), range(8)))
    assert all(len(page.sims) == 1 for page in pages)
    assert account.logins == 2
    assert len(server.asked("/v1/sims")) == 16


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refused_login_says_which_keys_to_check_and_is_not_repeated(status: int) -> None:
    account = Account(login=in_turn(reply(status, {"error": "invalid_client"})))
    with serving(account) as server:
        source = carrier(server.url, MovingTime())
        for _ in range(4):
            with pytest.raises(AuthenticationFailed) as caught:
                source.fetch_page({})
        assert [received.path for received in server.received] == ["/login"]
    told = str(caught.value)
    assert f"carrier acme: POST {server.url}/login: HTTP {status}" in told
    assert "invalid_client" in told
    assert "the carrier refused the login: check client_id, client_secret under `auth` in carriers.yaml" in told


def test_a_login_is_ridden_out_like_every_other_request() -> None:
    account, time = Account(), MovingTime()
    responses = in_turn(
        reply(429, {"m": "slow"}, {"Retry-After": "30"}),
        reply(503),
        lambda _connection: False,
        reply(200, {"access_token": "token-9999"}),
    )
    account = Account(login=responses)
    with serving(account) as server:
        page = carrier(server.url, time).fetch_page({})
    assert [received.path for received in server.received] == ["/login"] * 4 + ["/v1/sims"]
    assert time.waits == [30.5, 2.5, 4.5]
    assert (page.effort.retries, page.effort.throttled_seconds) == (3, 30.5)


def test_a_login_that_stays_throttled_parks() -> None:
    account = Account(login=in_turn(reply(429, headers={"Retry-After": "3600"})))
    with serving(account) as server, pytest.raises(ParkRequired) as caught:
        carrier(server.url, MovingTime()).fetch_page({})
    assert caught.value.wait_seconds >= 3600
    assert len(server.received) == 1


def test_a_configured_token_url_may_be_of_another_origin_and_gets_only_the_login() -> None:
    account = Account()
    with serving(account) as tokens, serving(in_turn(plain.page("1"))) as server:
        source = carrier(server.url, MovingTime(), token_url=f"{tokens.url}/login?tenant=7")
        source.fetch_page({})
        source.fetch_page({})
    assert [(received.method, received.target) for received in tokens.received] == [("POST", "/login?tenant=7")]
    assert [received.path for received in server.received] == ["/v1/sims"] * 2
    assert "the-cl1ent-secret" not in str(server.received)
    assert "token-0001" not in str(tokens.received)


def test_another_place_to_log_in_is_no_other_account() -> None:
    time = MovingTime()
    elsewhere = carrier("https://acme.example", time, token_url="https://login.acme.example/token")
    assert elsewhere.config_hash == carrier("https://acme.example", time).config_hash


def test_a_login_that_is_redirected_elsewhere_sends_nothing_there() -> None:
    with serving(in_turn(reply(200, {}))) as elsewhere:
        account = Account(login=in_turn(reply(307, headers={"Location": f"{elsewhere.url}/login"})))
        with serving(account) as server, pytest.raises(ForeignOrigin):
            carrier(server.url, MovingTime()).fetch_page({})
        assert elsewhere.received == []


def test_two_tokens_one_after_the_other_are_renewed_together() -> None:
    counts = {"bearer": 0, "session": 0}

    def thingspace(received: Received) -> bytes:
        if received.path == "/api/ts/v1/oauth2/token":
            counts["bearer"] += 1
            return reply(200, {"access_token": f"bearer-{counts['bearer']}", "expires_in": 3600})
        if received.path == "/api/m2m/v1/session/login":
            counts["session"] += 1
            return reply(200, {"sessionToken": f"session-{counts['session']}"})
        if received.headers["vz-m2m-token"] == "session-2":
            return REFUSED
        return plain.page("1")

    time = MovingTime()

    def build(_settings: CarrierSettings) -> Authorizer:
        bearer = ClientCredentials(
            token_url="/api/ts/v1/oauth2/token",
            client_id="key",
            client_secret="the-secret",
            client_auth=ClientAuth.BASIC_FORM,
        )
        session = JsonLogin(
            path="/api/m2m/v1/session/login",
            body={"username": "me", "password": "the-password"},
            hidden=["the-password"],
            tokens={"token": "sessionToken"},
            headers={"VZ-M2M-Token": "{token}"},
            idle_seconds=1200,
        )
        return TokenAuth(LoginChain([bearer, session]), monotonic=time.monotonic)

    with serving(thingspace) as server:
        source = plain.carrier(server.url, time, of=plain.connector(build_auth=build))
        source.fetch_page({})
        time.advance(1300)  # idle for too long: the session is dead, and nobody asks to find out
        source.fetch_page({})
    sent = [
        (r.path.rpartition("/")[2], r.headers.get("authorization"), r.headers.get("vz-m2m-token"))
        for r in server.received
    ]
    basic = "Basic a2V5OnRoZS1zZWNyZXQ="
    assert sent == [
        ("token", basic, None),
        ("login", "Bearer bearer-1", None),
        ("sims", "Bearer bearer-1", "session-1"),
        ("token", basic, None),
        ("login", "Bearer bearer-2", None),
        ("sims", "Bearer bearer-2", "session-2"),
        ("token", basic, None),
        ("login", "Bearer bearer-3", None),
        ("sims", "Bearer bearer-3", "session-3"),
    ]
    assert server.received[1].json() == {"username": "me", "password": "the-password"}
    assert server.received[0].form() == {"grant_type": "client_credentials"}


@pytest.mark.parametrize(
    "url", ["/token", "https://auth.acme.example/token", "http://127.0.0.1:8000/t", "http://localhost/t"]
)
def test_a_token_url_is_a_path_or_a_safe_url(url: str) -> None:
    assert LoginAuth(token_url=url).token_url == url


@pytest.mark.parametrize(
    "url",
    ["http://auth.acme.example/t", "token", "//evil.example/t", "https://me:pw@auth.acme.example/t", "ftp://x/t", ""],
)
def test_a_token_url_that_would_show_the_credentials_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"a path on base_url|https, because") as caught:
        LoginAuth(token_url=url)
    assert "pw" not in str(caught.value)


def test_a_request_that_carries_older_credentials_is_sent_again_with_those_that_another_has_renewed() -> None:
    """A 403 means an expired token only of one that was good before: it was, before the other request renewed it."""
    time = MovingTime()
    one_waits, other_is_done = threading.Event(), threading.Event()

    def sims(received: Received) -> bytes:
        is_old = received.headers["authorization"] == "Bearer token-0001"
        if is_old and account.revoked_from is not None:
            if not one_waits.is_set():
                one_waits.set()
                other_is_done.wait(20)
            return reply(403, {"message": "Forbidden"})
        return plain.page("1")

    account = SlowRevocation(sims)
    with serving(account) as server, ThreadPoolExecutor(1) as threads:
        source = carrier(server.url, time, in_flight=2)
        source.fetch_page({})
        account.revoked_from = 1
        late = threads.submit(source.fetch_page, {})
        one_waits.wait(20)
        assert source.fetch_page({}).records == 1
        other_is_done.set()
        assert late.result().records == 1
    assert account.logins == 2


class SlowRevocation(Account):
    """An account whose first token is refused from some time on."""

    def __init__(self, sims: Script) -> None:
        super().__init__(sims=sims)
        self.revoked_from: int | None = None
