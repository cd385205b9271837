"""`docs/tables.md` names every table and column there is and no other, and its queries run on both databases."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sim_sync.core.discrepancies import Kind
from sim_sync.core.session import State, SweepState
from sim_sync.core.sims import TRACKED_FIELDS, Lifecycle
from sim_sync.warehouse.inventory import load_inventory
from sim_sync.warehouse.reconcile import reconcile
from sim_sync.warehouse.severity import SEVERITIES
from sim_sync.warehouse.tables import metadata
from sim_sync_tests.fakes.fleet import CARRIER, a_sim
from sim_sync_tests.warehouse.databases import SqlUnderTest
from sim_sync_tests.warehouse.store_under_test import night
from sim_sync_tests.warehouse.test_load_inventory import ours

PAGE = (Path(__file__).parents[2] / "docs" / "tables.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```sql\n(.*?);\n```", PAGE, re.DOTALL)
#: The table in the example query has this one.
ICCID = "89883030000000000001"


def tables_of_the_page() -> Mapping[str, list[str]]:
    tables: dict[str, list[str]] = {}
    columns: list[str] = []
    for line in PAGE.splitlines():
        if heading := re.match(r"(?:## )?`(\w+)`:", line):
            columns = tables.setdefault(heading[1], [])
        elif row := re.match(r"\| `(\w+)` \| \S", line):
            columns.append(row[1])
    return tables


def test_the_page_explains_every_column_of_every_table_in_its_order() -> None:
    assert tables_of_the_page() == {name: list(table.columns.keys()) for name, table in metadata.tables.items()}


@pytest.mark.parametrize("words", [State, Lifecycle, SweepState, Kind, SEVERITIES, TRACKED_FIELDS])
def test_the_page_names_every_word_that_a_column_may_hold(words: Any) -> None:
    assert [word for word in map(str, words) if f"`{word}`" not in PAGE] == []


def _answers(engine: sa.Engine) -> list[list[tuple[Any, ...]]]:
    with engine.connect() as connection:
        return [[tuple(row) for row in connection.execute(sa.text(query))] for query in QUERIES]


def test_the_queries_of_the_page_answer_their_questions(engine: sa.Engine) -> None:
    under_test = SqlUnderTest(engine)
    load_inventory(engine, CARRIER, [ours(1), ours(2, status="terminated")], now=under_test.clock.now())
    fleet = [a_sim(1, iccid=ICCID), a_sim(3)]
    night(under_test, fleet)
    night(under_test, [fleet[0]._replace(label="truck 7"), fleet[1]])
    reconcile(engine, CARRIER, ["status"])
    by_status, high, history, progress = _answers(engine)
    assert by_status == [(CARRIER, "active", 2)]
    assert [row[:6] for row in high] == [
        (CARRIER, "unknown_to_us", "", ICCID, None, "active"),
        (CARRIER, "missing_at_carrier", "", ours(1).iccid, "active", None),
        (CARRIER, "unknown_to_us", "", a_sim(3).iccid, None, "active"),
    ]
    assert [row[1:] for row in history] == [("label", None, "truck 7")]
    ((carrier, state, pages_done, pages_expected, eta_at, last_error, complete_as_of),) = progress
    assert (carrier, state, pages_done, pages_expected, eta_at, last_error) == (CARRIER, "completed", 1, 1, None, None)
    assert complete_as_of is not None
