"""The asset `sim_export`: in a real run of the job, after what differs."""

from pathlib import Path

import dagster as dg
import duckdb
import pytest
import yaml

from sim_sync.dagster import build_defs
from sim_sync.simulator.messages import MountOptions
from sim_sync.simulator.server import SimulatorServer
from sim_sync_tests.defs.test_build_defs import a_config, keys_of


def with_export(path: Path, warehouse_url: str, **export: object) -> Path:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    document |= {"warehouse": {"url": warehouse_url}, "export": export}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


@pytest.mark.parametrize("prefix", [None, "eu"])
def test_a_night_ends_with_an_export(tmp_path: Path, warehouse_url: str, prefix: str | None) -> None:
    with SimulatorServer((MountOptions(sims=15),)) as server, dg.DagsterInstance.ephemeral() as instance:
        export = {"parquet": {"path": "lake"}, "delta": {"path": "delta"}}
        path = with_export(a_config(tmp_path, server.url), warehouse_url, **export)
        definitions = build_defs(path, key_prefix=prefix, name_prefix=prefix)
        job = definitions.resolve_job_def(f"{prefix}_reconcile_carrier" if prefix else "reconcile_carrier")
        result = job.execute_in_process(partition_key="acme", instance=instance)
    key = dg.AssetKey([prefix, "sim_export"] if prefix else ["sim_export"])
    (told,) = (event for event in result.get_asset_materialization_events() if event.asset_key == key)
    metadata = told.step_materialization_data.materialization.metadata
    assert {name: metadata[name].value for name in ("carrier_sims", "sim_discrepancies", "places")} == {
        "carrier_sims": 15,
        "sim_discrepancies": 0,
        "places": f"{tmp_path}/lake, {tmp_path}/delta",
    }
    assert len(duckdb.read_parquet(f"{tmp_path}/lake/carrier_sims/*.parquet").fetchall()) == 15


def test_without_the_section_there_is_no_such_asset_and_a_bad_place_fails_with_one_sentence(tmp_path: Path) -> None:
    path = a_config(tmp_path / "plain")
    assert "sim_export" not in keys_of(build_defs(path))
    (tmp_path / "a_file").touch()
    with SimulatorServer((MountOptions(sims=3),)) as server, dg.DagsterInstance.ephemeral() as instance:
        path = with_export(a_config(tmp_path, server.url), f"sqlite:///{tmp_path}/w.db", parquet={"path": "a_file/x"})
        job = build_defs(path).resolve_job_def("reconcile_carrier")
        result = job.execute_in_process(partition_key="acme", instance=instance, raise_on_error=False)
    (failed,) = (event for event in result.all_events if event.is_step_failure)
    assert failed.step_key == "sim_export"
    told = failed.step_failure_data.user_failure_data
    assert told is not None
    assert str(told.description).startswith(f"export of carrier acme to {tmp_path}/a_file/x: opening it failed: ")
