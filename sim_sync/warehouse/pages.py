"""The rows of a page: what is stored of its SIMs, how they are written, and what the database refuses."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, StatementError

from sim_sync.core.errors import InternalError
from sim_sync.core.pages import (
    KnownSim,
    Page,
    PageDiff,
    QuarantinedRecord,
    ReadRecords,
    Settled,
    Unread,
    Upsert,
    diff_page,
    iccids_to_look_up,
    may_be_other_forms,
    settle_ids,
)
from sim_sync.core.quarantine import REFUSED_BY_DATABASE
from sim_sync.core.session import Session, SessionRecord, may_come_again
from sim_sync.core.sims import FieldChange, Sim, is_of_one_mapping, sim_digest
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


#: What is read of each SIM of a page: its id, both digests (none of a row that has to be written), its number, and
#: whether the session has written it.
_Digests: TypeAlias = tuple[str, int | None, int | None, int, bool]


class _Writing(NamedTuple):
    """Where a page is written: in which transaction, of which walk, what that has noted before, and when."""

    connection: sa.Connection
    session: Session
    seen: SeenNumbers
    now: datetime


class _Beside(NamedTuple):
    """What is stored of SIMs, by their ids, and which of the rows had to be read for that, digests being not enough."""

    known: dict[str, KnownSim]
    rows_read: list[str]


def stored_beside(
    connection: sa.Connection,
    session: Session,
    sims: Sequence[Sim],
    seen: SeenNumbers,
    known: Mapping[str, KnownSim] | None = None,
    *,
    may_come_again: bool = False,
) -> Settled:
    """Return the SIMs of a page under the ids that they are stored under, with what is stored of them.

    `known`: what is stored under their own ids, where that was read before.
    """
    if known is None:
        known = _known(connection, session, "sim_id", [sim.sim_id for sim in sims], seen)
    iccids = iccids_to_look_up(sims, known)
    found = _known(connection, session, "iccid", iccids, seen) if iccids else {}
    return settle_ids(sims, known, found.values(), session.session_id, may_come_again=may_come_again)


def _known(
    connection: sa.Connection, session: Session, column: str, values: Sequence[str], seen: SeenNumbers
) -> dict[str, KnownSim]:
    rows = _rows(connection, session.carrier, column, values)
    return {row.sim.sim_id: _as_seen(row, session, seen) for row in rows}


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


def _read_digests(connection: sa.Connection, session: Session, sim_ids: Collection[str]) -> dict[str, _Digests]:
    if not sim_ids:
        return {}
    parameters = {
        "carrier": session.carrier,
        "session_id": session.session_id,
        "sim_ids": list_parameter(connection.dialect, list(sim_ids)),
    }
    rows: Sequence[Any] = connection.execute(_digests(connection.dialect.name), parameters).all()
    return {row[0]: row for row in rows}


def _read_beside(writing: _Writing, read: ReadRecords, digests: Mapping[str, _Digests]) -> _Beside:
    """Return what is stored under the ids of SIMs; of those that are as they are stored, digests say that."""
    connection, session, seen, now = writing
    known: dict[str, KnownSim] = {}
    unread: list[str] = []
    for sim in {sim.sim_id: sim for sim in read.sims}.values():
        row = digests.get(sim.sim_id)
        if row is None:
            continue
        sim_id, digest, record_digest, number, is_written = row
        if digest is None or digest != sim_digest(sim) or _is_outdated(record_digest, read.digests.get(sim_id)):
            unread.append(sim_id)
        else:
            # Neither the time nor an earlier walk's name is asked for where nothing has changed.
            last_seen = session.session_id if is_written or number in seen else _ANOTHER_WALK
            known[sim_id] = KnownSim(sim, now, last_seen, number=number, digest=digest)
    rows = _known(connection, session, "sim_id", unread, seen) if unread else {}
    return _Beside(known | rows, unread)


def _is_outdated(stored: int | None, digest: int | None) -> bool:
    """Return whether a row wants a digest of its record: it has none, or that of another mapping.

    One of another record is kept while both mean the same: what changes every night without a meaning is not written.
    """
    return digest is not None and (stored is None or not is_of_one_mapping(stored, digest))


@cache
def _digests(dialect_name: str) -> sa.TextClause:
    of_complete = ", ".join(f"CASE WHEN {_IS_COMPLETE} THEN {name} END" for name in ("stored_digest", "record_digest"))
    return sa.text(
        f"SELECT sim_id, {of_complete}, sim_number, last_seen_session = :session_id "
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
    *("first_seen_at", "last_changed_at", "last_seen_session", "first_session_number"),
    *("stored_digest", "record_digest", "sim_number"),
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


def write_page_sims(
    connection: sa.Connection,
    session: Session,
    page: Page,
    now: datetime,
    seen: SeenNumbers,
    *,
    may_come_again: bool = False,
) -> tuple[Page, PageDiff]:
    """Bring a page's SIMs into `carrier_sims`; of one whose record is what it was, not even that is read.

    Returns the page with what was read of it, and what that changed.

    Args:
        connection: in the page's transaction.
        session: the walk.
        page: as it was fetched.
        now: when it is written.
        seen: what the walk has noted before.
        may_come_again: the walk visits pages again, so a SIM that it has seen may come under its ICCID's other form.
    """
    unread = page.unread or Unread({}, lambda _: ReadRecords(page.sims, page.rejected))
    wanted = unread.digests
    stored = _read_digests(connection, session, wanted)
    same = {sim_id: row for sim_id, row in stored.items() if row[2] is not None and row[2] == wanted[sim_id]}
    writing, read = _Writing(connection, session, seen, now), unread.read(same)
    stored |= _read_digests(connection, session, [sim.sim_id for sim in read.sims if sim.sim_id not in wanted])
    beside = _read_beside(writing, read, stored)
    if same and (not same.keys().isdisjoint(beside.known) or may_be_other_forms(read.sims, beside.known)):
        read, same = unread.whole, {}
        beside = _read_beside(writing, read, stored)
    diff, noted = _write_read(writing, read, beside, may_come_again=may_come_again)
    again = seen.without([row[3] for row in same.values() if not row[4]])
    note_seen(connection, session, [*noted, *again])
    diff.unchanged.extend(same)
    diff.first_seen += len(again)
    return replace(page, sims=read.sims, rejected=read.rejected, as_before=len(same), unread=None), diff


def write_settled(connection: sa.Connection, session: Session, settled: Settled, now: datetime) -> PageDiff:
    """Bring SIMs into `carrier_sims` that stand beside what is stored of them, and return what that changed.

    All their rows are written, so that each says that this walk saw it; by INSERT, which the database takes where it
    has refused a page that came by COPY.
    """
    diff = diff_page(settled.sims, settled.known, now, session.session_id)
    writing = _Writing(connection, session, SeenNumbers(session.session_number), now)
    _write(writing, settled, [*diff.upserts, *_again(settled, diff.unchanged)], {}, all_new=False)
    return diff


def _write_read(
    writing: _Writing, read: ReadRecords, beside: _Beside, *, may_come_again: bool
) -> tuple[PageDiff, list[int]]:
    """Write what is not as it is stored; return what that changed, and the numbers of SIMs that are left to note."""
    connection, session, seen, now = writing
    latest = {sim.sim_id: sim for sim in read.sims}
    if not beside.rows_read and len(beside.known) == len(latest):
        new = [_number(row) for row in beside.known.values() if not _is_seen(row, session)]
        return PageDiff(unchanged=list(latest), first_seen=len(new)), new
    settled = stored_beside(connection, session, read.sims, seen, beside.known, may_come_again=may_come_again)
    known, sims = settled.known, {sim.sim_id: sim for sim in settled.sims}
    diff = diff_page(settled.sims, known, now, session.session_id)
    # A digest is that of a record only where the SIM is what the record says, and nothing else.
    digests = {sim_id: digest for sim_id, digest in read.digests.items() if sims.get(sim_id) is latest.get(sim_id)}
    wants_digest = digests.keys() & beside.rows_read
    noted = [one for one in diff.unchanged if one not in wants_digest and _is_complete(known[one], sims[one])]
    # One that is as it was may be marked as gone, or have no digests yet.
    again = _again(settled, set(diff.unchanged).difference(noted))
    _write(writing, settled, [*diff.upserts, *again], digests, all_new=not known)
    return diff, [_number(known[one]) for one in noted if not _is_seen(known[one], session)]


def _again(settled: Settled, sim_ids: Collection[str]) -> list[Upsert]:
    return [
        Upsert(sim, settled.known[sim.sim_id].last_changed_at)
        for sim in {sim.sim_id: sim for sim in settled.sims}.values()
        if sim.sim_id in sim_ids
    ]


def _is_complete(row: KnownSim, sim: Sim) -> bool:
    return row.digest is not None and (row.sim is sim or row.digest == sim_digest(sim))


def _is_seen(row: KnownSim, session: Session) -> bool:
    return row.last_seen_session == session.session_id


def _number(row: KnownSim) -> int:
    if row.number is None:
        raise InternalError(f"SIM {row.sim.sim_id} has a digest and no number")
    return row.number


def _write(
    writing: _Writing,
    settled: Settled,
    upserts: Sequence[Upsert],
    record_digests: Mapping[str, int],
    *,
    all_new: bool,
) -> None:
    connection, session, _, now = writing
    known = settled.known
    numbers = [None if (old := known.get(sim.sim_id)) is None else old.number for sim, _ in upserts]
    new = new_numbers(connection, session.carrier, numbers.count(None))
    of_walk = (session.session_id, session.session_number)
    rows = [
        (
            *(session.carrier, *sim, now, changed_at, *of_walk),
            *(sim_digest(sim), record_digests.get(sim.sim_id), next(new) if number is None else number),
        )
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
