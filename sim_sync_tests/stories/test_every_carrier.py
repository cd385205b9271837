"""Every connector walks its carrier: under faults, killed once in the middle, to a certified end and exact tables."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from sim_sync.core.session import Session, State, SweepState
from sim_sync.simulator.control import RunningSimulator, running_simulator
from sim_sync.simulator.messages import TrueSim
from sim_sync.warehouse import Warehouse, open_warehouse
from sim_sync.warehouse.tables import carrier_sims
from sim_sync_tests.stories.every_carrier import CASES, SIMS, Case

_PATIENCE_SECONDS = 120
#: Columns whose text is the carrier's own but for marks between digits.
_DIGITS = frozenset({"msisdn", "imsi", "imei", "eid"})
#: Where a vendor lists the ICCID in both forms, the one with its check digit.
_WITH_LUHN = "iccid_with_luhn"
_TIMES = frozenset({"activated_at", "carrier_updated_at"})


@dataclass(frozen=True)
class CarrierHarness:
    """A carrier, its simulator, and an empty warehouse, each in files of its own."""

    case: Case
    simulator: RunningSimulator
    warehouse: Warehouse
    environment: Mapping[str, str]

    def sync(self, crash_at: str = "") -> int:
        """Sync in a process of its own, and return its exit code."""
        ended = subprocess.run(
            [sys.executable, "-m", "sim_sync.selftest.victims", self.case.type],
            env={**os.environ, **self.environment, "SIM_SYNC_CRASH_AT": crash_at},
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
        assert ended.returncode in {0, 3, -signal.SIGKILL}, ended.stderr[-2000:]
        return ended.returncode

    def session(self) -> Session:
        """The carrier's newest session."""
        (session,) = self.warehouse.sessions.latest_sessions([self.case.type])
        return session

    def rows(self) -> list[Mapping[str, Any]]:
        """All rows of the carrier."""
        with self.warehouse.engine.connect() as connection:
            return [dict(row) for row in connection.execute(sa.select(carrier_sims)).mappings()]


@contextmanager
def stage(case: Case, folder: Path) -> Iterator[CarrierHarness]:
    """Set a story up for one carrier."""
    with running_simulator(case.mount()) as simulator:
        config = folder / "carriers.yaml"
        config.write_text(yaml.safe_dump({"carriers": {case.type: case.carrier(simulator.url)}}), encoding="utf-8")
        url = f"sqlite:///{folder / 'warehouse.db'}"
        warehouse = open_warehouse(url)
        environment = {
            "SIM_SYNC_CONFIG": str(config),
            "SIM_SYNC_WAREHOUSE_URL": url,
            "SIM_SYNC_STATE_DIR": str(folder / "state"),
        }
        try:
            yield CarrierHarness(case, simulator, warehouse, environment)
        finally:
            warehouse.close()


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_carrier_is_walked_whole_under_faults_and_a_kill(case: Case, tmp_path: Path) -> None:
    with stage(case, tmp_path) as place:
        for fault, trigger in case.faults:
            place.simulator.arm(fault, trigger)
        assert place.sync(crash_at="commit_page:rows_written:3") == -signal.SIGKILL
        assert place.session().pages_done == 2
        assert place.sync() == 0

        session = place.session()
        assert (session.state, session.sweep_state, session.fence) == (State.COMPLETED, SweepState.DONE, 2)
        assert session.records_quarantined == 0
        assert [armed.applied for armed in place.simulator.fetch_faults()] == [1] * len(case.faults)
        assert pages_answered(place) - case.looks_behind - session.pages_done in {0, 1}
        assert_rows_are_the_carriers(place)


def pages_answered(place: CarrierHarness) -> int:
    """Return how many list requests the carrier answered with a page."""
    return sum(
        entry.is_list and 200 <= entry.status < 300 and entry.fault is None
        for entry in place.simulator.fetch_requests()
    )


def assert_rows_are_the_carriers(place: CarrierHarness) -> None:
    """Compare the table with what the simulator says is true, column by column."""
    rows = {row["sim_id"]: row for row in place.rows()}
    truth = {_sim_id(sim): sim for sim in place.simulator.fetch_sims()}
    assert len(rows) == SIMS
    assert rows.keys() == truth.keys()
    for sim_id, true_sim in truth.items():
        assert told(rows[sim_id], true_sim) == expected(true_sim)


def told(row: Mapping[str, Any], true_sim: TrueSim) -> dict[str, str | None]:
    """Return what a row says in the columns that the carrier lists."""
    columns = {"iccid_raw" if name == "iccid" else name for name in true_sim.listed} - {_WITH_LUHN}
    shown = {name: _comparable(name, row[name]) for name in columns}
    return shown | {"iccid": row["iccid"], "carrier_status": row["carrier_status"]}


def expected(true_sim: TrueSim) -> dict[str, str | None]:
    """Return what the carrier lists of a SIM, the ICCID with its check digit where it gives both forms."""
    listed = dict(true_sim.listed)
    iccid = listed.pop("iccid")
    shown = {name: _comparable(name, value) for name, value in listed.items() if name != _WITH_LUHN}
    normal = listed.get(_WITH_LUHN) or iccid
    return shown | {"iccid_raw": iccid, "iccid": normal, "carrier_status": true_sim.carrier_status}


def _sim_id(true_sim: TrueSim) -> str:
    """Return the id of the row: the vendor's own, or where that is an ICCID, its normal form."""
    is_iccid = true_sim.sim_id == true_sim.listed["iccid"]
    return (true_sim.listed.get(_WITH_LUHN) if is_iccid else None) or true_sim.sim_id


def _comparable(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if name in _DIGITS:
        digits = "".join(filter(str.isdigit, str(value)))
        # A number of ten digits, as Verizon lists it, is one of the United States.
        return f"1{digits}" if name == "msisdn" and len(digits) == 10 else digits
    if name in _TIMES:
        return str(value).replace(" ", "T").removesuffix("+00:00").removesuffix("Z").partition(".")[0]
    return str(value)
