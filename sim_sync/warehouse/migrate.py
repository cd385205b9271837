"""Brings a warehouse's schema up to date. A migration and its record are one transaction, one process at a time."""

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from sim_sync.core.errors import ConfigError, Problem, WarehouseUnavailable
from sim_sync.warehouse.engine import reading, transaction
from sim_sync.warehouse.postgresql import shown_url
from sim_sync.warehouse.tables import metadata

if TYPE_CHECKING:  # only who migrates pays for importing it: a third of what opening a warehouse costs
    from alembic.config import Config

_MIGRATIONS = Path(__file__).parent / "migrations"
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
    if _is_current(engine):
        return
    try:
        _migrate(engine)
    except WarehouseUnavailable:  # busy for long: perhaps with what another process did to the very tables
        if not _is_current(engine):
            raise


def _is_current(engine: sa.Engine) -> bool:
    with reading(engine, "reading the schema's version") as connection:
        return schema_state(connection, engine) is SchemaState.CURRENT


def _migrate(engine: sa.Engine) -> None:
    with transaction(engine, "bringing the schema up to date") as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
        # Another process may have been here while this one waited for the lock: nobody waits for one more look at all
        # migrations.
        if schema_state(connection, engine) is not SchemaState.CURRENT:
            _upgrade(connection)


def _upgrade(connection: sa.Connection) -> None:
    from alembic import command

    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def schema_state(connection: sa.Connection, engine: sa.Engine) -> SchemaState:
    """Return whether the schema has to be brought up to date.

    Raises:
        ConfigError: the warehouse was written by a newer version of sim_sync, or nobody can know by which one.
    """
    versions = _stored_versions(connection)
    if not versions:
        _refuse_tables_without_version(connection, engine)
        return SchemaState.MISSING
    if len(versions) > 1:
        expected = f"one version in the table {VERSION_TABLE}: leave the row of the tables that are there"
        raise _problem(engine, expected, f"{len(versions)}: {', '.join(sorted(versions))}")
    version = versions[0]
    known = known_versions()
    newest = known[-1]
    if version == newest:
        return SchemaState.CURRENT
    if version in known:
        return SchemaState.OLDER
    expected = f"a schema of version {newest} or older; upgrade sim_sync on this machine"
    raise _problem(engine, expected, f"version {version}")


def _stored_versions(connection: sa.Connection) -> Sequence[str]:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return []
    return list(connection.execute(sa.select(sa.column("version_num")).select_from(sa.table(VERSION_TABLE))).scalars())


def known_versions() -> Sequence[str]:
    """Return the versions of the schema, the oldest first: each migration's file begins with its own."""
    return sorted(path.name.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def missing_tables(connection: sa.Connection) -> Sequence[str]:
    """Return the tables, and the columns as `table.column`, that a schema of this version lacks."""
    inspector = sa.inspect(connection)
    there = set(inspector.get_table_names())
    missing = []
    for table in metadata.sorted_tables:
        if table.name not in there:
            missing.append(table.name)
            continue
        columns = {column["name"] for column in inspector.get_columns(table.name)}
        missing += [f"{table.name}.{column.name}" for column in table.columns if column.name not in columns]
    return missing


def _refuse_tables_without_version(connection: sa.Connection, engine: sa.Engine) -> None:
    ours = {table.name for table in metadata.sorted_tables}
    if found := sorted(ours & set(sa.inspect(connection).get_table_names())):
        expected = (
            "a database in which no other program has tables of the same names, or those of sim_sync with their "
            f"version in {VERSION_TABLE}: name another database, or restore it from a copy"
        )
        raise _problem(engine, expected, f"{found[0]} already exists without one")


def _problem(engine: sa.Engine, expected: str, found: str) -> ConfigError:
    return ConfigError([Problem("warehouse", shown_url(engine.url), expected, found)])


def alembic_config() -> "Config":
    """Return where the migrations are; the caller gives it a connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config
