"""The rows of `quarantined_records`: listed, dropped, and replayed with today's mapping."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

import sqlalchemy as sa

from sim_sync.core.errors import InputError, WriteRefused
from sim_sync.core.pages import Settled
from sim_sync.core.quarantine import (
    REFUSED_BY_DATABASE,
    REPLAYED,
    Reread,
    StoredSim,
    is_outdated,
    missed_by,
    records_replayed,
)
from sim_sync.core.session import Session, State, SweepState
from sim_sync.core.sims import Sim
from sim_sync.core.storable import storable_text
from sim_sync.warehouse import pages, sessions
from sim_sync.warehouse.engine import read_clock, reading, text_of_json, transaction
from sim_sync.warehouse.pages import stored_beside
from sim_sync.warehouse.seen import SeenNumbers, last_seen_number, read_noted_walks
from sim_sync.warehouse.sessions import Locked
from sim_sync.warehouse.tables import carrier_sims, quarantined_records, sync_sessions
from sim_sync.warehouse.temporary import lock_carrier

# The rows of `quarantined_records` as people list, look at and drop them.


_FETCHED_AT_ONCE = 1000
_kept, _sims, _walks = quarantined_records.c, carrier_sims.c, sync_sessions.c


class QuarantineRow(NamedTuple):
    """One row of `quarantined_records`; open while `resolved_at` is None. `payload` is JSON text."""

    id: int
    carrier: str
    session_id: str
    page_number: int
    position: int
    reason: str
    payload: str
    quarantined_at: datetime
    resolved_at: datetime | None
    resolution: str | None


def quarantined(engine: sa.Engine, *, carrier: str | None = None, include_resolved: bool) -> Iterator[QuarantineRow]:
    """Yield the records of a carrier or of all, in the order in which they were met."""
    query = rows_query(engine.dialect.name).order_by(_kept.id)
    if carrier is not None:
        query = query.where(_kept.carrier == carrier)
    if not include_resolved:
        query = query.where(_kept.resolved_at.is_(None))
    with reading(engine, "listing quarantined records") as connection:
        for row in connection.execution_options(yield_per=_FETCHED_AT_ONCE).execute(query):
            yield QuarantineRow(*row)


def quarantined_by_id(engine: sa.Engine, ids: Sequence[int]) -> list[QuarantineRow]:
    """Return records by their ids, in the order of those.

    Raises:
        InputError: one is not there.
    """
    found: dict[int, QuarantineRow] = {}
    with reading(engine, "reading quarantined records") as connection:
        for one in dict.fromkeys(ids):
            row = connection.execute(rows_query(engine.dialect.name).where(_kept.id == one)).one_or_none()
            if row is None:
                raise InputError(f"no quarantined record {one}; `sim-sync quarantine list --all` lists them")
            found[one] = QuarantineRow(*row)
    return list(found.values())


def drop(engine: sa.Engine, ids: Sequence[int], reason: str) -> list[int]:
    """Give up open records for a reason, which stays beside them; return those that this did.

    Raises:
        InputError: one is not there, and nothing was written.
    """
    quarantined_by_id(engine, ids)
    is_open = sa.and_(_kept.id == sa.bindparam("b_id"), _kept.resolved_at.is_(None))
    with transaction(engine, "dropping quarantined records") as connection:
        values = {"resolved_at": read_clock(connection), "resolution": f"dropped: {storable_text(reason)}"}
        update = quarantined_records.update().where(is_open).values(**values)
        return [one for one in dict.fromkeys(ids) if connection.execute(update, {"b_id": one}).rowcount]


def rows_query(dialect_name: str) -> sa.Select[Any]:
    """Return the query for rows with the columns of `QuarantineRow`, the payload as it was written."""
    payload = sa.literal_column(text_of_json(dialect_name, "payload"), sa.Text()).label("payload")
    return sa.select(*(payload if name == "payload" else _kept[name] for name in QuarantineRow._fields))


# Puts quarantined records in as their walk would have, with today's mapping: the same rows, history and quality
# flags.
#
# One transaction for some records of one session: SIMs, changes, the session's counts and what became of the records.
# A page of the carrier is committed before it or after it, so what is newer is known. What may be written is decided
# in `core.quarantine`.


_AT_ONCE = 500
#: The sweeps that have marked what their walks did not see.
_SWEPT = (SweepState.DONE.value, SweepState.APPROVED.value)


class Replayed(NamedTuple):
    """What became of one record: its resolution, or else the reason why it stays."""

    id: int
    resolution: str | None
    reason: str | None = None


def replay(
    engine: sa.Engine, carrier: str, reread: Callable[[str], Reread], ids: Sequence[int] | None = None
) -> Iterator[Replayed]:
    """Replay the open records of a carrier, or those of them with these ids, the oldest walk first.

    Args:
        engine: the warehouse.
        carrier: its name.
        reread: reads a stored record with today's mapping.
        ids: which; None means all.

    Raises:
        WarehouseUnavailable: the database failed; what was yielded is done, and the rest may be replayed again.
    """
    for session_id, chosen in _open_records(engine, carrier, ids):
        for start in range(0, len(chosen), _AT_ONCE):
            yield from _replay_some(engine, carrier, session_id, chosen[start : start + _AT_ONCE], reread)


def _open_records(engine: sa.Engine, carrier: str, ids: Sequence[int] | None) -> Sequence[tuple[str, Sequence[int]]]:
    """Return the ids of open records by session: the oldest walk first, in the order of its pages."""
    records = quarantined_records.outerjoin(sync_sessions, _walks.session_id == _kept.session_id)
    query = (
        sa.select(_kept.session_id, _kept.id)
        .select_from(records)
        .where(_kept.carrier == carrier, _kept.resolved_at.is_(None))
        .order_by(_walks.session_number, _kept.session_id, _kept.page_number, _kept.position, _kept.id)
    )
    with reading(engine, f"reading the quarantined records of carrier {carrier}") as connection:
        rows = connection.execute(query).all()
    wanted = None if ids is None else set(ids)
    chosen = [row for row in rows if wanted is None or row.id in wanted]
    return [
        (session_id, [row.id for row in group]) for session_id, group in groupby(chosen, lambda row: row.session_id)
    ]


def _replay_some(
    engine: sa.Engine, carrier: str, session_id: str, ids: Sequence[int], reread: Callable[[str], Reread]
) -> Sequence[Replayed]:
    try:
        with transaction(engine, f"replaying quarantined records of session {session_id}") as connection:
            return _replay_in(connection, carrier, session_id, ids, reread)
    except WriteRefused as refused:
        if len(ids) > 1:
            return [done for one in ids for done in _replay_some(engine, carrier, session_id, [one], reread)]
        return _note_refusal(engine, ids[0], f"expected a record that the database takes: {refused}")


def _note_refusal(engine: sa.Engine, one: int, reason: str) -> Sequence[Replayed]:
    with transaction(engine, "writing down why a quarantined record stays") as connection:
        return _write_outcomes(connection, [Replayed(one, None, reason)], None)


def _replay_in(
    connection: sa.Connection, carrier: str, session_id: str, ids: Sequence[int], reread: Callable[[str], Reread]
) -> Sequence[Replayed]:
    lock_carrier(connection, carrier)
    sessions.keep_pages_out(connection, carrier)
    locked = sessions.lock_session(connection, session_id)
    rows = _lock_rows(connection, ids)
    if locked is None:
        gone = f"expected its session {session_id} in the warehouse, found none: its age is not known"
        return _write_outcomes(connection, [Replayed(row.id, None, gone) for row in rows], None)
    reread_rows = [(row, _reread(row, reread)) for row in rows]
    outdated = _put_in(connection, locked, reread_rows)
    done = [_outcome(row, found, outdated[row.id]) for row, found in reread_rows]
    return _write_outcomes(connection, done, locked.now)


def _lock_rows(connection: sa.Connection, ids: Sequence[int]) -> Sequence[QuarantineRow]:
    query = rows_query(connection.dialect.name).where(_kept.id.in_(ids), _kept.resolved_at.is_(None))
    order = (_kept.page_number, _kept.position, _kept.id)
    return [QuarantineRow(*row) for row in connection.execute(query.order_by(*order).with_for_update())]


def _reread(row: QuarantineRow, reread: Callable[[str], Reread]) -> Reread:
    # Such a record is not in the carrier's form: only a walk can read it again.
    return Reread([], row.reason) if row.reason.startswith(REFUSED_BY_DATABASE) else reread(row.payload)


def _put_in(
    connection: sa.Connection, locked: Locked, rows: Sequence[tuple[QuarantineRow, Reread]]
) -> Mapping[int, bool]:
    """Write what is no older than what is stored; return of each record whether all of it was older."""
    session, now = locked.record.session, locked.now
    sims = [sim for _, found in rows for sim in found.sims]
    readable = sum(found.reason is None for _, found in rows)
    may_come_again = locked.record.internals.walk_restarts > 0
    noted = read_noted_walks(connection, session.carrier)
    seen = next((walk for walk in noted if walk.session_number == session.session_number), SeenNumbers(0))
    settled = stored_beside(connection, session, sims, seen, may_come_again=may_come_again)
    sweeps = _sweeps_since(connection, session)
    stored = _stored(connection, session.carrier, settled.sims, noted)

    def is_old(sim: Sim) -> bool:
        return is_outdated(sim, stored.get(sim.sim_id), session.session_number, len(sweeps))

    newest = [sim for sim in settled.sims if not is_old(sim)]
    diff = pages.write_settled(connection, session, Settled(newest, settled.known), now)
    pages.write_changes(connection, session, diff.changes, now)
    _mark_missed(connection, session.carrier, newest, sweeps)
    after = records_replayed(locked.record, diff, sims=len(sims), readable=readable)
    sessions.write_record(connection, after, locked.record)
    ages = iter([is_old(sim) for sim in settled.sims[: len(sims)]])  # in the order in which they were given
    of_rows = {row.id: [next(ages) for _ in found.sims] for row, found in rows}
    return {row_id: bool(old) and all(old) for row_id, old in of_rows.items()}


def _stored(
    connection: sa.Connection, carrier: str, sims: Sequence[Sim], noted: Sequence[SeenNumbers]
) -> Mapping[str, StoredSim]:
    written_in = sa.func.coalesce(_walks.session_number, 0)
    is_present = sa.and_(_sims.absent_since.is_(None), _sims.vanished_at.is_(None))
    query = (
        sa.select(_sims.sim_id, _sims.sim_number, written_in, is_present, _sims.carrier_updated_at)
        .select_from(carrier_sims.outerjoin(sync_sessions, _walks.session_id == _sims.last_seen_session))
        .where(_sims.carrier == carrier, _sims.sim_id.in_([sim.sim_id for sim in sims]))
    )
    return {
        sim_id: StoredSim(last_seen_number(noted, number, written), *known)
        for sim_id, number, written, *known in connection.execute(query)
    }


def _sweeps_since(connection: sa.Connection, session: Session) -> Sequence[datetime]:
    marked_at = sa.func.coalesce(_walks.sweep_decided_at, _walks.finished_at)
    query = (
        sa.select(marked_at)
        .where(
            _walks.carrier == session.carrier,
            _walks.session_number > session.session_number,
            _walks.state == State.COMPLETED.value,
            _walks.sweep_state.in_(_SWEPT),
        )
        .order_by(_walks.session_number)
    )
    return [at for (at,) in connection.execute(query) if at is not None]


def _mark_missed(connection: sa.Connection, carrier: str, sims: Sequence[Sim], sweeps: Sequence[datetime]) -> None:
    if not (sims and sweeps):
        return
    is_one = sa.and_(_sims.carrier == carrier, _sims.sim_id.in_([sim.sim_id for sim in sims]))
    connection.execute(carrier_sims.update().where(is_one).values(**missed_by(sweeps)._asdict()))


def _outcome(row: QuarantineRow, found: Reread, is_old: bool) -> Replayed:
    if found.reason is not None:
        return Replayed(row.id, None, found.reason)
    return Replayed(row.id, "not needed: the warehouse has newer knowledge of its SIM" if is_old else REPLAYED)


def _write_outcomes(connection: sa.Connection, done: Sequence[Replayed], now: datetime | None) -> Sequence[Replayed]:
    for one in done:
        values = (
            {"reason": one.reason} if one.resolution is None else {"resolved_at": now, "resolution": one.resolution}
        )
        connection.execute(quarantined_records.update().where(_kept.id == one.id).values(**values))
    return done
