"""Our list beside the tables, row by row as it is read, before anything of it counts: in temporary tables.

A list that breaks off leaves nothing. While it is read nobody waits for us: SQLite writes its temporary tables without
the database's write lock, and in PostgreSQL nothing is locked that others use.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import sqlalchemy as sa

from sim_sync.core.inventory import EndOfList, Entry, Finding, InventorySim, ListWords, Rounding, StartOfList
from sim_sync.warehouse.engine import BulkInsert
from sim_sync.warehouse.postgresql import copy_into
from sim_sync.warehouse.tables import on_postgresql
from sim_sync.warehouse.temporary import analyzed

#: Rows in one statement: enough to be quick, few enough to need little memory.
CHUNK_ROWS = 5_000
#: What our list says of a SIM; a row is changed if any of it is.
TOLD = ("iccid_raw", "imsi", "msisdn", "imei", "eid", "status", "rate_plan", "label", "attributes")
#: The list's source may be slow to give the next row: longer than other transactions of ours are ever silent.
_PATIENCE = "SET LOCAL idle_in_transaction_session_timeout = '1h'"

_metadata = sa.MetaData()


def _temporary(name: str, *columns: Any) -> sa.Table:
    table = sa.Table(name, _metadata, *columns, prefixes=["TEMPORARY"])
    on_postgresql(table, table, postgresql_on_commit="DROP")
    return table


#: `position` counts the rows: of two rows with one ICCID the first counts.
listed = _temporary(
    "listed_sims",
    sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("source", sa.BigInteger()),
    sa.Column("row_number", sa.BigInteger()),
    sa.Column("rounding", sa.BigInteger()),
    *(sa.Column(name, sa.Text()) for name in ("iccid", *TOLD)),
)
repeated = _temporary(
    "repeated_rows",
    sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("source", sa.BigInteger()),
    sa.Column("row_number", sa.BigInteger()),
    sa.Column("iccid", sa.Text()),
    sa.Column("first_source", sa.BigInteger()),
    sa.Column("first_row", sa.BigInteger()),
)
findings = _temporary(
    "listed_findings",
    sa.Column("source", sa.Text(), primary_key=True),
    sa.Column("row_number", sa.BigInteger(), primary_key=True, autoincrement=False),
    sa.Column("column_name", sa.Text(), primary_key=True),
    sa.Column("carrier", sa.Text()),
    sa.Column("reason", sa.Text()),
    sa.Column("payload", sa.Text()),
)
_TABLES = (listed, repeated, findings)
#: Between the rows: where a list begins and ends.
_ENDS = (StartOfList, EndOfList)
_LISTED_COLUMNS = ("position", "source", "row_number", "rounding", "iccid", *TOLD)
_FINDING_COLUMNS = ("source", "row_number", "column_name", "carrier", "reason", "payload")
_INSERT_FINDINGS = BulkInsert(findings, _FINDING_COLUMNS, "ON CONFLICT (source, row_number, column_name) DO NOTHING")
_INSERT_LISTED = (
    f"INSERT INTO listed_sims ({', '.join(_LISTED_COLUMNS)}) VALUES ({', '.join('?' * len(_LISTED_COLUMNS))})"
)


class Staged(NamedTuple):
    """What stands in the temporary tables: SIMs, each once, and how many rows are SIMs of which we cannot say which.

    `sources` are the lists that were read, as the findings call them, and `refusal` is why nothing of them may be used.
    `is_empty` where that is only that one of them has no row.
    """

    sims: int
    hidden_sims: int
    sources: Sequence[str]
    refusal: str | None = None
    is_empty: bool = False


class Staging:
    """Fills the temporary tables of a connection with one carrier's part of a list, or of several."""

    def __init__(self, connection: sa.Connection, carrier: str, on_finding: Callable[[str, Finding], None]) -> None:
        self._connection = connection
        self._carrier = carrier
        self._on_finding = on_finding
        #: How findings of each list are put; rows before the first list began are of one without a name.
        self._lists = [ListWords()]
        self._rows = 0
        self._hidden_sims = 0
        self._refused: list[EndOfList] = []

    def fill(self, entries: Iterable[Entry], on_rows: Callable[[int], None]) -> Staged:
        """Take lists to their end; what stands in them twice, and what was rounded, becomes a finding.

        `on_rows` hears how many rows were taken so far.
        """
        create_tables(self._connection)
        remaining = iter(entries)
        while chunk := list(islice(remaining, CHUNK_ROWS)):
            self._take(chunk)
            on_rows(self._rows)
        self._make_findable()
        self._withdraw_repeated()
        sims = self._connection.execute(sa.select(sa.func.count()).select_from(listed)).scalar_one()
        worst = next(iter(sorted(self._refused, key=lambda end: end.is_empty)), EndOfList())
        sources = [words.source for words in self._lists]
        return Staged(sims, self._hidden_sims, sources, worst.refusal, is_empty=worst.is_empty)

    def _take(self, chunk: Sequence[Entry]) -> None:
        begin = 0
        for end, entry in enumerate(chunk):
            if isinstance(entry, _ENDS):
                self._take_rows(chunk[begin:end])
                begin = end + 1
                if isinstance(entry, StartOfList):
                    self._lists.append(entry.words)
                else:
                    self._end(entry)
        self._take_rows(chunk[begin:])

    def _end(self, end: EndOfList) -> None:
        if end.rounded_from is not None:
            self._withdraw_rounded(end.rounded_from)
        if end.refusal is not None:
            self._refused.append(end)

    def _take_rows(self, rows: Sequence[Entry]) -> None:
        self._append([row for row in rows if isinstance(row, InventorySim)])
        self._find(self._lists[-1].source, [row for row in rows if isinstance(row, Finding)])

    def _append(self, sims: list[InventorySim]) -> None:
        rows = []
        source = len(self._lists) - 1
        for sim in sims:
            if sim.carrier == self._carrier:
                self._rows += 1
                # The carrier stands first, and the last two columns first here.
                rows.append((self._rows, source, sim.row_number, sim.rounding, *sim[1:-2]))
        if not rows:
            return
        if self._connection.dialect.name == "sqlite":
            self._connection.exec_driver_sql(_INSERT_LISTED, rows)
        else:
            copy_into(self._connection, listed.name, _LISTED_COLUMNS, rows)

    def _find(self, source: str, found: Sequence[Finding]) -> None:
        self._hidden_sims += sum(finding.hides_sim for finding in found)
        rows = [
            (source, finding.row_number, finding.column, finding.carrier, finding.reason, finding.payload)
            for finding in found
        ]
        _INSERT_FINDINGS.execute(self._connection, rows)

    def _withdraw_rounded(self, rounded_from: Rounding) -> None:
        words, source = self._lists[-1], len(self._lists) - 1
        is_rounded = sa.and_(listed.c.rounding >= int(rounded_from), listed.c.source == source)
        chosen = sa.select(listed.c.position, listed.c.row_number, listed.c.iccid).where(is_rounded)
        for rows in self._pages(chosen, listed.c.position):
            self._find(words.source, [words.rounded(row.row_number, row.iccid, self._carrier) for row in rows])
        self._connection.execute(listed.delete().where(is_rounded))

    def _make_findable(self) -> None:
        if self._connection.dialect.name == "sqlite":
            self._connection.exec_driver_sql("CREATE INDEX temp.listed_iccid ON listed_sims (iccid, position)")
        analyzed(self._connection, listed)

    def _withdraw_repeated(self) -> None:
        """Of an ICCID that appears twice in the list, the first row counts."""
        by_iccid = sa.select(listed.c.iccid, sa.func.min(listed.c.position).label("first")).group_by(listed.c.iccid)
        twice = by_iccid.having(sa.func.count() > 1).subquery()
        first = listed.alias("first_listed")
        chosen = (
            sa.select(
                listed.c.position,
                listed.c.source,
                listed.c.row_number,
                listed.c.iccid,
                first.c.source.label("first_source"),
                first.c.row_number.label("first_row"),
            )
            .join(twice, twice.c.iccid == listed.c.iccid)
            .join(first, first.c.position == twice.c.first)
            .where(listed.c.position > twice.c.first)
        )
        self._connection.execute(repeated.insert().from_select([column.name for column in repeated.columns], chosen))
        for rows in self._pages(sa.select(repeated), repeated.c.position):
            found: dict[str, list[Finding]] = {}
            for row in rows:
                words = self._lists[row.source]
                elsewhere = None if row.source == row.first_source else self._lists[row.first_source]
                finding = words.repeated(row.row_number, row.iccid, self._carrier, row.first_row, elsewhere)
                found.setdefault(words.source, []).append(finding)
                self._on_finding(words.source, finding)
            for source, some in found.items():
                self._find(source, some)
        self._connection.execute(listed.delete().where(listed.c.position.in_(sa.select(repeated.c.position))))

    def _pages(self, chosen: sa.Select[Any], position: sa.Column[int]) -> Iterator[list[Any]]:
        last = 0
        while rows := list(
            self._connection.execute(chosen.where(position > last).order_by(position).limit(CHUNK_ROWS))
        ):
            yield rows
            last = rows[-1].position


def create_tables(connection: sa.Connection) -> None:
    """Create the temporary tables; what an earlier load of this connection has left is gone."""
    drop_tables(connection)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_PATIENCE)
    for table in _TABLES:
        table.create(connection, checkfirst=False)


def drop_tables(connection: sa.Connection) -> None:
    """Drop the temporary tables, if they are there; PostgreSQL does so at the end of the transaction."""
    schema = "temp" if connection.dialect.name == "sqlite" else "pg_temp"
    for table in _TABLES:
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {schema}.{table.name}")
