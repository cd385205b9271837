"""The company's own view of the fleet, compared with what the carrier really lists."""

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_sync.core.errors import InputError
from sim_sync.core.sims import Lifecycle
from sim_sync.simulator.command import (
    COMPANY_STATES,
    INVENTORY_COLUMNS,
    DifferenceCounts,
    decide_differences,
    inventory_rows,
    parse_difference_counts,
    write_inventory,
)
from sim_sync.simulator.fleet import Fleet, FleetEdit
from sim_sync.simulator.fleet_spec import FleetSpec
from sim_sync.simulator.messages import MountOptions
from sim_sync.simulator.server import SimulatorServer
from sim_sync.simulator.vendors import VENDORS
from sim_sync_tests.simulator.conftest import Start
from sim_sync_tests.simulator.raw_http import walk

COUNTS = DifferenceCounts(missing=12, unknown=8, status=25)


def new_fleet(size: int, seed: int = 1) -> Fleet:
    return Fleet(FleetSpec(VENDORS["twilio_super_sim"].profile, seed), size)


def compared(server: SimulatorServer, path: Path) -> tuple[set[str], set[str], dict[str, tuple[str, str]]]:
    """Compare the file with a walk along the carrier's API, in words of this test's own."""
    theirs = {record["iccid"]: record["status"] for record in walk(server.url, page_size=1000)}
    words = {"STOCK": "new", "READY": "ready", "LIVE": "active", "OFF": "inactive"}
    with path.open(newline="") as file:
        ours = {row["ICCID"]: words[row["State"]] for row in csv.DictReader(file)}
    status = {i: (ours[i], theirs[i]) for i in ours.keys() & theirs.keys() if ours[i] != theirs[i]}
    return ours.keys() - theirs.keys(), theirs.keys() - ours.keys(), status


def test_the_demos_inventory_differs_from_the_carrier_in_the_known_sims_and_no_other(
    start: Start, tmp_path: Path
) -> None:
    path = tmp_path / "inventory.csv"
    server = start(MountOptions(sims=20_000, seed=1))
    fleet = new_fleet(20_000)
    differences = decide_differences(fleet, COUNTS)
    assert write_inventory(path, fleet, "demo", differences) == 20_000 - 8 + 12
    missing, unknown, status = compared(server, path)
    assert (len(missing), len(unknown), len(status)) == (12, 8, 25)
    assert missing == set(differences.missing)
    assert unknown == set(differences.unknown)
    vendor_words = {"inventory": "new", "activation_ready": "ready", "active": "active", "deactivated": "inactive"}
    assert status == {i: (vendor_words[o], vendor_words[t]) for i, (o, t) in differences.status.items()}


@settings(max_examples=30)
@given(st.integers(0, 200), st.integers(0, 20), st.integers(0, 100), st.integers(0, 100), st.integers())
def test_the_numbers_of_differences_are_those_asked_for(
    size: int, missing: int, unknown: int, status: int, seed: int
) -> None:
    fleet = new_fleet(size, seed)
    fleet.edit(FleetEdit(remove=list(range(0, size, 7))))
    counts = DifferenceCounts(missing, min(unknown, fleet.live_count), 0)
    counts = DifferenceCounts(missing, counts.unknown, min(status, fleet.live_count - counts.unknown))
    rows = list(inventory_rows(fleet, "demo", decide_differences(fleet, counts)))
    ours = {row[0]: row[2] for row in rows}
    theirs = {sim.iccid: COMPANY_STATES[sim.status] for sim in map(fleet.sim, fleet.live_after(-1, size))}
    assert len(ours) == len(rows)
    assert len(ours.keys() - theirs.keys()) == counts.missing
    assert len(theirs.keys() - ours.keys()) == counts.unknown
    assert sum(ours[iccid] != theirs[iccid] for iccid in ours.keys() & theirs.keys()) == counts.status


def test_the_file_is_the_same_in_every_release(tmp_path: Path) -> None:
    """The shipped example was written once: never adapt this to a changed inventory."""
    path = tmp_path / "inventory.csv"
    write_inventory(path, new_fleet(6), "demo", decide_differences(new_fleet(6), DifferenceCounts(1, 1, 2)))
    assert path.read_bytes().decode().splitlines() == [
        "ICCID,Carrier,State,MSISDN,Rate plan,Label",
        "89883070850878680517,demo,LIVE,+882285901056361,gateways-us,sim-0000001",
        "89883070513941091886,demo,LIVE,+882285175329552,trackers-eu,sim-0000002",
        "89883070177003503251,demo,LIVE,+882285449602743,meters-eu,sim-0000003",
        "89883070840065914621,demo,STOCK,+882285723875934,gateways-us,sim-0000004",
        "89883070503128325991,demo,STOCK,+882285998149125,trackers-eu,sim-0000005",
        "89883070524753857777,demo,LIVE,,,lost-0000",
    ]


def test_differences_are_spread_over_the_whole_fleet() -> None:
    fleet = new_fleet(20_000)
    differences = decide_differences(fleet, COUNTS)
    indices = [fleet.index_of_iccid(iccid) for iccid in (*differences.unknown, *differences.status)]
    thousands = {(index or 0) // 1000 for index in indices}
    assert len(thousands) > 12


def test_every_lifecycle_word_has_its_own_company_word() -> None:
    assert COMPANY_STATES.keys() == set(Lifecycle)
    assert len(set(COMPANY_STATES.values())) == len(COMPANY_STATES)


def test_counts_are_read_from_text() -> None:
    assert parse_difference_counts("missing=12, unknown=8,status=25") == COUNTS
    assert parse_difference_counts("status=1") == DifferenceCounts(status=1)


@pytest.mark.parametrize("text", ["", "missing", "missing=", "missing=-1", "lost=3", "missing=1;status=2"])
def test_counts_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="differences: expected missing=NUMBER, status=NUMBER, unknown=NUMBER"):
        parse_difference_counts(text)


def test_more_differences_than_sims_are_refused() -> None:
    with pytest.raises(InputError, match="expected at most 10 SIMs to differ, found 11"):
        decide_differences(new_fleet(10), DifferenceCounts(unknown=5, status=6))


def test_a_place_that_cannot_be_written_to_is_one_clear_message(tmp_path: Path) -> None:
    fleet = new_fleet(1)
    with pytest.raises(InputError, match=r"cannot write the inventory to .*: No such file or directory"):
        write_inventory(tmp_path / "nowhere" / "x.csv", fleet, "demo", decide_differences(fleet, DifferenceCounts()))


def test_the_columns_are_those_of_the_example_configuration() -> None:
    assert INVENTORY_COLUMNS == ("ICCID", "Carrier", "State", "MSISDN", "Rate plan", "Label")
