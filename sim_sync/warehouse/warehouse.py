"""A warehouse as it is opened: brought to the newest schema, or only read; and whether it has room left."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from sim_sync.core.errors import ConfigError, Problem, WarehouseFull
from sim_sync.files import is_full, no_room_text
from sim_sync.warehouse.code_locations import CodeLocation, SqlCodeLocations
from sim_sync.warehouse.engine import open_engine, read_clock, reading, transaction
from sim_sync.warehouse.migrate import SchemaState, migrate, missing_tables, schema_state
from sim_sync.warehouse.postgresql import is_for_many_hosts, shown_url, warehouse_url
from sim_sync.warehouse.sqlite_files import require_place_for, sqlite_file

if TYPE_CHECKING:  # what writes is loaded where somebody may write: who only looks does not need it
    from sim_sync.core.sync import CrashPoint
    from sim_sync.warehouse.run_leases import SqlRunLeases
    from sim_sync.warehouse.store import SqlSessionStore

# Whether the warehouse has room left for what comes next: found out before a long work begins, by trying.


#: PostgreSQL extends a file for it at once, and takes it back with the transaction.
_PROBE = "CREATE TEMPORARY TABLE sim_sync_room ON COMMIT DROP AS SELECT repeat('x', 1000) FROM generate_series(1, 200)"


def require_room(engine: sa.Engine) -> None:
    """Raise `WarehouseFull` where nothing more can be written. Leaves nothing behind.

    Raises:
        WarehouseUnavailable, ConfigError: PostgreSQL cannot be reached, or this user may not write.
    """
    file = sqlite_file(engine.url)
    if file is not None and is_full(file.parent):
        raise WarehouseFull(f"the warehouse {shown_url(engine.url)}: {no_room_text([file.parent])}")
    if engine.dialect.name == "postgresql":
        with transaction(engine, "looking whether there is room left") as connection:
            connection.exec_driver_sql(_PROBE)


def require_shared(url: str, dagster: str) -> None:
    """Refuse a warehouse of this host alone where Dagster's own storage is one of many hosts: it would be a second one.

    `dagster` is the module of that storage.

    Raises:
        ConfigError: the warehouse is SQLite, and Dagster's storage is not.
    """
    if is_for_many_hosts(url) or dagster.startswith(_DAGSTERS_OWN):
        return
    place = shown_url(warehouse_url(url))
    sentence = (
        f"the warehouse would be {place}, of this host alone, but Dagster's storage is on a server that "
        f"other hosts use, too ({dagster}): set it to the PostgreSQL database of all of them, here as well"
    )
    raise ConfigError([Problem("environment", "SIM_SYNC_WAREHOUSE_URL", "a PostgreSQL database", "SQLite", sentence)])


#: Dagster itself brings storages in SQLite files and in memory only.
_DAGSTERS_OWN = "dagster."


# The warehouse as one thing to hold: its engine with an up-to-date schema, and the sessions and runs in it.
#
# Who only wants to know how it is looks at it, which changes nothing.


_SCHEMA_TEXTS = {
    SchemaState.MISSING: "empty; the first sync creates the tables",
    SchemaState.OLDER: "of an earlier version; the next sync upgrades the tables",
    SchemaState.CURRENT: "up to date",
}


@dataclass(frozen=True, slots=True)
class Warehouse:
    """An opened warehouse. Its printed form holds no password."""

    engine: sa.Engine
    sessions: "SqlSessionStore"
    runs: "SqlRunLeases"

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


@dataclass(frozen=True, slots=True)
class WarehouseView:
    """A warehouse that is only looked at: nothing of what writes is loaded for it."""

    engine: sa.Engine

    def now(self) -> datetime:
        """Return the warehouse's own time."""
        with reading(self.engine, "reading the warehouse's clock") as connection:
            return read_clock(connection)


def open_warehouse(url: str, *, at: "CrashPoint | None" = None) -> Warehouse:
    """Open a warehouse by its SQLAlchemy URL and bring its schema up to date.

    Raises:
        ConfigError: the URL cannot be used, or the schema is newer than this program.
        WarehouseUnavailable: the database cannot be reached.
    """
    engine = open_engine(url)
    migrate(engine)
    return _held(engine, at)


def open_warehouse_to_read(url: str) -> Warehouse:
    """Open a warehouse as `open_warehouse` does, for reading: also one without room for another byte.

    Raises:
        WarehouseFull: there is no room left, and its tables are not there or of an earlier version.
        ConfigError, WarehouseUnavailable: as in `open_warehouse`.
    """
    return _held(view_warehouse(url).engine)


def view_warehouse(url: str) -> WarehouseView:
    """Open a warehouse as `open_warehouse_to_read` does, for whoever asks nothing of sessions and runs but by queries.

    Raises:
        WarehouseFull, ConfigError, WarehouseUnavailable: as there.
    """
    try:
        engine = open_engine(url)
        migrate(engine)
    except WarehouseFull:
        engine = open_engine(url, shares_memory=False)
        migrate(engine)
    return WarehouseView(engine)


def _held(engine: sa.Engine, at: "CrashPoint | None" = None) -> Warehouse:
    from sim_sync.core.sync import nothing_armed
    from sim_sync.warehouse.run_leases import SqlRunLeases
    from sim_sync.warehouse.store import SqlSessionStore

    return Warehouse(engine, SqlSessionStore(engine, at=at or nothing_armed), SqlRunLeases(engine))


@dataclass(frozen=True, slots=True)
class WarehouseHealth:
    """Where the warehouse is, its URL without the password, the state of its tables, and who is at work on it."""

    url: str
    schema: str
    code_locations: Sequence[CodeLocation] = ()


def look_at_warehouse(url: str) -> WarehouseHealth:
    """Return how a warehouse is.

    Raises:
        ConfigError: the URL or the place cannot be used, or its schema is not one of this program.
        WarehouseUnavailable: it cannot be reached.
        WarehouseFull: it has no room left.
    """
    parsed = warehouse_url(url)
    shown = shown_url(parsed)
    path = sqlite_file(parsed)
    if path is not None and not path.exists():  # opening it would make it
        require_place_for(path)
        if is_full(path.parent):
            raise WarehouseFull(f"the warehouse {shown}: {no_room_text([path.parent])}")
        return WarehouseHealth(shown, _SCHEMA_TEXTS[SchemaState.MISSING])
    engine = open_engine(url)
    try:
        with reading(engine, "looking at the warehouse") as connection:
            state = schema_state(connection, engine)
            missing = missing_tables(connection) if state is SchemaState.CURRENT else ()
        at_work = SqlCodeLocations(engine).at_work() if state is SchemaState.CURRENT and not missing else ()
        require_room(engine)
    finally:
        engine.dispose()
    if missing:
        expected = "the tables of this version of sim_sync: restore them from a copy"
        raise ConfigError([Problem("warehouse", shown, expected, f"none called {', '.join(missing)}")])
    return WarehouseHealth(shown, _SCHEMA_TEXTS[state], at_work)
