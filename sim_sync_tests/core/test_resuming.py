from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.core.notes import due_text, session_note
from sim_sync.core.resuming import (
    CarrierSnapshot,
    Death,
    GiveUpNow,
    LeaveAlone,
    PauseNow,
    ResumeBackoff,
    ResumeNow,
    ResumeRequest,
    decide_resume,
    decide_resumes,
)
from sim_sync.core.session import Session, State

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
PACE = ResumeBackoff(base_seconds=10.0, ceiling_seconds=60.0)


def a_session(state: State, **fields: Any) -> Session:
    """Return run-1's session, updated a minute ago; one that runs has a live lease."""
    plain: dict[str, Any] = {
        "session_id": "acme-1",
        "session_number": 1,
        "carrier": "acme",
        "cursor": {"page": 7},
        "fence": 3,
        "pages_done": 7,
        "config_hash": "config-1",
        "started_at": NOW - timedelta(hours=1),
        "updated_at": NOW - timedelta(minutes=1),
        "owner": "run-1",
        "lease_expires_at": NOW + timedelta(seconds=7) if state is State.RUNNING else None,
    }
    return Session(state=state, **(plain | fields))


RUNNING, INTERRUPTED = a_session(State.RUNNING), a_session(State.INTERRUPTED)
ORPHANED = replace(RUNNING, lease_expires_at=NOW)
PARKED = a_session(State.PARKED, not_before=NOW + timedelta(hours=2))


#: Nobody has touched it since it was stopped an hour ago.
LEFT = replace(INTERRUPTED, updated_at=NOW - timedelta(hours=1))


def asked(attempt: int, seconds_ago: float, fence: int = 3, deaths: int = 0) -> ResumeRequest:
    return ResumeRequest("acme-1", fence, 7, attempt, NOW - timedelta(seconds=seconds_ago), deaths)


def resumes(snapshot: CarrierSnapshot, now: datetime = NOW) -> bool:
    return isinstance(decide_resume(snapshot, PACE, now, 0.0), ResumeNow)


@pytest.mark.parametrize(
    ("snapshot", "why"),
    [
        pytest.param(CarrierSnapshot(session=INTERRUPTED), "it was stopped before its end", id="interrupted"),
        pytest.param(
            CarrierSnapshot(session=replace(INTERRUPTED, last_error="SIGTERM")),
            "SIGTERM",
            id="interrupted for a named reason",
        ),
        pytest.param(CarrierSnapshot(session=ORPHANED), "the lease of its run run-1 ran out", id="the lease ran out"),
        pytest.param(
            CarrierSnapshot(session=RUNNING, gone_owners=["run-1"]),
            "its run run-1 died",
            id="the owner is known to be over",
        ),
        pytest.param(
            CarrierSnapshot(session=ORPHANED, live_runs=["run-1"]),
            "the lease of its run run-1 ran out",
            id="the orchestrator believes a dead run to be alive",
        ),
        pytest.param(
            CarrierSnapshot(session=replace(PARKED, not_before=NOW)),
            "the wait it was parked for is over",
            id="parked and due",
        ),
        pytest.param(
            CarrierSnapshot(session=replace(PARKED, not_before=None)),
            "the wait it was parked for is over",
            id="parked, no time",
        ),
    ],
)
def test_a_session_that_nobody_works_on_is_resumed_at_once(snapshot: CarrierSnapshot, why: str) -> None:
    first = ResumeRequest("acme-1", 3, 7, 0, NOW, 0, snapshot.session.updated_at)
    assert decide_resume(snapshot, PACE, NOW, 0.5) == ResumeNow(snapshot.session, first, why)


@pytest.mark.parametrize(
    ("snapshot", "why"),
    [
        pytest.param(CarrierSnapshot(session=RUNNING), "run run-1 is at work on it", id="a live owner"),
        pytest.param(CarrierSnapshot(session=PARKED), due_text(PARKED, NOW), id="parked and not due"),
        pytest.param(
            CarrierSnapshot(session=a_session(State.PAUSED)),
            session_note(a_session(State.PAUSED), NOW),
            id="paused",
        ),
        pytest.param(
            CarrierSnapshot(session=a_session(State.FAILED)),
            "failed; an operator or the next nightly run decides",
            id="failed",
        ),
        pytest.param(
            CarrierSnapshot(session=INTERRUPTED, live_runs=["run-2"]),
            "run run-2 is on its way to it",
            id="a run is queued",
        ),
        pytest.param(
            CarrierSnapshot(session=INTERRUPTED, live_runs=["run-1"]),
            "run run-1 is on its way to it",
            id="the run is ending",
        ),
        pytest.param(
            CarrierSnapshot(session=ORPHANED, live_runs=["run-1", "run-2"]),
            "run run-2 is on its way to it",
            id="a successor",
        ),
    ],
)
def test_a_session_is_left_alone_for_a_reason(snapshot: CarrierSnapshot, why: str) -> None:
    assert decide_resume(snapshot, PACE, NOW, 0.5) == LeaveAlone(snapshot.session, why)


@pytest.mark.parametrize(("deaths", "wait_seconds"), [(0, 10), (1, 20), (2, 40), (3, 60)])
def test_a_run_that_died_before_it_took_over_is_asked_for_later_and_later(deaths: int, wait_seconds: int) -> None:
    early = CarrierSnapshot(session=LEFT, asked=asked(7, wait_seconds - 1, deaths=deaths), death=Death("no secret"))
    assert decide_resume(early, PACE, NOW, 0.0) == LeaveAlone(
        LEFT,
        "it was stopped before its end; the last run ended before it opened the session: no secret; "
        "the next resume is due at 02:00:01 UTC",
    )
    due = CarrierSnapshot(session=LEFT, asked=asked(7, wait_seconds, deaths=deaths))
    again = decide_resume(due, PACE, NOW, 0.0)
    assert isinstance(again, ResumeNow)
    assert again.asked == ResumeRequest("acme-1", 3, 7, 8, NOW, deaths + 1, LEFT.updated_at)


@pytest.mark.parametrize("session", [LEFT, replace(LEFT, state=State.RUNNING), replace(LEFT, state=State.PARKED)])
def test_so_many_runs_that_died_before_they_took_over_are_the_last(session: Session) -> None:
    snapshot = CarrierSnapshot(session=session, asked=asked(4, 0, deaths=4), death=Death("the secret is not set"))
    assert decide_resume(snapshot, PACE, NOW, 0.0) == GiveUpNow(
        session,
        "gave up after 5 runs that ended before they opened the session; the last one: the secret is not set",
    )
    assert not isinstance(decide_resume(snapshot, replace(PACE, max_stalled_resumes=6), NOW, 0.0), GiveUpNow)


def test_a_run_on_its_way_is_not_given_up() -> None:
    snapshot = CarrierSnapshot(session=LEFT, asked=asked(4, 0, deaths=4), live_runs=["run-5"])
    assert isinstance(decide_resume(snapshot, PACE, NOW, 0.0), LeaveAlone)


def test_what_may_pass_is_never_given_up_and_asked_for_once_an_hour_in_the_end() -> None:
    away, now, memory, waits = Death("the warehouse is away", may_pass=True), NOW, asked(0, 0), []
    for _ in range(20):
        asked_at = now
        while not isinstance(
            decision := decide_resume(CarrierSnapshot(session=LEFT, asked=memory, death=away), PACE, now, 0.0),
            ResumeNow,
        ):
            assert isinstance(decision, LeaveAlone)
            now += timedelta(seconds=10)
        memory = decision.asked
        waits.append((now - asked_at).total_seconds())
    assert waits == [10, 20, 40, 60, 160, 320, 640, 1280, 2560] + [3600] * 11


@pytest.mark.parametrize("days_off", [0, 3, -3])
def test_a_change_of_the_session_by_anybody_begins_a_new_row_whatever_the_clock_says(days_off: int) -> None:
    changed_at = NOW + timedelta(days=days_off)
    released = replace(LEFT, updated_at=changed_at)
    before = replace(asked(9, 1, deaths=9), session_updated_at=LEFT.updated_at)
    decision = decide_resume(CarrierSnapshot(session=released, asked=before), PACE, NOW, 0.0)
    assert isinstance(decision, ResumeNow)
    assert decision.asked == ResumeRequest("acme-1", 3, 7, 10, NOW, 0, changed_at)


def test_in_the_memory_of_an_earlier_version_a_change_is_told_by_its_time() -> None:
    for updated_at, deaths in ((NOW, 0), (LEFT.updated_at - timedelta(hours=1), 10)):
        session = replace(LEFT, updated_at=updated_at)
        patient = replace(PACE, max_stalled_resumes=99)
        decision = decide_resume(CarrierSnapshot(session=session, asked=asked(9, 3600, deaths=9)), patient, NOW, 0.0)
        assert isinstance(decision, ResumeNow)
        assert decision.asked.deaths == deaths


@pytest.mark.parametrize(("stalled_resumes", "wait_seconds"), [(1, 10), (2, 20), (3, 40), (4, 60)])
def test_a_resume_that_brought_no_page_is_followed_later_and_later(stalled_resumes: int, wait_seconds: int) -> None:
    session = replace(INTERRUPTED, stalled_resumes=stalled_resumes, fence=9)
    updated_at = session.updated_at
    snapshot = CarrierSnapshot(session=session, asked=asked(5, 600))
    assert not resumes(snapshot, updated_at + timedelta(seconds=wait_seconds - 1))
    assert resumes(snapshot, updated_at + timedelta(seconds=wait_seconds))


@pytest.mark.parametrize("days", [1, 3, 400])
def test_no_wait_of_the_sensors_own_outlasts_a_clock_that_was_put_back(days: int) -> None:
    then = NOW + timedelta(days=days)
    stalled = replace(INTERRUPTED, stalled_resumes=3, updated_at=then)
    assert resumes(CarrierSnapshot(session=stalled))
    unopened = replace(asked(3, 0, deaths=3), asked_at=then, session_updated_at=LEFT.updated_at)
    assert resumes(CarrierSnapshot(session=LEFT, asked=unopened))


def test_one_page_of_progress_makes_the_next_resume_immediate() -> None:
    progressed = replace(INTERRUPTED, fence=4, stalled_resumes=0, updated_at=NOW)
    assert resumes(CarrierSnapshot(session=progressed, asked=asked(5, 1)))


def test_a_parked_session_is_resumed_when_due_however_often_it_stalled() -> None:
    due = replace(PARKED, not_before=NOW, stalled_resumes=2, updated_at=NOW)
    assert resumes(CarrierSnapshot(session=due))


def test_a_run_that_a_person_terminated_is_a_pause_and_not_followed_by_another() -> None:
    decision = decide_resume(CarrierSnapshot(session=ORPHANED, terminated_run="run-1"), PACE, NOW, 0.0)

    assert decision == PauseNow(
        ORPHANED, ResumeRequest("acme-1", 3, 7, 0, NOW, 0, ORPHANED.updated_at), "a person terminated run run-1"
    )


def test_once_paused_for_it_and_resumed_a_terminated_run_says_nothing_any_more() -> None:
    decision = decide_resume(
        CarrierSnapshot(session=INTERRUPTED, asked=asked(0, 60), terminated_run="run-2"), PACE, NOW, 0.0
    )

    assert isinstance(decision, PauseNow)
    assert decision.asked.run_key != asked(0, 60).run_key  # what is looked for from now on


@pytest.mark.parametrize(
    "session", [RUNNING, PARKED, a_session(State.PAUSED), a_session(State.FAILED), a_session(State.COMPLETED)]
)
def test_a_session_that_would_not_be_resumed_anyway_is_not_paused(session: Session) -> None:
    snapshot = CarrierSnapshot(session=session, terminated_run="run-1")

    assert isinstance(decide_resume(snapshot, PACE, NOW, 0.0), LeaveAlone)


def test_jitter_comes_on_top_of_the_wait() -> None:
    snapshot = CarrierSnapshot(session=LEFT, asked=asked(0, 12))
    assert isinstance(decide_resume(snapshot, PACE, NOW, 0.5), LeaveAlone)
    assert isinstance(decide_resume(snapshot, PACE, NOW, 0.1), ResumeNow)


def test_each_carrier_is_decided_by_itself_and_at_its_own_pace() -> None:
    other = replace(INTERRUPTED, carrier="other", session_id="other-1")
    snapshots = [
        CarrierSnapshot(session=LEFT, asked=asked(0, 5)),
        CarrierSnapshot(session=other, asked=replace(asked(0, 5), session_id="other-1")),
        CarrierSnapshot(session=replace(RUNNING, carrier="third")),
    ]
    figure_checks = decide_resumes(snapshots, {"acme": PACE}, NOW, 0.0)
    assert [type(decision) for decision in figure_checks] == [LeaveAlone, ResumeNow, LeaveAlone]
    assert [decision.session.carrier for decision in figure_checks] == ["acme", "other", "third"]


@given(st.lists(st.tuples(st.integers(1, 100), st.booleans()), max_size=30))
def test_no_run_key_is_ever_used_twice(ticks: list[tuple[int, bool]]) -> None:
    """Run keys are remembered forever, so a second use would be a resume that never comes."""
    now, session, memory, keys = NOW, INTERRUPTED, None, []
    for seconds, taken_over in ticks:
        now += timedelta(seconds=seconds)
        decision = decide_resume(CarrierSnapshot(session=session, asked=memory), PACE, now, 0.0)
        if isinstance(decision, ResumeNow):
            keys.append(decision.run_key)
            memory = decision.asked
            if taken_over:
                session = replace(session, fence=session.fence + 1, stalled_resumes=1, updated_at=now)
    assert len(set(keys)) == len(keys)


@given(
    st.sampled_from(State),
    st.none() | st.integers(-100, 100),
    st.none() | st.integers(-100, 100),
    st.integers(0, 5),
    st.none() | st.builds(asked, st.integers(0, 5), st.integers(0, 100), st.integers(2, 4)),
)
def test_the_sensor_never_asks_for_what_a_person_stopped_nor_retries_early(
    state: State, lease: int | None, due: int | None, stalled: int, memory: ResumeRequest | None
) -> None:
    def at(seconds: int | None) -> datetime | None:
        return None if seconds is None else NOW + timedelta(seconds=seconds)

    session = a_session(state, lease_expires_at=at(lease), not_before=at(due), stalled_resumes=stalled)
    if resumes(CarrierSnapshot(session=session, asked=memory)):
        assert state in {State.RUNNING, State.INTERRUPTED, State.PARKED}
        assert state is not State.PARKED or due is None or due <= 0
        assert state is not State.RUNNING or lease is None or lease <= 0
