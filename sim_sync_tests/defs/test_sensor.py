from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import dagster as dg
import pytest

from sim_sync.carriers.settings import Retry
from sim_sync.core.errors import ConfigError, Problem, WarehouseUnavailable
from sim_sync.core.liveness import FIRST_LEASE_SECONDS, LONGEST_LEASE_SECONDS
from sim_sync.core.opening import Trigger
from sim_sync.core.resuming import ResumeRequest
from sim_sync.core.session import Event, Release, State
from sim_sync.defs.ops import LOOK_EVERY_SECONDS
from sim_sync.defs.resources import config_and_warehouse
from sim_sync.defs.sensors import cursor_from_memory, memory_from_cursor
from sim_sync.warehouse import Warehouse
from sim_sync.warehouse.engine import open_engine, transaction
from sim_sync.warehouse.run_leases import SqlRunLeases
from sim_sync.warehouse.store import SqlSessionStore
from sim_sync.warehouse.tables import metadata
from sim_sync_tests.defs.stage import ACME, DEAD, ELSEWHERE, LEASE_SECONDS, DagsterHarness, alive
from sim_sync_tests.fakes.clock import START
from sim_sync_tests.fakes.small_disk import SmallDisk

CANCELED, CANCELING, FAILURE, NOT_STARTED, STARTED = (
    dg.DagsterRunStatus.CANCELED,
    dg.DagsterRunStatus.CANCELING,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTED,
)


# --- what it resumes -------------------------------------------------------------------------------------------


def test_a_run_that_failed_is_followed_by_one_that_names_carrier_session_and_partition(stage: DagsterHarness) -> None:
    session = stage.opened_by(stage.stored_run(FAILURE).run_id)

    (request,), skipped = stage.look()

    assert skipped is None
    assert (request.partition_key, request.run_key) == (ACME, f"{session.session_id}:1:0")
    assert request.tags["sim_sync/carrier"] == ACME
    assert request.tags["sim_sync/session"] == session.session_id


def test_a_killed_worker_whose_run_is_started_for_ever_is_followed_at_once_and_its_run_reported_failed(
    stage: DagsterHarness,
) -> None:
    run = stage.stored_run(STARTED, process=DEAD)
    stage.opened_by(run.run_id, process=DEAD)

    requests, _ = stage.look()

    assert (len(requests), stage.status_of(run)) == (1, FAILURE)


def test_a_lost_host_is_decided_by_the_lease_alone(stage: DagsterHarness) -> None:
    run = stage.stored_run(STARTED, process=ELSEWHERE)
    session = stage.opened_by(run.run_id, process=ELSEWHERE)

    assert stage.look() == ([], f"acme: session {session.session_id} is left alone: run {run.run_id} is at work on it")
    stage.clock.advance(29.9)
    assert stage.look()[0] == []
    stage.clock.advance(0.2)
    assert (len(stage.look()[0]), stage.status_of(run)) == (1, FAILURE)


def test_an_owner_that_the_instance_does_not_know_is_left_to_its_lease(stage: DagsterHarness) -> None:
    """DAGSTER_HOME was wiped, or the owner is a `sim-sync backfill` of another instance."""
    stage.opened_by("a run of an instance that is gone", process=alive())

    assert stage.look()[0] == []
    stage.clock.advance(30)
    assert len(stage.look()[0]) == 1


def test_a_parked_session_is_resumed_when_it_is_due_and_never_before(stage: DagsterHarness) -> None:
    session = stage.opened_by("run-1")
    stage.warehouse.sessions.release(
        session.claim, Release(Event.WAIT_TOO_LONG, error="throttled: 429", wait_seconds=7200)
    )

    stage.clock.advance(7199.9)
    assert stage.look() == (
        [],
        (
            f"acme: session {session.session_id} is left alone: "
            "throttled, tries again at 04:00:00 UTC (in 1 s); `sim-sync resume acme` tries now"
        ),
    )
    stage.clock.advance(0.1)
    assert len(stage.look()[0]) == 1


def test_an_interrupted_session_is_resumed_at_once(stage: DagsterHarness) -> None:
    stage.warehouse.sessions.release(stage.opened_by("run-1").claim, Release(Event.STOPPED_BY_MACHINE))

    assert len(stage.look()[0]) == 1


@pytest.mark.parametrize("event", [Event.PAUSED_BY_OPERATOR, Event.GAVE_UP])
def test_what_only_a_person_resumes_is_left_alone_until_a_person_does(stage: DagsterHarness, event: Event) -> None:
    stage.warehouse.sessions.release(stage.opened_by("run-1").claim, Release(event, error="look at this"))
    stage.clock.advance(24 * 3600)

    assert stage.look()[0] == []
    stage.warehouse.sessions.move_by_operator(ACME, Event.RELEASED_BY_OPERATOR)
    assert len(stage.look()[0]) == 1


def test_with_no_session_open_it_says_so(stage: DagsterHarness) -> None:
    assert stage.look() == ([], "no session is open at the carriers of this code location")


# --- never twice, never never ----------------------------------------------------------------------------------


def test_two_looks_in_a_row_ask_for_one_run(stage: DagsterHarness) -> None:
    stage.opened_by("run-1", process=DEAD)

    assert len(stage.look()[0]) == 1
    assert stage.look()[0] == []


@pytest.mark.parametrize("status", [NOT_STARTED, dg.DagsterRunStatus.STARTING, STARTED])
def test_a_run_that_is_on_its_way_is_not_joined_by_another(stage: DagsterHarness, status: dg.DagsterRunStatus) -> None:
    session = stage.opened_by("run-1", process=DEAD)
    run = stage.stored_run(status)

    assert stage.look() == (
        [],
        f"acme: session {session.session_id} is left alone: run {run.run_id} is on its way to it",
    )


def test_a_run_that_died_on_its_way_is_asked_for_again_later_and_later_under_new_keys(stage: DagsterHarness) -> None:
    stage.config.carriers[ACME].retry = Retry(base_seconds=10, ceiling_seconds=60, max_stalled_resumes=9)
    session = stage.opened_by("run-1", process=DEAD)
    stage.clock.advance(1)
    asked_at: list[float] = []
    keys: list[str | None] = []

    for second in range(300):
        requests, _ = stage.look()
        asked_at += [second] * len(requests)
        keys += [request.run_key for request in requests]
        stage.clock.advance(1)

    waits = [after - before for before, after in pairwise(asked_at)]
    assert keys == [f"{session.session_id}:1:{attempt}" for attempt in range(len(keys))]
    # base 10 s, ceiling 60 s, at most one base of jitter on top; looked at once a second
    for wait, floor in zip(waits, [10, 20, 40, 60, 60], strict=False):
        assert floor <= wait <= floor + 11
    assert len(waits) >= 4


def test_a_memory_that_is_lost_or_of_another_version_keeps_nothing_from_being_resumed(stage: DagsterHarness) -> None:
    stage.opened_by("run-1", process=DEAD)

    for cursor in ("", "no JSON", '{"carriers": {"acme": {"fence": "x"}}}', "[]", '{"version": 9}'):
        stage.sensor_cursor = cursor
        assert len(stage.look()[0]) == 1
    assert stage.sensor_cursor is not None
    assert memory_from_cursor(stage.sensor_cursor)[ACME].attempt == 0


def test_the_memory_survives_being_written_and_read() -> None:
    memory = {
        ACME: ResumeRequest("acme-1", 3, 7, 2, START),
        "other": ResumeRequest("other-1", 1, 0, 0, START + timedelta(seconds=1)),
    }

    assert memory_from_cursor(cursor_from_memory(memory)) == memory


def test_one_carrier_without_sound_config_does_not_keep_the_others_from_being_resumed(stage: DagsterHarness) -> None:
    stage.config.broken.add("other")
    stage.opened_by("run-1", process=DEAD)

    assert len(stage.look()[0]) == 1


# --- a person ended the run ------------------------------------------------------------------------------------


def test_terminating_the_run_before_the_session_could_say_so_is_a_pause(stage: DagsterHarness) -> None:
    run = stage.stored_run(STARTED, process=DEAD)
    stage.opened_by(run.run_id, process=DEAD)
    stage.instance.report_run_canceling(run)

    assert stage.look()[0] == []
    assert (stage.session.state, stage.status_of(run)) == (State.PAUSED, CANCELED)
    assert stage.look()[0] == []

    stage.warehouse.sessions.move_by_operator(ACME, Event.RELEASED_BY_OPERATOR)
    stage.clock.advance(21)
    assert len(stage.look()[0]) == 1


def test_terminating_the_queued_run_that_was_to_resume_is_a_pause_until_somebody_resumes(stage: DagsterHarness) -> None:
    session = stage.opened_by("run-1", process=DEAD)
    (request,), _ = stage.look()
    queued = stage.stored_run(NOT_STARTED, tags={"dagster/run_key": str(request.run_key)})
    stage.instance.report_run_canceling(queued, message="Canceling run from the queue.")
    stage.instance.report_run_canceled(queued)

    requests, skipped = stage.look()
    assert requests == []
    assert skipped == (
        f"acme: session {session.session_id} is paused: a person terminated run {queued.run_id}; "
        "`sim-sync resume acme` continues it"
    )
    assert stage.session.state is State.PAUSED

    stage.warehouse.sessions.move_by_operator(ACME, Event.RELEASED_BY_OPERATOR)
    stage.clock.advance(120)
    assert len(stage.look()[0]) == 1


def test_a_run_that_dagster_ended_for_its_age_is_no_pause(stage: DagsterHarness) -> None:
    run = stage.stored_run(STARTED, process=DEAD)
    stage.opened_by(run.run_id, process=DEAD)
    stage.instance.report_run_canceling(run, message="Canceling due to exceeding maximum runtime of 43200 seconds.")
    stage.instance.report_run_canceling(run)
    stage.instance.report_run_failed(run, "Exceeded maximum runtime of 43200 seconds.")

    assert len(stage.look()[0]) == 1


def test_a_run_that_a_deploy_ended_is_no_pause(stage: DagsterHarness) -> None:
    run = stage.stored_run(CANCELED, process=DEAD)
    stage.opened_by(run.run_id, process=DEAD)

    assert len(stage.look()[0]) == 1


# --- who is alive ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("session_is_open", [True, False])
def test_a_run_of_another_host_is_lost_when_its_lease_has_run_out_whether_or_not_it_owns_a_session(
    stage: DagsterHarness, *, session_is_open: bool
) -> None:
    """Its host died before it opened its session, or while it compared: it would hold its carrier's slot forever."""
    if session_is_open:
        stage.warehouse.sessions.release(stage.opened_by("run-1").claim, Release(Event.STOPPED_BY_MACHINE))
    run = stage.started_run(process=ELSEWHERE)
    assert (stage.look()[0], stage.status_of(run)) == ([], STARTED)

    stage.clock.advance(LEASE_SECONDS)
    requests, _ = stage.look()
    assert (len(requests), stage.status_of(run)) == (int(session_is_open), FAILURE)


def test_a_lost_owner_is_reported_also_where_another_run_waits_behind_it(stage: DagsterHarness) -> None:
    """One run a carrier: the run behind it could not start for as long as the lost one counts as started."""
    owner = stage.stored_run(STARTED, process=ELSEWHERE)
    session = stage.opened_by(owner.run_id, process=ELSEWHERE)
    waiting = stage.stored_run(NOT_STARTED)
    stage.clock.advance(LEASE_SECONDS)

    assert stage.look() == (
        [],
        f"acme: session {session.session_id} is left alone: run {waiting.run_id} is on its way to it",
    )
    assert (stage.status_of(owner), stage.status_of(waiting)) == (FAILURE, NOT_STARTED)


def test_a_run_that_owns_its_session_is_never_doubted_while_its_lease_lasts(stage: DagsterHarness) -> None:
    """It was started by an earlier version, which kept no lease of runs."""
    old = stage.started_run(seconds_ago=3600)
    stage.opened_by(old.run_id, process=ELSEWHERE)

    assert (stage.look()[0], stage.status_of(old)) == ([], STARTED)


@pytest.mark.parametrize("started_seconds_ago", [0, 3600])
def test_a_run_that_died_before_it_said_a_word_is_lost_a_minute_after_the_sensor_has_seen_it(
    stage: DagsterHarness, started_seconds_ago: int
) -> None:
    """The clock of its host may be an hour behind: what counts is the sensor's own first look."""
    run = stage.started_run(seconds_ago=started_seconds_ago)
    assert (stage.look()[0], stage.status_of(run)) == ([], STARTED)
    stage.clock.advance(FIRST_LEASE_SECONDS - 1)
    assert (stage.look()[0], stage.status_of(run)) == ([], STARTED)

    stage.clock.advance(1)
    stage.look()

    assert stage.status_of(run) is FAILURE
    stage.look()
    assert stage.warehouse.runs.read() == []


def test_a_slow_run_that_takes_its_lease_at_last_is_not_lost(stage: DagsterHarness) -> None:
    run = stage.started_run()
    stage.look()
    stage.clock.advance(FIRST_LEASE_SECONDS)
    stage.while_waiting = lambda: stage.warehouse.runs.renew(run.run_id, ELSEWHERE, LEASE_SECONDS)

    assert (stage.look()[0], stage.status_of(run)) == ([], STARTED)


def test_a_run_that_has_given_its_lease_back_and_is_about_to_end_is_not_lost(stage: DagsterHarness) -> None:
    run = stage.started_run(process=ELSEWHERE, seconds_ago=3600)
    stage.warehouse.runs.give_back(run.run_id)

    stage.look()

    assert stage.status_of(run) is STARTED


def test_an_owner_whose_run_lives_keeps_its_session_though_the_lease_on_that_has_run_out(stage: DagsterHarness) -> None:
    """Closing a long walk is one transaction: nobody renews the lease on a session whose row it has locked."""
    owner = stage.stored_run(STARTED, process=ELSEWHERE)
    session = stage.opened_by(owner.run_id, process=ELSEWHERE)
    stage.clock.advance(LEASE_SECONDS)
    stage.warehouse.runs.renew(owner.run_id, ELSEWHERE, LEASE_SECONDS)

    assert stage.look() == (
        [],
        f"acme: session {session.session_id} is left alone: run {owner.run_id} is at work on it",
    )
    assert (stage.status_of(owner), stage.waited) == (STARTED, [])
    stage.run({"dagster/schedule_name": "nightly_reconciliation"})
    assert stage.session.owner == owner.run_id


def test_who_renews_its_lease_as_soon_as_the_warehouse_is_back_is_alive(stage: DagsterHarness) -> None:
    """After an outage all leases have run out, and the sensor may look before anybody has renewed one."""
    owner = stage.stored_run(STARTED, process=ELSEWHERE)
    session = stage.opened_by(owner.run_id, process=ELSEWHERE)
    stage.clock.advance(LEASE_SECONDS)
    stage.while_waiting = lambda: stage.warehouse.sessions.renew_lease(session.claim)

    assert (stage.look()[0], stage.status_of(owner), len(stage.waited)) == ([], STARTED, 1)


@pytest.mark.parametrize("lives", [True, False])
def test_a_lease_that_was_written_while_the_clock_was_days_ahead_is_one_of_today(
    stage: DagsterHarness, *, lives: bool
) -> None:
    stage.clock.advance(3 * 86_400)
    owner = stage.stored_run(STARTED, process=ELSEWHERE)
    session = stage.opened_by(owner.run_id, process=ELSEWHERE)
    stage.clock.advance(-3 * 86_400)
    assert (stage.look()[0], stage.status_of(owner)) == ([], STARTED)
    for _ in range(4):
        stage.clock.advance(LEASE_SECONDS / 3)
        if lives:
            stage.warehouse.sessions.renew_lease(session.claim)

    requests, _ = stage.look()

    assert (len(requests), stage.status_of(owner)) == ((0, STARTED) if lives else (1, FAILURE))


def test_after_the_clock_was_put_back_a_run_that_owns_nothing_is_lost_within_an_hour(stage: DagsterHarness) -> None:
    stage.clock.advance(3 * 86_400)
    run = stage.started_run(process=ELSEWHERE)
    stage.clock.advance(-3 * 86_400)
    stage.look()
    assert stage.status_of(run) is STARTED

    stage.clock.advance(LONGEST_LEASE_SECONDS)
    stage.look()

    assert stage.status_of(run) is FAILURE


def test_who_lives_has_time_for_his_turn_where_a_clock_that_was_put_forward_has_cut_his_lease_short(
    stage: DagsterHarness,
) -> None:
    """He knows nothing of it, and renews his lease every third of it."""
    owner = stage.stored_run(STARTED, process=ELSEWHERE)
    session = stage.opened_by(owner.run_id, process=ELSEWHERE)
    stage.clock.advance(3 * 86_400)

    def renew_in_turn() -> None:
        if stage.waited[-1] >= LEASE_SECONDS / 3:
            stage.warehouse.sessions.renew_lease(session.claim)

    stage.while_waiting = renew_in_turn

    assert (stage.look()[0], stage.status_of(owner), stage.session.owner) == ([], STARTED, owner.run_id)


def test_nobody_is_silent_while_another_process_holds_up_all_writers(stage: DagsterHarness) -> None:
    owner = stage.stored_run(STARTED, process=ELSEWHERE)
    stage.opened_by(owner.run_id, process=ELSEWHERE)
    stage.clock.advance(LEASE_SECONDS)

    with transaction(stage.warehouse.engine, "comparing another carrier's millions of SIMs"):
        assert (stage.look()[0], stage.status_of(owner)) == ([], STARTED)
    assert (len(stage.look()[0]), stage.status_of(owner)) == (1, FAILURE)


def test_a_run_that_has_ended_since_the_sensor_looked_is_not_reported(stage: DagsterHarness) -> None:
    run = stage.stored_run(STARTED, process=ELSEWHERE)
    stage.clock.advance(LEASE_SECONDS)
    stage.while_waiting = lambda: stage.instance.report_run_canceled(run)

    stage.look()

    assert stage.status_of(run) is CANCELED


def test_the_sensor_waits_once_for_a_lost_run_and_not_at_every_look(stage: DagsterHarness) -> None:
    stage.stored_run(STARTED, process=ELSEWHERE)
    stage.stored_run(FAILURE, process=DEAD)
    stage.clock.advance(LEASE_SECONDS)

    for _ in range(3):
        stage.look()

    assert len(stage.waited) == 1
    assert stage.warehouse.runs.read() == []


def test_a_run_for_our_list_alone_is_not_on_its_way_to_a_session(stage: DagsterHarness) -> None:
    stage.opened_by("run-1", process=DEAD)
    run = stage.stored_run(STARTED, process=alive(), assets=["sim_inventory"])

    assert (len(stage.look()[0]), stage.status_of(run)) == (1, STARTED)


# --- what the UI is told ---------------------------------------------------------------------------------------


def test_a_lost_run_is_reported_even_where_no_session_is_open(stage: DagsterHarness) -> None:
    lost = stage.stored_run(STARTED, process=DEAD)
    told_to_end = stage.stored_run(CANCELING, process=DEAD)
    at_work = stage.stored_run(STARTED, process=alive())

    stage.look()

    assert [stage.status_of(run) for run in (lost, told_to_end, at_work)] == [FAILURE, CANCELED, STARTED]


# --- the warehouse is away -------------------------------------------------------------------------------------


def test_a_warehouse_that_does_not_answer_is_a_skip_with_the_reason(stage: DagsterHarness) -> None:
    engine = open_engine("postgresql://nobody:pa55word@127.0.0.1:9/nothing")
    stage.warehouse = Warehouse(engine, SqlSessionStore(engine), SqlRunLeases(engine))

    requests, skipped = stage.look()

    assert requests == []
    assert skipped is not None
    assert skipped.startswith("cannot look: the warehouse postgresql+psycopg://nobody:***@127.0.0.1:9/nothing failed")
    assert "pa55word" not in skipped


def test_a_warehouse_that_cannot_even_be_opened_is_a_skip_with_the_reason(
    stage: DagsterHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIM_SYNC_CONFIG", "/nowhere/carriers.yaml")
    stage.open_context = config_and_warehouse

    requests, skipped = stage.look()

    assert requests == []
    assert skipped is not None
    assert skipped.startswith("cannot look: /nowhere/carriers.yaml: ")
    assert "/nowhere/carriers.yaml" in skipped


# --- runs that die before they open their session --------------------------------------------------------------


def look_until_nothing_is_asked_for(stage: DagsterHarness, die: Callable[[str], None]) -> list[str]:
    """Let the sensor look every ten seconds for half an hour, and each run that it asks for die; return their keys."""
    keys = []
    for _ in range(180):
        requests, _ = stage.look()
        for request in requests:
            keys.append(str(request.run_key))
            die(str(request.run_key))
        stage.clock.advance(10)
    return keys


def test_a_session_whose_runs_die_before_they_open_it_is_given_up_with_the_reason_of_the_last(
    stage: DagsterHarness,
) -> None:
    session = stage.opened_by("run-1", process=DEAD)
    stage.clock.advance(1)

    def die(key: str) -> None:
        run = stage.stored_run(STARTED, tags={"dagster/run_key": key})
        stage.instance.report_run_failed(run, "the container was killed for its memory")

    keys = look_until_nothing_is_asked_for(stage, die)

    assert keys == [f"{session.session_id}:1:{attempt}" for attempt in range(3)]
    assert (stage.session.state, stage.session.lease_expires_at) == (State.FAILED, None)
    assert stage.session.last_error == (
        "gave up after 3 runs that ended before they opened the session; the last one: "
        "the container was killed for its memory"
    )

    stage.warehouse.sessions.move_by_operator(ACME, Event.RELEASED_BY_OPERATOR)
    (request,), _ = stage.look()
    assert request.run_key == f"{session.session_id}:1:3"


def test_of_a_run_that_was_killed_the_reason_is_what_dagster_saw_of_its_process(stage: DagsterHarness) -> None:
    stage.opened_by("run-1", process=DEAD)
    stage.clock.advance(1)

    def die(key: str) -> None:
        run = stage.stored_run(STARTED, tags={"dagster/run_key": key})
        stage.instance.report_engine_event("Started process for run (pid: 7).", run)
        stage.instance.report_engine_event("The process was terminated by signal 9 (SIGKILL).", run)
        stage.instance.report_run_failed(run)

    look_until_nothing_is_asked_for(stage, die)

    assert str(stage.session.last_error).endswith(
        "the last one: The process was terminated by signal 9 (SIGKILL). "
        "This run has been marked as failed from outside the execution context."
    )


def test_a_run_that_left_no_word_at_all_counts_too(stage: DagsterHarness) -> None:
    stage.opened_by("run-1", process=DEAD)
    stage.clock.advance(1)

    assert len(look_until_nothing_is_asked_for(stage, lambda _key: None)) == 3
    assert str(stage.session.last_error).endswith("the last one: it left no word")


def test_what_may_pass_is_asked_for_less_and_less_often_and_never_given_up(stage: DagsterHarness) -> None:
    stage.opened_by("run-1", process=DEAD)
    stage.clock.advance(1)

    keys = look_until_nothing_is_asked_for(
        stage, lambda key: stage.run_that_cannot_start(key, WarehouseUnavailable("away"))
    )

    assert 5 <= len(keys) <= 9
    assert stage.session.state is State.RUNNING
    _, skipped = stage.look()
    assert "the last run ended before it opened the session: away; the next resume is due at" in str(skipped)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConfigError([Problem("carriers.yaml", "k", "a", "b")]), "carriers.yaml: k: expected a, found b"),
        (KeyError("the s3cret"), "the last one: KeyError, see run "),
    ],
)
def test_a_run_that_cannot_even_start_its_steps_tells_why_without_the_text_of_other_peoples_errors(
    stage: DagsterHarness, error: Exception, reason: str
) -> None:
    stage.opened_by("run-1", process=DEAD)
    stage.clock.advance(1)

    look_until_nothing_is_asked_for(stage, lambda key: stage.run_that_cannot_start(key, error))

    assert stage.session.state is State.FAILED
    assert reason in str(stage.session.last_error)
    assert "s3cret" not in str(stage.session.last_error)


# --- giving up -------------------------------------------------------------------------------------------------


def test_a_session_that_the_resumed_run_gave_up_is_not_asked_for_again(stage: DagsterHarness) -> None:
    """`max_stalled_resumes` is 3: three resumes are tried, the fourth run finds that they did not help."""
    stage.opened_by("run-0", process=DEAD)
    tried = 0
    for number in range(1, 20):
        requests, _ = stage.look()
        if requests:
            tried += 1
            stage.opened_by(f"run-{number}", process=DEAD, trigger=Trigger.SENSOR, gone_owners=[stage.session.owner])
        stage.clock.advance(61 + 10)

    session = stage.session
    assert (tried, session.state, session.stalled_resumes) == (4, State.FAILED, 3)
    assert session.last_error is not None
    assert session.last_error.startswith("gave up after 3 resumes in a row without one committed page")


def test_a_carrier_that_was_added_since_is_named_with_what_to_do(stage: DagsterHarness) -> None:
    stage.config.carriers["zeta"] = stage.config.carriers[ACME]

    requests, skipped = stage.look()

    assert requests == []
    assert skipped == (
        "no session is open at the carriers of this code location; "
        "zeta: in carriers.yaml, but unknown to this code location, so nothing resumes it: reload definitions"
    )


def on_a_disk(stage: DagsterHarness, disk: SmallDisk) -> None:
    """Let the warehouse of the stage be on a disk."""
    engine = open_engine(f"sqlite:///{disk.folder}/warehouse.db")
    metadata.create_all(engine)
    stage.warehouse.close()
    sessions = SqlSessionStore(engine, clock=stage.clock.now)
    stage.warehouse = Warehouse(engine, sessions, SqlRunLeases(engine, clock=stage.clock.now))


def test_no_run_is_launched_into_a_full_warehouse_and_the_sensor_says_so_and_continues_when_there_is_room(
    stage: DagsterHarness, small_disk: SmallDisk
) -> None:
    on_a_disk(stage, small_disk)
    stage.opened_by(stage.stored_run(FAILURE).run_id)
    small_disk.fill()

    requests, skipped = stage.look()

    assert requests == []
    assert skipped is not None
    assert f"no space is left on the file system of {small_disk.folder}: make room there" in skipped
    small_disk.make_room()
    assert len(stage.look()[0]) == 1


def test_a_run_of_the_night_waits_until_there_is_room(stage: DagsterHarness, small_disk: SmallDisk) -> None:
    on_a_disk(stage, small_disk)
    small_disk.fill()
    stage.while_run_waits = small_disk.make_room

    assert stage.run({"dagster/schedule_name": "nightly_reconciliation"}).success

    assert stage.session.state is State.COMPLETED
    assert stage.clock.now() >= START + timedelta(seconds=LOOK_EVERY_SECONDS)
