"""Who may still write to a session: what a store checks under the lock, before it lets an event happen.

A worker that was given up writes nothing: it is reported by whom, and stops.
"""

from collections.abc import Collection

from sim_sync.core.errors import CursorRepeated, Fenced
from sim_sync.core.pages import Cursor, Page, cursor_digest
from sim_sync.core.session import Claim, Session, SessionRecord, State

#: A pause lets the current page through; in every other state the worker was given up.
WORKING_STATES = frozenset({State.RUNNING, State.PAUSED})
#: A session may be closed again by the worker that closed it: the acknowledgement may have been lost.
CLOSABLE_STATES = WORKING_STATES | {State.COMPLETED}


def check_claim(session: Session, claim: Claim, states: Collection[State] = WORKING_STATES) -> None:
    """Raise `Fenced` unless the claim is the session's newest and its owner may still write under it."""
    if session.fence != claim.fence:
        raise Fenced(
            f"carrier {claim.carrier}: session {claim.session_id} was taken over by run {session.owner} "
            f"(its fence is {session.fence}, this worker's was {claim.fence}); this worker stops and writes nothing"
        )
    if session.state not in states:
        raise Fenced(
            f"carrier {claim.carrier}: session {claim.session_id} is {session.state.value}; "
            "this worker stops and writes nothing"
        )


def unknown_session(claim: Claim) -> Fenced:
    """Return the error for a claim to a session that is not there."""
    return Fenced(f"carrier {claim.carrier}: session {claim.session_id} does not exist in this warehouse")


def is_committed(record: SessionRecord, cursor: Cursor, page: Page) -> bool:
    """Return whether this very page was committed last, so that only its acknowledgement got lost.

    A page counts as that one if it was fetched at the cursor whose page was committed last, and leads to where the
    session is: taking another page for it would lose that page silently.

    Raises:
        Fenced: the session is neither at this cursor nor right behind it.
    """
    session = record.session
    if session.cursor == cursor:
        return False
    if record.internals.last_cursor_digest == cursor_digest(cursor) and session.cursor == page.next_cursor:
        return True
    raise Fenced(
        f"carrier {session.carrier}: session {session.session_id} has moved on to another page than this worker "
        "expected; this worker stops and writes nothing"
    )


def repeated_cursor(session: Session, page: Page) -> CursorRepeated:
    """Return the error for a page that leads back to a cursor of its own walk."""
    return CursorRepeated(
        f"carrier {session.carrier}: page {session.pages_done + 1} leads back to a page that this walk has "
        f"already fetched, so it would never end. {page.advice_on_repeats}; then run "
        f"`sim-sync restart {session.carrier}`"
    )
