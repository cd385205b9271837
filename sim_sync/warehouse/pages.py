"""The rows of a page: what is stored of its SIMs, how they are written, and what the database refuses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, StatementError

from sim_sync.core.errors import InternalError
from sim_sync.core.pages import (
    KnownSim,
    Page,
    PageDiff,
    QuarantinedRecord,
    Settled,
    Upsert,
    diff_page,
    iccids_to_look_up,
    settle_ids,
)
from sim_sync.core.quarantine import REFUSED_BY_DATABASE
from sim_sync.core.session import Session, SessionRecord, may_come_again
from sim_sync.core.sims import FieldChange, Sim, sim_digest
from sim_sync.core.storable import storable_json
from sim_sync.warehouse.engine import BulkInsert, UtcDateTime, is_one_of, list_parameter, text_of_json
from sim_sync.warehouse.failures import is_about_values, kind_of
from sim_sync.warehouse.seen import SeenNumbers, new_numbers, note_seen
from sim_sync.warehouse.tables import carrier_sims, quarantined_records, sim_changes

# What the warehouse holds of the SIMs of a page: under their ids, or under the other form of the ICCID that is the
# id.
#
# Runs inside the transaction that `store` opened; which stored SIM is which is decided in `core.pages`.


_BESIDE = ("last_changed_at", "last_seen_session", "vanished_at", "sim_number", "stored_digest")
#: A SIM that is marked as absent or vanished has to be written, whatever its record says.
_IS_COMPLETE = "absent_since IS NULL AND vanished_at IS NULL AND stored_digest IS NOT NULL AND sim_number IS NOT NULL"
#: Of a SIM that is as it was and that the walk has not seen: an earlier one.
_ANOTHER_WALK = ""


class _OfIds(NamedTuple):
    """What is known by the ids of a page: SIMs that are as they were, and the ids of rows that have to be read."""

    known: dict[str, KnownSim]
    unread: list[str]


def stored_beside(
    connection: sa.Connection,
    session: Session,
    sims: Sequence[Sim],
    seen: SeenNumbers,
    of_ids: _OfIds | None = None,
    *,
    may_come_again: bool = False,
) -> Settled:
    """Return the SIMs of a page under the ids that they are stored under, with what is stored of them.

    `of_ids`: what is known of it already.
    """

    def rows(column: str, values: Sequence[str]) -> Sequence[KnownSim]:
        return [_as_seen(row, session, seen) for row in _rows(connection, session.carrier, column, values)]

    known, unread = of_ids or _OfIds({}, [sim.sim_id for sim in sims])
    known = {**known, **({row.sim.sim_id: row for row in rows("sim_id", unread)} if unread else {})}
    iccids = iccids_to_look_up(sims, known)
    found = rows("iccid", iccids) if iccids else ()
    return settle_ids(sims, known, found, session.session_id, may_come_again=may_come_again)


def _as_seen(row: KnownSim, session: Session, seen: SeenNumbers) -> KnownSim:
    return row._replace(last_seen_session=session.session_id) if row.number in seen else row


def _rows(connection: sa.Connection, carrier: str, column: str, values: Sequence[str]) -> Sequence[KnownSim]:
    dialect = connection.dialect
    parameters = {"carrier": carrier, "wanted": list_parameter(dialect, values)}
    return [
        KnownSim(Sim._make(told), changed_at, session_id, vanished_at is not None, number, digest)
        for *told, changed_at, session_id, vanished_at, number, digest in connection.execute(
            _query(dialect.name, column), parameters
        )
    ]


def _compare_digests(
    connection: sa.Connection, session: Session, sims: Mapping[str, Sim], seen: SeenNumbers, now: datetime
) -> _OfIds:
    """Return the SIMs of a page that are as they are stored, by their digests, and whose rows have to be read."""
    parameters = {
        "carrier": session.carrier,
        "session_id": session.session_id,
        "sim_ids": list_parameter(connection.dialect, list(sims)),
    }
    found = _OfIds({}, [])
    for sim_id, digest, number, is_written in connection.execute(_digests(connection.dialect.name), parameters).all():
        sim = sims[sim_id]
        if digest is None or digest != sim_digest(sim):
            found.unread.append(sim_id)
        else:
            # Neither the time nor an earlier walk's name is asked for where nothing has changed.
            last_seen = session.session_id if is_written or number in seen else _ANOTHER_WALK
            found.known[sim_id] = KnownSim(sim, now, last_seen, number=number, digest=digest)
    return found


@cache
def _digests(dialect_name: str) -> sa.TextClause:
    return sa.text(
        f"SELECT sim_id, CASE WHEN {_IS_COMPLETE} THEN stored_digest END, sim_number, last_seen_session = :session_id "
        f"FROM carrier_sims WHERE carrier = :carrier AND {is_one_of(dialect_name, 'sim_id', 'sim_ids')}"
    )


@cache
def _query(dialect_name: str, column: str) -> sa.TextualSelect:
    json_columns = {"attributes", "quality_flags"}
    columns = ", ".join(text_of_json(dialect_name, name) if name in json_columns else name for name in Sim._fields)
    condition = is_one_of(dialect_name, column, "wanted")
    beside = f"{', '.join(_BESIDE[:-1])}, CASE WHEN {_IS_COMPLETE} THEN stored_digest END AS stored_digest"
    query = f"SELECT {columns}, {beside} FROM carrier_sims WHERE carrier = :carrier AND {condition}"
    return sa.text(query).columns(*(_read_as(name) for name in (*Sim._fields, *_BESIDE)))


def _read_as(name: str) -> sa.ColumnClause[object]:
    kind = carrier_sims.c[name].type
    return sa.column(name, kind if isinstance(kind, UtcDateTime | sa.Boolean) else sa.Text())


# The rows of a page: SIMs, their change history and unreadable records, in a handful of statements whatever its size.
#
# Runs inside the transaction that `store` opened and fenced; nothing here commits.


_KEPT_AT_FIRST_SIGHT = {"carrier", "sim_id", "first_seen_at", "first_session_number", "sim_number"}
_SIM_COLUMNS = (
    "carrier",
    *Sim._fields,
    *("first_seen_at", "last_changed_at", "last_seen_session", "first_session_number", "stored_digest", "sim_number"),
)
_OVERWRITTEN = ", ".join(f"{name} = excluded.{name}" for name in _SIM_COLUMNS if name not in _KEPT_AT_FIRST_SIGHT)

_UPSERT_SIMS = BulkInsert(
    carrier_sims,
    _SIM_COLUMNS,
    # A SIM that is seen again is neither absent nor vanished, however long it was.
    f"ON CONFLICT (carrier, sim_id) DO UPDATE SET {_OVERWRITTEN}, absent_since = NULL, vanished_at = NULL, "
    "sim_number = COALESCE(carrier_sims.sim_number, excluded.sim_number)",
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
    connection: sa.Connection,
    session: Session,
    sims: Sequence[Sim],
    now: datetime,
    seen: SeenNumbers,
    *,
    may_come_again: bool = False,
) -> PageDiff:
    """Bring the page's SIMs into `carrier_sims` and return what that changed; one that is as it was is only noted.

    Args:
        connection: in the page's transaction.
        session: the walk.
        sims: the page's.
        now: when they are written.
        seen: what the walk has noted before.
        may_come_again: the walk visits pages again, so a SIM that it has seen may come under its ICCID's other form.
    """
    if not sims:
        return PageDiff()
    latest = {sim.sim_id: sim for sim in sims}
    of_ids = _compare_digests(connection, session, latest, seen, now)
    if len(of_ids.known) == len(latest):
        new = [_number(row) for row in of_ids.known.values() if not _is_seen(row, session)]
        note_seen(connection, session, new)
        return PageDiff(unchanged=list(latest), first_seen=len(new))
    settled = stored_beside(connection, session, sims, seen, of_ids, may_come_again=may_come_again)
    return _write_settled(connection, session, settled, now, rows_of_all=False)


def write_settled(connection: sa.Connection, session: Session, settled: Settled, now: datetime) -> PageDiff:
    """Bring SIMs into `carrier_sims` that stand beside what is stored of them, and return what that changed.

    All their rows are written, so that each says that this walk saw it; by INSERT, which the database takes where it
    has refused a page that came by COPY.
    """
    return _write_settled(connection, session, settled, now, rows_of_all=True)


def _write_settled(
    connection: sa.Connection, session: Session, settled: Settled, now: datetime, *, rows_of_all: bool
) -> PageDiff:
    known = settled.known
    diff = diff_page(settled.sims, known, now, session.session_id)
    sims = {sim.sim_id: sim for sim in settled.sims}
    noted = [one for one in diff.unchanged if not rows_of_all and _is_complete(known[one], sims[one])]
    # One that is as it was may be marked as gone, or have no digest yet.
    again = [Upsert(sims[one], known[one].last_changed_at) for one in set(diff.unchanged).difference(noted)]
    _write(connection, session, [*diff.upserts, *again], known, now, all_new=not (known or rows_of_all))
    note_seen(connection, session, [_number(known[one]) for one in noted if not _is_seen(known[one], session)])
    return diff


def _is_complete(row: KnownSim, sim: Sim) -> bool:
    return row.digest is not None and (row.sim is sim or row.digest == sim_digest(sim))


def _is_seen(row: KnownSim, session: Session) -> bool:
    return row.last_seen_session == session.session_id


def _number(row: KnownSim) -> int:
    if row.number is None:
        raise InternalError(f"SIM {row.sim.sim_id} has a digest and no number")
    return row.number


def _write(
    connection: sa.Connection,
    session: Session,
    upserts: Sequence[Upsert],
    known: Mapping[str, KnownSim],
    now: datetime,
    *,
    all_new: bool,
) -> None:
    numbers = [None if (old := known.get(sim.sim_id)) is None else old.number for sim, _ in upserts]
    new = new_numbers(connection, session.carrier, numbers.count(None))
    of_walk = (session.session_id, session.session_number)
    rows = [
        (session.carrier, *sim, now, changed_at, *of_walk, sim_digest(sim), next(new) if number is None else number)
        for (sim, changed_at), number in zip(upserts, numbers, strict=True)
    ]
    # Who writes SIMs of a carrier has its open session locked: no row comes in since these were looked for.
    _UPSERT_SIMS.execute(connection, rows, all_new=all_new)


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
    connection: sa.Connection, record: SessionRecord, page: Page, now: datetime, seen: SeenNumbers
) -> tuple[Page, PageDiff]:
    """Write the SIMs, changes and quarantined records of a page, each that the database takes.

    Returns the page with the refused SIMs among its rejected records, and what was changed.

    Raises:
        DBAPIError: the database fails for another reason than the values.
    """
    session = record.session
    diffs: list[PageDiff] = []

    def write(sims: Sequence[Sim]) -> None:
        settled = stored_beside(connection, session, sims, seen, may_come_again=may_come_again(record, page))
        # Not noted: the next part goes by the rows, and what is noted here is not yet in `seen`.
        diff = write_settled(connection, session, settled, now)
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
        found.first_seen += diff.first_seen
    return found
