"""What the materialization of a walk says of its changes."""

from sim_sync_tests.defs.stage import DagsterHarness, metadata_of
from sim_sync_tests.fakes.carrier import paged
from sim_sync_tests.fakes.fleet import a_sim

FLEET = [a_sim(number, rate_plan="X" if number < 30 else "Y") for number in range(600)]


def test_a_walk_tells_what_changed_and_where_that_concentrates(stage: DagsterHarness) -> None:
    stage.carrier.pages = paged(FLEET, 300)
    first = metadata_of(stage.run(), "carrier_sims")
    assert not {"changes", "drift"} & set(first)

    stage.clock.advance(3600)
    suspended = [sim._replace(status="suspended") if sim.rate_plan == "X" else sim for sim in FLEET]
    stage.carrier.pages = paged([*suspended[:-1], suspended[-1]._replace(label="new")], 300)
    told = metadata_of(stage.run(), "carrier_sims")
    assert told["changes"] == "label 1, status 30"
    assert told["drift"] == "100 % of the status changes are on plan X, which has 5 % of the SIMs"
