"""The job `apply_retention` deletes old runs with all that they left, and says what it deleted."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from sim_sync.config.sections import Retention
from sim_sync.dagster import build_defs
from sim_sync.defs.jobs import Names
from sim_sync.defs.retention import build_apply_retention
from sim_sync_tests.defs.stage import ACME, OTHER, DagsterHarness
from sim_sync_tests.defs.test_build_defs import a_config
from sim_sync_tests.warehouse.databases import rows_of


def applied(stage: DagsterHarness) -> dg.ExecuteInProcessResult:
    """Apply the retention a hundred days from now."""
    stage.clock.set(datetime.now(UTC) + timedelta(days=100))
    job = build_apply_retention(Names())
    return job.execute_in_process(instance=stage.instance, resources=stage.resources)


def told_by(result: dg.ExecuteInProcessResult) -> Mapping[str, Any]:
    (handled,) = (event for event in result.all_events if event.event_type is dg.DagsterEventType.STEP_OUTPUT)
    return {name: value.value for name, value in handled.step_output_data.metadata.items()}


def files_of(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """Return what a run has left in the folder of its instance."""
    return sorted(str(path) for path in Path(instance.root_directory).rglob(f"*{run_id}*"))


def test_old_runs_go_with_their_events_and_files_and_the_standing_ones_stay(
    tmp_path: Path, stage: DagsterHarness
) -> None:
    stage.config.retention = Retention(days=30)
    home = tmp_path / "home"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        stage.instance = instance
        runs = [stage.run().run_id for _ in range(3)]
        other = stage.run(carrier=OTHER).run_id
        result = applied(stage)
        left = {run.run_id for run in instance.get_runs()}
        assert left == {runs[1], runs[2], other, result.run_id}
        assert instance.all_logs(runs[1])
        assert files_of(instance, runs[0]) == []
        assert told_by(result)["runs"] == 1
        known = instance.get_latest_materialization_event(dg.AssetKey("carrier_sims"))
        assert known is not None


def test_a_run_that_an_asset_shows_stays_however_old(stage: DagsterHarness) -> None:
    stage.config.retention = Retention(days=30)
    alone = stage.definitions.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection={dg.AssetKey("sim_inventory")}
    )
    shown = alone.execute_in_process(partition_key=ACME, instance=stage.instance, resources=stage.resources)
    assert told_by(applied(stage))["runs"] == 0
    assert stage.instance.get_run_by_id(shown.run_id) is not None


def test_a_run_that_is_not_over_stays_and_one_whose_session_is_open_too(stage: DagsterHarness) -> None:
    stage.config.retention = Retention(days=30)
    stopped = stage.run(max_pages=1).run_id
    begun = stage.instance.create_run_for_job(stage.definitions.resolve_job_def("reconcile_carrier")).run_id
    assert told_by(applied(stage))["runs"] == 0
    assert {stopped, begun} <= {run.run_id for run in stage.instance.get_runs()}


def test_what_was_deleted_is_told_in_numbers(stage: DagsterHarness) -> None:
    stage.config.retention = Retention(days=30, runs_days=36_500)
    for _ in range(12):
        stage.run()
    told = told_by(applied(stage))
    assert told["sync_sessions"] == 12 - len(rows_of(stage.warehouse.engine, "sync_sessions")) == 3
    assert (told["sim_changes"], told["sim_discrepancies"], told["runs"]) == (0, 0, 0)
    assert told_by(applied(stage))["sync_sessions"] == 0


def test_without_the_section_there_is_no_such_job_and_with_it_it_bears_the_prefix(
    tmp_path: Path, warehouse_url: str
) -> None:
    path = a_config(tmp_path)
    assert not build_defs(path).get_repository_def().has_job("apply_retention")
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    document |= {"retention": {"days": 90, "cron": "30 12 * * *"}, "warehouse": {"url": warehouse_url}}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    definitions = build_defs(path, name_prefix="eu", key_prefix="iot")
    schedules = {one.name: one.cron_schedule for one in definitions.get_repository_def().schedule_defs}
    assert schedules == {"eu_nightly_reconciliation": "0 2 * * *", "eu_nightly_retention": "30 12 * * *"}
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_job_def("eu_apply_retention").execute_in_process(instance=instance)
    assert (result.success, told_by(result)["runs"]) == (True, 0)
