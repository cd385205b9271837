from pathlib import Path

import pytest

from sim_sync.simulator.server import SimulatorServer
from sim_sync_tests.cli.command_line import CommandLine, an_account, assert_one_message


def test_a_sound_place_is_told_and_exits_with_0(command_line: CommandLine, simulator: SimulatorServer) -> None:
    command_line.write_carriers(acme=an_account(simulator.url))
    said = command_line.type_in("check")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0].startswith("config     ok: ")
    assert lines[1].startswith("warehouse  ok: sqlite:///")
    assert lines[2].startswith("inventory  ok: none is configured")
    assert lines[3].startswith(f"folders    ok: {command_line.folder}/dagster_home for Dagster, ")
    assert lines[5].split()[:3] == ["acme", "yes", "yes"]
    assert "stay empty" in lines[6]


def test_check_writes_nothing(command_line: CommandLine, simulator: SimulatorServer) -> None:
    command_line.write_carriers(acme=an_account(simulator.url))
    before = sorted(command_line.folder.rglob("*"))
    command_line.type_in("check")
    assert sorted(command_line.folder.rglob("*")) == before


def test_two_pages_of_each_carrier_are_fetched(command_line: CommandLine, simulator: SimulatorServer) -> None:
    command_line.write_carriers(acme=an_account(simulator.url), zeta=an_account(simulator.url))
    command_line.type_in("check")
    assert len(simulator.log.entries()) == 4


def test_named_carriers_alone_are_asked(command_line: CommandLine, simulator: SimulatorServer) -> None:
    command_line.write_carriers(acme=an_account(simulator.url), zeta=an_account("http://127.0.0.1:9"))
    assert command_line.type_in("check", "acme").code == 0


def test_json_is_one_document(command_line: CommandLine, simulator: SimulatorServer) -> None:
    command_line.write_carriers(acme=an_account(simulator.url), zeta=an_account("http://127.0.0.1:9"))
    said = command_line.run("check", "--json")
    assert said.code == 1
    document = said.document
    assert set(document) == {"config", "warehouse", "inventory", "folders", "carriers"}
    acme, zeta = document["carriers"]
    assert (acme["carrier"], acme["ok"], acme["problem"]) == ("acme", True, None)
    assert (zeta["carrier"], zeta["ok"]) == ("zeta", False)
    assert "127.0.0.1:9" in zeta["problem"]


def test_a_wrong_password_fails_that_carrier_and_is_not_shown(
    command_line: CommandLine, simulator: SimulatorServer
) -> None:
    account = an_account(simulator.url)
    wrong = {**account, "auth": {**account["auth"], "password": "not-the-password"}}
    command_line.write_carriers(acme=account, zeta=wrong)
    said = command_line.type_in("check")
    assert said.code == 1
    assert "Traceback" not in said.out + said.err
    assert "not-the-password" not in said.out + said.err
    (row,) = (line for line in said.out.splitlines() if line.startswith("zeta "))
    assert row.split()[:3] == ["zeta", "yes", "NO"]
    assert "zeta: " in said.out
    assert "401" in said.out


def test_an_unreachable_server_fails_that_carrier(command_line: CommandLine) -> None:
    said = command_line.type_in("check", "acme")
    assert said.code == 1
    assert "Traceback" not in said.out + said.err
    assert "acme: carrier acme: GET http://127.0.0.1:9/v1/Sims" in said.out


def test_for_the_shipped_carrier_it_is_told_who_serves_it(command_line: CommandLine) -> None:
    command_line.write_carriers(**{"simulated-eu": an_account("http://127.0.0.1:9")})
    assert "sim-sync simulate --port 8585" in command_line.type_in("check").out


def test_a_missing_variable_is_told_before_anybody_is_asked(
    command_line: CommandLine, simulator: SimulatorServer
) -> None:
    account = an_account(simulator.url)
    command_line.write_carriers(acme={**account, "auth": {"username": "AC1", "password": {"env": "ACME_TOKEN"}}})
    said = command_line.type_in("check")
    assert_one_message(said, 2, "carriers.acme.auth.password", "the environment variable ACME_TOKEN", "it is not set")
    assert simulator.log.entries() == []


def test_an_unreadable_inventory_exits_with_2_and_names_the_file(
    command_line: CommandLine, simulator: SimulatorServer
) -> None:
    inventory = {"type": "csv", "path": "ours.csv", "columns": {"iccid": "ICCID"}}
    command_line.write_config({"inventory": inventory, "carriers": {"acme": an_account(simulator.url)}})
    said = command_line.type_in("check")
    assert said.code == 2
    assert "ours.csv" in said.out
    (command_line.folder / "ours.csv").write_bytes(b"ICCID\n\xff\xfe\xfa\n")
    assert command_line.type_in("check").code == 2
    (command_line.folder / "ours.csv").write_text("Number\n1\n")
    said = command_line.type_in("check")
    assert said.code == 2
    assert "'ICCID'" in said.out


def test_unusable_rows_of_our_list_are_counted_with_the_first_reason(
    command_line: CommandLine, simulator: SimulatorServer
) -> None:
    inventory = {"type": "csv", "path": "ours.csv", "columns": {"iccid": "ICCID"}}
    command_line.write_config({"inventory": inventory, "carriers": {"acme": an_account(simulator.url)}})
    (command_line.folder / "ours.csv").write_text("ICCID\n8988303000000000001\n8.98830E+18\n")
    said = command_line.type_in("check")
    assert (
        "1 SIM; 1 row cannot be used, the first in line 3, column 'ICCID': ICCID '8.98830E+18' was rounded" in said.out
    )


def test_a_place_where_no_warehouse_can_be_is_told(command_line: CommandLine, simulator: SimulatorServer) -> None:
    command_line.write_carriers(acme=an_account(simulator.url))
    (command_line.folder / "a-file").write_text("in the way")
    command_line.set(SIM_SYNC_WAREHOUSE_URL=f"sqlite:///{command_line.folder / 'a-file' / 'warehouse.db'}")
    said = command_line.type_in("check")
    assert said.code == 2
    assert "a-file" in said.out


def test_a_postgresql_that_refuses_the_password_is_told_without_it(
    command_line: CommandLine, simulator: SimulatorServer, tmp_path: Path
) -> None:
    command_line.write_carriers(acme=an_account(simulator.url))
    command_line.set(SIM_SYNC_WAREHOUSE_URL="postgresql://sync:a-secret-word@127.0.0.1:9/sims")
    said = command_line.type_in("check")
    assert said.code == 1
    assert "127.0.0.1" in said.out
    assert "a-secret-word" not in said.out + said.err


def test_a_limit_that_carriers_share_is_said_to_be_of_this_host_where_the_warehouse_is_sqlite(
    command_line: CommandLine, simulator: SimulatorServer
) -> None:
    sharing = an_account(simulator.url, rate_limit={"requests_per_second": 100, "shared_key": "us"})
    command_line.write_carriers(acme=sharing, zeta=an_account(simulator.url), yota=sharing)
    told = command_line.type_in("check").out
    assert "limits     ok: rate_limit.shared_key of acme; yota: kept in " in told
    assert "for this host alone; hosts that share an account need a warehouse in PostgreSQL" in " ".join(told.split())
    assert "limits" not in command_line.run("check", "zeta", "--json").document


def test_a_limit_that_hosts_share_is_kept_in_postgresql_also_before_the_first_sync(
    command_line: CommandLine, simulator: SimulatorServer, postgres_url: str
) -> None:
    command_line.set(SIM_SYNC_WAREHOUSE_URL=postgres_url)
    limit = {"requests_per_second": 100, "shared_key": "us"}
    command_line.write_carriers(acme=an_account(simulator.url, rate_limit=limit))
    said = command_line.run("check", "--json")
    assert (said.code, said.document["carriers"][0]["ok"]) == (0, True)
    assert said.document["limits"]["told"].endswith("kept in the warehouse, for all hosts that use it")
    assert not list(command_line.folder.rglob("limits"))


def test_a_warehouse_that_is_away_keeps_nobody_waiting_for_its_limits(
    command_line: CommandLine, simulator: SimulatorServer
) -> None:
    command_line.set(SIM_SYNC_WAREHOUSE_URL="postgresql://nobody@127.0.0.1:9/none")
    limit = {"requests_per_second": 100, "shared_key": "us"}
    command_line.write_carriers(acme=an_account(simulator.url, rate_limit=limit))
    said = command_line.run("check", "--json")
    assert (said.code, said.document["warehouse"]["ok"], said.document["carriers"][0]["ok"]) == (1, False, True)


def test_an_export_that_can_be_written_is_told_with_its_places(
    command_line: CommandLine, simulator: SimulatorServer
) -> None:
    sections = {"export": {"parquet": {"path": "lake"}, "delta": {"path": "delta"}}}
    command_line.write_config({**sections, "carriers": {"acme": an_account(simulator.url)}})
    said = command_line.type_in("check")
    folder = command_line.folder
    assert (said.code, said.err) == (0, "")
    assert f"export     ok: parquet to {folder}/lake; delta to {folder}/delta" in said.out
    assert not (folder / "lake").exists()


@pytest.mark.parametrize(
    ("export", "told"),
    [
        ({"parquet": {"path": "a_file/lake"}}, "Not a directory: '{folder}/a_file'"),
        ({"delta": {"path": "a_file/lake"}}, "Not a directory: '{folder}/a_file'"),
        ({"delta": {"path": "la[k]e"}}, "Delta takes no path with [ ] in it"),
        ({"parquet": {"path": "s3://bucket/lake"}}, "nstall s3fs"),
        ({"parquet": {"path": "gs://bucket/lake"}}, "nstall gcsfs"),
        ({"parquet": {"path": "az://bucket/lake"}}, "nstall adlfs"),
    ],
)
def test_a_place_that_no_export_can_be_written_to_fails_the_check(
    command_line: CommandLine, simulator: SimulatorServer, export: dict[str, object], told: str
) -> None:
    (command_line.folder / "a_file").touch()
    command_line.write_config({"export": export, "carriers": {"acme": an_account(simulator.url)}})
    said = command_line.run("check", "--json")
    found = said.document["export"]
    assert (said.code, found["ok"], found["exit_code"]) == (1, False, 1)
    assert told.format(folder=command_line.folder) in found["told"]
