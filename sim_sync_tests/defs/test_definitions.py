import tomllib
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from sim_sync.defs.sensors import LOOK_EVERY_SECONDS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    """What Dagster sees of this project, as shipped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIM_SYNC_CONFIG", str(ROOT / "carriers.yaml"))
        from sim_sync.definitions import defs
    return defs()


def test_dagster_takes_them(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_names_are_those_of_the_public_contract(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    job = definitions.resolve_job_def("reconcile_carrier")
    graph = repository.asset_graph

    assert {
        "assets": sorted(key.to_user_string() for key in graph.get_all_asset_keys()),
        "checks": sorted(f"{key.asset_key.to_user_string()}: {key.name}" for key in graph.asset_check_keys),
        "jobs": sorted(name for name in repository.job_names if not name.startswith("__")),
        "schedules": [schedule.name for schedule in repository.schedule_defs],
        "sensors": [sensor.name for sensor in repository.sensor_defs],
        "steps": sorted(str(handle) for handle in _steps(job)),
        "parents of sim_discrepancies": sorted(
            key.to_user_string() for key in graph.get(dg.AssetKey("sim_discrepancies")).parent_keys
        ),
    } == {
        "assets": ["carrier_sims", "sim_discrepancies", "sim_inventory"],
        "checks": [
            "carrier_sims: carriers_are_fresh",
            "carrier_sims: each_carrier_has_one_code_location",
            "carrier_sims: every_record_was_read",
            "carrier_sims: identifiers_are_sound",
            "carrier_sims: no_session_has_failed",
            "carrier_sims: status_words_are_known",
            "carrier_sims: totals_agree",
            "carrier_sims: walks_are_certified",
            "sim_discrepancies: discrepancies_are_few",
            "sim_discrepancies: no_severe_discrepancy",
        ],
        "jobs": ["reconcile_carrier"],
        "schedules": ["nightly_reconciliation"],
        "sensors": ["resume_interrupted_syncs"],
        "steps": [
            "carrier_sims.close_session",
            "carrier_sims.open_session",
            "carrier_sims.sync_pages",
            "carrier_sims_carriers_are_fresh",
            "carrier_sims_each_carrier_has_one_code_location",
            "carrier_sims_every_record_was_read",
            "carrier_sims_identifiers_are_sound",
            "carrier_sims_no_session_has_failed",
            "carrier_sims_status_words_are_known",
            "carrier_sims_totals_agree",
            "carrier_sims_walks_are_certified",
            "sim_discrepancies",
            "sim_discrepancies_discrepancies_are_few",
            "sim_discrepancies_no_severe_discrepancy",
            "sim_inventory",
        ],
        "parents of sim_discrepancies": ["carrier_sims", "sim_inventory"],
    }


def _steps(job: dg.JobDefinition) -> list[Any]:
    return [node for node in job.graph.iterate_node_handles() if _is_op(job, node)]


def _is_op(job: dg.JobDefinition, handle: Any) -> bool:
    return isinstance(job.graph.get_node(handle).definition, dg.OpDefinition)


def test_each_carrier_of_the_config_is_a_partition_of_all_three_assets(definitions: dg.Definitions) -> None:
    graph = definitions.get_repository_def().asset_graph
    partitions = {key: graph.get(key).partitions_def for key in graph.get_all_asset_keys()}

    assert len(partitions) == 3
    for definition in partitions.values():
        assert definition is not None
        assert definition.get_partition_keys() == ["simulated-eu"]


def test_every_asset_and_check_says_what_it_is(definitions: dg.Definitions) -> None:
    graph = definitions.get_repository_def().asset_graph
    for key in graph.get_all_asset_keys():
        assert graph.get(key).description


def test_the_job_takes_the_op_config_of_the_contract_and_no_other(definitions: dg.Definitions) -> None:
    job = definitions.resolve_job_def("reconcile_carrier")

    def run_config(**config: Any) -> dict[str, Any]:
        return {"ops": {"carrier_sims": {"ops": {"open_session": {"config": config}}}}}

    assert dg.validate_run_config(job, run_config(restart=True, max_pages=3, dry_run=True))
    assert dg.validate_run_config(job, run_config(max_pages=None))
    assert dg.validate_run_config(job, {})
    with pytest.raises(dg.DagsterInvalidConfigError):
        dg.validate_run_config(job, run_config(restrat=True))


def test_sensor_and_schedule_are_on_by_default(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()

    assert repository.get_sensor_def("resume_interrupted_syncs").default_status is dg.DefaultSensorStatus.RUNNING
    assert repository.get_sensor_def("resume_interrupted_syncs").minimum_interval_seconds == LOOK_EVERY_SECONDS == 10
    schedule = repository.get_schedule_def("nightly_reconciliation")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


def test_workspace_and_pyproject_name_the_same_module() -> None:
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text(encoding="utf-8"))
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

    (location,) = workspace["load_from"]
    assert location["python_module"]["module_name"] == "sim_sync.definitions"
    project = pyproject["tool"]["dg"]["project"]
    assert project["code_location_target_module"] == "sim_sync.definitions"
    assert project["code_location_name"] == location["python_module"]["location_name"] == "sim_sync"
    assert "dagster" not in pyproject["tool"], "it would beat the other one, and name the location otherwise"


def test_dagster_takes_the_dagster_yaml_as_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # its files lie relative to the folder that Dagster is started in
    (tmp_path / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text(encoding="utf-8"), encoding="utf-8")

    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        (limit,) = instance.get_concurrency_config().run_queue_config.tag_concurrency_limits  # type: ignore[union-attr]
        assert (limit["key"], limit["limit"]) == ("sim_sync/carrier", 1)
        assert instance.run_monitoring_enabled
        assert instance.run_retries_enabled
        assert not instance.run_retries_retry_on_asset_or_op_failure
        assert not instance.telemetry_enabled
        assert instance.run_monitoring_max_resume_run_attempts == 0


def test_the_job_is_built_once_of_one_configuration_and_again_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sim_sync.definitions import reconcile_carrier

    def configure(carrier: str) -> None:
        (tmp_path / "carriers.yaml").write_text(f"carriers: {{{carrier}: {{type: telnyx}}}}\n", encoding="utf-8")

    monkeypatch.setenv("SIM_SYNC_CONFIG", str(tmp_path / "carriers.yaml"))
    configure("acme")
    job = reconcile_carrier()
    assert reconcile_carrier() is job
    configure("other")
    partitions = reconcile_carrier().partitions_def
    assert partitions is not None
    assert list(partitions.get_partition_keys()) == ["other"]
