"""How the warehouse is spoken to: connections and transactions, and what SQLite and PostgreSQL say differently.

The same rules hold for both: types of columns, many rows in one statement, a list as one parameter, the clock. SQLite
takes rows fastest by executemany; PostgreSQL takes new ones by COPY, and of others few as one array a column, and many
by COPY and a second statement. Everything else is one code path. Schema changes are in `migrations`, what an error of
the database means in `failures`.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import StatementError

from sim_sync.core.storable import canonical_json
from sim_sync.warehouse.failures import our_error
from sim_sync.warehouse.postgresql import SQLITE, copy_into, copy_rows, create_engine, open_postgresql, warehouse_url
from sim_sync.warehouse.sqlite_files import begin_in_turn, make_sqlite_file, sqlite_file, without_patience

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

# --- what the two say differently ------------------------------------------------------------------------------------


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware UTC time: `timestamptz` in PostgreSQL, ISO text without an offset in SQLite."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Refuse a naive time, and give the database UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"expected an aware time, found {value!r}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Return what the database has as an aware UTC time."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Money(sa.types.TypeDecorator[Decimal]):
    """An exact amount of up to four decimals: `numeric(16, 4)` in PostgreSQL.

    SQLite has no decimals: there it is the floating-point number nearest to the amount, from which the amount is read
    back exactly. Amounts are added up as whole ten-thousandths, never as such numbers.
    """

    impl = sa.Numeric(16, 4)
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Return how a database is given and gives the amount."""
        amount: sa.types.TypeEngine[Any] = sa.Numeric(16, 4)
        if dialect.name == "sqlite":
            amount = sa.Numeric(16, 4, asdecimal=False)
        return dialect.type_descriptor(amount)

    def process_bind_param(self, value: Decimal | None, dialect: sa.Dialect) -> Any:
        """Give the database the amount."""
        return float(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Decimal | None:
        """Return what the database has as an amount of four decimals."""
        return None if value is None else Decimal(str(value)).quantize(Decimal("0.0001"))


#: JSON whose text is kept as it was written, so that canonical texts can be compared.
JsonText = sa.JSON(none_as_null=True).with_variant(sqlite.JSON(none_as_null=True), "sqlite")
#: A row number that SQLite counts up by itself only if it is called INTEGER.
RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

#: From that many rows on, COPY and its second statement are quicker than arrays.
_WORTH_A_COPY = 200
_POSTGRESQL_TYPES: Mapping[type, str] = {
    sa.Text: "text",
    UtcDateTime: "timestamptz",
    sa.Boolean: "boolean",
    sa.BigInteger: "bigint",
    sa.JSON: "text",
}


@dataclass(frozen=True, slots=True, eq=False)
class BulkInsert:
    """An `INSERT ... ON CONFLICT` of many rows given as tuples in the order of `columns`.

    `conflict` is the rest of the statement after the values. `table` and `conflict` come from this program only.
    """

    table: sa.Table
    columns: tuple[str, ...]
    conflict: str

    def execute(self, connection: sa.Connection, rows: Sequence[tuple[Any, ...]], *, all_new: bool = False) -> None:
        """Write the rows; none is nothing. `all_new`: nobody has or writes a row with any of their keys."""
        if not rows:
            return
        if connection.dialect.name == "sqlite":
            # Straight to the driver: a named parameter a value costs more than the database does.
            connection.exec_driver_sql(self._sqlite(), self._with_time_texts(rows))
        elif all_new:
            copy_into(connection, self.table.name, self.columns, rows, types=self._types())
        elif len(rows) >= _WORTH_A_COPY:
            staged = copy_rows(connection, self.table, self.columns, rows, types=self._types())
            names = ", ".join(self.columns)
            connection.exec_driver_sql(self._insert(f"SELECT {names} FROM {staged}"))
        else:
            by_column = dict(zip(self.columns, map(list, zip(*rows, strict=True)), strict=True))
            connection.execute(self._arrays(), by_column)

    @cache  # noqa: B019 - a handful of statements, each a constant of its module
    def _sqlite(self) -> str:
        return self._insert(f"VALUES ({', '.join('?' * len(self.columns))})")

    def _with_time_texts(self, rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Return the rows with their times in the form in which SQLite keeps them."""
        places = self._time_places()
        texts: dict[int, str] = {}  # by the object: the time of a page stands in all its rows
        found = []
        for row in rows:
            values = list(row)
            for place in places:
                time = values[place]
                if time is not None:
                    values[place] = texts.get(id(time)) or texts.setdefault(id(time), _time_text(time))
            found.append(tuple(values))
        return found

    @cache  # noqa: B019 - as above
    def _time_places(self) -> list[int]:
        return [place for place, name in enumerate(self.columns) if self._is_time(name)]

    @cache  # noqa: B019 - as above
    def _types(self) -> list[str]:
        return [self._type(name) for name in self.columns]

    @cache  # noqa: B019 - as above
    def _arrays(self) -> sa.TextClause:
        arrays = ", ".join(f"CAST(:{name} AS {self._type(name)}[])" for name in self.columns)
        chosen = ", ".join(f"{name}::json" if self._is_json(name) else name for name in self.columns)
        return sa.text(self._insert(f"SELECT {chosen} FROM unnest({arrays}) AS given({', '.join(self.columns)})"))

    def _insert(self, values: str) -> str:
        return f"INSERT INTO {self.table.name} ({', '.join(self.columns)}) {values} {self.conflict}"

    def _type(self, name: str) -> str:
        kind = self.table.c[name].type
        return next(word for python_type, word in _POSTGRESQL_TYPES.items() if isinstance(kind, python_type))

    def _is_json(self, name: str) -> bool:
        return isinstance(self.table.c[name].type, sa.JSON)

    def _is_time(self, name: str) -> bool:
        return isinstance(self.table.c[name].type, UtcDateTime)


_TIME_TEXT = len("2026-01-01 00:00:00.000000")


def _time_text(time: datetime) -> str:
    """Return a time as SQLAlchemy writes it into SQLite: in UTC, with all six digits, without an offset."""
    if time.tzinfo is None:
        raise ValueError(f"expected an aware time, found {time!r}")
    return time.astimezone(UTC).isoformat(" ", "microseconds")[:_TIME_TEXT]


def is_one_of(dialect_name: str, column: str, parameter: str) -> str:
    """Return the SQL for "the column is in this list", where the whole list is one parameter."""
    if dialect_name == "sqlite":
        return f"{column} IN (SELECT value FROM json_each(:{parameter}))"
    return f"{column} = ANY(CAST(:{parameter} AS text[]))"


def insert_into(connection: sa.Connection, table: sa.Table) -> "sqlite.Insert | postgresql.Insert":
    """Return an `INSERT` that knows conflicts, as the database of a connection has it."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # here, because who reads a SQLite file has no use for it

    return postgresql.insert(table)


def list_parameter(dialect: sa.Dialect, values: Sequence[str]) -> object:
    """Return a list of texts in the form that `is_one_of` takes it."""
    return canonical_json(list(values)) if dialect.name == "sqlite" else list(values)


def text_of_json(dialect_name: str, column: str) -> str:
    """Return the SQL for a JSON column's text as it was written."""
    return column if dialect_name == "sqlite" else f"{column}::text"


# --- connections and transactions ------------------------------------------------------------------------------------

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
    **settings: str,
) -> sa.Engine:
    """Return an engine for a SQLAlchemy URL of SQLite or PostgreSQL; `postgresql://` means psycopg 3.

    Args:
        url: where the warehouse is.
        lock_seconds: how long a SQLite connection waits for another one's transaction.
        frozen_seconds: how long PostgreSQL tolerates silence inside of a transaction before it rolls it back.
        shares_memory: without it, SQLite makes no file for what its processes share, so that a full file system can be
            read; each connection then keeps all others out while it lasts, and lasts for one transaction.
        settings: of PostgreSQL, for every transaction of this engine.

    Raises:
        ConfigError: the URL is of neither database, or cannot be used. Its text never contains the password.
    """
    parsed = warehouse_url(url)
    if parsed.drivername in SQLITE:
        return _open_sqlite(parsed, lock_seconds, shares_memory=shares_memory)
    return open_postgresql(parsed, frozen_seconds, **settings)


def _open_sqlite(url: sa.URL, lock_seconds: float, *, shares_memory: bool) -> sa.Engine:
    path = sqlite_file(url)
    if path is not None:
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
        if connection.get_execution_options().get("reads_only"):
            connection.exec_driver_sql("BEGIN DEFERRED")
        elif path is None or not shares_memory:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            _begin_to_write(connection, path, lock_seconds)

    return engine


def _begin_to_write(connection: sa.Connection, path: Path, lock_seconds: float) -> None:
    def begin() -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    driver = connection.connection.driver_connection
    without_patience(driver, lambda: begin_in_turn(path, begin, lock_seconds))


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
def translate_db_errors(engine: sa.Engine, doing: str) -> Iterator[None]:
    """Turn an error of the database into one of ours; `doing` says in what we were interrupted.

    Raises:
        WarehouseUnavailable, WarehouseFull, ConfigError, WriteRefused: see `failures.our_error`.
    """
    try:
        yield
    except (StatementError, sa.exc.TimeoutError, ValueError, OverflowError) as error:
        raise our_error(engine, doing, error) from None


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
    def begin() -> None:
        driver.execute("BEGIN IMMEDIATE")
        driver.execute("ROLLBACK")

    try:
        without_patience(driver, begin)
    except sqlite3.OperationalError:
        return False
    return True


def utc_now(dialect_name: str) -> sa.ColumnElement[Any]:
    """Return the SQL expression of the warehouse's own wall clock, not frozen at the start of the transaction."""
    if dialect_name == "sqlite":
        return sa.func.strftime("%Y-%m-%d %H:%M:%f000", "now")
    return sa.func.clock_timestamp()


def read_clock(connection: sa.Connection) -> datetime:
    """Return the warehouse's own time: the only clock that leases are measured with."""
    query = sa.select(sa.type_coerce(utc_now(connection.dialect.name), UtcDateTime()))
    return connection.execute(query).scalar_one()
