"""Runs the store contract on every store."""

import pytest

from sim_sync.warehouse.tables import metadata
from sim_sync_tests.fakes.fleet import a_page, a_rejected, a_sim
from sim_sync_tests.warehouse.databases import OUR_NOTES, SqlUnderTest
from sim_sync_tests.warehouse.in_memory import InMemoryUnderTest
from sim_sync_tests.warehouse.store_contract import SessionStoreContract, StoreUnderTest
from sim_sync_tests.warehouse.store_under_test import TABLES, committed, night, opened


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def under_test(request: pytest.FixtureRequest) -> StoreUnderTest:
    if request.param == "memory":
        return InMemoryUnderTest()
    name = {"sqlite": "sqlite_engine", "postgresql": "postgres_engine"}[request.param]
    return SqlUnderTest(request.getfixturevalue(name))


class TestSessionStore(SessionStoreContract):
    """Every rule on every store."""


@pytest.mark.parametrize("table", TABLES)
def test_the_in_memory_warehouse_has_the_columns_of_the_real_one(table: str) -> None:
    under_test = InMemoryUnderTest()
    night(under_test, [a_sim(1)])
    session = opened(under_test)
    committed(under_test, session, a_page([a_sim(1, label="changed")], rejected=[a_rejected(1)]))
    columns = frozenset(metadata.tables[table].columns.keys()) - OUR_NOTES
    assert {frozenset(row) for row in under_test.rows(table)} == {columns}
