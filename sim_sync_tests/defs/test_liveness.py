from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from sim_sync.defs.liveness import gone_owners, own_process, unfinished_runs
from sim_sync.defs.runs import process_from_text, process_text
from sim_sync_tests.defs.stage import ACME, DEAD, ELSEWHERE, Stage, alive

Status = dg.DagsterRunStatus


def lost_after(stage: Stage, seconds: float) -> set[str]:
    now = datetime.now(UTC) + timedelta(seconds=seconds)
    return {run.run.run_id for run in unfinished_runs(stage.instance, now) if run.is_lost}


def test_a_run_whose_process_is_gone_is_lost_at_once(stage: Stage) -> None:
    runs = [stage.stored_run(status, process=DEAD) for status in (Status.NOT_STARTED, Status.STARTED, Status.CANCELING)]

    assert lost_after(stage, 0) == {run.run_id for run in runs}


def test_a_run_whose_process_lives_or_is_on_another_host_is_never_lost(stage: Stage) -> None:
    stage.stored_run(Status.STARTED, process=alive())
    stage.stored_run(Status.STARTED, process=ELSEWHERE)

    assert lost_after(stage, 24 * 3600) == set()


def test_a_run_on_another_host_is_doubtful_when_it_has_had_the_time_to_open_its_session(stage: Stage) -> None:
    elsewhere, here = (stage.started_run(process=process) for process in (ELSEWHERE, alive()))

    def doubtful_after(minutes: float) -> set[str]:
        now = datetime.now(UTC) + timedelta(minutes=minutes)
        return {run.run.run_id for run in unfinished_runs(stage.instance, now) if run.is_doubtful}

    assert here.run_id != elsewhere.run_id
    assert doubtful_after(14) == set()
    assert doubtful_after(16) == {elsewhere.run_id}


@pytest.mark.parametrize("status", [Status.NOT_STARTED, Status.STARTING, Status.STARTED])
def test_a_run_that_never_introduces_itself_is_lost_after_half_a_minute(stage: Stage, status: Status) -> None:
    run = stage.stored_run(status)

    assert lost_after(stage, 20) == set()
    assert lost_after(stage, 40) == {run.run_id}


def test_the_end_of_a_run_that_was_told_to_end_is_seen_to_by_dagster(stage: Stage) -> None:
    stage.stored_run(Status.CANCELING)

    assert lost_after(stage, 3600) == set()


def test_finished_runs_and_runs_of_other_jobs_are_nobodys_concern(stage: Stage) -> None:
    stage.stored_run(Status.SUCCESS)
    stage.stored_run(Status.FAILURE)

    @dg.job
    def another_job() -> None:
        pass

    stage.instance.create_run_for_job(another_job, status=Status.STARTED)
    assert unfinished_runs(stage.instance, datetime.now(UTC)) == []


def test_the_carrier_of_a_run_is_known_by_dagsters_own_partition_tag_too(stage: Stage) -> None:
    stage.instance.create_run_for_job(
        stage.definitions.resolve_job_def("reconcile_carrier"),
        status=Status.STARTED,
        tags={"dagster/partition": ACME},
    )

    assert [run.carrier for run in unfinished_runs(stage.instance, datetime.now(UTC))] == [ACME]


def test_a_retry_is_known_by_a_process_of_its_own_only(stage: Stage) -> None:
    parent = stage.stored_run(Status.FAILURE, process=DEAD)
    heir = stage.stored_run(Status.STARTED, process=DEAD, parent_run_id=parent.run_id)
    introduced = stage.stored_run(Status.STARTED, process=alive(), parent_run_id=parent.run_id)

    assert own_process(stage.instance, parent) == DEAD
    assert own_process(stage.instance, heir) is None
    assert own_process(stage.instance, introduced) == alive()


@pytest.mark.parametrize("text", [None, "", "no JSON", "[]", '["host", "no number", "1"]', "null"])
def test_a_tag_that_cannot_be_read_names_no_process(text: str | None) -> None:
    assert process_from_text(text) is None


def test_a_process_survives_being_a_tag() -> None:
    assert process_from_text(process_text(ELSEWHERE)) == ELSEWHERE


def test_an_owner_is_gone_when_its_run_is_finished_or_its_process_is_dead(stage: Stage) -> None:
    finished = stage.stored_run(Status.FAILURE)
    at_work = stage.stored_run(Status.STARTED)

    def gone() -> frozenset[str]:
        return gone_owners(stage.instance, stage.warehouse, ACME)

    assert gone() == frozenset()
    stage.opened_by(finished.run_id, process=ELSEWHERE)
    assert gone() == {finished.run_id}
    stage.opened_by(at_work.run_id, process=ELSEWHERE, gone_owners=gone())
    assert gone() == frozenset()
    stage.opened_by("unknown here", process=DEAD, gone_owners=[at_work.run_id])
    assert gone() == {"unknown here"}
    stage.opened_by("unknown here too", process=ELSEWHERE, gone_owners=gone())
    assert gone() == frozenset()
