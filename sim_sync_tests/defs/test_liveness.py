from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from sim_sync.core.liveness import Phase
from sim_sync.defs.jobs import Names
from sim_sync.defs.liveness import owners_of, unfinished_runs
from sim_sync_tests.defs.stage import ACME, DEAD, ELSEWHERE, LEASE_SECONDS, DagsterHarness, alive

Status = dg.DagsterRunStatus


def test_each_unfinished_run_is_seen_with_its_phase_its_lease_and_its_process(stage: DagsterHarness) -> None:
    statuses = (Status.NOT_STARTED, Status.STARTING, Status.STARTED, Status.CANCELING)
    runs = [stage.stored_run(status, process=DEAD) for status in statuses]
    living = stage.stored_run(Status.STARTED, process=alive())
    elsewhere = stage.stored_run(Status.STARTED, process=ELSEWHERE)

    leases = stage.warehouse.runs.read()
    seen = {run.run.run_id: run.snapshot for run in unfinished_runs(stage.instance, Names(), leases, datetime.now(UTC))}

    assert [seen[run.run_id].phase for run in runs] == [
        Phase.CREATED,
        Phase.STARTING,
        Phase.STARTED,
        Phase.ENDING,
    ]
    assert all(seen[run.run_id].is_known_dead for run in runs)
    assert not seen[living.run_id].is_known_dead
    assert not seen[elsewhere.run_id].is_known_dead


def test_how_long_a_run_has_been_in_its_phase_is_seen(stage: DagsterHarness) -> None:
    stage.started_run(seconds_ago=100)

    (run,) = unfinished_runs(stage.instance, Names(), [], datetime.now(UTC) + timedelta(seconds=1000))

    assert 1100 <= run.snapshot.phase_lasts.total_seconds() < 1200


def test_finished_runs_and_runs_of_others_are_nobodys_concern(stage: DagsterHarness) -> None:
    """Others have partitions too, perhaps of the same names; of their runs nothing can be known here."""
    stage.stored_run(Status.SUCCESS)
    stage.stored_run(Status.FAILURE)

    @dg.job
    def another_job() -> None:
        pass

    stage.instance.create_run_for_job(another_job, status=Status.STARTED)
    stage.instance.create_run_for_job(another_job, status=Status.STARTED, tags={"dagster/partition": "2026-03-02"})
    stage.instance.create_run_for_job(another_job, status=Status.STARTED, tags={"dagster/partition": ACME})
    assert unfinished_runs(stage.instance, Names(), [], datetime.now(UTC)) == []


def test_the_carrier_of_a_run_is_known_by_dagsters_own_partition_tag_too(stage: DagsterHarness) -> None:
    stage.instance.create_run_for_job(
        stage.definitions.resolve_job_def("reconcile_carrier"),
        status=Status.STARTED,
        tags={"dagster/partition": ACME},
    )

    assert [run.carrier for run in unfinished_runs(stage.instance, Names(), [], datetime.now(UTC))] == [ACME]


def test_an_owner_is_gone_when_its_run_is_finished_or_its_process_is_dead(stage: DagsterHarness) -> None:
    finished = stage.stored_run(Status.FAILURE)
    at_work = stage.stored_run(Status.STARTED)

    def gone() -> frozenset[str]:
        return owners_of(stage.instance, stage.warehouse, ACME).gone

    assert gone() == frozenset()
    stage.opened_by(finished.run_id, process=ELSEWHERE)
    assert gone() == {finished.run_id}
    stage.opened_by(at_work.run_id, process=ELSEWHERE, gone_owners=gone())
    assert gone() == frozenset()
    stage.opened_by("unknown here", process=DEAD, gone_owners=[at_work.run_id])
    assert gone() == {"unknown here"}
    stage.opened_by("unknown here too", process=ELSEWHERE, gone_owners=gone())
    assert gone() == frozenset()


@pytest.mark.parametrize("seconds", [0.0, LEASE_SECONDS])
def test_an_owner_is_present_while_the_lease_of_its_run_lasts(stage: DagsterHarness, seconds: float) -> None:
    run = stage.stored_run(Status.STARTED, process=ELSEWHERE)
    stage.opened_by(run.run_id, process=ELSEWHERE)
    stage.clock.advance(seconds)

    present = owners_of(stage.instance, stage.warehouse, ACME).present

    assert present == (frozenset({run.run_id}) if seconds == 0.0 else frozenset())
