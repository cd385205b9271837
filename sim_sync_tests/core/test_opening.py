from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.core.notes import session_note
from sim_sync.core.opening import (
    GiveUp,
    OpenNew,
    OpenRequest,
    Refuse,
    Resume,
    Trigger,
    decide_opening,
    owner_loss,
)
from sim_sync.core.session import FINAL_STATES, Session, State
from sim_sync_tests.fakes.fleet import a_request

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
LIVE_LEASE = NOW + timedelta(seconds=7)
DEAD_LEASE = NOW - timedelta(seconds=7)
DUE = NOW + timedelta(hours=2)


def a_session(state: State, **fields: Any) -> Session:
    """Return run-1's session, an hour old; one that runs has a live lease."""
    plain: dict[str, Any] = {
        "session_id": "acme-1",
        "session_number": 1,
        "carrier": "acme",
        "cursor": {"page": 7},
        "fence": 3,
        "config_hash": "config-1",
        "started_at": NOW - timedelta(hours=1),
        "updated_at": NOW - timedelta(minutes=1),
        "owner": "run-1",
        "lease_expires_at": LIVE_LEASE if state is State.RUNNING else None,
    }
    return Session(state=state, **(plain | fields))


RUNNING, ORPHANED = a_session(State.RUNNING), a_session(State.RUNNING, lease_expires_at=DEAD_LEASE)
INTERRUPTED, PAUSED = a_session(State.INTERRUPTED), a_session(State.PAUSED)
PARKED = a_session(State.PARKED, not_before=DUE, last_error="HTTP 429")
FAILED = a_session(State.FAILED, last_error="HTTP 401")
SENSOR, NIGHTLY, OPERATOR = Trigger.SENSOR, Trigger.NIGHTLY, Trigger.OPERATOR

BUSY = Refuse("at work in run run-1, whose lease lasts until 02:00:07 UTC; it is taken over if that run dies")
LEASE_OVER = "the lease of its run run-1 ran out"
RUN_DIED = "its run run-1 died"
TOO_OLD = OpenNew("the session is older than 24 hours")
OTHER_CONFIG = OpenNew("the carrier's configuration changed, so the cursor means nothing any more")
RESTART = OpenNew("an operator asked for a restart")


@pytest.mark.parametrize(
    ("session", "request_", "decision"),
    [
        pytest.param(None, a_request(), OpenNew(), id="a carrier without a session"),
        pytest.param(None, a_request(restart=True), OpenNew(), id="a restart of nothing"),
        # Somebody is at work.
        pytest.param(RUNNING, a_request("run-2", SENSOR), BUSY, id="the sensor finds a live owner"),
        pytest.param(RUNNING, a_request("run-2", NIGHTLY), BUSY, id="the nightly run finds a live owner"),
        pytest.param(RUNNING, a_request("run-2", OPERATOR), BUSY, id="a person finds a live owner"),
        pytest.param(RUNNING, a_request("run-2", config_hash="config-2"), BUSY, id="a new config waits for the owner"),
        pytest.param(RUNNING, a_request("run-2", gone_owners=["run-9"]), BUSY, id="another owner is gone"),
        pytest.param(RUNNING, a_request("run-1", SENSOR), Resume(None, False), id="an op's retry"),
        pytest.param(RUNNING, a_request("run-2", restart=True), RESTART, id="a restart under a live owner"),
        # The owner is lost.
        pytest.param(ORPHANED, a_request("run-2", SENSOR), Resume(LEASE_OVER), id="the lease ran out"),
        pytest.param(ORPHANED, a_request("run-2", OPERATOR), Resume(LEASE_OVER), id="a person takes over"),
        pytest.param(
            RUNNING,
            a_request("run-2", SENSOR, gone_owners=["run-1"]),
            Resume(RUN_DIED),
            id="the run is known to be over",
        ),
        pytest.param(ORPHANED, a_request("run-1", SENSOR), Resume(LEASE_OVER), id="the owner itself was away too long"),
        pytest.param(ORPHANED, a_request("run-2", config_hash="config-2"), OTHER_CONFIG, id="lost, and a new config"),
        # Stopped by the machine.
        pytest.param(INTERRUPTED, a_request("run-2", SENSOR), Resume(), id="the sensor resumes"),
        pytest.param(INTERRUPTED, a_request("run-2", NIGHTLY), Resume(), id="the nightly run resumes"),
        pytest.param(INTERRUPTED, a_request("run-2", OPERATOR), Resume(), id="a person resumes"),
        pytest.param(INTERRUPTED, a_request("run-2", restart=True), RESTART, id="a restart"),
        pytest.param(INTERRUPTED, a_request("run-2", config_hash="config-2"), OTHER_CONFIG, id="a new config"),
        # Waiting.
        pytest.param(PARKED, a_request("run-2", SENSOR), Refuse(session_note(PARKED, NOW)), id="not due"),
        pytest.param(
            replace(PARKED, last_error=None),
            a_request("run-2", OPERATOR),
            Refuse(session_note(replace(PARKED, last_error=None), NOW)),
            id="not due, for a person neither",
        ),
        pytest.param(replace(PARKED, not_before=NOW), a_request("run-2", SENSOR), Resume(), id="due to the second"),
        pytest.param(
            replace(PARKED, not_before=None), a_request("run-2", SENSOR), Resume(), id="parked without a time"
        ),
        # Stopped by a person.
        *(
            pytest.param(
                PAUSED,
                a_request("run-2", trigger),
                Refuse(session_note(PAUSED, NOW)),
                id=f"paused, for the {trigger.value} too",
            )
            for trigger in Trigger
        ),
        pytest.param(PAUSED, a_request("run-2", restart=True), RESTART, id="a restart of a paused session"),
        # Given up.
        pytest.param(
            FAILED, a_request("run-2", SENSOR), Refuse("failed and waiting for an operator: HTTP 401"), id="failed"
        ),
        pytest.param(FAILED, a_request("run-2", NIGHTLY), Resume(None, False), id="the next night tries a failed one"),
        pytest.param(FAILED, a_request("run-2", OPERATOR), Resume(None, False), id="a person tries a failed one"),
    ],
)
def test_what_a_run_may_do_about_a_session(
    session: Session | None, request_: OpenRequest, decision: OpenNew | Resume | Refuse | GiveUp
) -> None:
    assert decide_opening(session, request_, NOW) == decision


@pytest.mark.parametrize(
    ("age", "decision"), [(timedelta(hours=24), Resume()), (timedelta(hours=24, seconds=1), TOO_OLD)]
)
def test_a_session_is_too_old_after_its_last_hour_and_not_in_it(age: timedelta, decision: OpenNew | Resume) -> None:
    assert decide_opening(replace(INTERRUPTED, started_at=NOW - age), a_request("run-2", SENSOR), NOW) == decision


@pytest.mark.parametrize("session", [INTERRUPTED, ORPHANED, replace(PARKED, not_before=NOW)])
@pytest.mark.parametrize("stalled_resumes", [2, 3, 4])
def test_the_sensor_gives_up_after_the_configured_number_of_stalled_resumes(
    session: Session, stalled_resumes: int
) -> None:
    decision = decide_opening(replace(session, stalled_resumes=stalled_resumes), a_request("run-2", SENSOR), NOW)
    assert isinstance(decision, GiveUp if stalled_resumes >= 3 else Resume)


@pytest.mark.parametrize(
    ("last_error", "told"), [("page 7: HTTP 500", "page 7: HTTP 500"), (None, LEASE_OVER)], ids=["an error", "a death"]
)
def test_giving_up_tells_the_last_error(last_error: str | None, told: str) -> None:
    session = replace(ORPHANED, stalled_resumes=3, last_error=last_error)
    assert decide_opening(session, a_request("run-2", SENSOR), NOW) == GiveUp(
        f"gave up after 3 resumes in a row without one committed page; the last error was: {told}"
    )


@pytest.mark.parametrize("trigger", [NIGHTLY, OPERATOR])
def test_people_and_nights_try_again_what_the_sensor_would_give_up(trigger: Trigger) -> None:
    session = replace(INTERRUPTED, stalled_resumes=99)
    assert decide_opening(session, a_request("run-2", trigger), NOW) == Resume(None, counts_as_stalled=False)


@pytest.mark.parametrize(
    ("lease", "gone", "loss"),
    [
        (LIVE_LEASE, [], None),
        (NOW + timedelta(microseconds=1), [], None),
        (NOW, [], LEASE_OVER),
        (DEAD_LEASE, [], LEASE_OVER),
        (None, [], LEASE_OVER),
        (LIVE_LEASE, ["run-1"], RUN_DIED),
        (DEAD_LEASE, ["run-1"], RUN_DIED),
    ],
)
def test_an_owner_is_presumed_alive_until_its_lease_ends_or_its_run_is_known_to_be_over(
    lease: datetime | None, gone: list[str], loss: str | None
) -> None:
    assert owner_loss(replace(RUNNING, lease_expires_at=lease), gone, NOW) == loss


times = st.integers(-100_000, 100_000).map(lambda seconds: NOW + timedelta(seconds=seconds))
runs = st.sampled_from(["run-1", "run-2", "run-3"])
sessions = st.builds(
    a_session,
    state=st.sampled_from(sorted(set(State) - FINAL_STATES)),
    owner=runs,
    lease_expires_at=st.none() | times,
    not_before=st.none() | times,
    started_at=times,
    config_hash=st.sampled_from(["config-1", "config-2"]),
    stalled_resumes=st.integers(0, 5),
    last_error=st.none() | st.just("HTTP 500"),
)
requests = st.builds(
    a_request,
    owner=runs,
    trigger=st.sampled_from(Trigger),
    restart=st.booleans(),
    gone_owners=st.sets(runs),
)


@given(sessions, requests)
def test_nobody_is_let_in_beside_a_live_owner_unless_a_person_asks_for_a_restart(
    session: Session, request_: OpenRequest
) -> None:
    alive = session.state is State.RUNNING and owner_loss(session, request_.gone_owners, NOW) is None
    if alive and session.owner != request_.owner and not request_.restart:
        assert isinstance(decide_opening(session, request_, NOW), Refuse)


@given(sessions, st.lists(requests, min_size=2, max_size=2, unique_by=lambda request_: request_.owner))
def test_of_two_runs_that_ask_one_after_the_other_one_is_let_in(session: Session, wishes: list[OpenRequest]) -> None:
    first, second = (replace(wish, restart=False, gone_owners=()) for wish in wishes)
    if isinstance(decide_opening(session, first, NOW), Resume | OpenNew):
        lease = NOW + timedelta(seconds=first.lease_seconds)
        taken = replace(session, state=State.RUNNING, owner=first.owner, lease_expires_at=lease, started_at=NOW)
        assert isinstance(decide_opening(taken, second, NOW), Refuse)


@given(sessions, requests)
def test_only_a_person_lets_a_paused_session_go_on(session: Session, request_: OpenRequest) -> None:
    decision = decide_opening(replace(session, state=State.PAUSED), request_, NOW)
    assert isinstance(decision, OpenNew if request_.restart else Refuse)


@given(sessions, requests)
def test_a_cursor_of_another_configuration_is_never_gone_on_from(session: Session, request_: OpenRequest) -> None:
    if isinstance(decide_opening(session, request_, NOW), Resume):
        assert session.config_hash == request_.config_hash


@given(sessions, requests)
def test_a_parked_session_is_not_resumed_before_it_is_due(session: Session, request_: OpenRequest) -> None:
    parked = replace(session, state=State.PARKED)
    if isinstance(decide_opening(parked, request_, NOW), Resume):
        assert parked.not_before is None or parked.not_before <= NOW


@given(sessions, requests)
def test_every_decision_against_a_run_says_why(session: Session, request_: OpenRequest) -> None:
    match decide_opening(session, request_, NOW):
        case Refuse(reason) | GiveUp(reason):
            assert reason
        case OpenNew(supersede_reason):
            assert supersede_reason
        case Resume(lost_owner):
            assert (lost_owner is None) or session.state is State.RUNNING


@given(sessions, requests)
def test_giving_up_is_the_sensors_and_after_stalled_resumes_only(session: Session, request_: OpenRequest) -> None:
    if isinstance(decide_opening(session, request_, NOW), GiveUp):
        assert request_.trigger is SENSOR
        assert session.stalled_resumes >= request_.max_stalled_resumes


@pytest.mark.parametrize("trigger", list(Trigger))
def test_old_age_does_not_let_anybody_retry_before_the_carrier_said(trigger: Trigger) -> None:
    # A monthly quota is gone for days, longer than a session may live.
    old = replace(
        PARKED,
        started_at=NOW - timedelta(hours=30),
        not_before=NOW + timedelta(days=3),
        last_error="quota used up: HTTP 429",
    )
    assert isinstance(decide_opening(old, a_request("run-2", trigger), NOW), Refuse)


def test_old_age_does_not_let_the_sensor_try_what_waits_for_an_operator() -> None:
    old = replace(FAILED, started_at=NOW - timedelta(hours=30))
    assert isinstance(decide_opening(old, a_request("run-2", SENSOR), NOW), Refuse)
