"""Connections to the warehouse, the same rules for both databases. Schema changes are in `migrations`."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from sim_sync.core.errors import ConfigError, Problem, WarehouseUnavailable
from sim_sync.core.pages import canonical_json

#: How long a connection waits for another process's SQLite transaction, in milliseconds.
BUSY_TIMEOUT_MS = 30_000
#: How long to wait for a PostgreSQL server to take a connection, in seconds.
CONNECT_TIMEOUT_SECONDS = 10

#: After this long without a word inside of a transaction, PostgreSQL takes the worker for frozen and rolls it back.
FROZEN_TRANSACTION_SECONDS = 30


def open_engine(url: str) -> sa.Engine:
    """Return an engine for a SQLAlchemy URL of SQLite or PostgreSQL; `postgresql://` means psycopg 3.

    Raises:
        ConfigError: the URL is of neither database, or cannot be read. Its text never contains the password.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(parsed)
    engine = sa.create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        json_serializer=canonical_json,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "application_name": "sim_sync",
            "options": " ".join([_session_options(), str(parsed.query.get("options", ""))]).strip(),
        },
    )
    return engine.execution_options(isolation_level="READ COMMITTED")


def _session_options() -> str:
    # A worker that freezes in the middle of a transaction would hold its session's row for ever: the server ends it.
    return f"-cidle_in_transaction_session_timeout={FROZEN_TRANSACTION_SECONDS}s"


def _parsed(url: str) -> sa.URL:
    expected = "a SQLAlchemy URL such as sqlite:///warehouse.db or postgresql://user:password@host/database"
    try:
        parsed = make_url(url)
    except (ArgumentError, NoSuchModuleError):
        raise ConfigError([Problem("warehouse", "url", expected, "something that is no URL")]) from None
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise ConfigError([Problem("warehouse", "url", expected, parsed.drivername)])
    return parsed


def _open_sqlite(url: sa.URL) -> sa.Engine:
    if url.database and url.database != ":memory:":
        Path(url.database).absolute().parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, json_serializer=canonical_json, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        # The driver's own transaction handling starts them deferred; ours start in `_begin` below.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        cursor.execute("PRAGMA journal_mode=WAL")
        # In WAL mode NORMAL survives any death of a process; a power cut may cost the last commits, never consistency.
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A transaction that reads first and writes later must own the write lock from its start: upgrading fails at
        # once with "database is locked" when another process wrote in between, whatever the busy timeout says.
        mode = "DEFERRED" if connection.get_execution_options().get("reads_only") else "IMMEDIATE"
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


@contextmanager
def transaction(engine: sa.Engine, doing: str) -> Iterator[sa.Connection]:
    """Open one writing transaction: committed at the end, rolled back on any error.

    Raises:
        WarehouseUnavailable: the database refused, vanished or was locked; `doing` says in what we were interrupted.
    """
    with _told_as_unavailable(engine, doing), engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: sa.Engine, doing: str) -> Iterator[sa.Connection]:
    """Open one transaction that only reads: one consistent view, and no lock that a writer waits for."""
    reader = engine.execution_options(reads_only=True)
    with _told_as_unavailable(engine, doing), reader.begin() as connection:
        yield connection


def can_write_now(engine: sa.Engine) -> bool:
    """Return whether no other process is inside of a transaction that holds back writers of the same tables."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.execute("PRAGMA busy_timeout=0")
            try:
                driver.execute("BEGIN IMMEDIATE")
                driver.execute("ROLLBACK")
            except sqlite3.OperationalError:
                return False
            else:
                return True
            finally:
                driver.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    query = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND xact_start IS NOT NULL AND backend_type = 'client backend'"
    )
    with engine.connect() as connection:
        return int(connection.execute(query).scalar_one()) == 0


@contextmanager
def _told_as_unavailable(engine: sa.Engine, doing: str) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if not _passes_by_itself(error):
            raise
        where = engine.url.render_as_string(hide_password=True)
        told = " ".join(str(error.orig).split())
        raise WarehouseUnavailable(f"the warehouse {where} failed while {doing}: {told}") from None


def _passes_by_itself(error: DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    return isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)


def utc_now(connection: sa.Connection) -> sa.ColumnElement[Any]:
    """Return the SQL expression of the warehouse's own wall clock, not frozen at the start of the transaction."""
    if connection.dialect.name == "sqlite":
        return sa.func.strftime("%Y-%m-%d %H:%M:%f000", "now")
    return sa.func.clock_timestamp()
