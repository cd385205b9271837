"""How the databases would go about each statement of a reconciliation: nothing is read once a row of something else.

The plans are those of the tables at hand: two carriers and two lists that share SIMs, differ, and name EIDs.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from sim_sync.core.discrepancies import COMPARABLE_FIELDS, CompanyRules, Kind
from sim_sync.core.inventory import InventorySim
from sim_sync.core.sims import Sim
from sim_sync.core.sweep import SweepPolicy
from sim_sync.warehouse.inventory import load_inventory
from sim_sync.warehouse.reconcile import reconcile
from sim_sync_tests.warehouse.databases import SqlUnderTest, rows_of
from sim_sync_tests.warehouse.store_under_test import opened, walked

CARRIERS = ("a", "b")
SIMS = 600
RULES = CompanyRules(carriers=CARRIERS)
#: Tables with a row for each SIM, and what the statements call them.
_LARGE = frozenset(
    {
        *("inventory_sims", "carrier_sims", "sim_discrepancies", "our_sims", "sims_there", "sim_pairs"),
        *("found_discrepancies", "our_left_over", "their_left_over", "differing_sims", "others", "theirs"),
    }
)
#: What finds one row, or the few of one SIM.
_FINDS_A_SIM = re.compile(r"(iccid|sim_id|eid|stem|sim)\b\W*(=|<|>|IS NULL)")
_READS = ("SELECT", "INSERT", "UPDATE", "DELETE")


def test_no_statement_of_a_reconciliation_reads_a_table_once_a_row(engine: sa.Engine) -> None:
    under_test = SqlUnderTest(engine)
    wrong_in: Callable[[Any], Iterator[str]] = rescans_in_sqlite
    if engine.dialect.name == "postgresql":
        wrong_in = rescans_in_postgresql
    explained, bad = 0, list[str]()
    for night in range(2):
        for carrier in CARRIERS:
            tell(under_test, carrier, night)
        with engine.begin() as connection:
            connection.exec_driver_sql("ANALYZE")
        for carrier in CARRIERS:
            with explaining(engine) as plans:
                reconcile(engine, carrier, COMPARABLE_FIELDS, RULES)
            explained += len(plans)
            bad.extend(
                f"{wrong}: {' '.join(statement.split())}" for statement, plan in plans for wrong in wrong_in(plan)
            )
    assert bad == []
    assert explained > 100
    rows = rows_of(engine, "sim_discrepancies")
    assert {row["kind"] for row in rows if row["resolved_at"] is not None} >= {
        *(Kind.UNKNOWN_TO_US, Kind.WRONG_CARRIER, Kind.DUPLICATE_ICCID, Kind.MISMATCH)
    }
    assert sum(row["kind"] == "mismatch" and row["resolved_at"] is not None for row in rows) > SIMS / 2


def tell(under_test: SqlUnderTest, carrier: str, night: int) -> None:
    """Let the carrier and our list say what they say in a night: in the first much differs, in the second little."""
    base = CARRIERS.index(carrier) * SIMS // 2
    told = "new" if night else carrier
    fleet = [_sim(base + n, n, told) for n in range(SIMS)]
    fleet.extend(() if night else [_sim(base, SIMS, told)])
    listed = [_row(carrier, base + n, n, "new" if night else "ours") for n in range(0 if night else SIMS // 4, SIMS)]
    load_inventory(under_test.engine, carrier, listed, now=under_test.clock.advance(60), min_percent=0)
    session = walked(
        under_test, opened(under_test, carrier=carrier), fleet if night < 1 or carrier == "a" else fleet[::2]
    )
    under_test.store.close_session(session.claim, SweepPolicy(), session.config_hash)


def _iccid(number: int) -> str:
    return f"8988303{number:012d}"


def _sim(number: int, place: int, label: str) -> Sim:
    iccid = _iccid(number) + ("7" if place % 5 == 0 else "")
    eid = f"{number:032d}" if place % 3 == 0 else None
    return Sim(f"id-{place}", iccid, iccid, eid=eid, status="active", label=label)


def _row(carrier: str, number: int, place: int, label: str) -> InventorySim:
    other = 10_000 if place % 9 == 0 else 0
    eid = f"{number:032d}" if place % 3 == 0 else None
    return InventorySim(carrier, _iccid(number + other), _iccid(number), eid=eid, status="active", label=label)


@contextmanager
def explaining(engine: sa.Engine) -> Iterator[list[tuple[str, Any]]]:
    """Yield the statements that are run meanwhile, each with its plan."""
    plans: list[tuple[str, Any]] = []

    def explain(
        connection: sa.Connection, _cursor: Any, statement: str, values: Any, _context: Any, many: bool
    ) -> None:
        if statement.startswith(_READS) and not many:
            plans.append((statement, _plan_of(connection, statement, values)))

    sa.event.listen(engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        sa.event.remove(engine, "before_cursor_execute", explain)


def _plan_of(connection: sa.Connection, statement: str, values: Any) -> Any:
    if connection.dialect.name == "sqlite":
        return connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
    return connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON, VERBOSE) {statement}", values).scalar_one()[0]["Plan"]


def rescans_in_postgresql(plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a plan reads for each row of something else without being led to a SIM."""
    text = json.dumps(plan)
    for node in _nodes(plan):
        name = node.get("Subplan Name", "")
        if name.startswith("SubPlan") and f"hashed {name}" not in text:
            yield from (f"{name} by {what}" for what in _wide_reads(node))
        if node["Node Type"] == "Nested Loop":
            yield from (f"nested loop by {what}" for what in _wide_reads(node["Plans"][1]))


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def _wide_reads(plan: Mapping[str, Any]) -> Iterator[str]:
    for node in _nodes(plan):
        if node.get("Relation Name") in _LARGE and not _FINDS_A_SIM.search(node.get("Index Cond", "")):
            yield f"{node['Node Type']} of {node['Relation Name']}"


def rescans_in_sqlite(plan: Sequence[Any]) -> Iterator[str]:
    """Do so: SQLite joins by loops, each within the one before it."""
    parents = {row[0]: row[1] for row in plan}
    correlated = {row[0] for row in plan if row[3].startswith("CORRELATED")}
    outermost = set[int]()
    for number, parent, _, told in plan:
        read = re.match(r"(SCAN|SEARCH) (\w+)", told)
        if read is None:
            continue
        is_first = parent not in outermost and not correlated & set(_above(number, parents))
        outermost.add(parent)
        if read[2] in _LARGE and not is_first and not _FINDS_A_SIM.search(told):
            yield told


def _above(number: int, parents: Mapping[int, int]) -> Iterator[int]:
    while number in parents:
        number = parents[number]
        yield number


_SCAN, _SEARCH = (2, 0, 0, "SCAN our_sims"), (3, 0, 0, "SEARCH sims_there USING PRIMARY KEY (iccid=?)")


@pytest.mark.parametrize(
    ("rescans", "plan", "found"),
    [
        (rescans_in_sqlite, [_SCAN, _SEARCH], []),
        (rescans_in_sqlite, [_SCAN, (3, 0, 0, "SCAN sims_there")], ["SCAN sims_there"]),
        (
            rescans_in_sqlite,
            [_SEARCH, (4, 0, 0, "CORRELATED SCALAR SUBQUERY 1"), (5, 4, 0, "SCAN sim_pairs")],
            ["SCAN sim_pairs"],
        ),
        (
            rescans_in_postgresql,
            {
                "Node Type": "Nested Loop",
                "Plans": [{"Node Type": "X"}, {"Node Type": "Seq", "Relation Name": "our_sims"}],
            },
            ["nested loop by Seq of our_sims"],
        ),
    ],
)
def test_a_table_that_is_read_once_a_row_is_noticed(
    rescans: Callable[[Any], Iterator[str]], plan: Any, found: Sequence[str]
) -> None:
    assert list(rescans(plan)) == found
