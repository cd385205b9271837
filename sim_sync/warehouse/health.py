"""Looks at a warehouse without changing it: can it be reached, and is its schema the one of this program?"""

import os
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from sim_sync.core.errors import ConfigError, Problem
from sim_sync.warehouse.engine import open_engine, reading
from sim_sync.warehouse.migrate import SchemaState, schema_state

_SCHEMA_TEXTS = {
    SchemaState.MISSING: "empty; the first sync creates the tables",
    SchemaState.OLDER: "of an earlier version; the next sync upgrades the tables",
    SchemaState.CURRENT: "up to date",
}


@dataclass(frozen=True, slots=True)
class WarehouseHealth:
    """Where the warehouse is, its URL without the password, and the state of its tables."""

    url: str
    schema: str


def look_at_warehouse(url: str) -> WarehouseHealth:
    """Return how a warehouse is.

    Raises:
        ConfigError: the URL or the place cannot be used, or its schema is newer than this program.
        WarehouseUnavailable: it cannot be reached.
    """
    engine = open_engine(url)
    try:
        shown = engine.url.render_as_string(hide_password=True)
        if _is_absent_file(engine):
            return WarehouseHealth(shown, _SCHEMA_TEXTS[SchemaState.MISSING])
        with reading(engine, "looking at the warehouse") as connection:
            return WarehouseHealth(shown, _SCHEMA_TEXTS[schema_state(connection, engine)])
    finally:
        engine.dispose()


def _is_absent_file(engine: sa.Engine) -> bool:
    """Return whether this is a SQLite file that is not there yet, and could be made."""
    name = engine.url.database
    if engine.dialect.name != "sqlite" or not name or name == ":memory:" or Path(name).exists():
        return False
    folder = Path(name).absolute().parent
    if not os.access(folder, os.W_OK):
        expected = "a folder in which this user may write"
        raise ConfigError([Problem("warehouse", str(folder), expected, "one in which it may not")])
    return True
