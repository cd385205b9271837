"""Opening, resuming, superseding and giving up a session in the tables, as `core.opening` decided.

Runs inside the transaction that `store` opened; nothing here commits.
"""

import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from sim_sync.core.opening import Decision, GiveUp, Opened, OpenNew, OpenRequest, Refuse, Resume
from sim_sync.core.pages import cursor_digest
from sim_sync.core.session import Event, Session, State, next_state
from sim_sync.warehouse import sessions
from sim_sync.warehouse.sessions import Notes, noting_error


def carry_out_decision(
    connection: sa.Connection,
    session: Session | None,
    decision: Decision,
    request: OpenRequest,
    now: datetime,
) -> Opened:
    """Do what was decided about the carrier's open session, and return how it stands now."""
    if session is None or isinstance(decision, OpenNew):
        if session is not None and isinstance(decision, OpenNew):
            _supersede(connection, session, decision.supersede_reason, now)
        return Opened(_insert_new(connection, request, now))
    match decision:
        case Resume():
            return Opened(_take_over(connection, session, decision, request, now))
        case GiveUp(reason):
            return Opened(_give_up(connection, session, reason, now), refusal=reason)
        case Refuse(reason):
            return Opened(session, refusal=reason)


def _supersede(connection: sa.Connection, session: Session, reason: str | None, now: datetime) -> None:
    superseded = replace(
        noting_error(session, reason, now),
        state=next_state(session.state, Event.REPLACED_BY_NEW_SESSION),
        lease_expires_at=None,
        eta_at=None,
        updated_at=now,
        finished_at=now,
    )
    sessions.update_session(connection, superseded)
    sessions.forget_cursors(connection, session.session_id)


def _insert_new(connection: sa.Connection, request: OpenRequest, now: datetime) -> Session:
    session = Session(
        session_id=sessions.new_session_id(request.carrier, now, secrets.token_hex(2)),
        carrier=request.carrier,
        state=State.RUNNING,
        cursor=request.first_cursor,
        fence=1,
        config_hash=request.config_hash,
        records_expected=sessions.expected_sims(connection, request.carrier),
        owner=request.owner,
        lease_expires_at=now + timedelta(seconds=request.lease_seconds),
        started_at=now,
        updated_at=now,
    )
    sessions.insert_session(connection, session, Notes(lease_seconds=request.lease_seconds, **_owner_notes(request)))
    sessions.note_cursor(connection, session.session_id, cursor_digest(request.first_cursor))
    return session


def _take_over(
    connection: sa.Connection, session: Session, resume: Resume, request: OpenRequest, now: datetime
) -> Session:
    state = session.state
    if resume.lost_owner is not None:
        session = noting_error(session, resume.lost_owner, now)
        state = next_state(state, Event.OWNER_LOST)
    if state is not State.RUNNING:  # an op's retry claims its own running session again
        state = next_state(state, Event.TAKEN_OVER)
    session = replace(
        session,
        state=state,
        fence=session.fence + 1,
        owner=request.owner,
        lease_expires_at=now + timedelta(seconds=request.lease_seconds),
        not_before=None,
        stalled_resumes=session.stalled_resumes + 1 if resume.counts_as_stalled else 0,
        updated_at=now,
    )
    sessions.update_session(connection, session)
    sessions.update_notes(connection, session.session_id, lease_seconds=request.lease_seconds, **_owner_notes(request))
    return session


def _owner_notes(request: OpenRequest) -> dict[str, Any]:
    process = request.process
    return {"owner_host": process.host, "owner_pid": process.pid, "owner_started": process.started}


def _give_up(connection: sa.Connection, session: Session, reason: str, now: datetime) -> Session:
    state = session.state
    if state is State.RUNNING:
        state = next_state(state, Event.OWNER_LOST)
    session = replace(
        noting_error(session, reason, now),
        state=next_state(state, Event.GAVE_UP),
        lease_expires_at=None,
        not_before=None,
        eta_at=None,
        updated_at=now,
    )
    sessions.update_session(connection, session)
    return session
