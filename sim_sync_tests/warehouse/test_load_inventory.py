"""Bringing our list into `inventory_sims`: what is added, changed, removed and back, and what is never emptied."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim_sync.core.errors import InventoryError
from sim_sync.core.inventory import InventorySim
from sim_sync.warehouse.content import exact_digests
from sim_sync.warehouse.inventory import LoadCounts, load_inventory
from sim_sync_tests.fakes.clock import START
from sim_sync_tests.warehouse.databases import empty_tables, rows_of

FIRST, SECOND, THIRD = START, START + timedelta(days=1), START + timedelta(days=2)


def ours(number: int, carrier: str = "acme", **fields: Any) -> InventorySim:
    iccid = f"8988303{number:012d}"
    return InventorySim(carrier, iccid, iccid, status="active")._replace(**fields)


def table(engine: sa.Engine) -> dict[str, tuple[object, ...]]:
    return {
        f"{row['carrier']}/{int(row['iccid'][7:])}": (row["label"], row["loaded_at"], row["removed_at"])
        for row in rows_of(engine, "inventory_sims")
    }


def test_a_first_list_is_added_as_it_stands(engine: sa.Engine) -> None:
    row = ours(
        1,
        iccid_raw="8988 3030 0000 0000 001",
        imsi="1",
        msisdn="+49",
        imei="3",
        rate_plan="p",
        label="l",
        attributes='{"b":"NA","a":"ä"}',
    )
    assert load_inventory(engine, "acme", [row], now=FIRST) == LoadCounts(added=1, changed=0, removed=0, unchanged=0)
    (stored,) = rows_of(engine, "inventory_sims")
    told = {name: value for name, value in row._asdict().items() if name not in {"row_number", "rounding"}}
    assert stored == told | {"attributes": {"a": "ä", "b": "NA"}, "loaded_at": FIRST, "removed_at": None}


def test_the_next_list_is_told_apart_from_the_last(engine: sa.Engine) -> None:
    load_inventory(engine, "acme", [ours(1), ours(2), ours(3)], now=FIRST)
    counts = load_inventory(engine, "acme", [ours(1), ours(2, label="new"), ours(4)], now=SECOND)
    assert counts == LoadCounts(added=1, changed=1, removed=1, unchanged=1)
    assert table(engine) == {
        "acme/1": (None, FIRST, None),
        "acme/2": ("new", SECOND, None),
        "acme/3": (None, FIRST, SECOND),
        "acme/4": (None, SECOND, None),
    }


def test_a_sim_that_comes_back_to_the_list_counts_as_added(engine: sa.Engine) -> None:
    load_inventory(engine, "acme", [ours(1), ours(2)], now=FIRST)
    load_inventory(engine, "acme", [ours(1)], now=SECOND)
    counts = load_inventory(engine, "acme", [ours(1), ours(2)], now=THIRD)
    assert counts == LoadCounts(added=1, changed=0, removed=0, unchanged=1)
    assert table(engine)["acme/2"] == (None, THIRD, None)


@pytest.mark.parametrize("name", ["iccid_raw", "imsi", "msisdn", "imei", "status", "rate_plan", "label"])
def test_every_column_that_becomes_empty_is_a_change(engine: sa.Engine, name: str) -> None:
    load_inventory(engine, "acme", [ours(1, **dict[str, Any]({name: "x"}))], now=FIRST)
    counts = load_inventory(engine, "acme", [ours(1, **dict[str, Any]({name: None}))], now=SECOND)
    assert (counts.changed, counts.unchanged) == (1, 0)
    assert rows_of(engine, "inventory_sims")[0][name] is None


def test_other_attributes_are_a_change(engine: sa.Engine) -> None:
    load_inventory(engine, "acme", [ours(1, attributes='{"a":"1"}')], now=FIRST)
    assert load_inventory(engine, "acme", [ours(1, attributes='{"a":"1"}')], now=SECOND).unchanged == 1
    assert load_inventory(engine, "acme", [ours(1, attributes='{"a":"2"}')], now=SECOND).changed == 1


def test_a_list_that_says_what_it_said_touches_nothing(engine: sa.Engine) -> None:
    load_inventory(engine, "acme", [ours(1), ours(2), ours(3)], now=FIRST)
    load_inventory(engine, "acme", [ours(1), ours(2)], now=SECOND)
    before = exact_digests(engine)
    counts = load_inventory(engine, "acme", [ours(2), ours(1)], now=THIRD)
    assert counts == LoadCounts(added=0, changed=0, removed=0, unchanged=2)
    assert exact_digests(engine) == before


def test_of_an_iccid_that_stands_twice_the_first_row_counts(engine: sa.Engine) -> None:
    counts = load_inventory(engine, "acme", [ours(1, label="first"), ours(1, label="second")], now=FIRST)
    assert counts.added == 1
    assert table(engine) == {"acme/1": ("first", FIRST, None)}


def test_an_empty_list_is_refused_where_some_were_known(engine: sa.Engine) -> None:
    load_inventory(engine, "acme", [ours(1), ours(2)], now=FIRST)
    before = exact_digests(engine)
    with pytest.raises(InventoryError) as refused:
        load_inventory(engine, "acme", [ours(1, carrier="other")], now=SECOND)
    assert str(refused.value).startswith("our inventory has no SIM of carrier acme any more, and 2 are known")
    assert exact_digests(engine) == before


def test_an_empty_list_is_no_matter_where_none_was_known(engine: sa.Engine) -> None:
    assert load_inventory(engine, "acme", [], now=FIRST) == LoadCounts(added=0, changed=0, removed=0, unchanged=0)


def test_an_empty_list_is_taken_from_who_says_that_it_is_meant(engine: sa.Engine) -> None:
    load_inventory(engine, "acme", [ours(1), ours(2)], now=FIRST)
    assert load_inventory(engine, "acme", [], allow_empty=True, now=SECOND).removed == 2


def test_other_carriers_are_left_alone(engine: sa.Engine) -> None:
    load_inventory(engine, "other", [ours(1, carrier="other", label="theirs")], now=FIRST)
    counts = load_inventory(engine, "acme", [ours(1), ours(2, carrier="other")], now=SECOND)
    assert counts == LoadCounts(added=1, changed=0, removed=0, unchanged=0)
    assert table(engine) == {"acme/1": (None, SECOND, None), "other/1": ("theirs", FIRST, None)}


def test_a_list_that_breaks_off_changes_nothing(engine: sa.Engine) -> None:
    load_inventory(engine, "acme", [ours(1), ours(2)], now=FIRST)
    before = exact_digests(engine)

    def cut_off() -> object:
        yield ours(1, label="changed")
        raise InventoryError("the file ends in the middle")

    with pytest.raises(InventoryError, match="the file ends in the middle"):
        load_inventory(engine, "acme", cut_off(), now=SECOND)  # type: ignore[arg-type]
    assert exact_digests(engine) == before


def test_a_list_of_many_rows_is_loaded_as_a_whole(engine: sa.Engine) -> None:
    load_inventory(engine, "acme", (ours(number) for number in range(12_000)), now=FIRST)
    rows = (ours(number, label="x" if number % 2 else None) for number in range(1_000, 13_000))
    assert load_inventory(engine, "acme", rows, now=SECOND) == LoadCounts(1_000, 5_500, 1_000, 5_500)


def test_the_time_of_loading_is_the_warehouses_own(engine: sa.Engine) -> None:
    load_inventory(engine, "acme", [ours(1)])
    (row,) = rows_of(engine, "inventory_sims")
    assert row["loaded_at"] > START


_ANY_LIST = st.lists(st.tuples(st.integers(0, 5), st.sampled_from([None, "a", "b"])), min_size=1, max_size=8)


@given(lists=st.lists(_ANY_LIST, min_size=1, max_size=5))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_lists_in_a_row_come_to_what_a_dict_makes_of_them(
    sqlite_engine: sa.Engine, lists: list[list[tuple[int, str | None]]]
) -> None:
    empty_tables(sqlite_engine)
    there: dict[int, str | None] = {}
    for day, rows in enumerate(lists):
        now = START + timedelta(days=day)
        first = dict(reversed(rows))
        counts = load_inventory(sqlite_engine, "acme", [ours(number, label=label) for number, label in rows], now=now)
        assert counts == LoadCounts(
            added=len(first.keys() - there.keys()),
            changed=sum(number in there and there[number] != label for number, label in first.items()),
            removed=len(there.keys() - first.keys()),
            unchanged=sum(number in there and there[number] == label for number, label in first.items()),
        )
        there = first
        listed = {
            int(name[5:]): label for name, (label, _, removed_at) in table(sqlite_engine).items() if not removed_at
        }
        assert listed == there
