"""Both databases for the tests of this folder, cheaply: PostgreSQL's tables are made once and emptied for each test."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from sim_sync.warehouse.store import SqlSessionStore
from sim_sync.warehouse.tables import inventory_sims, metadata
from sim_sync_tests.fakes.clock import SettableClock
from sim_sync_tests.fakes.crash_points import ArmedPoints

#: What a row of a SIM holds for nobody but the next walk.
OUR_NOTES = frozenset({"stored_digest", "record_digest", "sim_number"})


def empty_tables(engine: sa.Engine) -> None:
    """Leave every table without a row, and row numbers starting from one."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            names = ", ".join(metadata.tables)
            connection.exec_driver_sql(f"TRUNCATE {names} RESTART IDENTITY")
        else:
            for table in metadata.tables.values():
                connection.execute(table.delete())


def rows_of(engine: sa.Engine, table: str) -> list[dict[str, Any]]:
    """Return all rows of a table."""
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(sa.select(metadata.tables[table])).mappings()]


@dataclass
class SqlUnderTest:
    """A `StoreUnderTest` on a real database."""

    engine: sa.Engine
    clock: SettableClock = field(default_factory=SettableClock)
    crash_points: ArmedPoints = field(default_factory=ArmedPoints)

    def __post_init__(self) -> None:
        self.store = SqlSessionStore(self.engine, clock=self.clock.now, at=self.crash_points)

    def load_our_list(self, carrier: str, sims: int) -> None:
        plain = {"carrier": carrier, "attributes": {}, "loaded_at": self.clock.now()}
        with self.engine.begin() as connection:
            connection.execute(inventory_sims.insert(), [plain | {"iccid": str(number)} for number in range(sims)])

    def rows(self, table: str) -> list[dict[str, Any]]:
        return [{name: row[name] for name in row if name not in OUR_NOTES} for row in rows_of(self.engine, table)]


@contextmanager
def disposed(engine: sa.Engine) -> Iterator[sa.Engine]:
    """Lend an engine, and close its connections at the end."""
    try:
        yield engine
    finally:
        engine.dispose()
