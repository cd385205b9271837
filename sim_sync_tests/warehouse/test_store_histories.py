"""Any history of a session comes to the same on the in-memory warehouse and on both databases."""

from pathlib import Path

import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from sim_sync_tests.fakes.clock import SettableClock
from sim_sync_tests.warehouse.databases import SqlUnderTest, empty_tables
from sim_sync_tests.warehouse.store_machine import StoreMachine


def live_through(engine: sa.Engine, histories: int) -> None:
    def start(clock: SettableClock) -> SqlUnderTest:
        empty_tables(engine)
        return SqlUnderTest(engine, clock)

    class Histories(StoreMachine):
        def __init__(self) -> None:
            super().__init__(start)

    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=histories,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        ),
    )


def test_every_history_in_sqlite_is_that_of_the_rules(sqlite_engine: sa.Engine, tmp_path: Path) -> None:
    live_through(sqlite_engine, histories=25)


def test_every_history_in_postgresql_is_that_of_the_rules(postgres_engine: sa.Engine) -> None:
    live_through(postgres_engine, histories=8)
