"""The order of modification, against the plain list that it stands for."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sim_sync.simulator.fleet import Fleet, FleetEdit, SimChange, moment_of_revision
from sim_sync.simulator.fleet_spec import FleetSpec
from sim_sync.simulator.vendors import VENDORS
from sim_sync.simulator.vendors.paging import ModificationWindow, untouched_moment

SIZE = 40
EDITS = st.lists(st.tuples(st.sampled_from(["add", "change", "remove"]), st.integers(0, SIZE - 1)), max_size=12)
MOMENTS = st.datetimes(datetime(2017, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # aware by hypothesis


def edited(edits: list[tuple[str, int]]) -> tuple[Fleet, list[tuple[datetime, int, int]]]:
    """Return a fleet, and each of its SIMs as (when modified, by which edit, index)."""
    fleet = Fleet(FleetSpec(VENDORS["cisco_control_center"].profile, 3), SIZE)
    moments = {index: (untouched_moment(fleet, index), 0) for index in range(SIZE)}
    for kind, index in edits:
        if kind != "add" and not fleet.is_live(index):
            continue
        edit = {
            "add": FleetEdit(add=2),
            "change": FleetEdit(change=[SimChange([index], {"label": "x"})]),
            "remove": FleetEdit(remove=[index]),
        }[kind]
        added = fleet.edit(edit)
        for touched in [*added, *([index] if kind == "change" else [])]:
            moments[touched] = (moment_of_revision(fleet.revision), fleet.revision)
    return fleet, [(*moments[index], index) for index in moments if fleet.is_live(index)]


@given(EDITS, MOMENTS, st.timedeltas(timedelta(0), timedelta(days=4000)), st.integers(1, 9))
def test_any_window_in_any_pages_is_the_part_of_the_list_between_its_moments(
    edits: list[tuple[str, int]], since: datetime, length: timedelta, page_size: int
) -> None:
    fleet, everything = edited(edits)
    until = since + length
    expected = [index for moment, _, index in sorted(everything) if since <= moment < until]
    window = ModificationWindow(fleet, since, until)
    pages = [window.page(offset, page_size) for offset in range(0, len(expected) + page_size, page_size)]
    assert [index for page in pages for index in page] == expected
    assert window.total == len(expected)


def test_a_window_of_ten_million_sims_is_found_without_a_list_of_them() -> None:
    fleet = Fleet(FleetSpec(VENDORS["cisco_control_center"].profile, 3), 10_000_000)
    fleet.edit(FleetEdit(change=[SimChange([5_000_000], {"label": "x"})]))
    window = ModificationWindow(fleet, datetime(2017, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    assert window.total == 10_000_000
    assert window.page(4_999_999, 2) == [4_999_999, 5_000_001]
    assert window.page(9_999_998, 5) == [9_999_999, 5_000_000]
