"""URLs of databases, and connections to PostgreSQL that behave alike whatever stands before the tables."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from sim_sync.core.errors import ConfigError, Problem
from sim_sync.core.storable import canonical_json

# URLs of databases: parsed, checked before anything is opened, and shown without their secrets.


SQLITE = frozenset({"sqlite", "sqlite+pysqlite"})
_EXPECTED = "a SQLAlchemy URL such as sqlite:///warehouse.db or postgresql://user:password@host/database"
#: What Python's driver takes, and with `uri=true` SQLite itself (https://www.sqlite.org/uri.html).
_SQLITE_OPTIONS = frozenset({"timeout", "isolation_level", "detect_types", "check_same_thread", "cached_statements"})
_SQLITE_FILE_OPTIONS = frozenset({"uri", "mode", "cache", "vfs", "psow", "nolock", "immutable", "modeof"})


def parse_url(url: str) -> sa.URL:
    """Return a URL in the one form in which its password is never shown.

    Raises:
        ValueError: it is not a URL. The text is not repeated, for it may hold a password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError("expected a SQLAlchemy URL") from None
    if "@" in (parsed.host or ""):  # the rest of a password would be taken for a host, and shown
        raise ValueError("expected a SQLAlchemy URL in whose password an @ is written as %40")
    if "password" not in parsed.query:
        return parsed
    # libpq takes it there too, but SQLAlchemy hides it only where it expects it.
    password = str(parsed.query["password"])
    return parsed.difference_update_query(["password"]).set(password=password)


def warehouse_url(url: str) -> sa.URL:
    """Return the URL of a warehouse.

    Raises:
        ConfigError: it is not a URL, of neither database, in memory, or has an option that its database does not know.
    """
    try:
        parsed = parse_url(url)
    except ValueError as problem:
        expected = f"{_EXPECTED}; an @ in the password is written as %40" if "%40" in str(problem) else _EXPECTED
        raise _problem(expected, "something that is not a URL") from None
    if parsed.drivername not in SQLITE and parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise _problem(_EXPECTED, parsed.drivername)
    if parsed.drivername in SQLITE and _is_in_memory(parsed):
        raise _problem("a URL that names a file", "a database in memory, which ends with its process")
    _refuse_unknown_options(parsed)
    return parsed


def is_for_many_hosts(url: str) -> bool:
    """Return whether a warehouse is one that hosts share; a SQLite file is one host's own.

    Raises:
        ConfigError: as `warehouse_url`.
    """
    return warehouse_url(url).drivername not in SQLITE


def shown_url(url: sa.URL) -> str:
    """Return a URL for people: where the warehouse is, without any secret."""
    place = {name: value for name, value in url.query.items() if name in {"host", "port", "mode", "uri"}}
    return url.set(query=place).render_as_string(hide_password=True)


def create_engine(url: sa.URL, **options: Any) -> sa.Engine:
    """Return an engine whose errors show no values of rows.

    Raises:
        ConfigError: the URL cannot be used.
    """
    try:
        return sa.create_engine(url, hide_parameters=True, **options)
    except (SQLAlchemyError, ValueError, TypeError) as problem:
        found = str(problem).partition("\n")[0].replace(str(url.password), "***")
        raise _problem(_EXPECTED, found) from None


def _is_in_memory(url: sa.URL) -> bool:
    return url.database in {None, "", ":memory:", "file::memory:"} or url.query.get("mode") == "memory"


def _refuse_unknown_options(url: sa.URL) -> None:
    known = _sqlite_options(url) if url.drivername in SQLITE else _postgresql_options()
    for name in url.query:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            expected = f"options of {'SQLite' if url.drivername in SQLITE else 'PostgreSQL'}"
            raise _problem(expected, f"the unknown option {name!r}" + (f"; did you mean {near[0]}?" if near else ""))


def _sqlite_options(url: sa.URL) -> frozenset[str]:
    return _SQLITE_OPTIONS | (_SQLITE_FILE_OPTIONS if "uri" in url.query else {"uri"})


def _postgresql_options() -> frozenset[str]:
    from psycopg.pq import Conninfo

    return frozenset(option.keyword.decode() for option in Conninfo.get_defaults())


def _problem(expected: str, found: str) -> ConfigError:
    return ConfigError([Problem("warehouse", "url", expected, found)])


# Connections to PostgreSQL that behave alike whatever role, database or pooler stands before the tables.
#
# Behind a pooler, the next transaction of this process may run on another connection, and this one may serve others:
# what a transaction depends on is then set inside of it, with its BEGIN, and nothing is left behind on the server.


#: How long to wait for a PostgreSQL server to take a connection, in seconds.
CONNECT_TIMEOUT_SECONDS = 10
#: A server that vanished without a word is noticed by the system's probes, not by the next hour of silence.
_PROBES = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}
#: What roles and databases may have otherwise, and every statement of ours depends on: times are read in UTC and in ISO
#: form, NULL in an array is NULL, a backslash in a text is one, and a float keeps its digits.
_SETTINGS = {
    "TimeZone": "'UTC'",
    "DateStyle": "'ISO'",
    "array_nulls": "on",
    "standard_conforming_strings": "on",
    "extra_float_digits": "1",
}
#: In the connection's `info`: whether another program hands its transactions to connections of its own.
BEHIND_POOLER = "behind_pooler"
#: The option of a connection that holds something beyond transactions, and needs none.
NO_TRANSACTION = "no_transaction"


def open_postgresql(url: sa.URL, frozen_seconds: float, **settings: str) -> sa.Engine:
    """Return an engine for a PostgreSQL database.

    Args:
        url: where it is.
        frozen_seconds: how long it tolerates silence inside of a transaction before it rolls it back.
        settings: what its transactions depend on besides, each as it stands behind `SET name =`.
    """
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        # The driver begins no transaction by itself; `_begin` does, in one round trip with all that it depends on.
        isolation_level="AUTOCOMMIT",
        json_serializer=canonical_json,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "application_name": "sim_sync",
            "client_encoding": "utf8",
            **_PROBES,
        },
    )
    settings = _settings(str(url.query.get("options", "")), frozen_seconds) | settings

    @sa.event.listens_for(engine, "connect")
    def _set_up(connection: Any, record: Any) -> None:
        _refuse_other_encoding(engine.url, connection.info.parameter_status("server_encoding"))
        record.info[BEHIND_POOLER] = _is_behind_pooler(connection)
        if record.info[BEHIND_POOLER]:
            # A statement that was prepared on one connection of the pool is not there on the next.
            connection.prepare_threshold = None
        else:
            connection.execute(_assignments("SET", settings))

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        options = connection.get_execution_options()
        if options.get(NO_TRANSACTION):
            return
        reads_only = options.get("reads_only")
        begin = f"BEGIN ISOLATION LEVEL {'REPEATABLE READ READ ONLY' if reads_only else 'READ COMMITTED'}"
        is_ours_alone = not connection.info[BEHIND_POOLER]
        connection.exec_driver_sql(begin if is_ours_alone else f"{begin}; {_assignments('SET LOCAL', settings)}")

    return engine


def _settings(options: str, frozen_seconds: float) -> dict[str, str]:
    """Return what every transaction depends on; time limits among the URL's `options` stay what they say."""
    limits = {
        # A worker that freezes in mid-transaction would hold its session's row forever: the server ends it.
        "idle_in_transaction_session_timeout": str(round(frozen_seconds * 1000)),
        # A role's limit is meant for people: the comparison of a large fleet takes a minute.
        "statement_timeout": "0",
    }
    return _SETTINGS | {name: value for name, value in limits.items() if name not in options}


def _assignments(verb: str, settings: Mapping[str, str]) -> str:
    return "; ".join(f"{verb} {name} = {value}" for name, value in settings.items())


def _refuse_other_encoding(url: sa.URL, encoding: str | None) -> None:
    """Refuse a database that cannot hold every text: it would refuse single SIMs, or mix up their letters."""
    if encoding not in {None, "UTF8"}:
        expected = "a database in UTF-8 (CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0)"
        raise ConfigError([Problem("warehouse", shown_url(url), expected, f"one in {encoding}")])


def _is_behind_pooler(connection: Any) -> bool:
    """Return whether the process that we were connected with is another one than that which runs our statements."""
    (pid,) = connection.execute("SELECT pg_backend_pid()").fetchone()
    return bool(pid != connection.info.backend_pid)


# Many rows to PostgreSQL at once, by COPY: new ones into their table, others into a temporary one, from where one
# statement brings them to theirs.
#
# Runs inside the transaction of its caller. Errors of the driver come as SQLAlchemy's, as from every other statement.


def copy_rows(
    connection: sa.Connection,
    table: sa.Table,
    columns: Sequence[str],
    rows: Iterable[tuple[Any, ...]],
    *,
    types: Sequence[str] = (),
) -> str:
    """Put rows, tuples in the order of `columns`, beside a table, and return the name of the table they are in.

    It is emptied when the transaction ends, and kept for the next page of this connection; behind a pooler it is gone,
    because others use the connection too. `types`: as for `copy_into`.
    """
    staged = f"staged_{table.name}"
    names = ", ".join(columns)
    at_the_end = "DROP" if connection.info.get(BEHIND_POOLER) else "DELETE ROWS"
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {staged} ON COMMIT {at_the_end} AS "
        f"SELECT {names} FROM {table.name} WITH NO DATA"
    )
    # A second batch in the same transaction finds the first one there.
    connection.exec_driver_sql(f"TRUNCATE {staged}")
    copy_into(connection, staged, columns, rows, types=types)
    return staged


def copy_into(
    connection: sa.Connection,
    table: str,
    columns: Sequence[str],
    rows: Iterable[tuple[Any, ...]],
    *,
    types: Sequence[str] = (),
) -> None:
    """Append rows to a table by COPY.

    `types`: PostgreSQL's words for the values' types, in the order of `columns`; JSON that is text already is text.
    With them values are sent as the server keeps them, which costs a third of their texts.
    """
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN{' (FORMAT BINARY)' if types else ''}"
    driver: Any = connection.connection.driver_connection
    with as_sqlalchemy_errors(connection, statement), driver.cursor() as cursor, cursor.copy(statement) as copy:
        if types:
            copy.set_types(types)
        for row in rows:
            copy.write_row(row)


@contextmanager
def as_sqlalchemy_errors(connection: sa.Connection, statement: str) -> Iterator[None]:
    """Turn an error of the driver that is used beside SQLAlchemy into the one that SQLAlchemy would raise."""
    driver_error: Any = connection.dialect.loaded_dbapi.Error
    try:
        yield
    except driver_error as error:
        is_cut = connection.dialect.is_disconnect(error, None, None)
        if is_cut:
            connection.invalidate()
        raise sa.exc.DBAPIError.instance(
            statement, None, error, driver_error, connection_invalidated=is_cut, dialect=connection.dialect
        ) from error
