"""What SQLite and PostgreSQL say differently: many rows in one statement, and a list as one parameter.

SQLite takes rows fastest by executemany; PostgreSQL takes them as one array a column. Everything else is one code path.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sim_sync.core.pages import canonical_json
from sim_sync.warehouse.tables import UtcDateTime

_POSTGRESQL_TYPES: Mapping[type, str] = {
    sa.Text: "text",
    UtcDateTime: "timestamptz",
    sa.Boolean: "boolean",
    sa.BigInteger: "bigint",
    sa.JSON: "text",
}


@dataclass(frozen=True, slots=True)
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
            named = [dict(zip(self.columns, row, strict=True)) for row in rows]
            connection.execute(self._sqlite(), named)
        else:
            by_column = dict(zip(self.columns, map(list, zip(*rows, strict=True)), strict=True))
            connection.execute(self._postgresql(), by_column)

    def _sqlite(self) -> sa.TextClause:
        values = ", ".join(f":{name}" for name in self.columns)
        statement = sa.text(self._insert(f"VALUES ({values})"))
        return statement.bindparams(
            *(sa.bindparam(name, type_=UtcDateTime()) for name in self.columns if self._is_time(name))
        )

    def _postgresql(self) -> sa.TextClause:
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


def is_one_of(dialect: sa.Dialect, column: str, parameter: str) -> str:
    """Return the SQL for "the column is in this list", where the whole list is one parameter."""
    if dialect.name == "sqlite":
        return f"{column} IN (SELECT value FROM json_each(:{parameter}))"
    return f"{column} = ANY(CAST(:{parameter} AS text[]))"


def list_parameter(dialect: sa.Dialect, values: Sequence[str]) -> object:
    """Return a list of texts in the form that `is_one_of` takes it."""
    return canonical_json(list(values)) if dialect.name == "sqlite" else list(values)


def text_of_json(dialect: sa.Dialect, column: str) -> str:
    """Return the SQL for a JSON column's text as it was written."""
    return column if dialect.name == "sqlite" else f"{column}::text"
