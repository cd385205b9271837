"""SIMs that move between carriers, or are at two: one finding each, whichever carrier is compared last."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from sim_sync.core.discrepancies import CompanyRules
from sim_sync.core.inventory import InventorySim
from sim_sync.core.sims import Sim
from sim_sync.core.sweep import SweepPolicy
from sim_sync.warehouse.inventory import load_inventory
from sim_sync.warehouse.reconcile import reconcile
from sim_sync_tests.warehouse.databases import SqlUnderTest, rows_of
from sim_sync_tests.warehouse.store_under_test import opened, walked

STEM = "8988303000008013931"
#: Keeps each carrier's list from being empty.
KEPT = {"a": "8988303000000000001", "b": "8988303000000000002", "c": "8988303000000000003"}
CARRIERS = tuple(KEPT)
#: Each pair of carriers in both orders.
ORDERS = [("a", "b", "c"), ("c", "b", "a")]
RULES = CompanyRules(carriers=CARRIERS)
Found = tuple[str, str, str, str | None, str | None]


class NightsHarness:
    """Three carriers, and what each of them and our list say."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.under_test = SqlUnderTest(engine)

    def night(
        self,
        theirs: Mapping[str, Sequence[str]],
        ours: Mapping[str, Sequence[str]],
        order: Sequence[str] = CARRIERS,
        rules: CompanyRules = RULES,
        **fields: Any,
    ) -> None:
        """Load, walk and compare one carrier after the other, as every run does."""
        for carrier in order:
            now = self.under_test.clock.advance(60)
            listed = [listed_sim(carrier, iccid, **fields) for iccid in (KEPT[carrier], *ours.get(carrier, ()))]
            load_inventory(self.engine, carrier, listed, now=now)
            fleet = [told_sim(iccid) for iccid in (KEPT[carrier], *theirs.get(carrier, ()))]
            session = walked(self.under_test, opened(self.under_test, carrier=carrier), fleet)
            self.under_test.store.close_session(session.claim, SweepPolicy(), session.config_hash)
            reconcile(self.engine, carrier, ["status"], rules)

    def open(self) -> set[Found]:
        return {
            (row["carrier"], row["kind"], row["iccid"], row["ours"], row["theirs"])
            for row in rows_of(self.engine, "sim_discrepancies")
            if row["resolved_at"] is None
        }

    def resolved(self) -> set[tuple[str, str, str]]:
        rows = rows_of(self.engine, "sim_discrepancies")
        return {(row["carrier"], row["kind"], row["resolved_by"]) for row in rows if row["resolved_at"] is not None}


def told_sim(iccid: str) -> Sim:
    return Sim(sim_id=f"id-{iccid}", iccid=iccid, iccid_raw=iccid, status="active")


def listed_sim(carrier: str, iccid: str, **fields: Any) -> InventorySim:
    return InventorySim(carrier, iccid, iccid, status="active")._replace(**fields)


@pytest.fixture
def nights(engine: sa.Engine) -> NightsHarness:
    return NightsHarness(engine)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("their_form", [STEM, STEM + "7"])
def test_a_sim_that_another_carrier_has_is_one_finding_whoever_is_compared_last(
    nights: NightsHarness, order: tuple[str, ...], their_form: str
) -> None:
    for _ in range(2):
        nights.night({"b": [their_form]}, {"a": [STEM]}, order)
        assert nights.open() == {("b", "wrong_carrier", their_form, "a", "b")}
    assert nights.resolved() <= {("a", "missing_at_carrier", "theirs")}


@pytest.mark.parametrize("order", ORDERS)
def test_a_sim_that_moves_is_one_finding_from_the_first_night_on_until_our_list_follows(
    nights: NightsHarness, order: tuple[str, ...]
) -> None:
    nights.night({"a": [STEM]}, {"a": [STEM]}, order)
    assert nights.open() == set()
    for _ in range(3):
        nights.night({"b": [STEM]}, {"a": [STEM]}, order)
        assert nights.open() == {("b", "wrong_carrier", STEM, "a", "b")}
    nights.night({"b": [STEM]}, {"b": [STEM]}, order)
    assert nights.open() == set()
    (row,) = [row for row in rows_of(nights.engine, "sim_discrepancies") if row["kind"] == "wrong_carrier"]
    assert row["resolved_by"] == "ours"


@pytest.mark.parametrize("order", ORDERS)
def test_one_that_the_other_carrier_gives_up_is_missing_where_our_list_has_it(
    nights: NightsHarness, order: tuple[str, ...]
) -> None:
    nights.night({"b": [STEM]}, {"a": [STEM]}, order)
    for _ in range(2):
        nights.night({}, {"a": [STEM]}, order)
    assert nights.open() == {("a", "missing_at_carrier", STEM, "active", None)}
    assert nights.resolved() == {("b", "wrong_carrier", "theirs")}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        (["a", "b"], ["a"], {("b", "duplicate_iccid", STEM, "a", "a, b")}),
        (["a", "b"], ["b"], {("a", "duplicate_iccid", STEM, "b", "b, a")}),
        (["a", "b"], ["a", "b"], {("b", "duplicate_iccid", STEM, "a", "a, b")}),
        (
            ["a", "b"],
            [],
            {("a", "unknown_to_us", STEM, None, "active"), ("b", "duplicate_iccid", STEM, None, "a, b")},
        ),
        (
            ["a", "b"],
            ["c"],
            {("a", "wrong_carrier", STEM, "c", "a"), ("b", "duplicate_iccid", STEM, "c", "a, b")},
        ),
        (["b"], ["a", "b"], {("a", "missing_at_carrier", STEM, "active", None)}),
        (["b"], [], {("b", "unknown_to_us", STEM, None, "active")}),
        ([], ["b"], {("b", "missing_at_carrier", STEM, "active", None)}),
    ],
)
def test_wherever_a_sim_is_and_should_be_each_of_them_is_one_finding(
    nights: NightsHarness, order: tuple[str, ...], theirs: list[str], ours: list[str], expected: set[Found]
) -> None:
    nights.night({name: [STEM] for name in theirs}, {name: [STEM] for name in ours}, order)
    assert nights.open() == expected


def test_of_two_forms_with_different_check_digits_none_is_matched_across_carriers(nights: NightsHarness) -> None:
    nights.night({"b": [STEM + "1", STEM + "2"]}, {"a": [STEM]})
    assert {row[1] for row in nights.open()} == {"missing_at_carrier", "unknown_to_us"}


def test_a_carrier_that_left_the_configuration_is_looked_at_no_more(nights: NightsHarness) -> None:
    nights.night({"b": [STEM]}, {"a": [STEM]})
    nights.night({"b": [STEM]}, {}, ["b", "c"], CompanyRules(carriers=("b", "c")))
    assert nights.open() == {("b", "unknown_to_us", STEM, None, "active")}
    assert ("b", "wrong_carrier", "config") in nights.resolved()


def test_a_carrier_that_was_never_walked_is_known_by_our_list(nights: NightsHarness) -> None:
    nights.night({"b": [STEM]}, {}, ["b"])
    load_inventory(nights.engine, "a", [listed_sim("a", STEM)], now=nights.under_test.clock.advance(60))
    nights.night({"b": [STEM]}, {}, ["b"])
    assert nights.open() == {("b", "wrong_carrier", STEM, "a", "b")}


def test_the_row_of_the_trend_of_a_corrected_carrier_is_corrected_too(nights: NightsHarness) -> None:
    nights.night({"b": [STEM]}, {"a": [STEM]}, ["b", "c", "a"])
    newest: dict[str, dict[str, Any]] = {}
    for row in sorted(rows_of(nights.engine, "reconciliations"), key=lambda row: row["comparison_number"]):
        newest[row["carrier"]] = row
    assert {name: (row["open"], row["wrong_carrier"]) for name, row in newest.items()} == {
        "a": (0, 0),
        "b": (1, 1),
        "c": (0, 0),
    }
