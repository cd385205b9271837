"""Temporary tables of one transaction, the locks of a carrier, and the rules under which it is loaded and compared.

One at a time for each carrier, and every join grows with the rows and not with their square, whatever the database
believes about their number: the tables have just been filled, so its statistics are missing or of another time.
"""

import zlib
from collections.abc import Sequence

import sqlalchemy as sa

#: Any number that no other program locks in the same database, and that the migrations do not lock either.
_ADVISORY_LOCK = 7_461_747
#: For the temporary tables and the joins of one comparison: what is more is on disk.
_MEMORY_KIB = 64 * 1024


def temporary_table(name: str, *columns: str, key: Sequence[str], numbers: Sequence[str] = ()) -> sa.Table:
    """Return a temporary table of text columns, to be created and dropped within one transaction.

    `numbers` are columns of whole numbers beside them.

    SQLite joins by looking up keys: a column that others are joined to is in `key` or has an index.
    """
    return sa.Table(
        name,
        sa.MetaData(),
        *(sa.Column(column, sa.Text(), primary_key=column in key) for column in columns),
        *(sa.Column(column, sa.BigInteger()) for column in numbers),
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
    lock_comparisons(connection, [carrier])


def lock_comparisons(connection: sa.Connection, carriers: Sequence[str]) -> None:
    """Do so for several carriers; in the order of the locks, so that nobody waits for who waits for them."""
    if connection.dialect.name == "postgresql":
        for number in sorted({_number_of(carrier) for carrier in carriers}):
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK, number)))
        _plan_for_many(connection)
    else:
        connection.exec_driver_sql(f"PRAGMA temp.cache_size = -{_MEMORY_KIB}")


def lock_carrier(connection: sa.Connection, carrier: str) -> None:
    """Be the only one, until the transaction ends, who opens a session of the carrier or writes its SIMs beside one.

    Of all locks that a transaction takes this is the first, so that nobody waits for who waits for them.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK + 2, _number_of(carrier))))


def _number_of(carrier: str) -> int:
    """Return 32 bits for a carrier's name; two carriers that have the same wait for each other, and that is all."""
    return zlib.crc32(carrier.encode()) - 2**31


def _plan_for_many(connection: sa.Connection) -> None:
    """Have PostgreSQL join by hash or by order until the transaction ends, and in memory.

    Where it takes a table for empty, a nested loop seems to cost nothing, and reads all of it once a row. All joins
    here are equalities of whole columns, so there is always another way.
    """
    connection.exec_driver_sql("SET LOCAL enable_nestloop = off")
    connection.exec_driver_sql(f"SET LOCAL work_mem = '{_MEMORY_KIB}kB'")


def lock_list(connection: sa.Connection) -> None:
    """Keep the loads of other carriers from writing down what is wrong with our list, until the transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK + 1)))
