"""Where `dagster.yaml` puts Dagster's storage on a server, no command takes a warehouse of this host alone."""

import pytest

from sim_sync.simulator.server import SimulatorServer
from sim_sync.warehouse import open_warehouse
from sim_sync.warehouse.code_locations import CodeLocation, SqlCodeLocations
from sim_sync_tests.cli.command_line import CommandLine, an_account

REFUSED = "of this host alone, but Dagster's storage is on a server"
SERVERS = [
    "storage: {postgres: {postgres_url: {env: DAGSTER_DB}}}",
    "storage: {mysql: {mysql_url: {env: DAGSTER_DB}}}",
    "storage: {custom: {module: some_cloud.storage, class: Storage, config: {}}}",
    "run_storage: {module: dagster_postgres.run_storage, class: PostgresRunStorage, config: {postgres_url: x}}",
]
OF_THIS_HOST = [
    "telemetry: {enabled: false}",
    "storage: {sqlite: {base_dir: /var/lib/dagster}}",
    "run_storage: {module: dagster._core.storage.runs, class: SqliteRunStorage, config: {base_dir: /var/lib}}",
    "storage: [odd]",
    "no: [yaml",
]


def with_settings(command_line: CommandLine, text: str, url: str) -> None:
    """Give the command a Dagster home of its own and one carrier."""
    home = command_line.folder / "dagster_home"
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text(text + "\n", encoding="utf-8")
    command_line.write_carriers(acme=an_account(url))


@pytest.mark.parametrize("text", SERVERS)
def test_check_refuses_a_warehouse_of_this_host_alone(
    command_line: CommandLine, simulator: SimulatorServer, text: str
) -> None:
    with_settings(command_line, text, simulator.url)

    said = command_line.type_in("check")

    assert said.code != 0
    assert REFUSED in " ".join((said.out + said.err).split())


def test_backfill_refuses_it_before_it_makes_the_file(command_line: CommandLine, simulator: SimulatorServer) -> None:
    with_settings(command_line, SERVERS[0], simulator.url)
    before = sorted(command_line.folder.rglob("*"))

    said = command_line.type_in("backfill", "acme")

    assert said.code != 0
    assert REFUSED in " ".join((said.out + said.err).split())
    assert sorted(command_line.folder.rglob("*")) == before


@pytest.mark.parametrize("text", OF_THIS_HOST)
def test_where_dagster_is_of_this_host_too_nothing_is_refused(
    command_line: CommandLine, simulator: SimulatorServer, text: str
) -> None:
    with_settings(command_line, text, simulator.url)

    said = command_line.type_in("check")

    assert (said.code, REFUSED in said.out + said.err) == (0, False)


def test_check_names_a_second_code_location_with_the_same_carriers(
    command_line: CommandLine, simulator: SimulatorServer
) -> None:
    with_settings(command_line, OF_THIS_HOST[0], simulator.url)
    url = f"sqlite:///{command_line.folder / 'warehouse.db'}"
    command_line.set(SIM_SYNC_WAREHOUSE_URL=url)
    warehouse = open_warehouse(url)
    locations = SqlCodeLocations(warehouse.engine)
    locations.note(CodeLocation("sim_sync/resume_interrupted_syncs", "one", ["acme"]))
    assert command_line.type_in("check").code == 0
    locations.note(CodeLocation("copy/resume_interrupted_syncs", "one", ["acme", "zeta"]))
    warehouse.close()

    said = command_line.type_in("check")

    assert said.code == 1
    assert "acme: two code locations look after this, copy/resume_interrupted_syncs" in " ".join(said.out.split())
