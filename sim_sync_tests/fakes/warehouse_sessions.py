"""Session rows of the in-memory warehouse: opening, taking over and claiming them. Pages are in `warehouse_pages`."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from sim_sync.core.errors import Fenced
from sim_sync.core.opening import GiveUp, Opened, OpenNew, OpenRequest, Refuse, Resume, decide_opening
from sim_sync.core.pages import cursor_digest
from sim_sync.core.session import Claim, Event, Session, State, next_state
from sim_sync_tests.fakes.warehouse_tables import Internals, Tables

#: A pause lets the page in hand through; in every other state the worker was given up.
WORKING_STATES = frozenset({State.RUNNING, State.PAUSED})
#: A session may be closed again by the worker that closed it: the acknowledgement may have been lost.
CLOSABLE_STATES = WORKING_STATES | {State.COMPLETED}


def open_session(tables: Tables, request: OpenRequest, now: datetime) -> Opened:
    """Carry out what `decide_opening` says about the carrier's open session."""
    session = tables.open_session_of(request.carrier)
    decision = decide_opening(session, request, now)
    if session is None or isinstance(decision, OpenNew):
        if session is not None and isinstance(decision, OpenNew):
            _supersede(tables, session, decision, now)
        return Opened(_insert_new(tables, request, now))
    match decision:
        case Resume():
            return Opened(_take_over(tables, session, decision, request, now))
        case GiveUp(reason):
            return Opened(_give_up(tables, session, reason, now), refusal=reason)
        case Refuse(reason):
            return Opened(session, refusal=reason)


def _supersede(tables: Tables, session: Session, decision: OpenNew, now: datetime) -> None:
    tables.put(
        replace(
            noting(session, decision.supersede_reason, now),
            state=next_state(session.state, Event.REPLACED_BY_NEW_SESSION),
            lease_expires_at=None,
            eta_at=None,
            updated_at=now,
            finished_at=now,
        )
    )


def _insert_new(tables: Tables, request: OpenRequest, now: datetime) -> Session:
    previous = tables.last_completed_of(request.carrier)
    session = Session(
        session_id=f"{request.carrier}-{now:%Y%m%dT%H%M%S}-{len(tables.sessions):04d}",
        carrier=request.carrier,
        state=State.RUNNING,
        cursor=request.first_cursor,
        fence=1,
        config_hash=request.config_hash,
        records_expected=None if previous is None else tables.internals[previous.session_id].sims_seen or None,
        owner=request.owner,
        lease_expires_at=later(now, request.lease_seconds),
        started_at=now,
        updated_at=now,
    )
    tables.internals[session.session_id] = Internals(process=request.process, lease_seconds=request.lease_seconds)
    tables.walk_cursors[session.session_id] = frozenset({cursor_digest(request.first_cursor)})
    return tables.put(session)


def _take_over(tables: Tables, session: Session, resume: Resume, request: OpenRequest, now: datetime) -> Session:
    state = session.state
    if resume.lost_owner is not None:
        session = noting(session, resume.lost_owner, now)
        state = next_state(state, Event.OWNER_LOST)
    if state is not State.RUNNING:  # an op's retry claims its own running session again
        state = next_state(state, Event.TAKEN_OVER)
    notes = tables.internals[session.session_id]
    tables.internals[session.session_id] = replace(notes, process=request.process, lease_seconds=request.lease_seconds)
    return tables.put(
        replace(
            session,
            state=state,
            fence=session.fence + 1,
            owner=request.owner,
            lease_expires_at=later(now, request.lease_seconds),
            not_before=None,
            stalled_resumes=session.stalled_resumes + 1 if resume.counts_as_stalled else 0,
            updated_at=now,
        )
    )


def _give_up(tables: Tables, session: Session, reason: str, now: datetime) -> Session:
    state = session.state
    if state is State.RUNNING:
        state = next_state(state, Event.OWNER_LOST)
    return tables.put(
        replace(
            noting(session, reason, now),
            state=next_state(state, Event.GAVE_UP),
            lease_expires_at=None,
            not_before=None,
            eta_at=None,
            updated_at=now,
        )
    )


def working(tables: Tables, claim: Claim, *, states: Collection[State] = WORKING_STATES) -> Session:
    """Return the session if its owner may still write under this claim, and say why not where it may not."""
    session = tables.sessions.get(claim.session_id)
    if session is None:
        raise Fenced(unknown(claim))
    where = f"carrier {claim.carrier}: session {claim.session_id}"
    if session.fence != claim.fence:
        raise Fenced(
            f"{where} was taken over by run {session.owner} (its fence is {session.fence}, this worker's was "
            f"{claim.fence}); this worker stops and writes nothing"
        )
    if session.state not in states:
        raise Fenced(f"{where} is {session.state.value}, last owned by run {session.owner}; this worker stops")
    return session


def unknown(claim: Claim) -> str:
    """Return what to tell a worker whose session is not here."""
    return f"carrier {claim.carrier}: session {claim.session_id} does not exist in this warehouse"


def noting(session: Session, error: str | None, now: datetime) -> Session:
    """Return the session with its last error, where there is one."""
    return session if error is None else replace(session, last_error=error, last_error_at=now)


def later(now: datetime, seconds: float) -> datetime:
    """Return the time so many seconds from now."""
    return now + timedelta(seconds=seconds)
