"""The figures of a report are what both databases count, one by one."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from sim_sync.core.inventory import InventorySim
from sim_sync.core.report import Flow, Night, Pair, ReportFigures, Standing
from sim_sync.core.sims import Sim
from sim_sync.core.sweep import SweepPolicy
from sim_sync.warehouse.discrepancies import acknowledge
from sim_sync.warehouse.engine import reading
from sim_sync.warehouse.inventory import load_inventory
from sim_sync.warehouse.reconcile import reconcile
from sim_sync.warehouse.report import report_figures
from sim_sync.warehouse.store import SqlSessionStore
from sim_sync.warehouse.tables import inventory_findings, reconciliations, sim_discrepancies
from sim_sync_tests.fakes.fleet import a_page, a_rejected, a_request, a_sim

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
FIELDS = ("status", "msisdn", "rate_plan")
#: A day as two databases with clocks in other zones would tell it differently.
LATE = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)


def ours(number: int, **fields: Any) -> InventorySim:
    iccid = a_sim(number).iccid or ""
    return InventorySim(**{"carrier": "acme", "iccid": iccid, "iccid_raw": iccid, "status": "active", **fields})


class ReportHarness:
    """Carriers that are walked and compared, and the figures of a report on them."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine, self.store = engine, SqlSessionStore(engine)

    def walk(self, *sims: Sim, carrier: str = "acme", rejected: int = 0) -> None:
        session = self.store.open_session(a_request(carrier=carrier)).session
        assert session.cursor is not None
        page = a_page(sims, rejected=[a_rejected(place) for place in range(rejected)])
        session = self.store.commit_page(session.claim, session.cursor, page)
        self.store.close_session(session.claim, SweepPolicy(), session.config_hash)

    def compare(self, *rows: InventorySim, carrier: str = "acme") -> None:
        load_inventory(self.engine, carrier, [row._replace(carrier=carrier) for row in rows])
        reconcile(self.engine, carrier, FIELDS)

    def figures(self, *carriers: str, since: datetime = LONG_AGO, rows: int = 10) -> ReportFigures:
        return report_figures(self.engine, carriers or ["acme"], since, rows=rows)

    def count(self, where: str) -> int:
        with reading(self.engine, "counting") as connection:
            query = sa.select(sa.func.count()).select_from(sim_discrepancies).where(sa.text(where))
            return int(connection.execute(query).scalar_one())


@pytest.fixture
def harness(engine: sa.Engine) -> ReportHarness:
    return ReportHarness(engine)


def differ(harness: ReportHarness) -> None:
    """Let SIM 1 be ours alone, 2 and 3 theirs alone, 4 suspended there, and 5 have another number."""
    sims = [a_sim(2, rate_plan="P1"), a_sim(3, rate_plan="P1"), a_sim(4, status="suspended"), a_sim(5, msisdn="4915")]
    harness.walk(*sims)
    harness.compare(ours(1, rate_plan="P2"), ours(4), ours(5, msisdn="4916"))


def test_an_empty_warehouse_has_nothing(harness: ReportHarness) -> None:
    found = harness.figures()
    assert (found.sims, found.listed, found.piles, found.nights, found.worst) == ({}, {}, [], [], [])
    assert (found.unread.total, found.unusable.total, found.changes, found.hotspots) == (0, 0, [], [])


def test_piles_add_up_to_what_is_open(harness: ReportHarness) -> None:
    differ(harness)
    found = harness.figures()
    assert sum(pile.found for pile in found.piles) == harness.count("resolved_at IS NULL") == 5
    for pile in found.piles:
        assert pile.found == harness.count(f"kind = '{pile.kind}' AND severity = '{pile.severity}'")
    assert (found.sims, found.listed) == ({"acme": 4}, {"acme": 3})


def test_what_is_acknowledged_is_a_pile_of_its_own_and_in_no_list(harness: ReportHarness) -> None:
    differ(harness)
    acknowledge(harness.engine, ["acme"], [a_sim(2).iccid or ""], by="eve")
    found = harness.figures()
    assert [(pile.kind, pile.found) for pile in found.piles if pile.is_muted] == [("unknown_to_us", 1)]
    assert a_sim(2).iccid not in {row.iccid for row in found.worst}
    assert sum(pair.found for pair in found.pairs) == 4
    assert found.flows == {"acme": Flow(opened=4, resolved=0)}


def test_a_period_has_what_it_opened_and_resolved(harness: ReportHarness) -> None:
    differ(harness)
    harness.walk(a_sim(2, rate_plan="P1"), a_sim(3, rate_plan="P1"), a_sim(4), a_sim(5, msisdn="4915"))
    harness.compare(ours(1, rate_plan="P2"), ours(4), ours(5, msisdn="4916"))
    assert harness.figures().flows == {"acme": Flow(opened=4, resolved=1)}
    (night,) = harness.figures().nights
    assert (night.opened, night.resolved) == (5, 1)  # what was resolved since was opened all the same
    assert harness.figures(since=datetime.now(UTC) + timedelta(days=1)).flows == {}
    assert harness.figures("zeta").flows == {}


def test_days_are_those_of_utc(harness: ReportHarness) -> None:
    differ(harness)
    with harness.engine.begin() as connection:
        connection.execute(sim_discrepancies.update().values(first_seen_at=LATE))
    assert harness.figures().nights == [Night(LATE.date(), 5, 0)]


def test_pairs_tell_words_and_no_numbers_of_single_sims(harness: ReportHarness) -> None:
    differ(harness)
    assert set(harness.figures().pairs) == {
        Pair("unknown_to_us", "", None, "active", 2),
        Pair("missing_at_carrier", "", "active", None, 1),
        Pair("mismatch", "status", "active", "suspended", 1),
        Pair("mismatch", "msisdn", None, None, 1),
    }


def test_amounts_add_up_exactly(harness: ReportHarness) -> None:
    differ(harness)
    with harness.engine.begin() as connection:
        connection.execute(sim_discrepancies.update().values(monthly_cost=Decimal("0.1001")))
        unpriced = sim_discrepancies.c.kind == "mismatch"
        connection.execute(sim_discrepancies.update().where(unpriced).values(monthly_cost=None))
    costs = {pile.kind: pile.cost for pile in harness.figures().piles}
    assert costs == {"unknown_to_us": 2002, "missing_at_carrier": 1001, "mismatch": None}


def test_the_last_reconciliation_of_a_day_stands_for_it(harness: ReportHarness) -> None:
    rows = [("acme", -40, 1, 7), ("acme", -35, 2, 8), ("acme", -3, 3, 5), ("acme", -3, 4, 4), ("zeta", -3, 1, 2)]
    with harness.engine.begin() as connection:
        for place, (carrier, days, number, high) in enumerate(rows):
            at = LATE + timedelta(days=days, minutes=place)
            told = {"carrier": carrier, "reconciled_at": at, "session_id": "s", "comparison_number": number}
            told |= {"high": high, "counts": {}, "monthly_cost": Decimal("12.5000"), "currency": "EUR"}
            connection.execute(reconciliations.insert().values(**told))
    day = (LATE - timedelta(days=3)).date()
    found = harness.figures("acme", "zeta", since=LATE - timedelta(days=30)).standings
    assert found == [
        Standing("acme", (LATE - timedelta(days=35)).date(), 8, 0, 0, 125_000, "EUR"),
        Standing("acme", day, 4, 0, 0, 125_000, "EUR"),
        Standing("zeta", day, 2, 0, 0, 125_000, "EUR"),
    ]


def test_what_to_do_comes_for_the_worst_first_and_adds_up(harness: ReportHarness) -> None:
    differ(harness)
    todos = harness.figures().todos
    assert sum(todo.found for todo in todos) == harness.count("advice IS NOT NULL AND resolved_at IS NULL") == 5
    ranks = [("high", "medium", "low").index(todo.severity) for todo in todos]
    assert ranks == sorted(ranks)
    acknowledge(harness.engine, ["acme"], [a_sim(2).iccid or ""], by="eve")
    assert sum(todo.found for todo in harness.figures().todos) == 4


def test_groups_are_told_beside_their_size(harness: ReportHarness) -> None:
    differ(harness)
    spots = harness.figures().hotspots
    assert {(one.group, one.value, one.found, one.sims) for one in spots} == {
        ("plan", "P1", 2, 2),
        ("plan", "P2", 1, 0),
        ("ICCID range", "8988303000", 5, 4),
    }


def test_the_worst_come_first_whatever_their_carrier_and_no_more_than_asked_for(harness: ReportHarness) -> None:
    differ(harness)
    harness.walk(a_sim(8, status="inventory"), carrier="aaa")
    harness.compare(carrier="aaa")
    rows = harness.figures("aaa", "acme").worst
    assert [row.severity for row in rows] == ["high"] * 3 + ["medium"] * 2 + ["low"]
    assert [row.rate_plan for row in rows if row.kind == "missing_at_carrier"] == ["P2"]
    assert harness.figures("aaa", "acme", rows=2).worst == rows[:2]


def test_what_cannot_be_used_is_counted_by_reason(harness: ReportHarness) -> None:
    harness.walk(a_sim(1), rejected=3)
    row = {"source": "ours.csv", "reason": "no ICCID", "payload": {}, "found_at": LATE}
    with harness.engine.begin() as connection:
        for number, carrier in enumerate(("acme", None, "zeta")):
            key = {"row_number": number, "column_name": "ICCID", "carrier": carrier}
            connection.execute(inventory_findings.insert().values(**row, **key))
    found = harness.figures()
    assert (found.unread.total, list(found.unread.lines)) == (3, [("acme", "no sim_id", 3)])
    assert (found.unusable.total, list(found.unusable.lines)) == (2, [("ours.csv", "no ICCID", 2)])


def test_more_reasons_than_lines_leave_the_total_what_it_is(harness: ReportHarness) -> None:
    row = {"source": "ours.csv", "column_name": "", "carrier": "acme", "payload": {}, "found_at": LATE}
    with harness.engine.begin() as connection:
        for number in range(40):
            connection.execute(inventory_findings.insert().values(**row, row_number=number, reason=f"odd {number}"))
    found = harness.figures().unusable
    assert (found.total, len(found.lines)) == (40, 10)


def test_changes_are_counted_by_field(harness: ReportHarness) -> None:
    harness.walk(a_sim(1), a_sim(2))
    harness.walk(a_sim(1, status="suspended"), a_sim(2, status="suspended", label="new"))
    assert {(one.field, one.found) for one in harness.figures().changes} == {("status", 2), ("label", 1)}
    assert harness.figures(since=datetime.now(UTC) + timedelta(days=1)).changes == []
