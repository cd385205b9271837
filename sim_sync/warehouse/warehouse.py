"""The warehouse as one thing to hold: its engine with an up-to-date schema, and the sessions and runs in it."""

from dataclasses import dataclass

import sqlalchemy as sa

from sim_sync.core.crash_points import CrashPoint, nothing_armed
from sim_sync.warehouse.engine import open_engine
from sim_sync.warehouse.migrate import migrate
from sim_sync.warehouse.run_leases import SqlRunLeases
from sim_sync.warehouse.store import SqlSessionStore


@dataclass(frozen=True, slots=True)
class Warehouse:
    """An opened warehouse. Its printed form holds no password."""

    engine: sa.Engine
    sessions: SqlSessionStore
    runs: SqlRunLeases

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def open_warehouse(url: str, *, at: CrashPoint = nothing_armed) -> Warehouse:
    """Open a warehouse by its SQLAlchemy URL and bring its schema up to date.

    Raises:
        ConfigError: the URL cannot be used, or the schema is newer than this program.
        WarehouseUnavailable: the database cannot be reached.
    """
    engine = open_engine(url)
    migrate(engine)
    return Warehouse(engine, SqlSessionStore(engine, at=at), SqlRunLeases(engine))
