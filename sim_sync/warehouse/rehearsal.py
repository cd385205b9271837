"""A copy of the warehouse in which a walk can be tried, and what trying it has changed. The warehouse itself is read.

The copy is a SQLite file in a folder of its own, so a dry run needs no more memory than a walk; it is gone afterwards.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from sim_sync.core.errors import InputError
from sim_sync.core.session import Session, State
from sim_sync.warehouse.engine import open_engine, reading, transaction
from sim_sync.warehouse.migrate import SchemaState, schema_state
from sim_sync.warehouse.postgresql import shown_url, warehouse_url
from sim_sync.warehouse.scratch import scratch_warehouse
from sim_sync.warehouse.sqlite_files import sqlite_file
from sim_sync.warehouse.tables import (
    carrier_internals,
    carrier_sims,
    inventory_findings,
    inventory_loads,
    inventory_sims,
    quarantined_records,
    session_internals,
    sim_changes,
    sim_discrepancies,
    sim_numbers,
    sync_sessions,
)
from sim_sync.warehouse.warehouse import Warehouse

_ROWS_AT_ONCE = 5_000
#: Sessions that are over: an open one is left out, for a dry run walks from the first page.
_OVER = sync_sessions.c.state.in_([State.COMPLETED.value, State.SUPERSEDED.value])
#: What a walk, a load and a comparison look at, of all carriers: a SIM may have moved.
_COPIED: Mapping[sa.Table, sa.ColumnElement[bool] | None] = {
    sync_sessions: _OVER,
    session_internals: session_internals.c.session_id.in_(sa.select(sync_sessions.c.session_id).where(_OVER)),
    carrier_internals: None,
    carrier_sims: None,
    sim_numbers: None,
    inventory_sims: None,
    inventory_loads: None,
    inventory_findings: None,
    sim_discrepancies: None,
}
_open_before = sa.Table(
    "open_before", sa.MetaData(), *(sa.Column(name, sa.Text(), primary_key=True) for name in ("iccid", "kind", "field"))
)


@dataclass(frozen=True, slots=True)
class Some:
    """How many there are, some of them as columns with values, and how many of each kind where there are kinds."""

    count: int
    examples: Sequence[Mapping[str, Any]]
    kinds: Mapping[str, int] = field(default_factory=dict)


@contextmanager
def opened_as_it_is(url: str) -> Iterator[sa.Engine | None]:
    """Open a warehouse by its URL without writing a byte; None where there are no tables yet.

    Raises:
        InputError: its tables are of an earlier version, and upgrading them would be writing.
        ConfigError, WarehouseUnavailable: as in `open_warehouse`.
    """
    path = sqlite_file(warehouse_url(url))
    if path is not None:
        if not path.exists():  # opening it would make it
            yield None
            return
        # Whoever may write brings the file up to date with its log when leaving.
        read_only = {"mode": "ro", "uri": "true"}
        url = sa.URL.create("sqlite", database=f"file:{quote(str(path))}", query=read_only).render_as_string()
    engine = open_engine(url)
    try:
        with reading(engine, "looking at the warehouse") as connection:
            state = schema_state(connection, engine)
        if state is SchemaState.OLDER:
            raise InputError(
                f"the tables of the warehouse {shown_url(engine.url)} are of an earlier version, and a dry run writes "
                "nothing: upgrade them first, as `sim-sync status` does"
            )
        yield None if state is SchemaState.MISSING else engine
    finally:
        engine.dispose()


@contextmanager
def rehearsal_of(engine: sa.Engine | None) -> Iterator[Warehouse]:
    """Yield a copy of a warehouse, empty where there is none, to be written to at will; it is gone afterwards."""
    with (
        TemporaryDirectory(prefix="sim_sync_dry_run_") as folder,
        scratch_warehouse(None, Path(folder)) as (_, copy),
    ):
        if engine is not None:
            with reading(engine, "copying the warehouse for a dry run") as source:
                for table, condition in _COPIED.items():
                    _copy(source, copy.engine, table, condition)
        yield copy


def _copy(source: sa.Connection, target: sa.Engine, table: sa.Table, condition: sa.ColumnElement[bool] | None) -> None:
    """Copy the rows of a table, JSON as the text that it is."""
    columns = [sa.cast(one, sa.Text()).label(one.name) if _is_json(one) else one for one in table.columns]
    plain = sa.table(
        table.name, *(sa.column(one.name, sa.Text() if _is_json(one) else one.type) for one in table.columns)
    )
    query = sa.select(*columns) if condition is None else sa.select(*columns).where(condition)
    streamed = query.execution_options(stream_results=True, yield_per=_ROWS_AT_ONCE)
    for rows in source.execute(streamed).mappings().partitions():
        with transaction(target, f"copying {table.name}") as connection:
            connection.execute(sa.insert(plain), [dict(row) for row in rows])


def _is_json(column: sa.Column[Any]) -> bool:
    return isinstance(column.type, sa.JSON)


def note_open(engine: sa.Engine, carrier: str) -> None:
    """Remember in the copy which discrepancies of the carrier are open."""
    kept = sim_discrepancies.c
    with transaction(engine, "remembering what is open") as connection:
        _open_before.create(connection)
        keys = [kept[column.name] for column in _open_before.columns]
        chosen = sa.select(*keys).where(kept.carrier == carrier, kept.resolved_at.is_(None))
        connection.execute(_open_before.insert().from_select([column.name for column in keys], chosen))


def rehearsed_discrepancies(engine: sa.Engine, carrier: str, most: int) -> tuple[Some, Some]:
    """Return the discrepancies that have been opened since `note_open`, and those that were resolved."""
    kept = sim_discrepancies.c
    was_open = sa.exists().where(*(kept[column.name] == column for column in _open_before.columns))
    told = ("kind", "field", "iccid", "ours", "theirs", "severity")
    with reading(engine, "reading what would be open") as connection:
        mine = kept.carrier == carrier
        opened = _some(connection, sim_discrepancies, sa.and_(mine, kept.resolved_at.is_(None), ~was_open), told, most)
        over = sa.and_(mine, kept.resolved_at.is_not(None), was_open)
        return opened, _some(connection, sim_discrepancies, over, told, most)


def rehearsed_walk(engine: sa.Engine, session: Session, most: int) -> Mapping[str, Some]:
    """Return what a walk over the copy has added, changed, quarantined and marked."""
    sims, changes, rejected = carrier_sims.c, sim_changes.c, quarantined_records.c
    mine = sims.carrier == session.carrier
    sim = ("sim_id", "iccid", "status")
    with reading(engine, "reading what would be written") as connection:
        changed = _some(
            connection,
            sim_changes,
            changes.session_id == session.session_id,
            ("sim_id", "field", "old_value", "new_value"),
            most,
        )
        return {
            "added": _some(
                connection, carrier_sims, sa.and_(mine, sims.first_session_number == session.session_number), sim, most
            ),
            "changed": Some(session.records_changed, changed.examples),
            "quarantined": _some(
                connection,
                quarantined_records,
                rejected.session_id == session.session_id,
                ("page_number", "position", "reason"),
                most,
            ),
            "absent": _some(
                connection, carrier_sims, sa.and_(mine, sims.absent_since == session.finished_at), sim, most
            ),
            "vanished": _some(
                connection, carrier_sims, sa.and_(mine, sims.vanished_at == session.finished_at), sim, most
            ),
        }


def _some(
    connection: sa.Connection, table: sa.Table, condition: sa.ColumnElement[bool], told: Sequence[str], most: int
) -> Some:
    count = sa.select(sa.func.count()).select_from(table).where(condition)
    chosen = sa.select(*(table.c[name] for name in told)).where(condition).order_by(*table.primary_key).limit(most)
    kinds: dict[str, int] = {}
    if "kind" in told:
        by_kind = (
            sa.select(table.c.kind, sa.func.count().label("number"))
            .where(condition)
            .group_by(table.c.kind)
            .order_by(table.c.kind)
        )
        kinds = {row.kind: row.number for row in connection.execute(by_kind)}
    examples = [dict(row) for row in connection.execute(chosen).mappings()]
    return Some(connection.execute(count).scalar_one(), examples, kinds)
