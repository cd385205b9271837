"""Brings a warehouse's schema up to date. A migration and its record are one transaction, one process at a time."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from sim_sync.core.errors import ConfigError, Problem
from sim_sync.warehouse.engine import transaction

_VERSION_TABLE = "sim_sync_schema_version"
#: Any number that no other program locks in the same database.
_ADVISORY_LOCK = 7_461_746


def migrate(engine: sa.Engine) -> None:
    """Create or upgrade the tables; nothing to do is the usual case, and costs one query.

    Raises:
        ConfigError: the warehouse was written by a newer version of sim_sync.
        WarehouseUnavailable: the database cannot be reached.
    """
    config = _alembic_config()
    newest = ScriptDirectory.from_config(config).get_current_head()
    with transaction(engine, "reading the schema's version") as connection:
        if _version(connection) == newest:
            return
    with transaction(engine, "bringing the schema up to date") as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
        _refuse_newer(connection, config, engine)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _version(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table": _VERSION_TABLE}).get_current_revision()


def _refuse_newer(connection: sa.Connection, config: Config, engine: sa.Engine) -> None:
    version = _version(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is None or version in known:
        return
    where = engine.url.render_as_string(hide_password=True)
    expected = f"a schema of version {max(known)} or older; upgrade sim_sync on this machine"
    raise ConfigError([Problem("warehouse", where, expected, f"version {version}")])
