"""Warehouses that exist for one trial, and digests of their tables to compare outcomes."""

import hashlib
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa

from sim_sync.core.errors import ConfigError, Problem
from sim_sync.core.storable import canonical_json
from sim_sync.warehouse.engine import open_engine, reading, transaction
from sim_sync.warehouse.tables import metadata
from sim_sync.warehouse.warehouse import Warehouse, open_warehouse

# Digests of what the tables hold, to compare the outcome of a disturbed sync with that of an undisturbed one.


#: What a second, undisturbed sync has otherwise: ids and times of a session, and what its disturbances cost.
_OF_THE_SESSION: Mapping[str, frozenset[str]] = {
    "carrier_sims": frozenset(
        {
            *("first_seen_at", "last_changed_at", "last_seen_session", "absent_since", "vanished_at"),
            *("first_session_number", "sim_number"),
        }
    ),
    "sim_changes": frozenset({"session_id", "changed_at"}),
    "sync_sessions": frozenset(
        {
            *(
                "session_id",
                "session_number",
                "fence",
                "owner",
                "lease_expires_at",
                "stalled_resumes",
                "retries",
                "throttled_seconds",
            ),
            *("started_at", "updated_at", "finished_at", "last_error", "last_error_at"),
        }
    ),
    "quarantined_records": frozenset({"id", "session_id", "quarantined_at"}),
}


def outcome_digests(engine: sa.Engine) -> dict[str, str]:
    """Return a digest of each table that a sync fills, blind to ids and times: equal outcomes have equal digests."""
    return {name: _digest(engine, name, hidden) for name, hidden in _OF_THE_SESSION.items()}


def exact_digests(engine: sa.Engine) -> dict[str, str]:
    """Return a digest of each table to the last bit: equal digests mean that nothing was written in between.

    Whether a run lives, and how fast carriers are asked, is no content: that is left out.
    """
    return {name: _digest(engine, name, frozenset()) for name in metadata.tables if name not in _NO_CONTENT}


_NO_CONTENT = frozenset({"run_leases", "rate_limits", "code_locations"})


def _digest(engine: sa.Engine, table_name: str, hidden: frozenset[str]) -> str:
    table = metadata.tables[table_name]
    columns = [column for column in table.columns if column.name not in hidden]
    # Where a part of the key is hidden, only all the columns together give rows one order.
    order = [_orderable(column) for column in sorted(columns, key=lambda column: not column.primary_key)]
    # Marks of absence are told as facts without their times.
    facts = [column.is_(None) for column in table.columns if column.name in {"absent_since", "vanished_at"} & hidden]
    digest = hashlib.sha256()
    with reading(engine, f"reading {table_name}") as connection:
        for row in connection.execute(sa.select(*columns, *facts).order_by(*order)):
            digest.update(canonical_json(list(row)).encode())
    return digest.hexdigest()[:16]


def _orderable(column: sa.Column[object]) -> sa.ColumnElement[object]:
    """Return a column by which both databases can order: JSON by its text."""
    return sa.cast(column, sa.Text()) if isinstance(column.type, sa.JSON) else column


# Warehouses that exist for one trial: a SQLite file in a folder of their own, or a schema of its own in PostgreSQL.


@contextmanager
def scratch_warehouse(server_url: str | None, folder: Path) -> Iterator[tuple[str, Warehouse]]:
    """Yield the URL of an empty warehouse and the warehouse; it is gone afterwards.

    `server_url` is a PostgreSQL database in which schemas may be created; None means SQLite.

    Raises:
        ConfigError: `server_url` is of another database.
    """
    if server_url is not None and not server_url.startswith("postgresql"):
        expected = "the URL of a PostgreSQL database, or none for SQLite"
        raise ConfigError([Problem("command line", "--url", expected, server_url.partition(":")[0])])
    name = f"sim_sync_selftest_{secrets.token_hex(4)}"
    if server_url is None:
        url = f"sqlite:///{folder / name}.db"
        yield from _opened(url)
        return
    _run(server_url, sa.schema.CreateSchema(name))
    try:
        separator = "&" if "?" in server_url else "?"
        yield from _opened(f"{server_url}{separator}options={quote(f'-csearch_path={name}')}")
    finally:
        _run(server_url, sa.schema.DropSchema(name, cascade=True))


def _opened(url: str) -> Iterator[tuple[str, Warehouse]]:
    warehouse = open_warehouse(url)
    try:
        yield url, warehouse
    finally:
        warehouse.close()


def _run(url: str, statement: sa.ExecutableDDLElement) -> None:
    engine = open_engine(url)
    try:
        with transaction(engine, "preparing a scratch schema") as connection:
            connection.execute(statement)
    finally:
        engine.dispose()
