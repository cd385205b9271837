"""What a discrepancy costs, who ended it and what the trend says, case by case on both databases."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from sim_sync.core.discrepancies import CompanyRules, Prices, Severity, SeverityRule
from sim_sync.core.inventory import InventorySim
from sim_sync.core.sims import Lifecycle, Sim
from sim_sync.warehouse.discrepancies import acknowledge
from sim_sync.warehouse.inventory import load_inventory
from sim_sync.warehouse.reconcile import reconcile
from sim_sync_tests.fakes.fleet import CARRIER
from sim_sync_tests.warehouse.databases import SqlUnderTest, rows_of
from sim_sync_tests.warehouse.store_under_test import night
from sim_sync_tests.warehouse.test_reconcile import STEM, ours, theirs, unlisted

OTHER = "8988303000000000000"
PRICES = Prices(currency="EUR", plans={"A": Decimal("1.20"), "B": Decimal("0.0375")}, default=Decimal("0.90"))


def compared(
    engine: sa.Engine,
    listed: Sequence[InventorySim],
    fleet: Sequence[Sim],
    rules: CompanyRules | None = None,
    fields: Sequence[str] = ("status", "rate_plan"),
) -> dict[str, dict[str, Any]]:
    """Load, walk and compare, and return the rows by kind."""
    under_test = SqlUnderTest(engine)
    load_inventory(engine, CARRIER, [*listed, ours(OTHER)], now=under_test.clock.now())
    night(under_test, [*fleet, theirs(OTHER)])
    reconcile(engine, CARRIER, fields, rules or CompanyRules(prices=PRICES))
    return {row["kind"]: row for row in rows_of(engine, "sim_discrepancies")}


@pytest.mark.parametrize(
    ("plan", "status", "cost"),
    [
        ("A", "active", "1.20"),
        ("B", "active", "0.0375"),
        ("C", "active", "0.90"),
        (None, "active", "0.90"),
        ("A", "suspended", "0"),
        ("A", "terminated", "0"),
    ],
)
def test_an_unknown_sim_costs_its_plan_while_the_carrier_bills_it(
    engine: sa.Engine, plan: str | None, status: str, cost: str
) -> None:
    row = compared(engine, [], [theirs(rate_plan=plan, status=status)])["unknown_to_us"]
    assert row["monthly_cost"] == Decimal(cost)
    (trend,) = rows_of(engine, "reconciliations")
    assert (trend["monthly_cost"], trend["currency"]) == (Decimal(cost), "EUR")


@pytest.mark.parametrize(
    ("mine", "told", "cost"),
    [
        ("suspended", "active", "1.20"),
        ("terminated", "active", "1.20"),
        ("inventory", "active", "1.20"),
        ("active", "suspended", "0"),
        ("suspended", "terminated", "0"),
    ],
)
def test_a_mismatch_costs_where_the_carrier_bills_what_we_stopped(
    engine: sa.Engine, mine: str, told: str, cost: str
) -> None:
    row = compared(engine, [ours(status=mine, rate_plan="A")], [theirs(status=told)])["mismatch"]
    assert (row["field"], row["monthly_cost"]) == ("status", Decimal(cost))


def test_one_finding_of_a_sim_costs_and_no_other_of_it(engine: sa.Engine) -> None:
    compared(engine, [ours(status="suspended", rate_plan="A")], [theirs(rate_plan="B")])
    costs = {row["field"]: row["monthly_cost"] for row in rows_of(engine, "sim_discrepancies")}
    assert costs == {"status": Decimal("0.0375"), "rate_plan": 0}


def test_other_statuses_may_be_billed(engine: sa.Engine) -> None:
    billed = Prices(currency="EUR", plans={}, default=Decimal(2), billed=[Lifecycle.ACTIVE, Lifecycle.SUSPENDED])
    found = compared(engine, [], [theirs(status="suspended")], CompanyRules(prices=billed))
    assert found["unknown_to_us"]["monthly_cost"] == 2


@pytest.mark.parametrize("prices", [None, Prices(currency="EUR", plans={"A": Decimal(1)})])
def test_without_a_price_nobody_knows_what_it_costs(engine: sa.Engine, prices: Prices | None) -> None:
    row = compared(engine, [], [theirs(rate_plan="C")], CompanyRules(prices=prices))["unknown_to_us"]
    assert row["monthly_cost"] is None


def test_a_thousand_tenths_are_added_up_exactly(engine: sa.Engine) -> None:
    price = Prices(currency="EUR", plans={}, default=Decimal("0.10"))
    fleet = [theirs(f"8988303{number:012d}") for number in range(1, 1001)]
    compared(engine, [], fleet, CompanyRules(prices=price))
    assert [row["monthly_cost"] for row in rows_of(engine, "reconciliations")] == [Decimal("100.0000")]


@pytest.mark.parametrize(
    ("rules", "severity"),
    [
        ([SeverityRule(Severity.LOW, ("unknown_to_us",), theirs=("active",))], "low"),
        ([SeverityRule(Severity.LOW, ("unknown_to_us",), theirs=("suspended",))], "high"),
        ([SeverityRule(Severity.LOW, ours=("active",)), SeverityRule(Severity.MEDIUM)], "medium"),
        ([SeverityRule(Severity.LOW, ("mismatch",))], "high"),
        ([SeverityRule(Severity.LOW, fields=("status",))], "high"),
    ],
)
def test_the_first_rule_of_the_company_that_fits_decides_how_bad_it_is(
    engine: sa.Engine, rules: list[SeverityRule], severity: str
) -> None:
    found = compared(engine, [], [theirs()], CompanyRules(severity=rules))
    assert found["unknown_to_us"]["severity"] == severity
    assert found["unknown_to_us"]["advice"] == "Add it to our list, or cancel it at the carrier: it is in use."


@pytest.mark.parametrize(
    ("rule", "severity"),
    [
        (SeverityRule(Severity.HIGH, ("quality",), ("carrier_status",)), "high"),
        (SeverityRule(Severity.HIGH, theirs=("1 SIM has the unlisted word NEW",)), "high"),
        (SeverityRule(Severity.HIGH, ours=("active",)), "medium"),
        (SeverityRule(Severity.HIGH, ("mismatch",)), "medium"),
    ],
)
def test_a_rule_of_the_company_fits_a_finding_about_no_single_sim_too(
    engine: sa.Engine, rule: SeverityRule, severity: str
) -> None:
    fleet = [unlisted(1, "NEW")]
    found = compared(engine, [ours(str(fleet[0].iccid))], fleet, CompanyRules(severity=[rule], prices=PRICES))
    assert (found["quality"]["severity"], found["quality"]["monthly_cost"]) == (severity, 0)
    assert found["quality"]["advice"] == "List the word under `statuses` of the carrier in carriers.yaml."


@pytest.mark.parametrize(
    ("before", "after", "fields", "side"),
    [
        (([], [theirs()]), ([ours()], [theirs()]), ["status"], "ours"),
        (([ours()], []), ([], []), ["status"], "ours"),
        (([ours()], []), ([ours()], [theirs()]), ["status"], "theirs"),
        (([ours(label="a")], [theirs(label="b")]), ([ours(label="b")], [theirs(label="b")]), ["label"], "ours"),
        (([ours(label="a")], [theirs(label="b")]), ([ours(label="a")], [theirs(label="a")]), ["label"], "theirs"),
        (([ours(label="a")], [theirs(label="b")]), ([ours(label="c")], [theirs(label="c")]), ["label"], "theirs"),
        (([ours(label="a")], [theirs(label="b")]), ([ours(label="a")], [theirs(label=None)]), ["label"], "theirs"),
        (([ours(label="a")], [theirs(label="b")]), ([], [theirs(label="b")]), ["label"], "ours"),
        (([ours(label="a")], [theirs(label="b")]), ([ours(label="a")], [theirs(label="b")]), [], "config"),
    ],
)
def test_who_ended_a_discrepancy_is_told(
    engine: sa.Engine, before: tuple[Any, Any], after: tuple[Any, Any], fields: list[str], side: str
) -> None:
    compared(engine, *before, fields=["status", "label"])
    under_test = SqlUnderTest(engine)
    under_test.clock.advance(86400)
    load_inventory(engine, CARRIER, [*after[0], ours(OTHER)], now=under_test.clock.now())
    night(under_test, [*after[1], theirs(OTHER)])
    reconcile(engine, CARRIER, fields)
    resolved = [row["resolved_by"] for row in rows_of(engine, "sim_discrepancies") if row["resolved_at"] is not None]
    assert resolved == [side]


def test_the_trend_counts_the_acknowledged_as_nothing_else(engine: sa.Engine) -> None:
    compared(engine, [ours("8988303000000000009")], [theirs(rate_plan="A")])
    acknowledge(engine, [CARRIER], [STEM], by="eve")
    reconcile(engine, CARRIER, ["status"], CompanyRules(prices=PRICES))
    (row,) = rows_of(engine, "reconciliations")
    told = {
        name: row[name] for name in ("open", "muted", "unknown_to_us", "missing_at_carrier", "high", "monthly_cost")
    }
    assert told == {
        "open": 1,
        "muted": 1,
        "unknown_to_us": 0,
        "missing_at_carrier": 1,
        "high": 1,
        "monthly_cost": 0,
    }
    assert row["counts"]["unknown_to_us"] == {"high": {"open": 0, "new": 1, "resolved": 0, "muted": 1}}
