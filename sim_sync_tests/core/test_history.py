"""How long a walk took, and what is usual."""

from datetime import timedelta

import pytest

from sim_sync.core.progress import PastWalk, seconds_between
from sim_sync.core.session import Session, State
from sim_sync_tests.fakes.clock import START
from sim_sync_tests.fakes.fleet import CARRIER

MINUTE = timedelta(minutes=1)


def a_walk(state: State, **fields: object) -> PastWalk:
    """Return a walk that began at `START`; it last changed a minute later."""
    values: dict[str, object] = {
        "session_id": "acme-1",
        "session_number": 1,
        "carrier": CARRIER,
        "state": state,
        "cursor": None,
        "fence": 1,
        "config_hash": "hash-1",
        "started_at": START,
        "updated_at": START + MINUTE,
    }
    return PastWalk(session=Session(**(values | fields)))  # type: ignore[arg-type]


@pytest.mark.parametrize("state", [State.RUNNING, State.INTERRUPTED, State.PARKED])
def test_a_walk_that_somebody_or_something_continues_takes_until_now(state: State) -> None:
    assert a_walk(state).duration_seconds(START + 10 * MINUTE) == 600


@pytest.mark.parametrize("state", [State.PAUSED, State.FAILED])
def test_a_walk_that_waits_for_a_person_took_until_it_stopped(state: State) -> None:
    assert a_walk(state).duration_seconds(START + 10 * MINUTE) == 60


@pytest.mark.parametrize("state", [State.COMPLETED, State.SUPERSEDED])
def test_a_walk_that_is_over_took_until_its_end(state: State) -> None:
    assert a_walk(state, finished_at=START + 5 * MINUTE).duration_seconds(START + 10 * MINUTE) == 300


def test_nobody_knows_how_long_a_walk_took_that_ended_before_it_began() -> None:
    assert a_walk(State.COMPLETED, finished_at=START - MINUTE).duration_seconds(START) is None
    assert seconds_between(START, START) == 0


def test_every_taking_over_is_a_resume() -> None:
    assert a_walk(State.RUNNING).resumes == 0
    assert a_walk(State.RUNNING, fence=4).resumes == 3


def test_what_is_usual_is_the_median_which_one_slow_night_does_not_move() -> None:
    session = a_walk(State.RUNNING).session
    assert PastWalk(session=session).usual_seconds is None
    assert PastWalk(session=session, earlier_seconds=(60, 62, 9000)).usual_seconds == 62
