"""What of a carrier goes to other systems: its SIMs, what differs, what its last night changed, as streams of batches.

Each stream is one query read row by row, in a transaction of the caller's that sees one state of the warehouse. Types
are declared here and never guessed: identifiers are texts, and a column without a value in any row has its type too.
PostgreSQL sends what `COPY` gives, which pyarrow parses; SQLite's rows go through Python.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sim_sync.warehouse.changes import changes_since
from sim_sync.warehouse.engine import Money, UtcDateTime, reading, translate_db_errors
from sim_sync.warehouse.postgresql import as_sqlalchemy_errors
from sim_sync.warehouse.sessions import read_last_completed
from sim_sync.warehouse.tables import carrier_sims, sim_discrepancies

if TYPE_CHECKING:  # whoever exports has it
    import pyarrow as pa

_ROWS_AT_ONCE = 10_000
_BLOCK_BYTES = 4 * 1024 * 1024
#: What the types of columns are called in Arrow. All others are texts, JSON as it was written too.
_ARROW_TYPES: Mapping[type, str] = {
    UtcDateTime: "time",
    Money: "amount",
    sa.Boolean: "bool",
    sa.BigInteger: "int",
}
#: A storage may be slow to take a table: longer than other transactions of ours are ever silent.
_PATIENCE = "SET LOCAL idle_in_transaction_session_timeout = '1h'"
_TIME_FORMAT = "YYYY-MM-DD HH24:MI:SS.US"


@dataclass(frozen=True, slots=True)
class ExportedRows:
    """The rows of one table, of one carrier, to be read as often as is wished."""

    table: str
    _connection: sa.Connection
    _query: sa.Select[Any]
    _streams: list[Generator["pa.RecordBatch", None, None]] = field(default_factory=list)

    @property
    def schema(self) -> "pa.Schema":
        """The Arrow schema: the columns in their order, all of them nullable."""
        import pyarrow as pa

        types = {
            "time": pa.timestamp("us", "UTC"),
            "amount": pa.decimal128(16, 4),
            "bool": pa.bool_(),
            "int": pa.int64(),
            "text": pa.string(),
        }
        return pa.schema([(column.name, types[_kind(column)]) for column in self._query.selected_columns])

    def batches(self) -> Iterator["pa.RecordBatch"]:
        """Yield the rows, some thousand at a time.

        Raises:
            WarehouseUnavailable: the database failed in between.
        """
        stream = self._read()
        self._streams.append(stream)
        return stream

    def close(self) -> None:
        """End all reading: a COPY that nobody reads to its end would keep the transaction from ending."""
        for stream in self._streams:
            stream.close()

    def _read(self) -> Generator["pa.RecordBatch", None, None]:
        read = _copied if self._connection.dialect.name == "postgresql" else _fetched
        doing = f"exporting {self.table}"
        with translate_db_errors(self._connection.engine, doing), as_sqlalchemy_errors(self._connection, doing):
            yield from read(self._connection, self._query, self.schema)


@contextmanager
def exported_rows(engine: sa.Engine, carrier: str) -> Iterator[Sequence[ExportedRows]]:
    """Lend what is exported of a carrier, as of one moment: its changes are those since its last complete walk began.

    Raises:
        WarehouseUnavailable, ConfigError: see `engine.reading`.
    """
    with reading(engine, f"exporting carrier {carrier}") as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(_PATIENCE)
        walk = next(iter(read_last_completed(connection, [carrier])), None)
        queries = _queries(carrier, None if walk is None else walk.started_at)
        with ExitStack() as stack:
            tables = [ExportedRows(name, connection, query) for name, query in queries.items()]
            for rows in tables:
                stack.callback(rows.close)
            yield tables


def _queries(carrier: str, since: datetime | None) -> Mapping[str, sa.Select[Any]]:
    changed = changes_since([carrier], since)
    return {
        "carrier_sims": sa.select(*carrier_sims.columns).where(carrier_sims.c.carrier == carrier),
        "sim_discrepancies": sa.select(*sim_discrepancies.columns).where(sim_discrepancies.c.carrier == carrier),
        "sim_changes": changed if since is not None else changed.where(sa.false()),
    }


def _kind(column: sa.ColumnElement[Any]) -> str:
    return next((word for kind, word in _ARROW_TYPES.items() if isinstance(column.type, kind)), "text")


# --- SQLite: rows as the driver has them ------------------------------------------------------------------------------


def _fetched(connection: sa.Connection, query: sa.Select[Any], schema: "pa.Schema") -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa

    shown = [_as_sqlite_has_it(column) for column in query.selected_columns]
    # The driver's own cursor: a row of SQLAlchemy's costs more than the rest.
    cursor = connection.execute(query.with_only_columns(*shown, maintain_column_froms=True)).cursor
    while cursor is not None and (rows := cursor.fetchmany(_ROWS_AT_ONCE)):
        columns = zip(zip(*rows, strict=True), schema, strict=True)
        yield pa.record_batch([_array(values, field.type) for values, field in columns], schema=schema)


def _as_sqlite_has_it(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    if _kind(column) == "amount":
        return sa.case((column.is_not(None), sa.func.printf("%.4f", column)))
    return column


def _array(values: Sequence[Any], wanted: "pa.DataType") -> "pa.Array":
    import pyarrow as pa

    if pa.types.is_timestamp(wanted):
        return pa.array(values, pa.string()).cast(pa.timestamp("us")).cast(wanted)
    if pa.types.is_decimal(wanted):
        return pa.array(values, pa.string()).cast(wanted)
    if pa.types.is_boolean(wanted):
        return pa.array(values, pa.int64()).cast(wanted)
    return pa.array(values, wanted)


# --- PostgreSQL: COPY, parsed by pyarrow ------------------------------------------------------------------------------


def _copied(connection: sa.Connection, query: sa.Select[Any], schema: "pa.Schema") -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa
    from pyarrow import csv

    shown = [_as_copied(column) for column in query.selected_columns]
    compiled = query.with_only_columns(*shown, maintain_column_froms=True).compile(
        dialect=connection.dialect, compile_kwargs={"render_postcompile": True}
    )
    driver: Any = connection.connection.driver_connection
    statement = f"COPY ({compiled}) TO STDOUT (FORMAT csv, ENCODING 'UTF8')"
    # An empty field without quotes is NULL; one in quotes is an empty text.
    convert = csv.ConvertOptions(
        column_types=schema, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
    )
    parse = csv.ParseOptions(newlines_in_values=True)
    with driver.cursor() as cursor, cursor.copy(statement, compiled.params) as copy:
        for block in _blocks_of_rows(copy):
            # All of it at once: a row that two blocks share is refused.
            reading = csv.ReadOptions(column_names=schema.names, block_size=len(block) + 1, use_threads=False)
            yield from csv.read_csv(pa.BufferReader(block), reading, parse, convert).to_batches()


def _blocks_of_rows(copy: Any) -> Iterator[bytes]:
    """Yield what a COPY sends, some megabytes at a time: whole rows, each of which the server sends by itself."""
    rows, size = [], 0
    while row := copy.read():
        rows.append(row)
        size += len(row)
        if size >= _BLOCK_BYTES:
            yield b"".join(rows)
            rows, size = [], 0
    if rows:
        yield b"".join(rows)


def _as_copied(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return a column as pyarrow's parser wants it, whatever the server's date style is."""
    if _kind(column) == "time":
        told = sa.func.to_char(sa.func.timezone("UTC", column), sa.literal_column(f"'{_TIME_FORMAT}\"Z\"'"))
        return told.label(column.name)
    if _kind(column) == "bool":
        return sa.cast(column, sa.Text()).label(column.name)
    return column
