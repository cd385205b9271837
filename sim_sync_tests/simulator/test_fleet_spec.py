"""What a simulated SIM looks like."""

from collections import Counter
from datetime import UTC, datetime

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import imei, imsi, luhn
from stdnum.iso7064 import mod_97_10

from sim_sync.core.sims import Lifecycle
from sim_sync.simulator.fleet_spec import MAX_FLEET_SIZE, FleetSpec, Profile, SimulatedSim

PROFILE = Profile(
    iccid_prefix="89883070",
    status_weights=((Lifecycle.ACTIVE, 3), (Lifecycle.INVENTORY, 1)),
    rate_plans=("small", "large"),
)
INDICES = st.integers(0, MAX_FLEET_SIZE - 1)
SEEDS = st.integers(0, 2**63)


@given(INDICES, SEEDS)
def test_identifiers_pass_the_checks_of_their_standards(index: int, seed: int) -> None:
    sim = FleetSpec(PROFILE, seed).sim(index)
    assert sim.iccid is not None
    assert len(sim.iccid) == 20
    assert sim.iccid.startswith("89883070")
    assert luhn.is_valid(sim.iccid)
    assert imsi.is_valid(sim.imsi or "")
    assert imei.imei_type(sim.imei or "") == "IMEI"
    assert sim.eid is not None
    assert len(sim.eid) == 32
    assert mod_97_10.is_valid(sim.eid)
    assert sim.msisdn is not None
    assert phonenumbers.is_possible_number(phonenumbers.parse(sim.msisdn))
    assert len(sim.msisdn) == 16


@given(INDICES, SEEDS)
def test_a_sim_is_found_by_its_iccid_and_by_its_fingerprint(index: int, seed: int) -> None:
    fleet_spec = FleetSpec(PROFILE, seed)
    assert fleet_spec.index_of_iccid(fleet_spec.iccid(index)) == index
    assert fleet_spec.index_of_fingerprint(fleet_spec.fingerprint(index)) == index


@given(INDICES, SEEDS)
def test_times_are_in_the_order_of_a_sims_life(index: int, seed: int) -> None:
    sim = FleetSpec(PROFILE, seed).sim(index)
    assert sim.created_at < sim.updated_at
    if sim.status == Lifecycle.INVENTORY:
        assert (sim.activated_at, sim.ip_address) == (None, None)
    else:
        assert sim.activated_at is not None
        assert sim.created_at < sim.activated_at < sim.updated_at
        assert sim.ip_address is not None


def test_no_two_sims_share_an_identifier() -> None:
    fleet_spec = FleetSpec(PROFILE, 3)
    sims = [fleet_spec.sim(index) for index in range(20_000)]
    for field in ("iccid", "imsi", "msisdn", "imei", "eid"):
        assert len({getattr(sim, field) for sim in sims}) == len(sims)


def test_statuses_come_in_the_profiles_proportions() -> None:
    fleet_spec = FleetSpec(PROFILE, 3)
    counts = Counter(fleet_spec.sim(index).status for index in range(20_000))
    assert counts.keys() == {"active", "inventory"}
    assert counts["active"] / counts["inventory"] == pytest.approx(3, rel=0.05)


@given(st.integers(0, 10_000), SEEDS)
def test_absent_iccids_look_right_and_belong_to_no_sim(number: int, seed: int) -> None:
    fleet_spec = FleetSpec(PROFILE, seed)
    iccid = fleet_spec.absent_iccid(number)
    assert luhn.is_valid(iccid)
    assert fleet_spec.index_of_iccid(iccid) is None


@pytest.mark.parametrize("text", ["", "8988307000000000000", "89883070000000000001", "8988307000000000000x", "²" * 20])
def test_an_iccid_that_no_sim_has_is_not_found(text: str) -> None:
    assert FleetSpec(PROFILE, 3).index_of_iccid(text) is None


def test_a_sim_is_the_same_in_every_release() -> None:
    """Inventories written with one release are read with the next: never adapt this to a changed blueprint."""
    assert FleetSpec(PROFILE, 1).sim(1) == SimulatedSim(
        index=1,
        iccid="89883070850878680517",
        imsi="234503307733816",
        msisdn="+882285901056361",
        imei="352417353678774",
        eid="89049032000000000024173536787783",
        status="active",
        vendor_status=None,
        rate_plan="small",
        label="sim-0000001",
        ip_address="10.0.0.1",
        activated_at=datetime(2022, 12, 6, 17, 38, 26, tzinfo=UTC),
        created_at=datetime(2022, 10, 8, 10, 44, 8, tzinfo=UTC),
        updated_at=datetime(2025, 4, 29, 9, 40, 40, tzinfo=UTC),
    )
