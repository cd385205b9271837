"""Each connector asks its simulated vendor for single SIMs, and gets what the vendor's list says of them."""

from collections.abc import Callable
from typing import Any

import pytest

from sim_sync.carriers.registry import built_in
from sim_sync.config.carrier import parse_carrier
from sim_sync.core.lookups import AskedSim, LookupOutcome
from sim_sync.core.pages import Cursor
from sim_sync.core.ports import CarrierSource
from sim_sync.core.sims import Sim
from sim_sync.simulator.control import SimulatorControl
from sim_sync.simulator.credentials import simulated_credentials
from sim_sync.simulator.messages import MountOptions
from sim_sync.simulator.server import SimulatorServer
from sim_sync.simulator.vendors.thingspace import DEFAULT_ACCOUNT
from sim_sync_tests.fakes.moving_time import MovingTime

Start = Callable[..., SimulatorServer]
VENDORS = [*sorted(kind for kind, connector in built_in().items() if connector.lookup is not None), "rest"]
REST = {
    "auth": {"type": "bearer", "token": simulated_credentials("rest")["token"]},
    "list": {
        "path": "/v1/sims",
        "records": "data",
        "pagination": {"type": "page_number", "page_param": "page", "size_param": "per_page", "total": "meta.total"},
        "lookup": {"path": "/v1/sims/{sim_id}"},
    },
    "fields": {"sim_id": "id", "iccid": "iccid", "status": "state", "imsi": "imsi"},
}


def connected(kind: str, url: str) -> CarrierSource:
    section: dict[str, Any] = {
        "type": kind,
        "base_url": url,
        "auth": dict(simulated_credentials(kind)),
        "page_size": 20,
    }
    if kind == "thingspace":
        section["account"] = DEFAULT_ACCOUNT
    if kind == "rest":
        section |= REST
    return parse_carrier("acme", section, {}, "carriers.yaml").build(MovingTime())


def listed(carrier: CarrierSource) -> list[Sim]:
    sims: list[Sim] = []
    cursor: Cursor | None = carrier.first_cursor()
    while cursor is not None:
        page = carrier.fetch_page(cursor)
        sims += page.sims
        cursor = page.next_cursor
    return sims


@pytest.mark.parametrize("kind", VENDORS)
def test_a_sim_that_is_looked_up_is_the_sim_of_the_list(start: Start, kind: str) -> None:
    server = start(MountOptions(vendor=kind, sims=40, seed=7, options={"total": "total"} if kind == "rest" else {}))
    carrier = connected(kind, server.url)
    sims = listed(carrier)
    assert carrier.can_look_up
    for sim in sims:
        found = carrier.look_up(AskedSim(sim.sim_id, sim.iccid, sim.iccid_raw))
        assert (found.outcome, found.sim) == (LookupOutcome.FOUND, sim)


@pytest.mark.parametrize("kind", VENDORS)
def test_a_sim_that_was_removed_is_not_there(start: Start, kind: str) -> None:
    server = start(MountOptions(vendor=kind, sims=40, seed=7, options={"total": "total"} if kind == "rest" else {}))
    carrier = connected(kind, server.url)
    before = {sim.sim_id: sim for sim in listed(carrier)}
    SimulatorControl(server.url).remove_sims([3, 6, 20])
    there = {sim.sim_id for sim in listed(carrier)}
    for sim_id, sim in before.items():
        outcome = carrier.look_up(AskedSim(sim_id, sim.iccid, sim.iccid_raw)).outcome
        assert outcome is (LookupOutcome.FOUND if sim_id in there else LookupOutcome.NOT_FOUND)
