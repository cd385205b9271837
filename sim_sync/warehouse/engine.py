"""Connections to the warehouse, the same rules for both databases. Schema changes are in `migrations`."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from sim_sync.core.pages import canonical_json
from sim_sync.warehouse.failures import translate_db_errors
from sim_sync.warehouse.postgresql import SQLITE, create_engine, open_postgresql, warehouse_url
from sim_sync.warehouse.sqlite_files import make_sqlite_file, sqlite_file
from sim_sync.warehouse.tables import UtcDateTime

#: How long a connection waits for another process's SQLite transaction, in seconds.
LOCK_SECONDS = 30.0
#: A walk touches the keys of a table in any order: this much of them is kept in memory.
_SQLITE_CACHE_KIB = 64 * 1024
#: The write-ahead log grows to 64 MiB before it is brought into the file: a page of the keys is then written once for
#: many commits.
_SQLITE_CHECKPOINT_PAGES = 16 * 1024
#: After this long without a word inside of a transaction, PostgreSQL takes the worker for frozen and rolls it back.
FROZEN_TRANSACTION_SECONDS = 30
#: How often the switch of a new file to WAL mode is tried while other processes try the same.
_WAL_ATTEMPTS = 50


def open_engine(
    url: str,
    *,
    lock_seconds: float = LOCK_SECONDS,
    frozen_seconds: float = FROZEN_TRANSACTION_SECONDS,
    shares_memory: bool = True,
) -> sa.Engine:
    """Return an engine for a SQLAlchemy URL of SQLite or PostgreSQL; `postgresql://` means psycopg 3.

    Args:
        url: where the warehouse is.
        lock_seconds: how long a SQLite connection waits for another one's transaction.
        frozen_seconds: how long PostgreSQL tolerates silence inside of a transaction before it rolls it back.
        shares_memory: without it, SQLite makes no file for what its processes share, so that a full file system can be
            read; each connection then keeps all others out while it lasts, and lasts for one transaction.

    Raises:
        ConfigError: the URL is of neither database, or cannot be used. Its text never contains the password.
    """
    parsed = warehouse_url(url)
    if parsed.drivername in SQLITE:
        return _open_sqlite(parsed, lock_seconds, shares_memory=shares_memory)
    return open_postgresql(parsed, frozen_seconds)


def _open_sqlite(url: sa.URL, lock_seconds: float, *, shares_memory: bool) -> sa.Engine:
    if (path := sqlite_file(url)) is not None:
        make_sqlite_file(path)
    pool: dict[str, Any] = {} if shares_memory else {"poolclass": sa.NullPool}
    engine = create_engine(url, json_serializer=canonical_json, connect_args={"timeout": lock_seconds}, **pool)

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        # The driver's own transaction handling starts them deferred; ours start in `_begin` below.
        connection.isolation_level = None
        if not shares_memory:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        _switch_to_wal(connection)
        # In WAL mode NORMAL survives any death of a process; a power cut may cost the last commits, never consistency.
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA cache_size=-{_SQLITE_CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint={_SQLITE_CHECKPOINT_PAGES}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A transaction that reads first and writes later must own the write lock from its start: upgrading fails at
        # once with "database is locked" when another process wrote in between, whatever the busy timeout says.
        mode = "DEFERRED" if connection.get_execution_options().get("reads_only") else "IMMEDIATE"
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


def _switch_to_wal(connection: Any) -> None:
    for _ in range(_WAL_ATTEMPTS):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            # Another process makes this file at the same moment. The pragma does not wait for it; a transaction does.
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        else:
            return
    connection.execute("PRAGMA journal_mode=WAL")


@contextmanager
def transaction(engine: sa.Engine, doing: str) -> Iterator[sa.Connection]:
    """Open one writing transaction: committed at the end, rolled back on any error.

    Raises:
        WarehouseUnavailable: the database refused, vanished or was locked; `doing` says in what we were interrupted.
        ConfigError: it will continue refusing until a person has put it right.
    """
    with translate_db_errors(engine, doing), engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: sa.Engine, doing: str) -> Iterator[sa.Connection]:
    """Open one transaction that only reads: one consistent view, and no lock that a writer waits for.

    Raises:
        WarehouseUnavailable, ConfigError: as in `transaction`.
    """
    with (
        translate_db_errors(engine, doing),
        engine.connect() as connection,
        connection.execution_options(reads_only=True).begin(),
    ):
        yield connection


def can_write_now(engine: sa.Engine) -> bool:
    """Return whether no other process is inside of a transaction that holds back writers of the same tables."""
    with translate_db_errors(engine, "asking whether somebody is writing"), engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            return _can_lock_sqlite(connection.connection.driver_connection)
        return int(connection.execute(_OTHERS_WRITING).scalar_one()) == 0


#: Locks of other connections on tables of this schema, of the kinds that writing takes: whatever else the server does
#: is nobody's hindrance.
_OTHERS_WRITING = sa.text(
    "SELECT count(*) FROM pg_locks JOIN pg_class ON pg_class.oid = pg_locks.relation "
    "JOIN pg_database ON pg_database.oid = pg_locks.database AND datname = current_database() "
    "JOIN pg_namespace ON pg_namespace.oid = relnamespace AND nspname = current_schema() "
    "WHERE pid <> pg_backend_pid() AND mode IN ('RowShareLock', 'RowExclusiveLock')"
)


def _can_lock_sqlite(driver: Any) -> bool:
    (patience_ms,) = driver.execute("PRAGMA busy_timeout").fetchone()
    driver.execute("PRAGMA busy_timeout=0")
    try:
        driver.execute("BEGIN IMMEDIATE")
        driver.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return False
    else:
        return True
    finally:
        driver.execute(f"PRAGMA busy_timeout={patience_ms}")


def utc_now(dialect_name: str) -> sa.ColumnElement[Any]:
    """Return the SQL expression of the warehouse's own wall clock, not frozen at the start of the transaction."""
    if dialect_name == "sqlite":
        return sa.func.strftime("%Y-%m-%d %H:%M:%f000", "now")
    return sa.func.clock_timestamp()


def read_clock(connection: sa.Connection) -> datetime:
    """Return the warehouse's own time: the only clock that leases are measured with."""
    query = sa.select(sa.type_coerce(utc_now(connection.dialect.name), UtcDateTime()))
    return connection.execute(query).scalar_one()
