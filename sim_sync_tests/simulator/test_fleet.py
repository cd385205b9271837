"""A fleet under edits, compared with a plain list of all its SIMs."""

import tracemalloc
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_sync.core.errors import InputError
from sim_sync.core.sims import Lifecycle
from sim_sync.simulator.fleet import Fleet, FleetEdit, SimChange
from sim_sync.simulator.fleet_spec import FleetSpec, Profile

PROFILE = Profile(
    iccid_prefix="89883070",
    status_weights=((Lifecycle.ACTIVE, 3), (Lifecycle.INVENTORY, 1)),
    rate_plans=("small", "large"),
)


def new_fleet(size: int, seed: int = 1) -> Fleet:
    return Fleet(FleetSpec(PROFILE, seed), size)


@dataclass
class Edited:
    """A fleet and the plain list of the indices that it must have."""

    fleet: Fleet
    live: list[int] = field(default_factory=list)


@st.composite
def edited_fleets(draw: st.DrawFn) -> Edited:
    """Draw a fleet that has gone through some edits."""
    size = draw(st.integers(0, 60))
    edited = Edited(new_fleet(size), list(range(size)))
    for _ in range(draw(st.integers(0, 5))):
        add = draw(st.integers(0, 10))
        end = edited.fleet.end
        gone = sorted(set(range(end)) - set(edited.live))
        remove = draw(st.lists(st.sampled_from(edited.live), unique=True)) if edited.live else []
        restore = draw(st.lists(st.sampled_from(gone), unique=True)) if gone else []
        assert edited.fleet.edit(FleetEdit(add=add, remove=remove, restore=restore)) == range(end, end + add)
        edited.live = sorted((set(edited.live) - set(remove)) | set(restore) | set(range(end, end + add)))
    return edited


def pages(fleet: Fleet, page_size: int) -> list[list[int]]:
    position, found = -1, []
    while page := fleet.live_after(position, page_size):
        found.append(page)
        position = page[-1]
    return found


@given(edited_fleets(), st.integers(1, 70))
def test_a_walk_meets_each_sim_once_in_full_pages_whatever_the_page_size(edited: Edited, page_size: int) -> None:
    live = edited.live
    assert pages(edited.fleet, page_size) == [live[i : i + page_size] for i in range(0, len(live), page_size)]
    assert edited.fleet.live_count == len(live)


@given(edited_fleets(), st.integers(0, 70), st.integers(-1, 120))
def test_pages_are_read_from_any_position_in_both_directions(edited: Edited, count: int, position: int) -> None:
    after = [index for index in edited.live if index > position]
    before = [index for index in edited.live if index < position]
    assert edited.fleet.live_after(position, count) == after[:count]
    assert edited.fleet.live_before(position, count) == before[len(before) - min(count, len(before)) :]


@given(edited_fleets())
def test_offsets_and_indices_lead_to_each_other(edited: Edited) -> None:
    fleet = edited.fleet
    assert [fleet.live_at(offset) for offset in range(len(edited.live))] == edited.live
    assert [fleet.offset_of(index) for index in edited.live] == list(range(len(edited.live)))
    assert fleet.live_at(len(edited.live)) == fleet.end


@given(edited_fleets(), st.integers(1, 20), st.integers(-1, 120), st.integers(2, 5))
def test_matching_sims_are_found_in_both_directions(edited: Edited, count: int, position: int, divisor: int) -> None:
    matching = [index for index in edited.live if index % divisor == 0]
    after = [index for index in matching if index > position]
    before = [index for index in matching if index < position]
    assert edited.fleet.matching_after(position, count, lambda index: index % divisor == 0) == after[:count]
    assert edited.fleet.matching_before(position, count, lambda index: index % divisor == 0) == before[-count:]


@given(edited_fleets(), st.integers(1, 20), st.data())
def test_sims_that_stay_through_edits_during_a_walk_are_met_once(
    edited: Edited, page_size: int, data: st.DataObject
) -> None:
    fleet, started_with, removed = edited.fleet, list(edited.live), set[int]()
    position, met = -1, list[int]()
    while page := fleet.live_after(position, page_size):
        met.extend(page)
        position = page[-1]
        candidates = [index for index in started_with if fleet.is_live(index)]
        gone = data.draw(st.lists(st.sampled_from(candidates), unique=True, max_size=5)) if candidates else []
        fleet.edit(FleetEdit(add=data.draw(st.integers(0, 1)), remove=gone))
        removed |= set(gone)
    assert len(met) == len(set(met))
    assert set(met) >= set(started_with) - removed


def test_a_change_sets_the_fields_and_the_time_of_the_change_and_nothing_else() -> None:
    fleet = new_fleet(10)
    before = fleet.sim(3)
    fleet.edit(FleetEdit(change=[SimChange([3], {"status": "suspended", "label": None})]))
    after = fleet.sim(3)
    assert after == replace(before, status="suspended", label=None, updated_at=after.updated_at)
    assert after.updated_at > before.updated_at
    assert fleet.changed_among(range(10)) == {3: after}
    assert [fleet.sim(index) for index in (2, 4)] == [fleet.fleet_spec.sim(index) for index in (2, 4)]


def test_a_new_status_drops_the_vendors_word_for_the_old_one() -> None:
    fleet = new_fleet(10)
    fleet.edit(FleetEdit(change=[SimChange([3], {"vendor_status": "hibernating"})]))
    assert fleet.sim(3).vendor_status == "hibernating"
    fleet.edit(FleetEdit(change=[SimChange([3], {"status": "active"})]))
    assert fleet.sim(3).vendor_status is None


def test_a_sim_is_found_by_the_iccid_that_it_has_now() -> None:
    fleet = new_fleet(10)
    old = fleet.sim(3).iccid or ""
    fleet.edit(FleetEdit(change=[SimChange([3], {"iccid": "89000000000000000000"})]))
    assert fleet.index_of_iccid("89000000000000000000") == 3
    assert fleet.index_of_iccid(old) is None
    assert fleet.index_of_iccid(fleet.sim(4).iccid or "") == 4
    fleet.edit(FleetEdit(remove=[4]))
    assert fleet.index_of_iccid(fleet.sim(4).iccid or "") is None


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (FleetEdit(add=2, remove=[10]), "expected the index of a SIM it has, found 10"),
        (FleetEdit(add=2, remove=[-1]), "expected the index of a SIM it has, found -1"),
        (FleetEdit(add=2, restore=[4]), "expected the index of a removed SIM to restore, found 4"),
        (FleetEdit(add=2, change=[SimChange([99], {"label": "x"})]), "expected the index of a SIM it has, found 99"),
        (FleetEdit(add=2, change=[SimChange([1], {"index": "7"})]), "found the field index"),
        (FleetEdit(add=2, change=[SimChange([1], {"status": "asleep"})]), "expected a lifecycle word as status"),
        (FleetEdit(add=2, change=[SimChange([1], {"status": None})]), "expected a lifecycle word as status"),
        (FleetEdit(add=-1, remove=[1]), "cannot add -1 SIMs"),
    ],
)
def test_an_edit_that_is_not_possible_changes_nothing(edit: FleetEdit, message: str) -> None:
    fleet = new_fleet(10)
    with pytest.raises(InputError, match=message):
        fleet.edit(edit)
    assert (fleet.end, fleet.live_count, fleet.revision) == (10, 10, 0)
    assert fleet.changed_among(range(10)) == {}


def test_a_fleet_of_impossible_size_is_refused() -> None:
    with pytest.raises(InputError, match="expected 0 to 1,000,000,000 SIMs"):
        new_fleet(-1)


def _peak_bytes_of_a_walk(size: int, edit: FleetEdit) -> int:
    fleet = new_fleet(size)
    fleet.edit(edit)
    tracemalloc.start()
    try:
        position = -1
        while page := fleet.live_after(position, 20_000):
            position = page[-1]
            fleet.sim(position)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_million_sims_take_no_more_memory_than_forty_thousand() -> None:
    edit = FleetEdit(add=10, remove=list(range(100, 200)))
    small, large = _peak_bytes_of_a_walk(40_000, edit), _peak_bytes_of_a_walk(1_000_000, edit)
    assert large < 1.2 * small


def test_a_fleet_of_a_million_sims_costs_almost_nothing_to_make() -> None:
    tracemalloc.start()
    try:
        fleet = new_fleet(1_000_000)
        assert fleet.sim(999_999).index == 999_999
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


@settings(max_examples=20)
@given(st.integers(0, 2**31), st.integers(1, 50))
def test_two_fleets_of_one_seed_are_equal_sim_for_sim(seed: int, size: int) -> None:
    def records(fleet: Fleet) -> list[Any]:
        return [fleet.sim(index) for index in fleet.live_after(-1, size)]

    assert records(new_fleet(size, seed)) == records(new_fleet(size, seed))
