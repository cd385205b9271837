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
from sim_sync.core.session import Session, SessionRecord
from sim_sync.warehouse import sessions


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
            sessions.write_record(connection, session_events.superseded(record, reason, now), record)
            sessions.forget_cursors(connection, record.session.session_id)
            return Opened(_insert_new(connection, request, now))
        case Resume():
            taken = session_events.taken_over(record, request, decision, now)
            return Opened(sessions.write_record(connection, taken, record))
        case GiveUp(reason):
            failed = session_events.gave_up(record, reason, now)
            return Opened(sessions.write_record(connection, failed, record), refusal=reason)
        case Refuse(reason):
            return Opened(record.session, refusal=reason)


def carry_out_failure(
    connection: sa.Connection, record: SessionRecord | None, failed: FailedOpening, now: datetime
) -> Session | None:
    """Let the open session fail whose run could not open it; without one, write down one that has failed."""
    if record is None:
        if failed.session_id is not None:  # it is over by now
            return None
        session_id = sessions.new_session_id(failed.carrier, now, secrets.token_hex(2))
        number = sessions.next_session_number(connection, failed.carrier)
        record = session_events.failed_to_open(failed, session_id, number, now)
        sessions.insert_record(connection, record)
        return record.session
    if not lets_it_fail(record.session, failed, now):
        return record.session
    return sessions.write_record(connection, session_events.opening_failed(record, failed.reason, now), record)


def _insert_new(connection: sa.Connection, request: OpenRequest, now: datetime) -> Session:
    session_id = sessions.new_session_id(request.carrier, now, secrets.token_hex(2))
    number = sessions.next_session_number(connection, request.carrier)
    expected = sessions.expected_sims(connection, request.carrier)
    record = session_events.opened(request, session_id, number, expected, now)
    sessions.insert_record(connection, record)
    sessions.note_cursor(connection, session_id, cursor_digest(request.first_cursor))
    return record.session
