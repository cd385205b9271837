"""Bringing our list into `inventory_sims`: what is added, changed, removed and back, and what is never emptied."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim_sync.core.errors import InventoryError, InventoryHeld
from sim_sync.core.inventory import (
    EndOfList,
    Entry,
    Finding,
    FindingKind,
    InventorySim,
    ListWords,
    Rounding,
    StartOfList,
)
from sim_sync.core.storable import canonical_json
from sim_sync.warehouse.engine import open_engine
from sim_sync.warehouse.inventory import LastLoad, LoadCounts, LoadNote, list_states, load_inventory, unchanged_load
from sim_sync.warehouse.scratch import exact_digests
from sim_sync.warehouse.tables import inventory_sims
from sim_sync_tests.fakes.clock import START
from sim_sync_tests.warehouse.databases import disposed, empty_tables, rows_of

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
    assert stored == told | {"attributes": {"a": "ä", "b": "NA"}, "loaded_at": FIRST, "removed_at": None, "eid": None}


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


@pytest.mark.parametrize("name", ["iccid_raw", "imsi", "msisdn", "imei", "eid", "status", "rate_plan", "label"])
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


def test_of_an_iccid_that_appears_twice_the_first_row_counts(engine: sa.Engine) -> None:
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


@pytest.mark.parametrize(
    ("left", "min_percent", "is_taken"), [(5, 50, True), (4, 50, False), (4, 40, True), (0, 0, True)]
)
def test_a_list_that_has_become_much_shorter_is_held_unless_it_may(
    engine: sa.Engine, left: int, min_percent: float, is_taken: bool
) -> None:
    load(engine, *(ours(number) for number in range(10)))
    before = rows_of(engine, "inventory_sims")
    shorter: list[Entry] = [*(ours(number) for number in range(left)), finding(9)]
    if is_taken:
        assert load(engine, *shorter, min_percent=min_percent, now=SECOND).removed == 10 - left
        return
    for time in (SECOND, THIRD):
        with pytest.raises(
            InventoryHeld, match=r"has 4 SIMs of carrier acme any more, and 10 are known: less than 50 %"
        ):
            load(engine, *shorter, note=lambda counts: LoadNote("d", {}), now=time)
    assert rows_of(engine, "inventory_sims") == before
    assert findings(engine) == [(9, "", "acme", "odd", SECOND)]


def test_since_when_newer_lists_are_not_taken_is_known_until_one_is(engine: sa.Engine) -> None:
    remembered: dict[str, Any] = {"note": lambda _counts: LoadNote("the digest", {})}
    load(engine, *(ours(number) for number in range(10)), **remembered)
    for time in (SECOND, THIRD):
        with pytest.raises(InventoryHeld):
            load(engine, ours(1), **remembered, now=time)
    state = list_states(engine, ["acme", "other"])["acme"]
    assert (state.loaded_at, state.refused_at) == (FIRST, SECOND)
    assert str(state.refusal).startswith("our inventory has 1 SIM of carrier acme any more, and 10 are known")
    assert unchanged_load(engine, "acme", "the digest") is None
    load(engine, ours(1), min_percent=0, **remembered, now=THIRD)
    assert list_states(engine, ["acme"])["acme"] == (THIRD, None, None)


def test_a_list_of_which_nothing_may_be_used_leaves_its_findings_and_nothing_else(engine: sa.Engine) -> None:
    load(engine, ours(1))
    overrides: list[dict[str, Any]] = [{}, {"min_percent": 0}]
    for override in overrides:
        with pytest.raises(InventoryError, match="all are rounded"):
            load(engine, finding(2), finding(3), EndOfList(refusal="all are rounded"), now=SECOND, **override)
    assert [row[0] for row in findings(engine)] == [2, 3]
    assert table(engine) == {"acme/1": (None, FIRST, None)}


def test_a_list_without_a_row_is_taken_from_who_says_that_it_is_meant_and_from_nobody_else(engine: sa.Engine) -> None:
    empty = EndOfList(refusal="has a header, but no row", is_empty=True)
    with pytest.raises(InventoryError, match="has a header, but no row"):
        load(engine, empty)
    load(engine, ours(1), ours(2))
    with pytest.raises(InventoryHeld, match="has no SIM of carrier acme any more, and 2 are known"):
        load(engine, empty)
    assert load(engine, empty, min_percent=0).removed == 2


def test_an_empty_list_is_no_matter_where_none_was_known(engine: sa.Engine) -> None:
    assert load_inventory(engine, "acme", [], now=FIRST) == LoadCounts(added=0, changed=0, removed=0, unchanged=0)


def test_an_empty_list_is_taken_from_who_says_that_it_is_meant(engine: sa.Engine) -> None:
    load_inventory(engine, "acme", [ours(1), ours(2)], now=FIRST)
    assert load_inventory(engine, "acme", [], min_percent=0, now=SECOND).removed == 2


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
        listed_now = [ours(number, label=label) for number, label in rows]
        counts = load_inventory(sqlite_engine, "acme", listed_now, min_percent=0, now=now)
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


# --- what cannot be used ---------------------------------------------------------------------------------------


def finding(row_number: int, reason: str = "odd", **fields: Any) -> Finding:
    return Finding(row_number, FindingKind.CHANGED, reason, carrier="acme", uses_row=True)._replace(**fields)


def load(
    engine: sa.Engine, *entries: Entry, now: datetime = FIRST, carrier: str = "acme", **options: Any
) -> LoadCounts:
    return load_inventory(engine, carrier, [started("our.csv"), *entries], now=now, **options)


def started(source: str) -> StartOfList:
    return StartOfList(ListWords("line", "ICCID", "", source))


def findings(engine: sa.Engine) -> list[tuple[object, ...]]:
    return sorted(
        (row["row_number"], row["column_name"], row["carrier"], row["reason"], row["found_at"])
        for row in rows_of(engine, "inventory_findings")
    )


def test_what_cannot_be_used_is_kept_with_its_place_its_reason_and_what_stood_there(engine: sa.Engine) -> None:
    load(engine, ours(1), finding(7, "it's odd", column="ICCID", payload='{"ICCID":"ä"}'))
    (stored,) = rows_of(engine, "inventory_findings")
    assert stored == {
        "source": "our.csv",
        "row_number": 7,
        "column_name": "ICCID",
        "carrier": "acme",
        "reason": "it's odd",
        "payload": {"ICCID": "ä"},
        "found_at": FIRST,
    }


def test_a_finding_is_gone_when_the_list_is_right_and_stays_what_it_was_until_then(engine: sa.Engine) -> None:
    load(engine, ours(1), finding(2), finding(3), finding(4))
    load(engine, ours(1), finding(3), finding(4, "odder"), finding(5), now=SECOND)
    assert findings(engine) == [
        (3, "", "acme", "odd", FIRST),
        (4, "", "acme", "odder", SECOND),
        (5, "", "acme", "odd", SECOND),
    ]


def test_each_carriers_load_knows_its_own_findings_and_those_of_rows_without_a_carrier(engine: sa.Engine) -> None:
    nobodys = finding(9, "no carrier", carrier=None)
    load(engine, ours(1), finding(2), nobodys)
    load(engine, ours(1, carrier="other"), finding(3, carrier="other"), nobodys, carrier="other", now=SECOND)
    assert findings(engine) == [
        (2, "", "acme", "odd", FIRST),
        (3, "", "other", "odd", SECOND),
        (9, "", None, "no carrier", FIRST),
    ]
    load(engine, ours(1), now=THIRD)
    assert findings(engine) == [(3, "", "other", "odd", SECOND)]


def test_the_findings_of_a_list_that_lay_elsewhere_are_gone(engine: sa.Engine) -> None:
    load(engine, ours(1), finding(2))
    load_inventory(engine, "acme", [started("new.csv"), ours(1), finding(2)], now=SECOND)
    assert [(row["source"], row["found_at"]) for row in rows_of(engine, "inventory_findings")] == [("new.csv", SECOND)]


def test_rows_that_repeat_an_iccid_are_findings_whatever_their_number(engine: sa.Engine) -> None:
    rows = [ours(number % 7, row_number=number + 2) for number in range(12_000)]
    heard: list[Finding] = []
    assert load(engine, *rows, on_finding=lambda _, found: heard.append(found)) == LoadCounts(7, 0, 0, 0)
    stored = findings(engine)
    assert (len(stored), len(heard)) == (11_993, 11_993)
    assert stored[0] == (9, "ICCID", "acme", "its ICCID stands in line 2 already, and that one counts", FIRST)
    assert heard[0].payload == canonical_json({"ICCID": ours(0).iccid})


def test_each_of_several_lists_has_its_own_findings_and_an_iccid_counts_where_it_stands_first(
    engine: sa.Engine,
) -> None:
    heard: list[str] = []
    rounded = [ours(number, row_number=number, rounding=Rounding.ZEROS) for number in (5, 6)]
    first: list[Entry] = [started("a.csv"), ours(1, row_number=2), finding(3), finding(9, "nobody's", carrier=None)]
    second: list[Entry] = [started("b.csv"), ours(1, row_number=2), ours(2, row_number=3), finding(3), *rounded]
    third: list[Entry] = [started("c.csv"), ours(4, row_number=2, rounding=Rounding.ZEROS), EndOfList()]
    entries = [*first, EndOfList(), *second, EndOfList(Rounding.ZEROS), *third]
    counts = load_inventory(engine, "acme", entries, on_finding=lambda source, _: heard.append(source), now=FIRST)
    assert (counts.added, heard) == (3, ["b.csv"])
    assert sorted(table(engine)) == ["acme/1", "acme/2", "acme/4"]
    told = sorted(
        (row["source"], row["row_number"], row["reason"][:46]) for row in rows_of(engine, "inventory_findings")
    )
    assert told == [
        ("a.csv", 3, "odd"),
        ("a.csv", 9, "nobody's"),
        ("b.csv", 2, "its ICCID stands in line 2 of a.csv already, a"),
        ("b.csv", 3, "odd"),
        ("b.csv", 5, "ICCID 8988303000000000005 was rounded by a spr"),
        ("b.csv", 6, "ICCID 8988303000000000006 was rounded by a spr"),
    ]


def test_findings_of_a_list_of_other_carriers_stay_and_those_of_none_of_the_lists_go(engine: sa.Engine) -> None:
    nobodys = finding(9, "nobody's", carrier=None)
    load_inventory(engine, "other", [started("b.csv"), ours(1, carrier="other"), nobodys], now=FIRST)
    load(engine, ours(1), all_sources=["our.csv", "b.csv"], now=SECOND)
    assert len(findings(engine)) == 1
    load(engine, ours(1), all_sources=["our.csv"], now=SECOND)
    assert findings(engine) == []


def test_rows_of_a_rounded_list_are_findings_and_no_sims(engine: sa.Engine) -> None:
    rounded = [ours(number, row_number=number, rounding=Rounding.ZEROS) for number in (2, 3, 3)]
    doubtful = ours(4, row_number=5, rounding=Rounding.FLOAT)
    load(engine, *rounded, doubtful, ours(5), EndOfList(Rounding.ZEROS))
    assert sorted(table(engine)) == ["acme/4", "acme/5"]
    assert [(number, str(reason)[:37]) for number, _, _, reason, _ in findings(engine)] == [
        (2, f"ICCID {ours(2).iccid} was rounded"),
        (3, f"ICCID {ours(3).iccid} was rounded"),
    ]


# --- what an unreadable row may be -----------------------------------------------------------------------------

HIDDEN = finding(50, "rounded", uses_row=False, hides_sim=True)


def test_sims_that_an_unreadable_row_may_be_are_kept(engine: sa.Engine) -> None:
    load(engine, ours(1), ours(2), ours(3))
    counts = load(engine, ours(1), ours(2), HIDDEN, now=SECOND)
    assert counts == LoadCounts(added=0, changed=0, removed=0, unchanged=2, kept=1)
    assert table(engine)["acme/3"] == (None, FIRST, None)
    assert load(engine, ours(1), ours(2), now=THIRD).removed == 1


def test_more_sims_than_rows_cannot_be_read_are_gone(engine: sa.Engine) -> None:
    load(engine, ours(1), ours(2), ours(3))
    assert load(engine, ours(1), HIDDEN, min_percent=0, now=SECOND) == LoadCounts(
        added=0, changed=0, removed=2, unchanged=1
    )


def test_a_row_that_is_no_sim_keeps_nothing(engine: sa.Engine) -> None:
    load(engine, ours(1), ours(2))
    assert load(engine, ours(1), finding(9, "a total"), now=SECOND).removed == 1


def test_of_a_list_that_was_rounded_no_sim_is_taken_for_removed(engine: sa.Engine) -> None:
    load(engine, ours(1), ours(2), ours(3))
    rounded = [ours(number, row_number=number, rounding=Rounding.ZEROS) for number in (100, 200)]
    counts = load(engine, ours(1), *rounded, EndOfList(Rounding.FLOAT), min_percent=0, now=SECOND)
    assert counts == LoadCounts(added=0, changed=0, removed=0, unchanged=1, kept=2)


# --- a dry run, and what is remembered -------------------------------------------------------------------------


def test_a_dry_run_counts_what_a_real_one_does_and_writes_nothing(engine: sa.Engine) -> None:
    load(engine, ours(1), ours(2), ours(3), ours(4))
    load(engine, ours(1), ours(2), ours(3), now=SECOND)
    before = exact_digests(engine)
    entries: list[Entry] = [ours(1), ours(2, label="new"), ours(4), ours(5), ours(5), finding(7)]
    told = load(engine, *entries, now=THIRD, dry_run=True)
    assert exact_digests(engine) == before
    assert told == load(engine, *entries, now=THIRD) == LoadCounts(added=2, changed=1, removed=1, unchanged=1)


def test_a_load_is_remembered_by_its_digest_until_another_one(engine: sa.Engine) -> None:
    assert unchanged_load(engine, "acme", "1") is None
    load(engine, ours(1), note=lambda counts: LoadNote("1", {"added": counts.added}))
    assert unchanged_load(engine, "acme", "1") == LastLoad({"added": 1}, FIRST)
    assert (unchanged_load(engine, "acme", "2"), unchanged_load(engine, "other", "1")) == (None, None)
    load(engine, ours(1), now=SECOND)
    assert unchanged_load(engine, "acme", "1") is None


def test_a_table_that_somebody_has_changed_is_not_taken_for_loaded(engine: sa.Engine) -> None:
    load(engine, ours(1), ours(2), note=lambda _: LoadNote("1", {}))
    with engine.begin() as connection:
        connection.execute(inventory_sims.delete())
    assert unchanged_load(engine, "acme", "1") is None


def test_a_load_that_breaks_off_forgets_nothing(engine: sa.Engine) -> None:
    load(engine, ours(1), note=lambda _: LoadNote("1", {}))
    before = exact_digests(engine)

    def cut_off() -> Iterator[Entry]:
        yield ours(2)
        yield finding(3)
        raise InventoryError("the file ends in the middle")

    with pytest.raises(InventoryError):
        load_inventory(engine, "acme", cut_off(), now=SECOND)
    assert exact_digests(engine) == before
    assert load(engine, ours(2), now=SECOND) == LoadCounts(1, 0, 1, 0), "nothing is left over from it"


# --- beside others ---------------------------------------------------------------------------------------------


def test_nobody_waits_while_a_list_is_read(engine: sa.Engine) -> None:
    """Another carrier's list is loaded while this one is read, in the same database."""

    def slowly() -> Iterator[Entry]:
        for number in range(11_000):
            if number == 10_500:
                load(engine, ours(1, carrier="other"), carrier="other")
            yield ours(number)

    assert load_inventory(engine, "acme", slowly(), now=FIRST).added == 11_000


def test_a_list_that_is_slow_to_come_outlives_the_limit_of_other_transactions(postgres_engine: sa.Engine) -> None:
    engine = postgres_engine
    url = engine.url.render_as_string(hide_password=False)
    with disposed(open_engine(url, frozen_seconds=0.05)) as impatient:

        def slowly() -> Iterator[Entry]:
            for number in range(11_000):
                if number == 10_500:
                    with engine.connect() as connection:
                        connection.exec_driver_sql("SELECT pg_sleep(0.5)")
                yield ours(number)

        assert load_inventory(impatient, "acme", slowly(), now=FIRST).added == 11_000


def test_how_many_rows_were_read_is_told_on_the_way(engine: sa.Engine) -> None:
    heard: list[int] = []
    load_inventory(engine, "acme", (ours(number) for number in range(12_000)), on_rows=heard.append)
    assert heard == [5_000, 10_000, 12_000]
