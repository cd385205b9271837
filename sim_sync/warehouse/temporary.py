"""Temporary tables of one transaction, and the lock under which loading and comparing a carrier exclude each other."""

import zlib
from collections.abc import Sequence

import sqlalchemy as sa

#: Any number that no other program locks in the same database, and that the migrations do not lock either.
_ADVISORY_LOCK = 7_461_747


def temporary_table(name: str, *columns: str, key: Sequence[str]) -> sa.Table:
    """Return a temporary table of text columns, to be created and dropped within one transaction."""
    return sa.Table(
        name,
        sa.MetaData(),
        *(sa.Column(column, sa.Text(), primary_key=column in key) for column in columns),
        prefixes=["TEMPORARY"],
        sqlite_with_rowid=False,
    )


def analyzed(connection: sa.Connection, table: sa.Table) -> None:
    """Tell PostgreSQL how large a temporary table has become; SQLite finds its way by the keys."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"ANALYZE {table.name}")


def lock_comparison(connection: sa.Connection, carrier: str) -> None:
    """Wait until nobody else loads or compares this carrier, and keep others waiting until the transaction ends.

    In SQLite a writing transaction is alone anyway.
    """
    if connection.dialect.name == "postgresql":
        number = zlib.crc32(carrier.encode()) - 2**31
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK, number)))
