"""sim_sync beside other Dagster code: nothing of it collides, and nothing of it leaks."""

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from sim_sync.config import load_config
from sim_sync.core.errors import ConfigError
from sim_sync.dagster import SimSyncComponent, build_defs
from sim_sync.simulator.credentials import SIMULATED_CREDENTIALS
from sim_sync.simulator.messages import MountOptions
from sim_sync.simulator.server import SimulatorServer
from sim_sync.warehouse import open_warehouse
from sim_sync_tests.warehouse.databases import rows_of

ROOT = Path(__file__).parents[2]


def a_config(folder: Path, url: str = "https://sims.example", *carriers: str) -> Path:
    """Write a configuration with a warehouse of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    account = {"type": "twilio_super_sim", "base_url": url, "page_size": 10, "auth": dict(SIMULATED_CREDENTIALS)}
    document = {
        "warehouse": {"url": f"sqlite:///{folder}/warehouse.db"},
        "carriers": dict.fromkeys(carriers or ("acme",), account),
    }
    path = folder / "carriers.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def keys_of(definitions: dg.Definitions) -> Sequence[str]:
    return sorted(key.to_user_string() for key in definitions.get_repository_def().asset_graph.get_all_asset_keys())


def test_without_prefixes_the_names_are_those_of_the_contract(tmp_path: Path) -> None:
    definitions = build_defs(a_config(tmp_path))
    repository = definitions.get_repository_def()

    assert keys_of(definitions) == ["carrier_sims", "sim_discrepancies", "sim_inventory"]
    assert {job for job in repository.job_names if not job.startswith("__")} == {"reconcile_carrier"}
    assert [sensor.name for sensor in repository.sensor_defs] == ["resume_interrupted_syncs"]
    assert [schedule.name for schedule in repository.schedule_defs] == ["nightly_reconciliation"]


def test_prefixes_and_group_are_those_that_were_asked_for(tmp_path: Path) -> None:
    definitions = build_defs(a_config(tmp_path), key_prefix=["iot", "eu"], group_name="fleet", name_prefix="eu")
    repository = definitions.get_repository_def()

    assert keys_of(definitions) == ["iot/eu/carrier_sims", "iot/eu/sim_discrepancies", "iot/eu/sim_inventory"]
    assert {job for job in repository.job_names if not job.startswith("__")} == {"eu_reconcile_carrier"}
    assert [sensor.name for sensor in repository.sensor_defs] == ["eu_resume_interrupted_syncs"]
    assert [schedule.name for schedule in repository.schedule_defs] == ["eu_nightly_reconciliation"]
    graph = repository.asset_graph
    assert {graph.get(key).group_name for key in graph.get_all_asset_keys()} == {"fleet"}
    assert {key.asset_key.to_user_string() for key in graph.asset_check_keys} == {
        "iot/eu/carrier_sims",
        "iot/eu/sim_discrepancies",
    }


def test_schedule_and_sensor_can_be_left_out(tmp_path: Path) -> None:
    repository = build_defs(a_config(tmp_path), schedule=False, sensor=False).get_repository_def()

    assert (list(repository.schedule_defs), list(repository.sensor_defs)) == ([], [])


def test_a_config_that_was_loaded_will_do_too(tmp_path: Path) -> None:
    assert keys_of(build_defs(load_config(a_config(tmp_path)))) == keys_of(build_defs(str(a_config(tmp_path))))


def test_it_merges_with_code_that_has_an_executor_and_resources_of_the_same_names(tmp_path: Path) -> None:
    @dg.asset(required_resource_keys={"warehouse"})
    def theirs() -> None: ...

    other = dg.Definitions(
        assets=[theirs], resources={"warehouse": "their own"}, executor=dg.multi_or_in_process_executor
    )
    merged = dg.Definitions.merge(other, build_defs(a_config(tmp_path), name_prefix="sims"))

    dg.Definitions.validate_loadable(merged)
    assert build_defs(a_config(tmp_path)).executor is None


def test_all_problems_of_a_broken_config_are_told_when_it_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "carriers.yaml"
    path.write_text("warehause: {}\ncarriers: {}\n", encoding="utf-8")

    with pytest.raises(ConfigError) as refused:
        build_defs(path)
    assert [problem.key for problem in refused.value.problems] == ["warehause", "carriers"]


def execute(definitions: dg.Definitions, job: str, node: str, instance: dg.DagsterInstance) -> Any:
    return definitions.resolve_job_def(job).execute_in_process(
        partition_key="acme",
        instance=instance,
        run_config={"ops": {node: {"ops": {"open_session": {"config": {"max_pages": 2}}}}}},
        raise_on_error=False,
    )


def test_two_deployments_run_side_by_side_each_into_its_own_warehouse(tmp_path: Path) -> None:
    with SimulatorServer((MountOptions(sims=15),)) as eu, SimulatorServer((MountOptions(sims=12, seed=7),)) as us:
        servers = {"eu": eu.url, "us": us.url}
        paths = {name: a_config(tmp_path / name, url) for name, url in servers.items()}
        merged = dg.Definitions.merge(
            *(build_defs(path, key_prefix=name, name_prefix=name) for name, path in paths.items())
        )
        with dg.DagsterInstance.ephemeral() as instance:
            results = [
                execute(merged, f"{name}_reconcile_carrier", f"{name}__carrier_sims", instance) for name in servers
            ]
    assert [result.success for result in results] == [True, True]
    observed = {
        event.asset_observation_data.asset_observation.asset_key.to_user_string()
        for result in results
        for event in result.all_events
        if event.is_asset_observation
    }
    assert observed == {"eu/carrier_sims", "us/carrier_sims"}
    sims = {}
    for name in servers:
        warehouse = open_warehouse(f"sqlite:///{tmp_path / name}/warehouse.db")
        sims[name] = {row["sim_id"] for row in rows_of(warehouse.engine, "carrier_sims")}
    assert (len(sims["eu"]), len(sims["us"])) == (15, 12)
    assert not sims["eu"] & sims["us"]


def test_the_sensor_of_one_deployment_takes_no_notice_of_the_others_runs(tmp_path: Path) -> None:
    eu, us = (build_defs(a_config(tmp_path / name), key_prefix=name, name_prefix=name) for name in ("eu", "us"))
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(
            us.resolve_job_def("us_reconcile_carrier"),
            status=dg.DagsterRunStatus.STARTED,
            tags={"sim_sync/carrier": "acme"},
        )
        from sim_sync.defs.jobs import Names

        assert Names.of("us", "sim_sync", "us").has(run)
        assert not Names.of("eu", "sim_sync", "eu").has(run)
        assert not Names().has(run)
        assert eu.resolve_job_def("eu_reconcile_carrier").name == "eu_reconcile_carrier"


@pytest.fixture
def their_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Somebody's project, as `dg` makes one; return its folder of definitions."""
    name = f"project_{tmp_path.name}"  # each test imports its own
    settings = f'[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "{name}"\n'
    (tmp_path / "pyproject.toml").write_text(settings, encoding="utf-8")
    folder = tmp_path / name / "defs"
    folder.mkdir(parents=True)
    for package in (folder.parent, folder):
        (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def mount(folder: Path, name: str, **attributes: Any) -> None:
    """Write a `defs.yaml` with the component, and its configuration beside it."""
    a_config(folder / name)
    document = {"type": "sim_sync.dagster.SimSyncComponent", "attributes": attributes}
    (folder / name / "defs.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")


def test_two_instances_of_the_component_stand_in_one_code_location(their_project: Path) -> None:
    for name in ("eu", "us"):
        mount(their_project, name, key_prefix=name, name_prefix=name, schedule=name == "eu")

    definitions = dg.load_from_defs_folder(path_within_project=their_project)

    repository = definitions.get_repository_def()
    assert keys_of(definitions) == [
        f"{name}/{asset}" for name in ("eu", "us") for asset in ("carrier_sims", "sim_discrepancies", "sim_inventory")
    ]
    assert [schedule.name for schedule in repository.schedule_defs] == ["eu_nightly_reconciliation"]
    assert sorted(sensor.name for sensor in repository.sensor_defs) == [
        "eu_resume_interrupted_syncs",
        "us_resume_interrupted_syncs",
    ]


def test_a_wrong_key_of_the_component_is_refused(their_project: Path) -> None:
    mount(their_project, "eu", key_prefx="eu")

    with pytest.raises(Exception, match="SimSyncComponent") as refused:
        dg.load_from_defs_folder(path_within_project=their_project)
    assert "key_prefx" in "".join(traceback.format_exception(refused.value))


def test_dg_finds_the_component_by_its_entry_point() -> None:
    from importlib.metadata import entry_points

    ours = {point for point in entry_points(group="dagster_dg_cli.registry_modules") if point.name == "sim_sync"}
    assert {point.load().SimSyncComponent for point in ours} == {SimSyncComponent}
