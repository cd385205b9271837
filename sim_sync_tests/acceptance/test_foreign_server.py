import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sim_sync.warehouse.engine import open_engine
from sim_sync.warehouse.tables import metadata
from sim_sync_tests.acceptance.super_sim_server import ACCOUNT, TOKEN, SuperSimServer, sim, super_sim_server

PROJECT = Path(__file__).parents[2]
CARRIER = "field-meters"
SIMS = 257
PAGES = 5
TAGS = json.dumps({"dagster/partition": CARRIER})
EXECUTE = ("job", "execute", "-m", "sim_sync.definitions", "-j", "reconcile_carrier", "--tags", TAGS)
#: The vendor's words in the lifecycle of sim_sync.
STATUSES = {
    "new": "inventory",
    "ready": "activation_ready",
    "active": "active",
    "inactive": "deactivated",
    "scheduled": "unknown",
}

WITHOUT_INVENTORY = """
carriers:
  field-meters:
    type: twilio_super_sim
    base_url: {env: FIELD_METERS_URL}
    auth: {username: {env: FIELD_METERS_SID}, password: {env: FIELD_METERS_TOKEN}}
    page_size: 60
"""
WITH_INVENTORY = (
    """
inventory:
  type: csv
  path: ours.csv
  columns: {iccid: Number, carrier: Who, status: State}
  statuses: {ON: active}
"""
    + WITHOUT_INVENTORY
)


@dataclass
class Elsewhere:
    """A folder that is not the project's, with a config; commands run in the project's folder all the same."""

    folder: Path
    server: SuperSimServer
    warehouse_url: str

    @property
    def environment(self) -> Mapping[str, str]:
        """What a user exports; no Dagster home."""
        return {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"} | {
            "SIM_SYNC_CONFIG": str(self.folder / "carriers.yaml"),
            "SIM_SYNC_WAREHOUSE_URL": self.warehouse_url,
            "FIELD_METERS_URL": self.server.url,
            "FIELD_METERS_SID": ACCOUNT,
            "FIELD_METERS_TOKEN": TOKEN,
        }

    def run(self, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in the project's folder to its end."""
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=PROJECT,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def rows(self, table: str, *columns: str) -> Sequence[tuple[Any, ...]]:
        """Return some columns of a table, sorted."""
        engine = open_engine(self.warehouse_url)
        chosen = metadata.tables[table]
        with engine.connect() as connection:
            found = connection.execute(sa.select(*(chosen.c[name] for name in columns)))
            rows = sorted(tuple(row) for row in found)
        engine.dispose()
        return rows


@pytest.fixture
def sqlite_elsewhere(tmp_path: Path, sqlite_url: str) -> Iterator[Elsewhere]:
    with super_sim_server([sim(number) for number in range(SIMS)]) as server:
        yield Elsewhere(tmp_path, server, sqlite_url)


@pytest.fixture
def postgres_elsewhere(tmp_path: Path, postgres_url: str) -> Iterator[Elsewhere]:
    with super_sim_server([sim(number) for number in range(SIMS)]) as server:
        yield Elsewhere(tmp_path, server, postgres_url)


def assert_the_tables_hold_exactly_the_servers_sims(elsewhere: Elsewhere) -> None:
    columns = ("sim_id", "iccid", "iccid_raw", "carrier", "status", "carrier_status", "account")
    expected = [
        (told["sid"], told["iccid"], told["iccid"], CARRIER, STATUSES[told["status"]], told["status"], ACCOUNT)
        for told in elsewhere.server.sims
    ]
    assert elsewhere.rows("carrier_sims", *columns) == sorted(expected)
    names = [(told["sid"], told["unique_name"] or "") for told in elsewhere.server.sims]
    stored = elsewhere.rows("carrier_sims", "sim_id", "label")
    assert [(sim_id, label or "") for sim_id, label in stored] == sorted(names)
    assert elsewhere.rows("sync_sessions", "state", "pages_done", "records_seen") == [("completed", PAGES, SIMS)]
    assert elsewhere.server.refusals == []
    assert elsewhere.server.pages_served == PAGES


def ours_without_the_last_and_one_too_many(server: SuperSimServer) -> str:
    known = [f"{told['iccid']},{CARRIER},ON" for told in server.sims[:-1]]
    return "\n".join(["Number,Who,State", *known, f"8988307999999999999,{CARRIER},ON", ""])


def assert_what_differs_is_known(elsewhere: Elsewhere) -> None:
    found = elsewhere.rows("sim_discrepancies", "kind", "iccid")
    of_kind = {kind: [iccid for other, iccid in found if other == kind] for kind, _ in found}
    assert of_kind["missing_at_carrier"] == ["8988307999999999999"]
    assert of_kind["unknown_to_us"] == [elsewhere.server.sims[-1]["iccid"]]
    # Ours are all ON; `scheduled` is a word that reports no state, so it contradicts none.
    others = [told["iccid"] for told in elsewhere.server.sims[:-1] if told["status"] not in {"active", "scheduled"}]
    assert of_kind["mismatch"] == sorted(others)


def test_job_execute_fills_sqlite_and_compares_with_our_inventory(sqlite_elsewhere: Elsewhere) -> None:
    sqlite_elsewhere.write("carriers.yaml", WITH_INVENTORY)
    sqlite_elsewhere.write("ours.csv", ours_without_the_last_and_one_too_many(sqlite_elsewhere.server))

    ended = sqlite_elsewhere.run("dagster", *EXECUTE)

    assert ended.returncode == 0, ended.stderr
    assert_the_tables_hold_exactly_the_servers_sims(sqlite_elsewhere)
    assert_what_differs_is_known(sqlite_elsewhere)
    assert TOKEN not in ended.stdout + ended.stderr


def test_job_execute_fills_postgresql_without_an_inventory(postgres_elsewhere: Elsewhere, tmp_path: Path) -> None:
    postgres_elsewhere.write("carriers.yaml", WITHOUT_INVENTORY)
    (tmp_path / "home").mkdir()

    ended = postgres_elsewhere.run("dagster", *EXECUTE, DAGSTER_HOME=str(tmp_path / "home"))

    assert ended.returncode == 0, ended.stderr
    assert_the_tables_hold_exactly_the_servers_sims(postgres_elsewhere)
    assert postgres_elsewhere.rows("sim_discrepancies", "iccid") == []


def test_backfill_fills_sqlite_without_an_inventory(sqlite_elsewhere: Elsewhere, tmp_path: Path) -> None:
    sqlite_elsewhere.write("carriers.yaml", WITHOUT_INVENTORY)
    (tmp_path / "home").mkdir()

    ended = sqlite_elsewhere.run("sim_sync", "backfill", CARRIER, DAGSTER_HOME=str(tmp_path / "home"))

    assert ended.returncode == 0, ended.stderr
    assert_the_tables_hold_exactly_the_servers_sims(sqlite_elsewhere)
    assert sqlite_elsewhere.rows("sim_discrepancies", "iccid") == []


def test_backfill_fills_postgresql_and_compares_with_our_inventory(
    postgres_elsewhere: Elsewhere, tmp_path: Path
) -> None:
    postgres_elsewhere.write("carriers.yaml", WITH_INVENTORY)
    postgres_elsewhere.write("ours.csv", ours_without_the_last_and_one_too_many(postgres_elsewhere.server))
    (tmp_path / "home").mkdir()

    ended = postgres_elsewhere.run("sim_sync", "backfill", CARRIER, DAGSTER_HOME=str(tmp_path / "home"))

    assert ended.returncode == 0, ended.stderr
    assert_the_tables_hold_exactly_the_servers_sims(postgres_elsewhere)
    assert_what_differs_is_known(postgres_elsewhere)


def test_a_wrong_token_fails_with_one_message_and_writes_no_sim(sqlite_elsewhere: Elsewhere, tmp_path: Path) -> None:
    sqlite_elsewhere.write("carriers.yaml", WITHOUT_INVENTORY)
    (tmp_path / "home").mkdir()

    ended = sqlite_elsewhere.run(
        "sim_sync", "backfill", CARRIER, DAGSTER_HOME=str(tmp_path / "home"), FIELD_METERS_TOKEN="another-token"
    )

    assert ended.returncode == 1
    assert "Traceback" not in ended.stdout + ended.stderr
    assert "401" in ended.stderr
    assert "another-token" not in ended.stdout + ended.stderr
    assert sqlite_elsewhere.rows("carrier_sims", "sim_id") == []
