"""Brings a warehouse's schema up to date. A migration and its record are one transaction, one process at a time."""

from enum import Enum
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from sim_sync.core.errors import ConfigError, Problem
from sim_sync.warehouse.engine import reading, transaction
from sim_sync.warehouse.failures import shown_url

#: Where the version of a warehouse's schema is written down.
VERSION_TABLE = "sim_sync_schema_version"
#: Any number that no other program locks in the same database.
_ADVISORY_LOCK = 7_461_746


class SchemaState(Enum):
    """What a warehouse's schema is to this program."""

    MISSING = "missing"
    OLDER = "older"
    CURRENT = "current"


def migrate(engine: sa.Engine) -> None:
    """Create or upgrade the tables. Nothing to do is the usual case: it reads, and waits for nobody's lock.

    Raises:
        ConfigError: the warehouse was written by a newer version of sim_sync.
        WarehouseUnavailable: the database cannot be reached.
    """
    with reading(engine, "reading the schema's version") as connection:
        if schema_state(connection, engine) is SchemaState.CURRENT:
            return
    with transaction(engine, "bringing the schema up to date") as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
        # Another process may have been here while this one waited for the lock; then there is nothing left to do.
        schema_state(connection, engine)
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def schema_state(connection: sa.Connection, engine: sa.Engine) -> SchemaState:
    """Return whether the schema has to be brought up to date.

    Raises:
        ConfigError: the warehouse was written by a newer version of sim_sync.
    """
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    version = context.get_current_revision()
    if version is None:
        return SchemaState.MISSING
    scripts = ScriptDirectory.from_config(alembic_config())
    newest = scripts.get_current_head()
    if version == newest:
        return SchemaState.CURRENT
    if version in {script.revision for script in scripts.walk_revisions()}:
        return SchemaState.OLDER
    expected = f"a schema of version {newest} or older; upgrade sim_sync on this machine"
    raise ConfigError([Problem("warehouse", shown_url(engine.url), expected, f"version {version}")])


def alembic_config() -> Config:
    """Return where the migrations are; the caller gives it a connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
