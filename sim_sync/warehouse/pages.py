"""The rows of a page: what is stored of its SIMs, how they are written, and what the database refuses."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, StatementError

from sim_sync.core.pages import (
    KnownSim,
    Page,
    PageDiff,
    QuarantinedRecord,
    Settled,
    diff_page,
    iccids_to_look_up,
    settle_ids,
)
from sim_sync.core.quarantine import REFUSED_BY_DATABASE
from sim_sync.core.session import Session, SessionRecord, may_come_again
from sim_sync.core.sims import FieldChange, Sim
from sim_sync.core.storable import storable_json
from sim_sync.warehouse.engine import BulkInsert, UtcDateTime, is_one_of, list_parameter, text_of_json
from sim_sync.warehouse.failures import is_about_values, kind_of
from sim_sync.warehouse.tables import carrier_sims, quarantined_records, sim_changes

# What the warehouse holds of the SIMs of a page: under their ids, or under the other form of the ICCID that is the
# id.
#
# Runs inside the transaction that `store` opened; which stored SIM is which is decided in `core.pages`.


_BESIDE = ("last_changed_at", "last_seen_session", "vanished_at")


def stored_beside(
    connection: sa.Connection,
    carrier: str,
    sims: Sequence[Sim],
    session_id: str | None = None,
    *,
    may_come_again: bool = False,
) -> Settled:
    """Return the SIMs of a page under the ids that they are stored under, with what is stored of them."""
    known = {row.sim.sim_id: row for row in _rows(connection, carrier, "sim_id", [sim.sim_id for sim in sims])}
    iccids = iccids_to_look_up(sims, known)
    found = _rows(connection, carrier, "iccid", iccids) if iccids else ()
    return settle_ids(sims, known, found, session_id, may_come_again=may_come_again)


def _rows(connection: sa.Connection, carrier: str, column: str, values: Sequence[str]) -> Sequence[KnownSim]:
    dialect = connection.dialect
    parameters = {"carrier": carrier, "wanted": list_parameter(dialect, values)}
    return [
        KnownSim(Sim._make(told), changed_at, session_id, vanished_at is not None)
        for *told, changed_at, session_id, vanished_at in connection.execute(_query(dialect.name, column), parameters)
    ]


@cache
def _query(dialect_name: str, column: str) -> sa.TextualSelect:
    json_columns = {"attributes", "quality_flags"}
    columns = ", ".join(text_of_json(dialect_name, name) if name in json_columns else name for name in Sim._fields)
    condition = is_one_of(dialect_name, column, "wanted")
    query = f"SELECT {columns}, {', '.join(_BESIDE)} FROM carrier_sims WHERE carrier = :carrier AND {condition}"
    return sa.text(query).columns(*(_read_as(name) for name in (*Sim._fields, *_BESIDE)))


def _read_as(name: str) -> sa.ColumnClause[object]:
    kind = carrier_sims.c[name].type
    return sa.column(name, kind if isinstance(kind, UtcDateTime | sa.Boolean) else sa.Text())


# The rows of a page: SIMs, their change history and unreadable records, in a handful of statements whatever its size.
#
# Runs inside the transaction that `store` opened and fenced; nothing here commits.


_KEPT_AT_FIRST_SIGHT = {"carrier", "sim_id", "first_seen_at", "first_session_number"}
_SIM_COLUMNS = (
    "carrier",
    *Sim._fields,
    *("first_seen_at", "last_changed_at", "last_seen_session", "first_session_number"),
)
_OVERWRITTEN = ", ".join(f"{name} = excluded.{name}" for name in _SIM_COLUMNS if name not in _KEPT_AT_FIRST_SIGHT)

_UPSERT_SIMS = BulkInsert(
    carrier_sims,
    _SIM_COLUMNS,
    # A SIM that is seen again is neither absent nor vanished, however long it was.
    f"ON CONFLICT (carrier, sim_id) DO UPDATE SET {_OVERWRITTEN}, absent_since = NULL, vanished_at = NULL",
)
_INSERT_CHANGES = BulkInsert(
    sim_changes,
    ("carrier", "sim_id", "session_id", "field", "old_value", "new_value", "changed_at"),
    # A second change within one walk: from what it was before the walk to what it is now.
    "ON CONFLICT (carrier, sim_id, session_id, field) "
    "DO UPDATE SET new_value = excluded.new_value, changed_at = excluded.changed_at",
)
_INSERT_QUARANTINED = BulkInsert(
    quarantined_records,
    ("carrier", "session_id", "page_number", "position", "reason", "payload", "quarantined_at"),
    "ON CONFLICT (session_id, page_number, position) DO NOTHING",
)


def write_sims(
    connection: sa.Connection, session: Session, sims: Sequence[Sim], now: datetime, *, may_come_again: bool = False
) -> PageDiff:
    """Bring the page's SIMs into `carrier_sims` and return what that changed.

    `may_come_again`: the walk visits pages again, so a SIM that it has seen may come under its ICCID's other form.
    """
    if not sims:
        return PageDiff()
    settled = stored_beside(connection, session.carrier, sims, session.session_id, may_come_again=may_come_again)
    return write_settled(connection, session, settled, now)


def write_settled(connection: sa.Connection, session: Session, settled: Settled, now: datetime) -> PageDiff:
    """Bring SIMs into `carrier_sims` that stand beside what is stored of them, and return what that changed."""
    diff = diff_page(settled.sims, settled.known, now, session.session_id)
    _UPSERT_SIMS.execute(
        connection,
        [
            (session.carrier, *sim, now, changed_at, session.session_id, session.session_number)
            for sim, changed_at in diff.upserts
        ],
    )
    _note_seen(connection, session, diff.unchanged)
    return diff


def _note_seen(connection: sa.Connection, session: Session, sim_ids: Sequence[str]) -> None:
    if not sim_ids:
        return
    dialect = connection.dialect
    connection.execute(
        _seen_statement(dialect.name),
        {
            "session_id": session.session_id,
            "carrier": session.carrier,
            "sim_ids": list_parameter(dialect, sim_ids),
        },
    )


@cache
def _seen_statement(dialect_name: str) -> sa.TextClause:
    return sa.text(
        "UPDATE carrier_sims SET last_seen_session = :session_id, absent_since = NULL, vanished_at = NULL "
        f"WHERE carrier = :carrier AND {is_one_of(dialect_name, 'sim_id', 'sim_ids')}"
    )


def write_changes(connection: sa.Connection, session: Session, changes: Sequence[FieldChange], now: datetime) -> None:
    """Append the page's field changes to the history."""
    _INSERT_CHANGES.execute(
        connection,
        [
            (session.carrier, change.sim_id, session.session_id, change.field, change.old_value, change.new_value, now)
            for change in changes
        ],
    )


def write_quarantined(
    connection: sa.Connection, session: Session, rejected: Sequence[QuarantinedRecord], now: datetime
) -> None:
    """Keep the records that could not be read, with their reasons."""

    def row(one: QuarantinedRecord) -> tuple[object, ...]:
        place = (session.pages_done + 1, one.position)
        return (session.carrier, session.session_id, *place, one.reason, one.payload, now)

    _INSERT_QUARANTINED.execute(connection, [row(one) for one in rejected])


# Writes a page that was refused as a whole: what the database does not take goes to quarantine, the rest is kept.
#
# Rows are written in halves under savepoints, until single ones are left. It is the net behind `core.storable`, which
# keeps values away that are known to be refused. Runs inside the transaction that `store` opened and fenced.


Item = TypeVar("Item")


def write_isolated(
    connection: sa.Connection, record: SessionRecord, page: Page, now: datetime
) -> tuple[Page, PageDiff]:
    """Write the SIMs, changes and quarantined records of a page, each that the database takes.

    Returns the page with the refused SIMs among its rejected records, and what was changed.

    Raises:
        DBAPIError: the database fails for another reason than the values.
    """
    session = record.session
    diffs: list[PageDiff] = []

    def write(sims: Sequence[Sim]) -> None:
        diff = write_sims(connection, session, sims, now, may_come_again=may_come_again(record, page))
        write_changes(connection, session, diff.changes, now)
        diffs.append(diff)

    refused = _refused(connection, list({sim.sim_id: sim for sim in page.sims}.values()), write)
    rejected = [*page.rejected, *_rejected(page, refused)]
    _quarantine(connection, session, rejected, now)
    return replace(page, rejected=rejected), _sum_of(diffs)


def _refused(
    connection: sa.Connection, items: Sequence[Item], write: Callable[[Sequence[Item]], object]
) -> list[tuple[Item, str]]:
    """Write items, and return those that the database refuses, each with the kind of its refusal."""
    if not items:
        return []
    try:
        with connection.begin_nested():
            write(items)
    except (StatementError, ValueError, OverflowError) as error:
        if isinstance(error, DBAPIError) and not is_about_values(error):
            raise
        if len(items) == 1:
            return [(items[0], kind_of(error))]
    else:
        return []
    middle = len(items) // 2
    return [*_refused(connection, items[:middle], write), *_refused(connection, items[middle:], write)]


def _rejected(page: Page, refused: Sequence[tuple[Sim, str]]) -> list[QuarantinedRecord]:
    """Return refused SIMs as records at their places in the page."""
    taken = {rejected.position for rejected in page.rejected}
    free = [position for position in range(len(page.sims) + len(taken)) if position not in taken]
    # A record may be several SIMs; then this is the place in the list of SIMs.
    places = {sim.sim_id: position for sim, position in zip(page.sims, free, strict=True)}
    return [
        QuarantinedRecord(places[sim.sim_id], f"{REFUSED_BY_DATABASE} ({kind})", _payload(sim)) for sim, kind in refused
    ]


def _payload(sim: Sim) -> str:
    return storable_json({name: str(value) for name, value in sim._asdict().items() if value is not None})


def _quarantine(
    connection: sa.Connection, session: Session, rejected: Sequence[QuarantinedRecord], now: datetime
) -> None:
    """Keep rejected records; one whose text is refused too is kept by its place and reason."""

    def write(some: Sequence[QuarantinedRecord]) -> None:
        write_quarantined(connection, session, some, now)

    bare = [replace(one, payload="{}") for one, _ in _refused(connection, rejected, write)]
    write_quarantined(connection, session, bare, now)


def _sum_of(diffs: Sequence[PageDiff]) -> PageDiff:
    found = PageDiff()
    for diff in diffs:
        found.upserts.extend(diff.upserts)
        found.unchanged.extend(diff.unchanged)
        found.changes.extend(diff.changes)
        found.added += diff.added
        found.changed += diff.changed
    return found
