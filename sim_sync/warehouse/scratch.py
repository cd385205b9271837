"""Warehouses that exist for one trial: a SQLite file in a folder of their own, or a schema of its own in PostgreSQL."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa

from sim_sync.core.errors import ConfigError, Problem
from sim_sync.warehouse.engine import open_engine, transaction
from sim_sync.warehouse.warehouse import Warehouse, open_warehouse


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
