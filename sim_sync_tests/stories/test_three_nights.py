"""Three nights in which the fleet changes, and one in which so much is missing that nobody believes it."""

from sim_sync.core.session import State, SweepState
from sim_sync.simulator.faults import EarlyEnd, Trigger
from sim_sync_tests.stories.place import Workspace


def missing(place: Workspace) -> tuple[set[str], set[str]]:
    """Return the ids that are absent, and those that are confirmed gone."""
    rows = place.rows("carrier_sims", "sim_id", "absent_since", "vanished_at")
    return (
        {sim_id for sim_id, absent, gone in rows if absent is not None and gone is None},
        {sim_id for sim_id, _, gone in rows if gone is not None},
    )


def test_three_nights_with_additions_changes_removals_and_a_crash_in_the_middle(place: Workspace) -> None:
    place.write_config(sweep={"lookup_limit": 0})
    first = place.sync()
    before = {sim.sim_id for sim in place.true_sims()}
    assert (first.state, first.records_added, first.sweep_state) == (State.COMPLETED, 100, SweepState.DONE)

    added = place.simulator.add_sims(5)
    active = [
        sim.sim.index
        for sim in place.true_sims()
        if sim.sim.status == "active" and sim.sim.index not in {10, 60, *added}
    ]
    place.simulator.change_sims([active[0], active[len(active) // 2], active[-1]], status="deactivated")
    place.simulator.remove_sims([10, 60])
    removed = before - {sim.sim_id for sim in place.true_sims()}
    place.sync(max_pages=3)  # and again after a stop in the middle
    second = place.sync()

    assert (second.state, second.records_added, second.records_changed) == (State.COMPLETED, 5, 3)
    assert missing(place) == (removed, set())
    changed = place.rows("sim_changes", "session_id", "field")
    assert {session_id for session_id, _ in changed} == {second.session_id}
    assert [field for _, field in changed].count("carrier_status") == 3

    third = place.sync()

    assert (third.state, third.records_added, third.records_changed) == (State.COMPLETED, 0, 0)
    assert missing(place) == (set(), removed)
    stored = dict(place.rows("carrier_sims", "sim_id", "carrier_status"))
    assert {sim.sim_id: sim.carrier_status for sim in place.true_sims()} == {
        sim_id: word for sim_id, word in stored.items() if sim_id not in removed
    }


def test_a_sim_that_the_carrier_does_not_find_has_vanished_in_one_night(place: Workspace) -> None:
    place.sync()
    before = {sim.sim_id for sim in place.true_sims()}
    place.simulator.remove_sims([10, 60])

    second = place.sync()

    assert missing(place) == (set(), before - {sim.sim_id for sim in place.true_sims()})
    assert second.sweep_reason == "2 SIMs that the list lacks were looked up: 2 not there, vanished now"
    assert (second.lookups_done, second.lookups_expected) == (2, 2)


def test_sims_that_the_list_lacks_and_the_carrier_finds_are_there(place: Workspace) -> None:
    place.sync()
    place.simulator.change_sims([99], status="deactivated")
    place.simulator.arm(EarlyEnd(records_kept="half"), Trigger(nth=10))  # its end is one, but the page is not whole

    second = place.sync()

    assert missing(place) == (set(), set())
    assert second.sweep_reason == (
        "5 SIMs that the list lacks were looked up: 5 still there, so the list was not whole"
    )
    assert second.records_changed == 1


def test_a_night_with_half_of_the_fleet_missing_is_held_and_marks_nothing(place: Workspace) -> None:
    place.sync()
    place.simulator.remove_sims(range(40))

    session = place.sync()

    assert (session.state, session.sweep_state) == (State.COMPLETED, SweepState.HELD)
    assert session.sweep_reason is not None
    assert session.sweep_reason.startswith("40 of 100 known SIMs (40.0 %) were missing at once")
    assert missing(place) == (set(), set())


def test_a_carrier_that_suddenly_lists_nothing_marks_nothing(place: Workspace) -> None:
    place.sync()
    place.simulator.arm(EarlyEnd(records_kept="none"), Trigger(nth=1))

    session = place.sync()

    assert (session.state, session.sweep_state) == (State.COMPLETED, SweepState.HELD)
    assert missing(place) == (set(), set())
    assert len(place.rows("carrier_sims", "sim_id")) == 100
