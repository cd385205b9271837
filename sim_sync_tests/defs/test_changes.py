"""What the materialization of a walk says of its changes."""

import dagster as dg

from sim_sync_tests.defs.stage import DagsterHarness
from sim_sync_tests.fakes.carrier import paged
from sim_sync_tests.fakes.fleet import a_sim

FLEET = [a_sim(number, rate_plan="X" if number < 30 else "Y") for number in range(600)]


def told_of_walk(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    (materialization,) = [
        event.step_materialization_data.materialization
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey("carrier_sims")
    ]
    return {name: value.value for name, value in materialization.metadata.items()}


def test_a_walk_tells_what_changed_and_where_that_concentrates(stage: DagsterHarness) -> None:
    stage.carrier.pages = paged(FLEET, 300)
    first = told_of_walk(stage.run())
    assert not {"changes", "drift"} & set(first)

    stage.clock.advance(3600)
    suspended = [sim._replace(status="suspended") if sim.rate_plan == "X" else sim for sim in FLEET]
    stage.carrier.pages = paged([*suspended[:-1], suspended[-1]._replace(label="new")], 300)
    told = told_of_walk(stage.run())
    assert told["changes"] == "label 1, status 30"
    assert told["drift"] == "100 % of the status changes are on plan X, which has 5 % of the SIMs"
