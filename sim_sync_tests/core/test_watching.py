from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sim_sync.core.liveness import Finding, Look, finding
from sim_sync.core.session import Session, State

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
SESSION = Session(
    session_id="acme-1",
    session_number=1,
    carrier="acme",
    state=State.RUNNING,
    cursor={},
    fence=3,
    config_hash="config-1",
    started_at=NOW,
    updated_at=NOW,
    owner="run-1",
    lease_expires_at=NOW + timedelta(seconds=10),
)
FIRST = Look(NOW, SESSION, NOW + timedelta(seconds=10))


def later(seconds: float, *, session: Session | None = SESSION, **fields: Any) -> Look:
    return replace(FIRST, now=NOW + timedelta(seconds=seconds), session=session, **fields)


def found(latest: Look, first: Look = FIRST) -> Finding | None:
    return finding(first, latest, not_before=NOW + timedelta(seconds=3))


@pytest.mark.parametrize("seconds", [0, 5, 9.9])
def test_an_owner_that_gives_no_sign_is_watched_for_as_long_as_its_lease_lasts(seconds: float) -> None:
    assert found(later(seconds)) is None


def test_an_owner_that_gives_no_sign_until_its_lease_runs_out_is_lost() -> None:
    assert found(later(10)) is Finding.LOST


@pytest.mark.parametrize(
    "sign",
    [
        pytest.param({"alive_until": NOW + timedelta(seconds=11)}, id="a renewed lease"),
        pytest.param({"session": replace(SESSION, updated_at=NOW + timedelta(seconds=1))}, id="a page"),
        pytest.param({"session": replace(SESSION, fence=4, owner="run-2")}, id="another run took it over"),
    ],
)
def test_an_owner_that_gives_a_sign_is_at_work(sign: dict[str, Any]) -> None:
    assert found(later(1, **sign)) is Finding.AT_WORK
    assert found(later(10, **sign)) is Finding.AT_WORK


def test_an_owner_that_is_known_to_be_gone_is_not_waited_for() -> None:
    assert found(later(0, is_gone=True)) is Finding.LOST


@pytest.mark.parametrize(
    "session", [None, replace(SESSION, session_id="acme-2"), *(replace(SESSION, state=state) for state in State)]
)
def test_a_session_that_left_its_hands_is_decided_on_again(session: Session | None) -> None:
    if session is not None and session == SESSION:
        assert found(later(1, session=session)) is None
    else:
        assert found(later(1, session=session)) is Finding.LEFT


def test_a_lease_that_had_run_out_before_the_first_look_is_given_time_to_be_renewed() -> None:
    overdue = replace(FIRST, alive_until=NOW - timedelta(minutes=5))
    assert found(replace(overdue, now=NOW + timedelta(seconds=2)), overdue) is None
    assert found(replace(overdue, now=NOW + timedelta(seconds=3)), overdue) is Finding.LOST
    assert found(later(2, alive_until=NOW + timedelta(seconds=12)), overdue) is Finding.AT_WORK


def test_nobody_is_lost_while_nobody_can_renew_a_lease() -> None:
    assert found(later(60, can_renew=False)) is None


def test_a_session_without_any_lease_is_nobodys() -> None:
    nobody = replace(FIRST, alive_until=None)
    assert found(replace(nobody, now=NOW + timedelta(seconds=3)), nobody) is Finding.LOST
    assert found(later(1), nobody) is Finding.AT_WORK
