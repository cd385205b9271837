"""Opening, resuming, superseding and giving up a session in the tables, as `core.opening` decided.

Runs inside the transaction that `store` opened; nothing here commits.
"""

import secrets
from datetime import datetime

import sqlalchemy as sa

from sim_sync.core import session_events
from sim_sync.core.opening import (
    FailedOpening,
    GiveUp,
    Opened,
    OpeningDecision,
    OpenNew,
    OpenRequest,
    Refuse,
    Resume,
    lets_it_fail,
)
from sim_sync.core.pages import cursor_digest
from sim_sync.core.session import Session, SessionRecord, State
from sim_sync.warehouse.sessions import forget_cursors, forget_lookups, insert_record, note_cursor, write_record
from sim_sync.warehouse.tables import (
    carrier_internals,
    carrier_sims,
    inventory_sims,
    seen_sims,
    session_internals,
    sync_sessions,
)


def carry_out_decision(
    connection: sa.Connection,
    record: SessionRecord | None,
    decision: OpeningDecision,
    request: OpenRequest,
    now: datetime,
) -> Opened:
    """Do what was decided about the carrier's open session, and return how it stands now."""
    if record is None:
        return Opened(_insert_new(connection, request, now))
    match decision:
        case OpenNew(reason):
            write_record(connection, session_events.superseded(record, reason, now), record)
            forget_cursors(connection, record.session.session_id)
            forget_lookups(connection, record.session.session_id)
            return Opened(_insert_new(connection, request, now))
        case Resume():
            taken = session_events.taken_over(record, request, decision, now)
            return Opened(write_record(connection, taken, record))
        case GiveUp(reason):
            failed = session_events.gave_up(record, reason, now)
            return Opened(write_record(connection, failed, record), refusal=reason)
        case Refuse(reason):
            return Opened(record.session, refusal=reason)


def carry_out_failure(
    connection: sa.Connection, record: SessionRecord | None, failed: FailedOpening, now: datetime
) -> Session | None:
    """Let the open session fail whose run could not open it; without one, write down one that has failed."""
    if record is None:
        if failed.session_id is not None:  # it is over by now
            return None
        session_id = new_session_id(failed.carrier, now, secrets.token_hex(2))
        number = next_session_number(connection, failed.carrier)
        record = session_events.failed_to_open(failed, session_id, number, now)
        insert_record(connection, record)
        return record.session
    if not lets_it_fail(record.session, failed, now):
        return record.session
    return write_record(connection, session_events.opening_failed(record, failed.reason, now), record)


def _insert_new(connection: sa.Connection, request: OpenRequest, now: datetime) -> Session:
    session_id = new_session_id(request.carrier, now, secrets.token_hex(2))
    number = next_session_number(connection, request.carrier)
    expected = expected_sims(connection, request.carrier)
    record = session_events.opened(request, session_id, number, expected, now)
    insert_record(connection, record)
    note_cursor(connection, session_id, cursor_digest(request.first_cursor))
    return record.session


def expected_sims(connection: sa.Connection, carrier: str) -> int | None:
    """Return how many SIMs a walk may expect before the carrier says so: as many as last time, or as our list has."""
    return _sims_seen_last_time(connection, carrier) or _sims_on_our_list(connection, carrier) or None


def _sims_on_our_list(connection: sa.Connection, carrier: str) -> int:
    ours = inventory_sims.c
    query = sa.select(sa.func.count()).where(ours.carrier == carrier, ours.removed_at.is_(None))
    return connection.execute(query).scalar_one()


def _sims_seen_last_time(connection: sa.Connection, carrier: str) -> int | None:
    query = (
        sa.select(session_internals.c.sims_seen)
        .join(sync_sessions, sync_sessions.c.session_id == session_internals.c.session_id)
        .where(sync_sessions.c.carrier == carrier, sync_sessions.c.state == State.COMPLETED.value)
        .order_by(sync_sessions.c.session_number.desc())
        .limit(1)
    )
    return connection.execute(query).scalar_one_or_none()


def next_session_number(connection: sa.Connection, carrier: str) -> int:
    """Return the number of the carrier's next session.

    Openings of a carrier take turns (`lock_carrier`). A number that was given is not given again, though a person
    deletes its session: notes and SIMs go by it.
    """

    def last(number: sa.Column[int]) -> int:
        query = sa.select(sa.func.max(number)).where(number.table.c.carrier == carrier)
        return connection.execute(query).scalar_one() or 0

    newest = last(sync_sessions.c.session_number)
    if not newest:  # nobody looks through all SIMs for that where there are sessions
        newest = max(last(carrier_sims.c.first_session_number), last(carrier_internals.c.compared_session_number))
    return max(newest, last(seen_sims.c.session_number)) + 1


def new_session_id(carrier: str, now: datetime, chance: str) -> str:
    """Return an id that sorts by time and that a person can tell apart: carrier, UTC time, four random digits."""
    return f"{carrier}-{now:%Y%m%dT%H%M%S}-{chance}"
