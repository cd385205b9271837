import itertools
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from sim_sync.core.errors import AuthenticationFailed, ParkRequired, WarehouseUnavailable
from sim_sync.core.opening import Trigger
from sim_sync.core.pages import Effort
from sim_sync.core.session import Event, Release, State, SweepState
from sim_sync.core.sweep import SweepPolicy
from sim_sync.defs.ops import RETRIES
from sim_sync.warehouse.scratch import exact_digests
from sim_sync_tests.defs.stage import (
    ACME,
    DEAD,
    ELSEWHERE,
    DagsterHarness,
    GivenList,
    materialized,
    metadata_of,
    wait_until,
)
from sim_sync_tests.fakes.carrier import Unreadable
from sim_sync_tests.fakes.clock import START
from sim_sync_tests.fakes.fleet import a_sim
from sim_sync_tests.inventory.lists import ICCID
from sim_sync_tests.inventory.lists import OTHER as NEW

EVERYTHING = {"sim_inventory", "carrier_sims", "sim_discrepancies"}
NIGHTLY = {"dagster/schedule_name": "nightly_reconciliation"}
SENSORS = {"dagster/sensor_name": "resume_interrupted_syncs"}


def failures(result: dg.ExecuteInProcessResult) -> list[str]:
    """Return what a person reads about each failed step."""
    told = []
    for event in result.all_events:
        if event.is_step_failure:
            described = event.step_failure_data.user_failure_data
            told.append(str(described.description) if described else str(event.step_failure_data.error))
    return told


def observations(result: dg.ExecuteInProcessResult) -> list[dg.AssetObservation]:
    return [event.asset_observation_data.asset_observation for event in result.get_asset_observation_events()]


def told_by(stage: DagsterHarness, result: dg.ExecuteInProcessResult) -> list[str]:
    """Return what the run has logged."""
    return [record.user_message for record in stage.instance.all_logs(result.run_id)]


def park(stage: DagsterHarness) -> None:
    """Leave the session parked for two hours by another run."""
    session = stage.opened_by("run-1")
    stage.warehouse.sessions.release(session.claim, Release(Event.WAIT_TOO_LONG, error="429", wait_seconds=7200))


# --- a walk to the end -----------------------------------------------------------------------------------------


def test_a_completed_walk_materializes_everything_and_tells_its_figures(stage: DagsterHarness) -> None:
    result = stage.run()

    told = metadata_of(result, "carrier_sims")
    assert (result.success, materialized(result)) == (True, EVERYTHING)
    assert {
        name: told[name] for name in ("state", "pages_done", "percent", "records_added", "last_error", "sweep")
    } == {
        "state": "completed",
        "pages_done": 5,
        "percent": 100.0,
        "records_added": 10,
        "last_error": "none",
        "sweep": "done",
    }
    assert told["session"] == stage.session.session_id
    assert (stage.session.state, stage.session.sweep_state, len(stage.sim_ids)) == (
        State.COMPLETED,
        SweepState.DONE,
        10,
    )


def test_the_run_is_tagged_with_its_carrier_and_its_session(stage: DagsterHarness) -> None:
    run_id = stage.run().run_id

    run = stage.instance.get_run_by_id(run_id)
    assert run is not None
    assert run.tags["sim_sync/carrier"] == ACME
    assert run.tags["sim_sync/session"] == stage.session.session_id
    assert stage.session.owner == run_id


def test_observations_come_by_time_and_not_by_page(stage: DagsterHarness) -> None:
    told = observations(stage.run())

    # The first checkpoint, and the end of the walk; not the pages between.
    assert [one.metadata["pages_done"].value for one in told] == [1, 5]
    assert {one.partition for one in told} == {ACME}


def test_a_new_error_is_told_at_once(stage: DagsterHarness) -> None:
    stage.carrier.efforts = {2: Effort(retries=1, last_error="status 503")}

    told = observations(stage.run())

    assert [(one.metadata["pages_done"].value, one.metadata["last_error"].value) for one in told] == [
        (1, "none"),
        (3, "status 503"),
        (5, "status 503"),
    ]


# --- what a run holds between its steps ------------------------------------------------------------------------


def steps_in_order(result: dg.ExecuteInProcessResult) -> list[str]:
    return [event.step_key for event in result.all_events if event.is_step_start and event.step_key is not None]


def test_the_session_is_opened_before_anything_else_is_done(stage: DagsterHarness) -> None:
    assert steps_in_order(stage.run())[0] == "carrier_sims.open_session"


def test_the_lease_is_kept_for_as_long_as_our_list_is_read(stage: DagsterHarness) -> None:
    """It may have millions of rows, and take longer than any lease."""
    stage.config.carriers[ACME].lease_seconds = 0.003
    leases: list[bool] = []

    def read_slowly() -> None:
        for _ in range(3):
            stage.clock.advance(3600)
            wait_until(lambda: (stage.session.lease_expires_at or START) > stage.clock.now())
            leases.append(True)

    stage.config.reading_inventory = read_slowly

    result = stage.run()

    assert (result.success, leases, stage.session.state, stage.session.fence) == (True, [True] * 3, State.COMPLETED, 1)


def test_the_run_itself_is_known_to_live_from_its_first_step_on_until_its_end(stage: DagsterHarness) -> None:
    living: list[Sequence[str]] = []

    def note() -> None:
        living.append([lease.run_id for lease in stage.warehouse.runs.read()])

    stage.config.reading_inventory = note
    stage.carrier.on_fetched = note

    run_id = stage.run().run_id

    assert living == [[run_id]] * (1 + 5)  # our list, and each page
    assert stage.warehouse.runs.read() == []


def test_a_dry_run_is_known_to_live_too_and_leaves_nothing(stage: DagsterHarness) -> None:
    stage.run(dry_run=True)

    assert stage.warehouse.runs.read() == []


@pytest.mark.parametrize("max_pages", [None, 2])
def test_nobody_keeps_a_lease_after_the_end_of_the_run(stage: DagsterHarness, max_pages: int | None) -> None:
    stage.run(max_pages=max_pages)

    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("lease o")] == []


def test_a_run_that_ends_with_its_session_open_keeps_no_lease_either(stage: DagsterHarness) -> None:
    stage.config.reading_inventory = lambda: stage.config.broken.add(ACME)
    result = stage.run()

    assert (result.success, stage.session.state, stage.carrier.fetched) == (False, State.RUNNING, [])
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("lease o")] == []


def test_no_step_leaves_anything_for_another_one_on_the_disk_of_its_host(stage: DagsterHarness) -> None:
    stage.run()

    storage = Path(stage.instance.storage_directory())
    assert [path for path in storage.rglob("*") if path.is_file()] == []


# --- ends that are green and materialize nothing ---------------------------------------------------------------


def test_a_parked_run_ends_green_without_a_materialization_and_skips_what_comes_after(stage: DagsterHarness) -> None:
    stage.carrier.faults = {2: ParkRequired("acme: GET /sims: status 429", wait_seconds=7200)}

    result = stage.run()

    session = stage.session
    assert (result.success, materialized(result)) == (True, {"sim_inventory"})
    assert (session.state, session.pages_done, session.lease_expires_at) == (State.PARKED, 2, None)
    assert session.not_before is not None
    assert (session.not_before - stage.clock.now()).total_seconds() == 7200
    assert session.last_error == "carrier down: page 3: acme: GET /sims: status 429"
    assert observations(result)[-1].metadata["not_before"].value == session.not_before.timestamp()


@pytest.mark.parametrize("tags", [NIGHTLY, SENSORS])
def test_a_run_of_the_night_or_the_sensor_that_finds_a_parked_session_not_due_leaves_it_alone_green(
    stage: DagsterHarness, tags: dict[str, str]
) -> None:
    park(stage)

    result = stage.run(tags)

    assert (result.success, materialized(result)) == (True, {"sim_inventory"})
    assert (stage.session.state, stage.session.fence, stage.carrier.fetched) == (State.PARKED, 1, [])


@pytest.mark.parametrize("tags", [NIGHTLY, SENSORS])
def test_a_run_of_the_night_or_the_sensor_that_finds_a_paused_session_leaves_it_alone_green_and_says_so(
    stage: DagsterHarness, tags: dict[str, str]
) -> None:
    stage.warehouse.sessions.release(stage.opened_by("run-1").claim, Release(Event.PAUSED_BY_OPERATOR))

    result = stage.run(tags)

    assert (result.success, materialized(result)) == (True, {"sim_inventory"})
    assert (stage.session.state, stage.session.fence, stage.carrier.fetched) == (State.PAUSED, 1, [])
    (told,) = observations(result)
    assert told.metadata["left_alone"].value == "paused before its first page; `sim-sync resume acme` continues it"


@pytest.mark.parametrize("tags", [NIGHTLY, SENSORS])
def test_a_run_of_the_night_or_the_sensor_that_finds_the_session_at_work_elsewhere_leaves_it_alone_green_at_once(
    stage: DagsterHarness, tags: dict[str, str]
) -> None:
    stage.opened_by("a live backfill", process=ELSEWHERE)
    before, then = exact_digests(stage.warehouse.engine), stage.clock.now()

    result = stage.run(tags)

    assert (result.success, materialized(result)) == (True, {"sim_inventory"})
    assert (exact_digests(stage.warehouse.engine), stage.clock.now()) == (before, then)
    (told,) = observations(result)
    assert told.metadata["state"].value == "running"


def test_a_page_budget_ends_green_and_interrupted_and_the_next_run_continues(stage: DagsterHarness) -> None:
    first = stage.run(max_pages=2)
    stopped = stage.session
    second = stage.run({"dagster/sensor_name": "resume_interrupted_syncs"})

    assert (first.success, materialized(first)) == (True, {"sim_inventory"})
    assert (stopped.state, stopped.pages_done, stopped.last_error) == (State.INTERRUPTED, 2, None)
    assert (second.success, materialized(second)) == (True, EVERYTHING)
    assert (stage.session.session_id, stage.session.fence) == (stopped.session_id, 2)
    assert stage.carrier.fetched_pages == [0, 1, 2, 3, 4]


def test_a_run_of_the_sensor_that_comes_after_another_one_has_finished_the_session_does_not_walk_again(
    stage: DagsterHarness,
) -> None:
    """Dagster's own retry of a dead run, and the run that the sensor asked for, may both be on their way."""
    stage.run()
    before = exact_digests(stage.warehouse.engine)

    tags = {"dagster/sensor_name": "resume_interrupted_syncs", "sim_sync/session": stage.session.session_id}
    result = stage.run(tags)

    assert (result.success, materialized(result)) == (True, {"sim_inventory"})
    assert (stage.carrier.fetched_pages, exact_digests(stage.warehouse.engine)) == ([0, 1, 2, 3, 4], before)


def test_a_terminate_that_could_not_be_sent_is_heard_at_the_next_report(stage: DagsterHarness) -> None:
    """Its code server was another one: nobody sends the run's process a signal."""

    def terminate() -> None:
        for run in stage.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
            stage.instance.report_run_canceling(run)

    stage.carrier.on_fetched = terminate

    result = stage.run()

    assert (stage.session.state, stage.session.pages_done) == (State.PAUSED, 1)
    run = stage.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.CANCELED


def test_a_pause_of_an_operator_is_heard_within_one_page(stage: DagsterHarness) -> None:
    def pause() -> None:
        if len(stage.carrier.fetched) == 3:
            stage.warehouse.sessions.move_by_operator(ACME, Event.PAUSED_BY_OPERATOR)

    stage.carrier.on_fetched = pause

    result = stage.run()

    # The current page is committed, and no other is fetched.
    assert (stage.session.state, stage.session.pages_done, len(stage.carrier.fetched)) == (State.PAUSED, 3, 3)
    assert (result.success, materialized(result)) == (True, {"sim_inventory"})


# --- ends that are red -----------------------------------------------------------------------------------------


def test_a_permanent_error_is_not_tried_again(stage: DagsterHarness) -> None:
    stage.carrier.faults = {3: AuthenticationFailed("carrier acme: the credentials were refused: status 401")}

    result = stage.run()

    assert failures(result) == ["page 4: the credentials were refused: status 401"]
    assert (stage.session.state, stage.session.pages_done) == (State.FAILED, 3)
    assert stage.session.last_error == "page 4: carrier acme: the credentials were refused: status 401"
    assert stage.carrier.fetched_pages == [0, 1, 2, 3]
    assert materialized(result) == {"sim_inventory"}


def test_the_next_nightly_run_continues_from_the_page_that_failed(stage: DagsterHarness) -> None:
    stage.carrier.faults = {3: AuthenticationFailed("status 401")}
    stage.run()

    result = stage.run({"dagster/schedule_name": "nightly_reconciliation"})

    assert (result.success, stage.session.state) == (True, State.COMPLETED)
    assert stage.carrier.fetched_pages == [0, 1, 2, 3, 3, 4]


def test_a_failed_session_is_no_business_of_the_sensor(stage: DagsterHarness) -> None:
    stage.carrier.faults = {3: AuthenticationFailed("status 401")}
    stage.run()

    result = stage.run({"dagster/sensor_name": "resume_interrupted_syncs"})

    assert failures(result) == ["failed and waiting for an operator: page 4: status 401"]


def test_resumes_without_progress_end_in_a_red_run_with_the_last_error(stage: DagsterHarness) -> None:
    stage.opened_by("run-0", process=DEAD)
    for number in range(1, 4):
        stage.opened_by(f"run-{number}", process=DEAD, trigger=Trigger.SENSOR, gone_owners=[stage.session.owner])

    result = stage.run({"dagster/sensor_name": "resume_interrupted_syncs"})

    (told,) = failures(result)
    assert told.startswith("gave up after 3 resumes in a row without one committed page; the last error")
    assert (stage.session.state, stage.carrier.fetched) == (State.FAILED, [])


def test_a_fenced_worker_fails_with_that_word_and_writes_nothing_more(stage: DagsterHarness) -> None:
    def take_over() -> None:
        if len(stage.carrier.fetched) == 3:
            stage.opened_by("another run", gone_owners=[stage.session.owner])

    stage.carrier.on_fetched = take_over

    result = stage.run()

    (told,) = failures(result)
    assert told.startswith("fenced: ")
    assert (stage.session.state, stage.session.owner, stage.session.pages_done) == (State.RUNNING, "another run", 2)
    assert len(stage.sim_ids) == 4


@pytest.mark.slow
def test_an_error_that_nobody_knows_is_tried_again_by_the_op_and_continues_from_its_checkpoint(
    stage: DagsterHarness,
) -> None:
    stage.carrier.faults = {3: ZeroDivisionError("a bug")}

    result = stage.run()

    assert (result.success, materialized(result)) == (True, EVERYTHING)
    assert (stage.session.state, stage.session.fence) == (State.COMPLETED, 2)
    assert stage.carrier.fetched_pages == [0, 1, 2, 3, 3, 4]
    assert str(stage.session.last_error).startswith("ZeroDivisionError in fetch_page, line ")


def test_the_outer_net_waits_no_longer_than_half_a_minute_in_all() -> None:
    waits = [((2**attempt) - 1) * (RETRIES.delay or 0) for attempt in range(1, RETRIES.max_retries + 1)]

    assert sum(waits) + RETRIES.max_retries * (RETRIES.delay or 0) <= 30


# --- a person's run finds the session in other hands -----------------------------------------------------------


def test_a_persons_run_watches_a_lease_and_leaves_the_session_to_an_owner_that_renews_it(stage: DagsterHarness) -> None:
    owned = stage.opened_by("another run", process=ELSEWHERE)
    stage.while_run_waits = lambda: stage.warehouse.sessions.renew_lease(owned.claim)

    result = stage.run()

    assert (result.success, materialized(result)) == (True, {"sim_inventory"})
    assert (stage.session.owner, stage.session.fence, stage.carrier.fetched) == ("another run", 1, [])
    (told,) = observations(result)
    assert told.metadata["left_alone"].value == ("at work in run another run, which has just given a sign of life")


def test_a_persons_run_takes_over_from_an_owner_that_does_not_renew_its_lease(stage: DagsterHarness) -> None:
    stage.opened_by("another run", process=ELSEWHERE)
    then = stage.clock.now()

    result = stage.run()

    assert (result.success, materialized(result)) == (True, EVERYTHING)
    assert (stage.session.state, stage.session.owner, stage.session.fence) == (State.COMPLETED, result.run_id, 2)
    assert (stage.clock.now() - then).total_seconds() == pytest.approx(30, abs=1)


@pytest.mark.parametrize("days_ahead", [3, 400])
def test_a_persons_run_waits_for_a_lease_and_not_for_a_clock_that_was_ahead(
    stage: DagsterHarness, days_ahead: int
) -> None:
    stage.clock.advance(days_ahead * 86_400)
    stage.opened_by("another run", process=ELSEWHERE)
    stage.clock.advance(-days_ahead * 86_400)
    then = stage.clock.now()

    result = stage.run()

    assert (result.success, stage.session.owner) == (True, result.run_id)
    assert (stage.clock.now() - then).total_seconds() == pytest.approx(30, abs=1)


def test_a_clock_that_is_put_back_while_a_person_waits_makes_him_wait_no_longer(stage: DagsterHarness) -> None:
    stage.opened_by("another run", process=ELSEWHERE)
    looks = itertools.count()
    stage.while_run_waits = lambda: stage.clock.advance(-3 * 86_400) if next(looks) == 5 else None

    result = stage.run()

    assert (result.success, stage.session.owner) == (True, result.run_id)
    assert next(looks) < 80


def test_nobody_watches_an_owner_that_is_known_to_be_dead(stage: DagsterHarness) -> None:
    stage.opened_by("another run", process=DEAD)
    then = stage.clock.now()

    assert (stage.run().success, stage.session.fence, stage.clock.now()) == (True, 2, then)


def test_a_walk_that_ends_while_it_is_watched_is_not_begun_again(stage: DagsterHarness) -> None:
    stage.carrier.pages = stage.carrier.pages[:1]
    owned = stage.opened_by("another run", process=ELSEWHERE)
    page = stage.carrier.fetch_page({"page": 0})

    def complete() -> None:
        sessions = stage.warehouse.sessions
        sessions.commit_page(owned.claim, {"page": 0}, page)
        sessions.close_session(owned.claim, SweepPolicy(), stage.carrier.config_hash)

    stage.while_run_waits = complete

    result = stage.run()

    assert (result.success, materialized(result)) == (True, {"sim_inventory"})
    assert (stage.session.session_id, stage.session.state) == (owned.session_id, State.COMPLETED)
    assert stage.carrier.fetched_pages == [0]


@pytest.mark.parametrize("tags", [{}, NIGHTLY, SENSORS])
def test_who_renews_a_lease_that_ran_out_while_the_warehouse_was_away_is_not_taken_over(
    stage: DagsterHarness, tags: dict[str, str]
) -> None:
    owned = stage.opened_by("another run", process=ELSEWHERE)
    stage.clock.advance(3600)
    stage.while_run_waits = lambda: stage.warehouse.sessions.renew_lease(owned.claim)

    stage.run(tags)

    assert (stage.session.owner, stage.session.fence, stage.carrier.fetched) == ("another run", 1, [])


# --- what a person may wish ------------------------------------------------------------------------------------


def test_a_run_that_a_person_starts_resumes_what_a_person_has_paused(stage: DagsterHarness) -> None:
    stage.run(max_pages=2)
    stage.warehouse.sessions.move_by_operator(ACME, Event.PAUSED_BY_OPERATOR)
    paused = stage.session

    result = stage.run()

    assert (result.success, stage.session.state, stage.session.session_id) == (
        True,
        State.COMPLETED,
        paused.session_id,
    )
    assert stage.carrier.fetched_pages == [0, 1, 2, 3, 4]
    assert (
        f"acme: session {paused.session_id} was paused after page 2; this run, which a person started, resumes it"
        in told_by(stage, result)
    )


def test_it_may_be_told_to_leave_what_is_paused_alone(stage: DagsterHarness) -> None:
    stage.warehouse.sessions.release(stage.opened_by("run-1").claim, Release(Event.PAUSED_BY_OPERATOR))

    result = stage.run(resume=False)

    assert (result.success, stage.session.state, stage.carrier.fetched) == (True, State.PAUSED, [])


def test_a_run_that_a_person_starts_does_not_retry_early_and_is_red_and_says_why(stage: DagsterHarness) -> None:
    park(stage)

    result = stage.run()

    (told,) = failures(result)
    assert told == "left alone: waiting, tries again at 04:00:00 UTC (in 2 h); `sim-sync resume acme` tries now: 429"
    assert (stage.session.state, stage.carrier.fetched) == (State.PARKED, [])


def test_a_pause_that_comes_while_our_list_is_read_is_not_ended_by_the_run_that_it_is_meant_for(
    stage: DagsterHarness,
) -> None:
    stage.config.reading_inventory = lambda: stage.warehouse.sessions.move_by_operator(ACME, Event.PAUSED_BY_OPERATOR)

    result = stage.run()

    assert (result.success, stage.session.state, stage.carrier.fetched) == (True, State.PAUSED, [])


def test_a_restart_supersedes_the_open_session_and_walks_from_the_first_page(stage: DagsterHarness) -> None:
    stage.run(max_pages=3)
    old = stage.session
    stage.clock.advance(1)

    result = stage.run(restart=True)

    assert (result.success, stage.session.state, stage.session.fence) == (True, State.COMPLETED, 1)
    assert stage.session.session_id != old.session_id
    given_up = stage.warehouse.sessions.session(old.session_id)
    assert (given_up.state, given_up.last_error) == (State.SUPERSEDED, "an operator asked for a restart")
    assert stage.carrier.fetched_pages == [0, 1, 2, 0, 1, 2, 3, 4]


def test_a_dry_run_tells_what_it_would_do_and_writes_nothing(stage: DagsterHarness) -> None:
    stage.config.inventory = GivenList([(ICCID, ACME, "active")])
    stage.run()
    stage.config.inventory = GivenList([(ICCID, ACME, "suspended"), (NEW, ACME, "active"), ("8.9E+19", ACME, "")])
    stage.carrier.pages = [[a_sim(0, status="suspended"), a_sim(1)], [a_sim(77), Unreadable()]]
    before = exact_digests(stage.warehouse.engine)

    result = stage.run(dry_run=True)

    told = [record.user_message for record in stage.instance.all_logs(result.run_id)]
    assert (
        "dry run over acme, nothing written: 2 pages (the whole list), 4 records; 1 would be added, 1 changed, "
        "1 quarantined" in told
    )
    assert (
        "acme: dry run, nothing written: of our inventory would be 1 added, 1 changed, 0 removed; "
        "1 row cannot be used, 0 values left out" in told
    )
    assert (result.success, materialized(result)) == (True, set())
    assert exact_digests(stage.warehouse.engine) == before


def test_an_unchanged_list_is_not_read_again_by_a_resume(stage: DagsterHarness) -> None:
    stage.config.inventory = GivenList([(ICCID, ACME, "active")], digest_text="1")
    stage.run(max_pages=2)
    result = stage.run({"dagster/sensor_name": "resume_interrupted_syncs"})

    (materialization,) = result.asset_materializations_for_node("sim_inventory")
    assert stage.config.inventory.readings == 1
    assert str(materialization.metadata["list"].value).startswith("unchanged since ")
    assert (materialization.metadata["rows"].value, materialization.metadata["added"].value) == (1, 0)

    stage.config.inventory = GivenList([(ICCID, ACME, "suspended")], digest_text="2")
    (materialization,) = stage.run().asset_materializations_for_node("sim_inventory")
    assert (materialization.metadata["list"].value, materialization.metadata["changed"].value) == ("read", 1)


def test_a_dry_run_keeps_to_its_pages_and_says_so(stage: DagsterHarness) -> None:
    result = stage.run(dry_run=True, max_pages=2)

    told = " ".join(record.user_message for record in stage.instance.all_logs(result.run_id))
    assert "2 pages (not the whole list)" in told
    assert stage.carrier.fetched_pages == [0, 1]


def test_a_dry_run_ends_where_the_carrier_leads_in_a_circle(stage: DagsterHarness) -> None:
    stage.carrier.detours = {2: {"page": 1}}

    result = stage.run(dry_run=True)

    told = " ".join(record.user_message for record in stage.instance.all_logs(result.run_id))
    assert not result.success
    assert "the walk stopped: " in told
    assert stage.carrier.fetched_pages == [0, 1, 2]


def test_a_dry_run_is_an_observation_with_its_numbers_and_examples(stage: DagsterHarness) -> None:
    stage.run()
    stage.carrier.pages = [[a_sim(0, status="suspended"), a_sim(1), a_sim(77)]]

    result = stage.run(dry_run=True)

    (observed,) = result.get_asset_observation_events()
    metadata = observed.asset_observation_data.asset_observation.metadata
    assert (metadata["added"].value, metadata["changed"].value, metadata["absent"].value) == (1, 1, 8)
    document: Any = metadata["dry_run"].value
    assert document["examples"]["changed"][0]["new_value"] == "suspended"
    assert document["sweep_state"] == "done"


# --- a run that cannot even open its session -------------------------------------------------------------------

BY_SENSOR = {"dagster/sensor_name": "resume_interrupted_syncs"}
BY_SCHEDULE = {"dagster/schedule_name": "nightly_reconciliation"}
BROKEN = "carriers.yaml: carriers.acme.type: expected a known type, found 'nothing'"


@pytest.mark.parametrize("tags", [BY_SENSOR, BY_SCHEDULE])
def test_a_permanent_error_before_the_session_is_opened_fails_it_with_the_reason(
    stage: DagsterHarness, tags: dict[str, str]
) -> None:
    stage.warehouse.sessions.release(stage.opened_by("run-1").claim, Release(Event.STOPPED_BY_MACHINE))
    stage.config.broken.add(ACME)

    result = stage.run(tags=tags)

    assert (result.success, stage.session.state, stage.session.last_error) == (False, State.FAILED, BROKEN)
    assert stage.look()[0] == []

    stage.config.broken.clear()
    assert stage.run().success
    assert stage.session.state is State.COMPLETED


def test_a_night_that_cannot_begin_is_a_failed_session_and_the_next_one_begins(stage: DagsterHarness) -> None:
    assert stage.run().success
    stage.config.broken.add(ACME)

    for _ in range(2):
        stage.run(tags=BY_SCHEDULE)
    failed = stage.session
    assert (failed.state, failed.last_error, failed.session_number) == (State.FAILED, BROKEN, 2)
    assert stage.look()[0] == []

    stage.config.broken.clear()
    assert stage.run(tags=BY_SCHEDULE).success
    assert (stage.session.state, stage.session.session_number) == (State.COMPLETED, 3)


def test_a_failed_night_that_a_person_resumes_begins(stage: DagsterHarness) -> None:
    stage.config.broken.add(ACME)
    stage.run(tags=BY_SCHEDULE)
    stage.config.broken.clear()
    stage.warehouse.sessions.move_by_operator(ACME, Event.RELEASED_BY_OPERATOR)

    (request,), _ = stage.look()
    assert stage.run(tags=dict(request.tags) | BY_SENSOR).success
    assert stage.session.state is State.COMPLETED


def test_a_person_who_cannot_begin_leaves_no_failed_session(stage: DagsterHarness) -> None:
    stage.config.broken.add(ACME)

    assert not stage.run().success
    assert stage.rows("sync_sessions") == []


def test_a_session_of_a_lost_owner_fails_too(stage: DagsterHarness) -> None:
    stage.opened_by("run-1", process=DEAD)
    stage.config.broken.add(ACME)

    stage.run(tags=BY_SENSOR)

    assert (stage.session.state, stage.session.last_error) == (State.FAILED, BROKEN)


def test_the_session_of_others_is_left_as_it_is(stage: DagsterHarness) -> None:
    """Somebody is at work on it, its time has not come, or a person decides: or it is a person's own run."""
    session = stage.opened_by("run-1", process=ELSEWHERE)
    stage.config.broken.add(ACME)

    stage.run(tags=BY_SENSOR)
    assert stage.session == session
    parked = stage.warehouse.sessions.release(
        session.claim, Release(Event.WAIT_TOO_LONG, error="429", wait_seconds=7200)
    )
    stage.run(tags=BY_SENSOR)
    assert stage.session == parked
    released = stage.warehouse.sessions.move_by_operator(ACME, Event.RELEASED_BY_OPERATOR)
    stage.run()
    assert stage.session == released


@pytest.mark.slow
def test_code_that_raises_before_the_session_is_opened_fails_it_after_the_last_retry_without_its_text(
    stage: DagsterHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(_waiter: object) -> None:
        raise KeyError("the s3cret")

    monkeypatch.setattr(stage.config.carriers[ACME], "build", raising)

    result = stage.run(tags=BY_SCHEDULE)

    assert (result.success, stage.session.state) == (False, State.FAILED)
    assert stage.session.last_error == f"KeyError, see run {result.run_id} in Dagster"


def test_an_error_that_may_pass_leaves_the_session_to_the_next_run(stage: DagsterHarness) -> None:
    session = stage.warehouse.sessions.release(stage.opened_by("run-1").claim, Release(Event.STOPPED_BY_MACHINE))
    stage.run_that_cannot_start("key", WarehouseUnavailable("away"))

    assert stage.session == session


def test_a_dry_run_that_cannot_be_done_leaves_the_session_alone(stage: DagsterHarness) -> None:
    session = stage.warehouse.sessions.release(stage.opened_by("run-1").claim, Release(Event.STOPPED_BY_MACHINE))
    stage.config.broken.add(ACME)

    assert not stage.run(tags=BY_SCHEDULE, dry_run=True).success
    assert stage.session == session
