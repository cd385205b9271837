"""Opaque cursors: made without memory, and good only for the fleet and the time that they were made for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.simulator.fleet import Fleet
from sim_sync.simulator.fleet_spec import FleetSpec
from sim_sync.simulator.vendors import VENDORS
from sim_sync.simulator.vendors.paging import Cursors, ExpiredCursor, UnknownCursor

POSITIONS = st.integers(0, 2**40 - 1)


def cursors(seed: int = 1, name: str = "x") -> Cursors:
    return Cursors(Fleet(FleetSpec(VENDORS["rest"].profile, seed), 10), name, prefix="C")


@given(POSITIONS)
def test_a_cursor_leads_back_to_its_position_also_after_a_restart(position: int) -> None:
    assert cursors().position(cursors().cursor(position)) == position


@given(POSITIONS, st.text())
def test_what_was_never_given_out_is_refused(position: int, text: str) -> None:
    for odd in (text, cursors(seed=2).cursor(position), cursors(name="y").cursor(position)):
        with pytest.raises(UnknownCursor):
            cursors().position(odd)


@given(POSITIONS, st.sampled_from([400, 404, 410]))
def test_expiry_ends_the_cursors_so_far_and_no_later_one(position: int, status: int) -> None:
    found = cursors()
    old = found.cursor(position)
    found.expire(status)
    assert found.position(found.cursor(position)) == position
    with pytest.raises(ExpiredCursor) as refusal:
        found.position(old)
    assert refusal.value.status == status
    with pytest.raises(UnknownCursor):
        found.position("C0123456789abcdef")
