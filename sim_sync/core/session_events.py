"""What each event does to a session: one pure function an event, and each effect is written in here alone.

A store locks a record, reads it, calls one of these functions and writes what comes back. `now` is the warehouse's
time. Where an event needs a claim, `session` has checked it before. After every event holds:

- A `running` session has a lease; a `paused` one may keep its owner's until the current page is committed; no other.
- Only a `running` session has an `eta_at`, only a `parked` one a `not_before`, only a final one a `finished_at`.
- The fence rises with every taking over, and never falls.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from sim_sync.core import progress
from sim_sync.core.clocks import is_ahead
from sim_sync.core.errors import InternalError
from sim_sync.core.held_sweep import OperatorDecision, next_sweep_state
from sim_sync.core.lookups import LookedUp
from sim_sync.core.opening import FailedOpening, OpenRequest, Resume
from sim_sync.core.pages import Cursor, Page, PageDiff, cursor_digest
from sim_sync.core.session import (
    NEVER_OPENED,
    Claim,
    Event,
    Release,
    Session,
    SessionInternals,
    SessionRecord,
    State,
    next_state,
)
from sim_sync.core.sweep import SweepDecision

# --- an owner comes --------------------------------------------------------------------------------------------------


def opened(
    request: OpenRequest, session_id: str, session_number: int, records_expected: int | None, now: datetime
) -> SessionRecord:
    """Return a new session at its first page, whose run holds the lease."""
    session = Session(
        session_id=session_id,
        session_number=session_number,
        carrier=request.carrier,
        state=State.RUNNING,
        cursor=request.first_cursor,
        fence=1,
        config_hash=request.config_hash,
        records_expected=records_expected,
        owner=request.owner,
        lease_expires_at=_after(now, request.lease_seconds),
        started_at=now,
        updated_at=now,
    )
    return SessionRecord(session, _owned(SessionInternals(lease_seconds=request.lease_seconds), request))


def failed_to_open(failed: FailedOpening, session_id: str, session_number: int, now: datetime) -> SessionRecord:
    """Return a session that no run could open, so that its carrier shows why; the next one that can supersedes it."""
    session = Session(
        session_id=session_id,
        session_number=session_number,
        carrier=failed.carrier,
        state=State.FAILED,
        cursor={},
        fence=1,
        config_hash=NEVER_OPENED,
        owner=failed.owner,
        started_at=now,
        updated_at=now,
    )
    return SessionRecord(_noting(session, failed.reason, now), SessionInternals(lease_seconds=0.0))


def taken_over(record: SessionRecord, request: OpenRequest, takeover: Resume, now: datetime) -> SessionRecord:
    """Return the session in the hands of a new owner: a higher fence, a new lease, the same place."""
    session, internals = record.session, progress.after_a_break(record, now)
    if takeover.lost_owner is not None:
        session = _stopped(session, Event.OWNER_LOST, now, error=takeover.lost_owner)
    session = replace(
        session,
        # A start that lies in the future was written by a clock that was ahead: its age would not count for days.
        started_at=now if is_ahead(session.started_at, now) else session.started_at,
        state=next_state(session.state, Event.TAKEN_OVER),
        fence=session.fence + 1,
        owner=request.owner,
        lease_expires_at=_after(now, request.lease_seconds),
        not_before=None,
        eta_at=None,
        stalled_resumes=session.stalled_resumes + 1 if takeover.counts_as_stalled else 0,
        updated_at=now,
    )
    return SessionRecord(session, _owned(_without_pace(internals), request))


# --- the owner works -------------------------------------------------------------------------------------------------


def page_committed(record: SessionRecord, page: Page, diff: PageDiff, now: datetime) -> SessionRecord:
    """Return the session behind a page: cursor, counts, progress, a fresh lease, and no stalled resume any more.

    Under a pause it was the owner's last page: the lease is given back with it, and no end is promised.
    """
    session, internals = record.session, _paced(record, page, diff, now)
    goes_on = session.state is State.RUNNING
    pages_done = session.pages_done + 1
    records_seen = session.records_seen + page.records
    records_expected = session.records_expected if page.records_total is None else page.records_total
    pages_expected = page.pages_total
    if pages_expected is None:
        pages_expected = progress.pages_for(records_expected, pages_done=pages_done, records_seen=records_seen)
    eta_at = progress.eta(
        now, pages_done=pages_done, pages_expected=pages_expected, pace_seconds=internals.pace_seconds
    )
    session = replace(
        _noting(session, page.effort.last_error, now),
        state=next_state(session.state, Event.PAGE_COMMITTED),
        cursor=page.next_cursor,
        pages_done=pages_done,
        pages_expected=pages_expected,
        records_seen=records_seen,
        records_expected=records_expected,
        records_added=session.records_added + diff.added,
        records_changed=session.records_changed + diff.changed,
        records_quarantined=session.records_quarantined + len(page.rejected),
        retries=session.retries + page.effort.retries,
        throttled_seconds=session.throttled_seconds + page.effort.throttled_seconds,
        eta_at=eta_at if goes_on else None,
        lease_expires_at=_after(now, internals.lease_seconds) if goes_on else None,
        stalled_resumes=0,
        updated_at=now,
    )
    return SessionRecord(session, internals)


def walk_restarted(record: SessionRecord, first_cursor: Cursor, reason: str, now: datetime) -> SessionRecord:
    """Return the session at its first page again, because the carrier no longer takes its cursor.

    What is counted with the pages starts again too: the share of unreadable records and the pages expected are judged
    by both. What the session has cost and changed so far stays. No end is promised until the next page.
    """
    session = replace(
        _noting(record.session, f"the walk started again from its first page: {reason}", now),
        state=next_state(record.session.state, Event.WALK_RESTARTED),
        cursor=first_cursor,
        pages_done=0,
        records_seen=0,
        records_quarantined=0,
        eta_at=None,
        lease_expires_at=record.session.lease_expires_at if record.session.state is State.RUNNING else None,
        updated_at=now,
    )
    internals = replace(
        progress.started_again(record),
        walk_restarts=record.internals.walk_restarts + 1,
        earlier_pages=record.internals.earlier_pages + record.session.pages_done,
        earlier_records=record.internals.earlier_records + record.session.records_seen,
        last_cursor_digest=None,
        page_committed_at=None,
    )
    return SessionRecord(session, internals)


def lookups_planned(record: SessionRecord, planned: int, left_out: int, now: datetime) -> SessionRecord:
    """Return the session behind its last page, with so many SIMs still to ask for one by one, and so many left out.

    A paused one is returned as it is.
    """
    session = record.session
    if session.state is State.PAUSED:
        return record
    session = replace(
        session,
        state=next_state(session.state, Event.LEASE_RENEWED),
        lookups_expected=session.lookups_done + planned,
        eta_at=None,
        lease_expires_at=_after(now, record.internals.lease_seconds),
    )
    internals = replace(_without_pace(record.internals), page_committed_at=now, lookups_left_out=left_out)
    return SessionRecord(session, internals)


def sim_looked_up(record: SessionRecord, looked_up: LookedUp, diff: PageDiff, now: datetime) -> SessionRecord:
    """Return the session behind the answer about one SIM: a small page, with a pace and an end of its own."""
    session, effort = record.session, looked_up.effort
    goes_on = session.state is State.RUNNING
    internals = _with_a_step(record.internals, effort.throttled_seconds, now)
    lookups_done = session.lookups_done + 1
    eta_at = progress.eta(
        now, pages_done=lookups_done, pages_expected=session.lookups_expected, pace_seconds=internals.pace_seconds
    )
    session = replace(
        _noting(session, looked_up.problem or effort.last_error, now),
        state=next_state(session.state, Event.SIM_LOOKED_UP),
        lookups_done=lookups_done,
        records_changed=session.records_changed + diff.changed,
        retries=session.retries + effort.retries,
        throttled_seconds=session.throttled_seconds + effort.throttled_seconds,
        eta_at=eta_at if goes_on else None,
        lease_expires_at=_after(now, internals.lease_seconds) if goes_on else None,
        stalled_resumes=0,
        updated_at=now,
    )
    return SessionRecord(session, internals)


def lease_renewed(record: SessionRecord, now: datetime) -> SessionRecord:
    """Return the session with a fresh lease, which is no progress; a paused one as it is, to tell its owner."""
    if record.session.state is State.PAUSED:
        return record
    return _with(
        record,
        replace(
            record.session,
            state=next_state(record.session.state, Event.LEASE_RENEWED),
            lease_expires_at=_after(now, record.internals.lease_seconds),
        ),
    )


# --- the owner goes --------------------------------------------------------------------------------------------------


def released(record: SessionRecord, claim: Claim, release: Release, now: datetime) -> SessionRecord:
    """Return the session that its owner gave back; a claim that was lost changes nothing."""
    session, effort = record.session, release.effort
    if session.fence != claim.fence or session.state is not State.RUNNING:
        return record
    internals = record.internals
    if release.event is Event.WAIT_TOO_LONG:
        internals = replace(internals, parked_since=internals.parked_since or now)
    session = replace(
        _stopped(session, release.event, now, error=release.error),
        not_before=None if release.wait_seconds is None else _after(now, release.wait_seconds),
        retries=session.retries + effort.retries,
        throttled_seconds=session.throttled_seconds + effort.throttled_seconds,
    )
    return SessionRecord(session, internals)


def completed(record: SessionRecord, sweep: SweepDecision, sims_seen: int, now: datetime) -> SessionRecord:
    """Return the session that was walked to its end, with what became of its sweep."""
    session = record.session
    if not session.walked_to_the_end:
        raise InternalError(
            f"carrier {session.carrier}: session {session.session_id} cannot be closed after page "
            f"{session.pages_done}: the carrier has not given its end signal; please report this as a bug"
        )
    session = replace(
        _stopped(session, Event.WALKED_TO_THE_END, now),
        pages_expected=session.pages_done,
        sweep_state=sweep.state,
        sweep_reason=sweep.reason,
        stalled_resumes=0,
        finished_at=now,
    )
    return SessionRecord(session, replace(record.internals, sims_seen=sims_seen))


# --- a person decides on a held sweep --------------------------------------------------------------------------------


def sweep_shown(record: SessionRecord, digest: str) -> SessionRecord:
    """Return the session whose held sweep was shown to a person, who saw the SIMs of this digest."""
    return replace(record, internals=replace(record.internals, shown_sweep_digest=digest))


def sweep_decided(record: SessionRecord, decision: OperatorDecision, now: datetime) -> SessionRecord:
    """Return the session whose held sweep a person approved or rejected; its walk stays what it was.

    Raises:
        InputError: the sweep is not held, or no longer.
    """
    session = record.session
    decided = replace(
        session,
        sweep_state=next_sweep_state(session, decision.choice),
        sweep_decided_by=decision.by,
        sweep_decided_at=now,
        sweep_decision_reason=decision.reason,
        updated_at=now,
    )
    return _with(record, decided)


# --- others decide ---------------------------------------------------------------------------------------------------


def moved_by_operator(record: SessionRecord, event: Event, error: str | None, now: datetime) -> SessionRecord:
    """Return the session that a person (or who speaks for one) paused or released, whoever holds its lease.

    The lease is its owner's: a pause leaves it, because the owner may still commit its current page. Who releases a
    session lets another owner in, and forgives the resumes that did not help.
    """
    session = _stopped(record.session, event, now, error=error)
    if event is Event.PAUSED_BY_OPERATOR:
        session = replace(session, lease_expires_at=record.session.lease_expires_at)
    if event is Event.RELEASED_BY_OPERATOR:
        session = replace(session, stalled_resumes=0)
    return _with(record, session)


def gave_up(record: SessionRecord, reason: str, now: datetime) -> SessionRecord:
    """Return the session that fails because resuming it has not helped; a lost owner was lost before that."""
    session = record.session
    if session.state is State.RUNNING:
        session = _stopped(session, Event.OWNER_LOST, now)
    return _with(record, _stopped(session, Event.GAVE_UP, now, error=reason))


def opening_failed(record: SessionRecord, reason: str, now: datetime) -> SessionRecord:
    """Return the session that no run can open: failed, with the reason; of one that has failed before, the newest."""
    if record.session.state is not State.FAILED:
        return gave_up(record, reason, now)
    return _with(record, replace(_noting(record.session, reason, now), updated_at=now))


def superseded(record: SessionRecord, reason: str | None, now: datetime) -> SessionRecord:
    """Return the session that is given up for a new one."""
    session = _stopped(record.session, Event.REPLACED_BY_NEW_SESSION, now, error=reason)
    return _with(record, replace(session, finished_at=now))


# --- what they share -------------------------------------------------------------------------------------------------


def _stopped(session: Session, event: Event, now: datetime, *, error: str | None = None) -> Session:
    """Return the session that an event has taken from its owner: nobody is at work on it, and no end is promised."""
    return replace(
        _noting(session, error, now),
        state=next_state(session.state, event),
        lease_expires_at=None,
        not_before=None,
        eta_at=None,
        updated_at=now,
    )


def _owned(internals: SessionInternals, request: OpenRequest) -> SessionInternals:
    process = request.process
    return replace(
        internals,
        lease_seconds=request.lease_seconds,
        max_idle_pages=request.max_idle_pages,
        max_pages=request.max_pages,
        owner_host=process.host if process else None,
        owner_pid=process.pid if process else None,
        owner_started=process.started if process else None,
    )


def _paced(record: SessionRecord, page: Page, diff: PageDiff, now: datetime) -> SessionInternals:
    """Return what is remembered behind a page.

    A page takes from the commit of the one before it to its own: fetching and committing. What a run does before its
    first page, such as loading our list, and the time between two owners are no page's.
    """
    session = record.session
    internals = _with_a_step(progress.learned(record, page, diff), page.effort.throttled_seconds, now)
    return replace(internals, last_cursor_digest=None if session.cursor is None else cursor_digest(session.cursor))


def _with_a_step(internals: SessionInternals, throttled_seconds: float, now: datetime) -> SessionInternals:
    """Return what is remembered behind a step."""
    recent, last = internals.recent_page_seconds, internals.page_committed_at
    if last is not None:
        recent = progress.remembered(recent, (now - last).total_seconds() - throttled_seconds)
    return replace(
        internals,
        pace_seconds=progress.pace_of(recent),
        recent_page_seconds=recent,
        page_committed_at=now,
        parked_since=None,
        unparked_at=internals.unparked_at if internals.parked_since is None else now,
    )


def _without_pace(internals: SessionInternals) -> SessionInternals:
    """Return what is remembered for a new owner: another host, another hour, and first of all other work."""
    return replace(internals, pace_seconds=None, recent_page_seconds=(), page_committed_at=None)


def _with(record: SessionRecord, session: Session) -> SessionRecord:
    return replace(record, session=session)


def _noting(session: Session, error: str | None, now: datetime) -> Session:
    return session if error is None else replace(session, last_error=error, last_error_at=now)


def _after(now: datetime, seconds: float) -> datetime:
    return now + timedelta(seconds=seconds)
