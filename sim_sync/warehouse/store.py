"""The warehouse as a sync sees it: every method is one transaction, and every write checks the fence in it.

Rows are written in `pages`, session rows in `sessions`, the end of a walk in `sweeping`; what may happen is decided in
core. Times are the warehouse's own, so that two hosts need not agree about the time of day.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from sim_sync.core.crash_points import CrashPoint, nothing_armed
from sim_sync.core.diff import PageDiff, diff_page
from sim_sync.core.errors import Fenced, InputError, InternalError
from sim_sync.core.opening import (
    Opened,
    OpenRequest,
    decide_opening,
)
from sim_sync.core.pages import Cursor, Page, cursor_digest
from sim_sync.core.session import Claim, Event, Session, State, next_state
from sim_sync.core.sweep import SweepPolicy
from sim_sync.warehouse import pages, sessions, sweeping
from sim_sync.warehouse.checkpoints import acknowledged_before, refuse_repeated_cursor, write_checkpoint
from sim_sync.warehouse.engine import can_write_now, read_clock, reading, transaction
from sim_sync.warehouse.openings import carry_out_decision
from sim_sync.warehouse.sessions import Notes, noting_error


class SqlSessionStore:
    """`SessionStore` on SQLite or PostgreSQL.

    Args:
        engine: from `open_engine`, the schema brought up to date by `migrate`.
        clock: replaces the database's clock in tests.
        at: called at each of `CRASH_POINTS`.
    """

    def __init__(
        self, engine: sa.Engine, *, clock: Callable[[], datetime] | None = None, at: CrashPoint = nothing_armed
    ) -> None:
        self.engine = engine
        self._clock = clock
        self._at = at

    # --- opening -----------------------------------------------------------------------------------------------

    def open_session(self, request: OpenRequest) -> Opened:
        """Open, resume or refuse the carrier's session; a success takes the lease and raises the fence."""
        try:
            opened = self._open_session(request)
        except sa.exc.IntegrityError:
            # Two runs found no open session at the same moment, and the other one's insert came first.
            opened = self._open_session(request)
        self._at("open_session:committed")
        return opened

    def _open_session(self, request: OpenRequest) -> Opened:
        with transaction(self.engine, f"opening the session of carrier {request.carrier}") as connection:
            self._at("open_session:begun")
            session = sessions.read_open_session(connection, request.carrier, lock=True)
            now = self._now(connection)
            decision = decide_opening(session, request, now)
            opened = carry_out_decision(connection, session, decision, request, now)
            self._at("open_session:written")
        return opened

    # --- steps -------------------------------------------------------------------------------------------------

    def commit_page(self, claim: Claim, expected_cursor: Cursor, page: Page) -> Session:
        """Write a page, its changes, the checkpoint and the progress, if the claim and the cursor still hold."""
        with transaction(self.engine, f"committing a page of carrier {claim.carrier}") as connection:
            self._at("commit_page:begun")
            session, notes, now = self._working(connection, claim)
            if session.cursor != expected_cursor:
                return acknowledged_before(session, page)
            refuse_repeated_cursor(connection, session, page)
            self._at("commit_page:fence_checked")
            diff = pages.write_sims(connection, session, page.sims, now)
            self._at("commit_page:rows_written")
            pages.write_changes(connection, session, diff.changes, now)
            self._at("commit_page:changes_written")
            pages.write_quarantined(connection, session, page, now)
            self._at("commit_page:quarantine_written")
            session = write_checkpoint(connection, session, page, diff=diff, notes=notes, now=now)
            self._at("commit_page:checkpoint_written")
        self._at("commit_page:committed")
        return session

    def preview_page(self, carrier: str, page: Page) -> PageDiff:
        """Return what committing a page would change, without writing anything."""
        with reading(self.engine, f"comparing a page of carrier {carrier}") as connection:
            return diff_page(page.sims, pages.known_sims(connection, carrier, page.sims), self._now(connection))

    def commit_walk_restart(self, claim: Claim, first_cursor: Cursor, reason: str) -> Session:
        """Set the session back to its first page, because the carrier no longer takes its cursor."""
        with transaction(self.engine, f"restarting the walk over carrier {claim.carrier}") as connection:
            session, notes, now = self._working(connection, claim)
            session = replace(
                noting_error(session, f"the walk started again from its first page: {reason}", now),
                cursor=first_cursor,
                pages_done=0,
                # Counted with the pages: the share of unreadable records and the pages expected are judged by both.
                records_seen=0,
                records_quarantined=0,
                updated_at=now,
            )
            sessions.update_notes(connection, claim.session_id, walk_restarts=notes.walk_restarts + 1)
            sessions.forget_cursors(connection, claim.session_id)
            sessions.note_cursor(connection, claim.session_id, cursor_digest(first_cursor))
            sessions.update_session(connection, session)
        return session

    def renew_lease(self, claim: Claim) -> Session:
        """Extend the lease and return the session as it stands, a pause included."""
        with transaction(self.engine, f"renewing the lease on carrier {claim.carrier}") as connection:
            session, notes, now = self._working(connection, claim)
            if session.state is State.RUNNING:
                until = now + timedelta(seconds=notes.lease_seconds)
                session = replace(session, lease_expires_at=until)
                sessions.update_session(connection, session)
        return session

    # --- ends --------------------------------------------------------------------------------------------------

    def release(
        self,
        claim: Claim,
        event: Event,
        *,
        error: str | None = None,
        wait_seconds: float | None = None,
        retries: int = 0,
        throttled_seconds: float = 0.0,
    ) -> Session:
        """Give the lease back and move the session by `event`; a claim that was lost changes nothing."""
        with transaction(self.engine, f"releasing the session of carrier {claim.carrier}") as connection:
            session = sessions.read_session(connection, claim.session_id, lock=True)
            if session is None:
                raise Fenced(f"carrier {claim.carrier}: session {claim.session_id} does not exist in this warehouse")
            if session.fence != claim.fence or session.state is not State.RUNNING:
                return session
            now = self._now(connection)
            session = replace(
                noting_error(session, error, now),
                state=next_state(session.state, event),
                lease_expires_at=None,
                not_before=None if wait_seconds is None else now + timedelta(seconds=wait_seconds),
                retries=session.retries + retries,
                throttled_seconds=session.throttled_seconds + throttled_seconds,
                eta_at=None,
                updated_at=now,
            )
            sessions.update_session(connection, session)
        return session

    def close_session(self, claim: Claim, policy: SweepPolicy, config_hash: str) -> Session:
        """Certify the walk, sweep if it may, and complete the session, all in one transaction."""
        with transaction(self.engine, f"closing the session of carrier {claim.carrier}") as connection:
            self._at("close_session:begun")
            closable = {State.RUNNING, State.PAUSED, State.COMPLETED}
            session, _, now = self._working(connection, claim, states=closable)
            if session.state is not State.RUNNING:  # paused at the last moment; or the acknowledgement was lost
                return session
            if not session.walked_to_the_end:
                raise InternalError(f"session {session.session_id} cannot be closed: its walk is not at its end")
            verdict = sweeping.sweep(connection, session, policy, config_hash=config_hash, now=now)
            self._at("close_session:swept")
            session = replace(
                session,
                state=next_state(session.state, Event.WALKED_TO_THE_END),
                pages_expected=session.pages_done,
                sweep_state=verdict.state,
                sweep_reason=verdict.reason,
                lease_expires_at=None,
                eta_at=None,
                stalled_resumes=0,
                updated_at=now,
                finished_at=now,
            )
            sessions.update_session(connection, session)
            sessions.forget_cursors(connection, session.session_id)
            self._at("close_session:written")
        self._at("close_session:committed")
        return session

    def move_by_operator(self, carrier: str, event: Event, *, error: str | None = None) -> Session:
        """Move the carrier's open session by an operator's or an observer's event, whoever holds the lease.

        Raises:
            InputError: the carrier has no open session.
            IllegalTransition: the event does not apply to the state it is in.
        """
        with transaction(self.engine, f"changing the session of carrier {carrier}") as connection:
            session = sessions.read_open_session(connection, carrier, lock=True)
            if session is None:
                raise InputError(f"carrier {carrier} has no open session")
            now = self._now(connection)
            session = replace(
                noting_error(session, error, now),
                state=next_state(session.state, event),
                not_before=None,
                eta_at=None,
                updated_at=now,
                stalled_resumes=0 if event is Event.RELEASED_BY_OPERATOR else session.stalled_resumes,
            )
            sessions.update_session(connection, session)
        return session

    # --- reading -----------------------------------------------------------------------------------------------

    def session(self, session_id: str) -> Session:
        """Return a session."""
        with reading(self.engine, f"reading session {session_id}") as connection:
            session = sessions.read_session(connection, session_id)
        if session is None:
            raise InputError(f"session {session_id} does not exist in this warehouse")
        return session

    def notes(self, session_id: str) -> Notes:
        """Return what sim_sync wrote down for itself about a session."""
        with reading(self.engine, f"reading session {session_id}") as connection:
            return sessions.read_notes(connection, session_id)

    def open_session_of(self, carrier: str) -> Session | None:
        """Return the carrier's session that is not final, if it has one."""
        with reading(self.engine, f"reading the session of carrier {carrier}") as connection:
            return sessions.read_open_session(connection, carrier)

    def latest_sessions(self, carriers: Sequence[str]) -> Sequence[Session]:
        """Return each carrier's open or else newest session."""
        with reading(self.engine, "reading the sessions") as connection:
            return sessions.read_latest_sessions(connection, carriers)

    def now(self) -> datetime:
        """Return the warehouse's own time."""
        with reading(self.engine, "reading the warehouse's clock") as connection:
            return self._now(connection)

    def can_write_now(self) -> bool:
        """Return whether no other process is inside of a transaction that a writer would have to wait for."""
        return can_write_now(self.engine)

    def _working(
        self, connection: sa.Connection, claim: Claim, *, states: Collection[State] = sessions.WORKING_STATES
    ) -> tuple[Session, Notes, datetime]:
        working = sessions.read_working(connection, claim, states=states)
        return working.session, working.notes, working.now if self._clock is None else self._clock()

    def _now(self, connection: sa.Connection) -> datetime:
        if self._clock is not None:
            return self._clock()
        return read_clock(connection)
