"""What SQLite and PostgreSQL say differently: many rows in one statement, COPY, a list as one parameter."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from sim_sync.core.pages import canonical_json
from sim_sync.warehouse.postgresql import BEHIND_POOLER
from sim_sync.warehouse.tables import UtcDateTime

# Many rows to PostgreSQL at once: COPY into a temporary table, which takes them two to three times as fast as arrays.
#
# Runs inside the transaction of its caller. Errors of the driver come as SQLAlchemy's, as from every other statement.


def copy_rows(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]
) -> str:
    """Put rows, tuples in the order of `columns`, beside a table, and return the name of the table they are in.

    It is emptied when the transaction ends, and kept for the next page of this connection; behind a pooler it is gone,
    because others use the connection too.
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
    copy_into(connection, staged, columns, rows)
    return staged


def copy_into(connection: sa.Connection, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    """Append rows to a table by COPY."""
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
    driver: Any = connection.connection.driver_connection
    with _translate_sqlalchemy_errors(connection, statement), driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


@contextmanager
def _translate_sqlalchemy_errors(connection: sa.Connection, statement: str) -> Iterator[None]:
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


# What SQLite and PostgreSQL say differently: many rows in one statement, and a list as one parameter.
#
# SQLite takes rows fastest by executemany; PostgreSQL takes few as one array a column, and many by COPY. Everything
# else is one code path.


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

    def execute(self, connection: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write the rows; none is nothing."""
        if not rows:
            return
        if connection.dialect.name == "sqlite":
            # Straight to the driver: a named parameter a value costs more than the database does.
            connection.exec_driver_sql(self._sqlite(), self._with_time_texts(rows))
        elif len(rows) >= _WORTH_A_COPY:
            staged = copy_rows(connection, self.table, self.columns, rows)
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
        places = [place for place, name in enumerate(self.columns) if self._is_time(name)]
        found = []
        for row in rows:
            values = list(row)
            for place in places:
                if values[place] is not None:
                    values[place] = _time_text(values[place])
            found.append(tuple(values))
        return found

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


def _time_text(time: datetime) -> str:
    """Return a time as SQLAlchemy writes it into SQLite: in UTC, with all six digits, without an offset."""
    if time.tzinfo is None:
        raise ValueError(f"expected an aware time, found {time!r}")
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def is_one_of(dialect_name: str, column: str, parameter: str) -> str:
    """Return the SQL for "the column is in this list", where the whole list is one parameter."""
    if dialect_name == "sqlite":
        return f"{column} IN (SELECT value FROM json_each(:{parameter}))"
    return f"{column} = ANY(CAST(:{parameter} AS text[]))"


def list_parameter(dialect: sa.Dialect, values: Sequence[str]) -> object:
    """Return a list of texts in the form that `is_one_of` takes it."""
    return canonical_json(list(values)) if dialect.name == "sqlite" else list(values)


def text_of_json(dialect_name: str, column: str) -> str:
    """Return the SQL for a JSON column's text as it was written."""
    return column if dialect_name == "sqlite" else f"{column}::text"
