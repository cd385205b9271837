"""No host has a warehouse of its own where Dagster's is on a server, and no carrier two code locations unnoticed."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from sim_sync.core.errors import ConfigError
from sim_sync.defs.checks import each_carrier_has_one_code_location
from sim_sync.defs.resources import WarehouseResource, require_one_truth
from sim_sync.warehouse import Warehouse
from sim_sync.warehouse.code_locations import CodeLocation, SqlCodeLocations
from sim_sync_tests.defs.stage import DagsterHarness

REFUSED = "of this host alone, but Dagster's storage is on a server"


@pytest.fixture
def instance_on_a_server(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text(
        "telemetry: {enabled: false}\n"
        "run_storage:\n"
        "  module: sim_sync_tests.fakes.foreign_storage\n"
        "  class: StorageOnAServer\n"
        f"  config: {{base_dir: {tmp_path / 'server'}}}\n",
        encoding="utf-8",
    )
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


def test_a_warehouse_of_this_host_alone_is_refused_in_one_sentence(instance_on_a_server: dg.DagsterInstance) -> None:
    with pytest.raises(ConfigError, match=REFUSED) as refused:
        require_one_truth(instance_on_a_server, "sqlite:////var/lib/warehouse.db")

    assert str(refused.value).count("\n") == 0
    assert "SIM_SYNC_WAREHOUSE_URL" in str(refused.value)


@pytest.mark.parametrize("url", ["postgresql://user:word@host/database", "postgresql+psycopg://host/database"])
def test_a_warehouse_of_all_hosts_is_welcome_and_so_is_any_where_dagster_is_of_one_host(
    instance_on_a_server: dg.DagsterInstance, stage: DagsterHarness, url: str
) -> None:
    require_one_truth(instance_on_a_server, url)
    require_one_truth(stage.instance, url)
    require_one_truth(stage.instance, "sqlite:////var/lib/warehouse.db")


def test_the_sensor_launches_nothing_and_says_why(
    stage: DagsterHarness, instance_on_a_server: dg.DagsterInstance
) -> None:
    stage.opened_by("run-1")
    stage.clock.advance(100)
    stage.instance = instance_on_a_server

    requests, skipped = stage.look()

    assert requests == []
    assert REFUSED in (skipped or "")


def test_a_run_is_refused_before_the_file_is_made(
    instance_on_a_server: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "carriers.yaml"
    account = "{type: twilio_super_sim, auth: {username: AC51500000000000000000000000000515, password: word}}"
    config.write_text(f"carriers: {{acme: {account}}}\n", encoding="utf-8")
    monkeypatch.setenv("SIM_SYNC_WAREHOUSE_URL", f"sqlite:///{tmp_path / 'own.db'}")

    @dg.op(required_resource_keys={"warehouse"})
    def look(context: dg.OpExecutionContext) -> None:
        assert isinstance(context.resources.warehouse, Warehouse)

    @dg.job(resource_defs={"warehouse": WarehouseResource(path=str(config))})
    def job() -> None:
        look()

    with pytest.raises(dg.DagsterError) as refused:
        job.execute_in_process(instance=instance_on_a_server)
    assert isinstance(refused.value.__cause__, ConfigError)
    assert REFUSED in str(refused.value.__cause__)
    assert not (tmp_path / "own.db").exists()


def test_a_second_code_location_with_the_same_carriers_is_named_by_the_sensor_and_a_check(
    stage: DagsterHarness,
) -> None:
    stage.look()
    _, alone = stage.look()
    assert "code location" not in (alone or "").replace("of this code location", "")
    copy = CodeLocation("copy/resume_interrupted_syncs", "another-instance", ["acme"])
    stage.clock.advance(30)
    SqlCodeLocations(stage.warehouse.engine, clock=stage.clock.now).note(copy)

    _, told = stage.look()
    result = each_carrier_has_one_code_location(stage.config, stage.warehouse)  # type: ignore[arg-type]

    for text in (told or "", result.description or ""):
        assert "acme: two code locations look after this, " in text
        assert "copy/resume_interrupted_syncs (Dagster instance another-)" in text
    assert not result.passed
