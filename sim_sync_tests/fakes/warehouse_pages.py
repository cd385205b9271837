"""What a page and the end of a walk write into the in-memory warehouse. Fences are checked in `warehouse_sessions`."""

from dataclasses import replace
from datetime import datetime

from sim_sync.core import progress
from sim_sync.core.diff import KnownSim, PageDiff, diff_page
from sim_sync.core.errors import CursorRepeated, Fenced
from sim_sync.core.pages import Cursor, Page, cursor_digest
from sim_sync.core.session import Event, Session, SweepState, next_state
from sim_sync.core.sweep import SweepPolicy, SweepVerdict, WalkFacts, decide_sweep
from sim_sync_tests.fakes.warehouse_sessions import later, noting
from sim_sync_tests.fakes.warehouse_tables import ChangeRow, Internals, QuarantineRow, SimRow, Tables


def acknowledged_before(tables: Tables, session: Session, expected_cursor: Cursor, page: Page) -> Session:
    """Return the session if this very page was committed last, its acknowledgement lost."""
    last = tables.internals[session.session_id].last_cursor_digest
    if last == cursor_digest(expected_cursor) and session.cursor == page.next_cursor:
        return session
    raise Fenced(
        f"carrier {session.carrier}: session {session.session_id} stands at another page than this worker of run "
        f"{session.owner} expected; this worker stops and writes nothing"
    )


def refuse_repeated_cursor(tables: Tables, session: Session, page: Page) -> None:
    """Note the page's next cursor, or refuse one that this walk has used."""
    if page.next_cursor is None:
        return
    used = tables.walk_cursors[session.session_id]
    digest = cursor_digest(page.next_cursor)
    if digest in used:
        raise CursorRepeated(
            f"carrier {session.carrier}: page {session.pages_done + 1} leads back to a page that this walk has "
            "already fetched, so it would never end"
        )
    tables.walk_cursors[session.session_id] = used | {digest}


def write_sims(tables: Tables, session: Session, page: Page, now: datetime) -> PageDiff:
    """Bring the page's SIMs into the tables and return what that changed."""
    keys = {sim.sim_id: (session.carrier, sim.sim_id) for sim in page.sims}
    stored = {sim_id: tables.sims[key] for sim_id, key in keys.items() if key in tables.sims}
    known = {sim_id: KnownSim(row.sim, row.last_changed_at) for sim_id, row in stored.items()}
    diff = diff_page(page.sims, known, now)
    for sim, last_changed_at in diff.upserts:
        first_seen_at = stored[sim.sim_id].first_seen_at if sim.sim_id in stored else now
        tables.sims[keys[sim.sim_id]] = SimRow(
            sim=sim,
            first_seen_at=first_seen_at,
            last_changed_at=last_changed_at,
            last_seen_session=session.session_id,
        )
    for sim_id in diff.unchanged:
        tables.sims[keys[sim_id]] = replace(
            stored[sim_id], last_seen_session=session.session_id, absent_since=None, vanished_at=None
        )
    return diff


def write_changes(tables: Tables, session: Session, diff: PageDiff, now: datetime) -> None:
    """Append the page's field changes to the history."""
    for change in diff.changes:
        key = (session.carrier, change.sim_id, session.session_id, change.field)
        # A second change within one walk: from what it was before the walk to what it is now.
        earlier = tables.changes.get(key)
        old_value = change.old_value if earlier is None else earlier.old_value
        tables.changes[key] = ChangeRow(old_value, change.new_value, now)


def write_quarantined(tables: Tables, session: Session, page: Page, now: datetime) -> None:
    """Keep the records that could not be read."""
    for rejected in page.rejected:
        row = QuarantineRow(
            id=len(tables.quarantined) + 1,
            carrier=session.carrier,
            reason=rejected.reason,
            payload=rejected.payload,
            quarantined_at=now,
        )
        tables.quarantined.setdefault((session.session_id, session.pages_done + 1, rejected.position), row)


def write_checkpoint(tables: Tables, session: Session, page: Page, diff: PageDiff, now: datetime) -> Session:
    """Move the session over the page, with all that people see of it."""
    notes = _noted_page(tables.internals[session.session_id], session, page, now)
    tables.internals[session.session_id] = notes
    pages_done = session.pages_done + 1
    records_seen = session.records_seen + page.records
    records_expected = session.records_expected if page.records_total is None else page.records_total
    pages_expected = page.pages_total
    if pages_expected is None:
        pages_expected = progress.pages_for(records_expected, pages_done=pages_done, records_seen=records_seen)
    return tables.put(
        replace(
            noting(session, page.effort.last_error, now),
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
            eta_at=progress.eta(
                now, pages_done=pages_done, pages_expected=pages_expected, pace_seconds=notes.pace_seconds
            ),
            lease_expires_at=later(now, notes.lease_seconds),
            stalled_resumes=0,
            updated_at=now,
        )
    )


def _noted_page(notes: Internals, session: Session, page: Page, now: datetime) -> Internals:
    # Taking over writes the row too, so the time between two owners is nobody's page time.
    page_seconds = (now - session.updated_at).total_seconds() - page.effort.throttled_seconds
    return replace(
        notes,
        pace_seconds=progress.next_pace(notes.pace_seconds, page_seconds),
        carrier_total=notes.carrier_total if page.records_total is None else page.records_total,
        last_cursor_digest=None if session.cursor is None else cursor_digest(session.cursor),
    )


def sweep(tables: Tables, session: Session, policy: SweepPolicy, config_hash: str, now: datetime) -> SweepVerdict:
    """Decide what becomes of the SIMs that the session did not see, and mark them if that is the decision."""
    verdict = decide_sweep(_walk_facts(tables, session, config_hash), policy)
    if verdict.state is SweepState.DONE:
        for key, row in tables.sims_of(session.carrier):
            if row.last_seen_session == session.session_id or row.vanished_at is not None:
                continue
            if row.absent_since is None:
                tables.sims[key] = replace(row, absent_since=now)
            else:
                tables.sims[key] = replace(row, vanished_at=now)
    return verdict


def _walk_facts(tables: Tables, session: Session, config_hash: str) -> WalkFacts:
    rows = [row for _, row in tables.sims_of(session.carrier)]
    there = [row for row in rows if row.vanished_at is None]
    return WalkFacts(
        sims_seen=sum(row.last_seen_session == session.session_id for row in rows),
        # SIMs that this walk added are not "known" yet: the guard compares with what was there before.
        sims_known=sum(row.first_seen_at < session.started_at for row in there),
        newly_missing=sum(row.last_seen_session != session.session_id and row.absent_since is None for row in there),
        records_quarantined=session.records_quarantined,
        carrier_total=tables.internals[session.session_id].carrier_total,
        end_signalled=session.walked_to_the_end,
        config_unchanged=session.config_hash == config_hash,
    )


def complete(tables: Tables, session: Session, verdict: SweepVerdict, now: datetime) -> Session:
    """Close the session for good."""
    sims_seen = sum(row.last_seen_session == session.session_id for _, row in tables.sims_of(session.carrier))
    notes = tables.internals[session.session_id]
    tables.internals[session.session_id] = replace(notes, sims_seen=sims_seen)
    return tables.put(
        replace(
            session,
            state=next_state(session.state, Event.WALKED_TO_THE_END),
            stalled_resumes=0,
            pages_expected=session.pages_done,
            sweep_state=verdict.state,
            sweep_reason=verdict.reason,
            lease_expires_at=None,
            eta_at=None,
            updated_at=now,
            finished_at=now,
        )
    )
