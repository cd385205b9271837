from pathlib import Path

from sim_sync.simulator.server import SimulatorServer
from sim_sync_tests.cli.desk import Desk, an_account, assert_one_message


def test_a_sound_place_is_told_and_exits_with_0(desk: Desk, simulator: SimulatorServer) -> None:
    desk.write_carriers(acme=an_account(simulator.url))
    said = desk.type_in("check")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0].startswith("config     ok: ")
    assert lines[1].startswith("warehouse  ok: sqlite:///")
    assert lines[2].startswith("inventory  ok: none is configured")
    assert lines[4].split()[:3] == ["acme", "yes", "yes"]
    assert "stay empty" in lines[5]


def test_check_writes_nothing(desk: Desk, simulator: SimulatorServer) -> None:
    desk.write_carriers(acme=an_account(simulator.url))
    before = sorted(desk.folder.rglob("*"))
    desk.type_in("check")
    assert sorted(desk.folder.rglob("*")) == before


def test_two_pages_of_each_carrier_are_fetched(desk: Desk, simulator: SimulatorServer) -> None:
    desk.write_carriers(acme=an_account(simulator.url), zeta=an_account(simulator.url))
    desk.type_in("check")
    assert len(simulator.log.entries()) == 4


def test_named_carriers_alone_are_asked(desk: Desk, simulator: SimulatorServer) -> None:
    desk.write_carriers(acme=an_account(simulator.url), zeta=an_account("http://127.0.0.1:9"))
    assert desk.type_in("check", "acme").code == 0


def test_json_is_one_document(desk: Desk, simulator: SimulatorServer) -> None:
    desk.write_carriers(acme=an_account(simulator.url), zeta=an_account("http://127.0.0.1:9"))
    said = desk.run("check", "--json")
    assert said.code == 1
    document = said.document
    assert set(document) == {"config", "warehouse", "inventory", "carriers"}
    acme, zeta = document["carriers"]
    assert (acme["carrier"], acme["ok"], acme["problem"]) == ("acme", True, None)
    assert (zeta["carrier"], zeta["ok"]) == ("zeta", False)
    assert "127.0.0.1:9" in zeta["problem"]


def test_a_wrong_password_fails_that_carrier_and_is_not_shown(desk: Desk, simulator: SimulatorServer) -> None:
    account = an_account(simulator.url)
    wrong = {**account, "auth": {**account["auth"], "password": "not-the-password"}}
    desk.write_carriers(acme=account, zeta=wrong)
    said = desk.type_in("check")
    assert said.code == 1
    assert "Traceback" not in said.out + said.err
    assert "not-the-password" not in said.out + said.err
    (row,) = (line for line in said.out.splitlines() if line.startswith("zeta "))
    assert row.split()[:3] == ["zeta", "yes", "NO"]
    assert "zeta: " in said.out
    assert "401" in said.out


def test_an_unreachable_server_fails_that_carrier(desk: Desk) -> None:
    said = desk.type_in("check", "acme")
    assert said.code == 1
    assert "Traceback" not in said.out + said.err
    assert "acme: carrier acme: GET http://127.0.0.1:9/v1/Sims" in said.out


def test_for_the_shipped_carrier_it_is_told_who_serves_it(desk: Desk) -> None:
    desk.write_carriers(**{"simulated-eu": an_account("http://127.0.0.1:9")})
    assert "sim-sync simulate --port 8585" in desk.type_in("check").out


def test_a_missing_variable_is_told_before_anybody_is_asked(desk: Desk, simulator: SimulatorServer) -> None:
    account = an_account(simulator.url)
    desk.write_carriers(acme={**account, "auth": {"username": "AC1", "password": {"env": "ACME_TOKEN"}}})
    said = desk.type_in("check")
    assert_one_message(said, 2, "carriers.acme.auth.password", "the environment variable ACME_TOKEN", "it is not set")
    assert simulator.log.entries() == []


def test_an_unreadable_inventory_exits_with_2_and_names_the_file(desk: Desk, simulator: SimulatorServer) -> None:
    inventory = {"type": "csv", "path": "ours.csv", "columns": {"iccid": "ICCID"}}
    desk.write_config({"inventory": inventory, "carriers": {"acme": an_account(simulator.url)}})
    said = desk.type_in("check")
    assert said.code == 2
    assert "ours.csv" in said.out
    (desk.folder / "ours.csv").write_bytes(b"ICCID\n\xff\xfe\xfa\n")
    assert desk.type_in("check").code == 2
    (desk.folder / "ours.csv").write_text("Number\n1\n")
    said = desk.type_in("check")
    assert said.code == 2
    assert "'ICCID'" in said.out


def test_unusable_rows_of_our_list_are_counted_with_the_first_reason(desk: Desk, simulator: SimulatorServer) -> None:
    inventory = {"type": "csv", "path": "ours.csv", "columns": {"iccid": "ICCID"}}
    desk.write_config({"inventory": inventory, "carriers": {"acme": an_account(simulator.url)}})
    (desk.folder / "ours.csv").write_text("ICCID\n8988303000000000001\n8.98830E+18\n")
    said = desk.type_in("check")
    assert (
        "1 SIM; 1 row cannot be used, the first in line 3, column 'ICCID': ICCID '8.98830E+18' was rounded" in said.out
    )


def test_a_place_where_no_warehouse_can_be_is_told(desk: Desk, simulator: SimulatorServer) -> None:
    desk.write_carriers(acme=an_account(simulator.url))
    (desk.folder / "a-file").write_text("in the way")
    desk.set(SIM_SYNC_WAREHOUSE_URL=f"sqlite:///{desk.folder / 'a-file' / 'warehouse.db'}")
    said = desk.type_in("check")
    assert said.code == 2
    assert "a-file" in said.out


def test_a_postgresql_that_refuses_the_password_is_told_without_it(
    desk: Desk, simulator: SimulatorServer, tmp_path: Path
) -> None:
    desk.write_carriers(acme=an_account(simulator.url))
    desk.set(SIM_SYNC_WAREHOUSE_URL="postgresql://sync:a-secret-word@127.0.0.1:9/sims")
    said = desk.type_in("check")
    assert said.code == 1
    assert "127.0.0.1" in said.out
    assert "a-secret-word" not in said.out + said.err
