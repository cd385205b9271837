"""When a token is fetched: at the first request, before it runs out, and once after a refusal, whoever notices."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from sim_sync.carriers.logins import JsonLogin, TokenAuth
from sim_sync.core.errors import (
    AuthenticationFailed,
    CarrierUnavailable,
    SimSyncError,
    StopRequested,
    Throttled,
)
from sim_sync_tests.fakes.moving_time import MovingTime
from sim_sync_tests.fakes.transport import RecordingDesk


def token_auth(time: MovingTime, *, lasts: float | None = None, idle: float | None = None) -> TokenAuth:
    login = JsonLogin(
        path="/login",
        body={"password": "the-password"},
        hidden=["the-password"],
        tokens={"t": "token"},
        headers={"Authorization": "Bearer {t}"},
        expires_in="expires_in",
        lasts_seconds=lasts,
        idle_seconds=idle,
        refresh_token=None,
    )
    return TokenAuth(login, monotonic=time.monotonic)


def refreshing_auth(time: MovingTime) -> TokenAuth:
    login = JsonLogin(
        path="/login",
        body={"password": "the-password"},
        hidden=["the-password"],
        tokens={"t": "token"},
        headers={"Authorization": "Bearer {t}"},
        lasts_seconds=4 * 3600,
        refresh_token="refresh",
        refresh_path="/refresh",
    )
    return TokenAuth(login, monotonic=time.monotonic)


def numbered(count: int) -> list[Any]:
    return [{"token": f"token-{number}"} for number in range(1, count + 1)]


def bearer(number: int) -> dict[str, str]:
    return {"Authorization": f"Bearer token-{number}"}


def test_the_first_request_logs_in_and_the_others_do_not() -> None:
    transport = RecordingDesk(*numbered(3))
    auth = token_auth(MovingTime())
    assert [auth.headers(transport) for _ in range(3)] == [bearer(1)] * 3
    assert len(transport.asked) == 1


@pytest.mark.parametrize(("lasts", "good_for"), [(3600, 3540), (120, 108), (10, 9)])
def test_a_token_is_renewed_a_minute_or_a_tenth_of_its_life_before_it_runs_out(lasts: float, good_for: float) -> None:
    time, transport = MovingTime(), RecordingDesk(*numbered(3))
    auth = token_auth(time, lasts=lasts)
    auth.headers(transport)
    time.advance(good_for - 0.1)
    assert auth.headers(transport) == bearer(1)
    time.advance(0.2)
    assert auth.headers(transport) == bearer(2)


def test_a_life_in_the_answer_goes_before_the_documented_one() -> None:
    time, transport = MovingTime(), RecordingDesk({"token": "token-1", "expires_in": 100}, *numbered(2)[1:])
    auth = token_auth(time, lasts=86_400)
    auth.headers(transport)
    time.advance(91)
    assert auth.headers(transport) == bearer(2)


def test_a_life_counts_from_when_the_token_was_asked_for() -> None:
    time = MovingTime()
    transport = RecordingDesk(*numbered(3), before_answer=lambda: time.advance(30))
    auth = token_auth(time, lasts=100)
    auth.headers(transport)
    time.advance(61)
    assert auth.headers(transport) == bearer(2)


def test_a_session_that_was_idle_too_long_is_opened_anew_and_one_in_use_lives_on() -> None:
    time, transport = MovingTime(), RecordingDesk(*numbered(3))
    auth = token_auth(time, idle=1200)
    for _ in range(10):
        assert auth.headers(transport) == bearer(1)
        time.advance(1000)
    time.advance(141)
    assert auth.headers(transport) == bearer(2)


def test_a_refused_token_is_renewed() -> None:
    transport = RecordingDesk(*numbered(3))
    auth = token_auth(MovingTime())
    assert auth.renewed(auth.headers(transport), transport) == bearer(2)
    assert auth.headers(transport) == bearer(2)


def test_who_comes_late_with_an_old_token_gets_the_one_that_another_fetched() -> None:
    transport = RecordingDesk(*numbered(3))
    auth = token_auth(MovingTime())
    old = auth.headers(transport)
    assert auth.renewed(old, transport) == bearer(2)
    assert auth.renewed(old, transport) == bearer(2)
    assert len(transport.asked) == 2


def waits_for_a_second() -> Callable[[], None]:
    """Return what keeps a login open until a second one is sent, or for a moment where there is none."""
    second = threading.Barrier(2)

    def wait() -> None:
        with suppress(threading.BrokenBarrierError):
            second.wait(timeout=0.3)

    return wait


def test_a_storm_of_refusals_from_many_threads_causes_one_login() -> None:
    transport = RecordingDesk(*numbered(40), before_answer=waits_for_a_second())
    auth = token_auth(MovingTime())
    old = auth.headers(transport)
    together = threading.Barrier(16)

    def refused(_: int) -> Any:
        together.wait(timeout=30)
        return auth.renewed(old, transport)

    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(refused, range(16)))
    assert found == [bearer(2)] * 16
    assert len(transport.asked) == 2


def test_a_carrier_that_gives_the_same_token_again_is_not_asked_for_it_by_every_thread() -> None:
    transport = RecordingDesk({"token": "token-1"})  # ThingSpace: the same bearer within the hour
    auth = token_auth(MovingTime())
    old = auth.headers(transport)
    assert [auth.renewed(old, transport) for _ in range(5)] == [bearer(1)] * 5
    assert len(transport.asked) == 2


def test_many_threads_that_start_together_log_in_once() -> None:
    transport = RecordingDesk(*numbered(40), before_answer=waits_for_a_second())
    auth = token_auth(MovingTime())
    together = threading.Barrier(16)

    def start(_: int) -> Any:
        together.wait(timeout=30)
        return auth.headers(transport)

    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(start, range(16))) == [bearer(1)] * 16
    assert len(transport.asked) == 1


def test_a_refused_login_is_never_repeated() -> None:
    transport = RecordingDesk(AuthenticationFailed("the carrier refused the login"))
    auth = token_auth(MovingTime())
    for _ in range(6):
        with pytest.raises(AuthenticationFailed, match=r"refused the login; the login is not repeated$"):
            auth.headers(transport)
        with pytest.raises(AuthenticationFailed, match=r"refused the login; the login is not repeated$"):
            auth.renewed(bearer(1), transport)
    assert len(transport.asked) == 1


def test_a_refused_renewal_is_never_repeated_either() -> None:
    transport = RecordingDesk({"token": "token-1"}, AuthenticationFailed("locked"))
    auth = token_auth(MovingTime())
    old = auth.headers(transport)
    for _ in range(3):
        with pytest.raises(AuthenticationFailed, match="locked"):
            auth.renewed(old, transport)
    with pytest.raises(AuthenticationFailed, match="locked"):
        auth.headers(transport)
    assert len(transport.asked) == 2


@pytest.mark.parametrize("passing", [Throttled("slower"), CarrierUnavailable("away"), StopRequested("stop")])
def test_a_login_that_fails_for_now_is_tried_again_by_the_next_request(passing: SimSyncError) -> None:
    transport = RecordingDesk(passing, passing, {"token": "token-1"})
    auth = token_auth(MovingTime())
    for _ in range(2):
        with pytest.raises(type(passing)):
            auth.headers(transport)
    assert auth.headers(transport) == bearer(1)


# Refresh tokens that can be used once


def granted(number: int) -> dict[str, str]:
    return {"token": f"token-{number}", "refresh": f"refresh-{number}"}


def sent(transport: RecordingDesk) -> list[str]:
    return [request.body.get("refresh_token", request.path) for request, _ in transport.asked]


def test_each_refresh_token_is_used_once_and_replaced_before_the_new_access_token_is_used() -> None:
    time, transport = MovingTime(), RecordingDesk(*[granted(number) for number in range(1, 6)])
    auth = refreshing_auth(time)
    for number in range(1, 5):
        assert auth.headers(transport) == bearer(number)
        time.advance(4 * 3600)
    assert sent(transport) == ["/login", "refresh-1", "refresh-2", "refresh-3"]


def test_a_refused_token_is_refreshed_too() -> None:
    transport = RecordingDesk(granted(1), granted(2))
    auth = refreshing_auth(MovingTime())
    assert auth.renewed(auth.headers(transport), transport) == bearer(2)
    assert sent(transport) == ["/login", "refresh-1"]


def test_a_refused_refresh_logs_in_again() -> None:
    transport = RecordingDesk(granted(1), AuthenticationFailed("spent"), granted(3))
    auth = refreshing_auth(MovingTime())
    assert auth.renewed(auth.headers(transport), transport) == bearer(3)
    assert sent(transport) == ["/login", "refresh-1", "/login"]


def test_a_refresh_whose_answer_got_lost_is_not_sent_again() -> None:
    transport = RecordingDesk(granted(1), CarrierUnavailable("reset"), granted(3))
    auth = refreshing_auth(MovingTime())
    old = auth.headers(transport)
    with pytest.raises(CarrierUnavailable):
        auth.renewed(old, transport)
    assert auth.headers(transport) == bearer(3)
    assert sent(transport) == ["/login", "refresh-1", "/login"]


def test_a_refresh_that_was_throttled_is_sent_again() -> None:
    time, transport = MovingTime(), RecordingDesk(granted(1), Throttled("slower"), granted(2))
    auth = refreshing_auth(time)
    auth.headers(transport)
    time.advance(4 * 3600)
    with pytest.raises(Throttled):
        auth.headers(transport)
    assert auth.headers(transport) == bearer(2)
    assert sent(transport) == ["/login", "refresh-1", "refresh-1"]


def test_nothing_of_an_authorizer_is_shown() -> None:
    transport = RecordingDesk(granted(1))
    auth = refreshing_auth(MovingTime())
    auth.headers(transport)
    for secret in ("token-1", "refresh-1", "the-password"):
        assert secret not in f"{auth!r} {auth}"
    assert transport.hidden == ["token-1", "refresh-1"]
