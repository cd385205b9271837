"""A carrier suddenly lists too little: nothing is marked, until a person has looked at it and decided."""

import json
from typing import Any

import pytest

from sim_sync.core.session import SweepState
from sim_sync.simulator.faults import EarlyEnd, Trigger
from sim_sync_tests.stories.place import CARRIER, Workspace


def marks(place: Workspace) -> dict[str, str]:
    """Return the SIMs that are marked, each with what it is marked as."""
    rows = place.rows("carrier_sims", "sim_id", "absent_since", "vanished_at")
    return {sim_id: "vanished" if gone else "absent" for sim_id, absent, gone in rows if absent}


def told(place: Workspace, *arguments: str) -> Any:
    """Run a command that prints JSON."""
    done = place.sim_sync(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def half_is_missing(place: Workspace) -> set[str]:
    """Have a night in which half of the fleet is gone, and return the ids of that half."""
    place.sync()
    before = {sim.sim_id for sim in place.true_sims()}
    place.simulator.remove_sims(range(50))
    assert place.sync().sweep_state is SweepState.HELD
    assert marks(place) == {}
    return before - {sim.sim_id for sim in place.true_sims()}


def test_half_of_a_fleet_that_is_gone_is_marked_when_somebody_says_so(place: Workspace) -> None:
    gone = half_is_missing(place)
    refused = place.sim_sync("sweep", "approve", CARRIER)
    assert (refused.returncode, "not shown yet" in refused.stderr) == (2, True)

    shown = told(place, "sweep", "show", CARRIER)
    assert {sim["sim_id"] for sim in shown["listed"]} == gone
    assert (shown["sims"], sum(group["sims"] for group in shown["by_status"])) == (50, 50)
    assert marks(place) == {}

    approved = place.sim_sync("sweep", "approve", CARRIER, "--by", "ann", "--reason", "sold")
    assert approved.returncode == 0, approved.stderr
    assert marks(place) == dict.fromkeys(gone, "absent")
    (decision,) = told(place, "changes", "--field", "sweep_state")
    assert (decision["new_value"], decision["sweep_decided_by"]) == ("approved", "ann")

    assert place.sync().sweep_state is SweepState.DONE
    assert marks(place) == dict.fromkeys(gone, "vanished")


def test_a_fleet_that_comes_back_after_a_walk_was_rejected_was_never_marked(place: Workspace) -> None:
    place.sync()
    place.simulator.arm(EarlyEnd(records_kept="none"), Trigger(nth=1))
    assert place.sync().sweep_state is SweepState.HELD
    assert told(place, "sweep", "show", CARRIER)["sims"] == 100

    rejected = place.sim_sync("sweep", "reject", CARRIER, "--by", "bob", "--reason", "their API was down")
    assert rejected.returncode == 0, rejected.stderr
    assert marks(place) == {}
    assert place.sync().sweep_state is SweepState.DONE
    assert marks(place) == {}


@pytest.mark.parametrize("pages", [1, 5])
def test_what_a_walk_sees_again_after_it_was_shown_is_not_marked(place: Workspace, pages: int) -> None:
    """The carrier's list is whole again, and the next walk is at work on it when somebody approves."""
    place.sync()
    place.simulator.arm(EarlyEnd(records_kept="none"), Trigger(nth=1))
    place.sync()
    told(place, "sweep", "show", CARRIER)
    place.sync(max_pages=pages)

    refused = place.sim_sync("sweep", "approve", CARRIER)
    assert (refused.returncode, "has changed since it was shown" in refused.stderr) == (2, True)
    assert marks(place) == {}
    shown = told(place, "sweep", "show", CARRIER)
    assert shown["sims"] == 100 - 10 * pages
    assert place.sim_sync("sweep", "approve", CARRIER).returncode == 0
    assert len(marks(place)) == shown["sims"]

    # The walk that is at work sees them after all.
    assert place.sync().sweep_state is SweepState.DONE
    assert marks(place) == {}
