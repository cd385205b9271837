"""The checkpoint of a page: where the walk got to, how far that is, and the guards before it.

Runs inside the transaction that `store` opened and fenced; nothing here commits.
"""

from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from sim_sync.core import progress
from sim_sync.core.diff import PageDiff
from sim_sync.core.errors import CursorRepeated, Fenced
from sim_sync.core.pages import Page, cursor_digest
from sim_sync.core.session import Event, Session, next_state
from sim_sync.warehouse import sessions
from sim_sync.warehouse.sessions import Notes, noting_error


def write_checkpoint(
    connection: sa.Connection, session: Session, page: Page, *, diff: PageDiff, notes: Notes, now: datetime
) -> Session:
    """Advance the session over a page whose rows are written, and return it with its progress."""
    page_seconds = (now - session.updated_at).total_seconds() - page.effort.throttled_seconds
    pace_seconds = progress.next_pace(notes.pace_seconds, page_seconds)
    pages_done = session.pages_done + 1
    records_seen = session.records_seen + page.records
    records_expected = session.records_expected if page.records_total is None else page.records_total
    pages_expected = page.pages_total
    if pages_expected is None:
        pages_expected = progress.pages_for(records_expected, pages_done=pages_done, records_seen=records_seen)
    session = replace(
        noting_error(session, page.effort.last_error, now),
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
        eta_at=progress.eta(now, pages_done=pages_done, pages_expected=pages_expected, pace_seconds=pace_seconds),
        lease_expires_at=now + timedelta(seconds=notes.lease_seconds),
        stalled_resumes=0,
        updated_at=now,
    )
    total = notes.carrier_total if page.records_total is None else page.records_total
    sessions.update_notes(connection, session.session_id, pace_seconds=pace_seconds, carrier_total=total)
    sessions.update_session(connection, session)
    return session


def acknowledged_before(session: Session, page: Page) -> Session:
    """Return the session if this very page is what was committed last: its acknowledgement got lost on the way."""
    if session.pages_done > 0 and session.cursor == page.next_cursor:
        return session
    raise Fenced(
        f"carrier {session.carrier}: session {session.session_id} has moved on to another page than this worker "
        "expected; this worker stops and writes nothing"
    )


def refuse_repeated_cursor(connection: sa.Connection, session: Session, page: Page) -> None:
    """Write down where the page leads, unless the walk has been there: raise `CursorRepeated` then."""
    if page.next_cursor is None:
        return
    if not sessions.note_cursor(connection, session.session_id, cursor_digest(page.next_cursor)):
        raise CursorRepeated(
            f"carrier {session.carrier}: page {session.pages_done + 1} leads back to a page that this walk has "
            "already fetched, so it would never end; report this to the carrier, then run "
            f"`sim-sync backfill {session.carrier} --restart`"
        )
