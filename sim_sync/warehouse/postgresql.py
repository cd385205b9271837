"""Connections to PostgreSQL that behave alike whatever role, database or pooler stands before the tables.

Behind a pooler, the next transaction of this process may run on another connection, and this one may serve others: what
a transaction depends on is then set inside of it, with its BEGIN, and nothing is left behind on the server.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from sim_sync.core.errors import ConfigError, Problem
from sim_sync.core.pages import canonical_json
from sim_sync.warehouse.urls import create_engine, shown_url

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


def open_postgresql(url: sa.URL, frozen_seconds: float) -> sa.Engine:
    """Return an engine for a PostgreSQL database.

    Args:
        url: where it is.
        frozen_seconds: how long it tolerates silence inside of a transaction before it rolls it back.
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
    settings = _settings(str(url.query.get("options", "")), frozen_seconds)

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
        reads_only = connection.get_execution_options().get("reads_only")
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
