"""`SessionStore` on dicts: the same rules as the SQL warehouse, kept to them by the same contract suite.

A transaction works on a draft that replaces the tables at its end, so a crash inside it leaves nothing behind. The
parts: `warehouse_tables`, `warehouse_sessions`, `warehouse_pages`; what may happen is decided in core.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from sim_sync.core.crash_points import CrashPoint, nothing_armed
from sim_sync.core.errors import Fenced, InputError, InternalError
from sim_sync.core.opening import Opened, OpenRequest
from sim_sync.core.pages import Cursor, Page, cursor_digest
from sim_sync.core.session import Claim, Event, Session, State, next_state
from sim_sync.core.sweep import SweepPolicy
from sim_sync_tests.fakes.clock import SettableClock
from sim_sync_tests.fakes.warehouse_pages import (
    acknowledged_before,
    complete,
    refuse_repeated_cursor,
    sweep,
    write_changes,
    write_checkpoint,
    write_quarantined,
    write_sims,
)
from sim_sync_tests.fakes.warehouse_sessions import CLOSABLE_STATES, later, noting, open_session, unknown, working
from sim_sync_tests.fakes.warehouse_tables import Tables


class InMemoryWarehouse:
    """A whole warehouse in this process. It may be used by several threads; each method is atomic.

    `at` is called at each of `CRASH_POINTS`; what it raises leaves the tables as before, or wholly written.
    """

    def __init__(self, clock: SettableClock | None = None, *, at: CrashPoint = nothing_armed) -> None:
        self.clock = clock or SettableClock()
        self._at = at
        self._lock = threading.RLock()
        self._tables = Tables()

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return the rows of a table by its name in the warehouse, in no promised order."""
        with self._lock:
            return self._tables.rows(table)

    @contextmanager
    def _transaction(self) -> Iterator[Tables]:
        with self._lock:
            draft = self._tables.copy()
            yield draft
            self._tables = draft

    # --- opening -----------------------------------------------------------------------------------------------

    def open_session(self, request: OpenRequest) -> Opened:
        """Open, resume or refuse the carrier's session, as `decide_opening` says."""
        with self._transaction() as tables:
            self._at("open_session:begun")
            opened = open_session(tables, request, self.clock.now())
            self._at("open_session:written")
        self._at("open_session:committed")
        return opened

    # --- steps -------------------------------------------------------------------------------------------------

    def commit_page(self, claim: Claim, expected_cursor: Cursor, page: Page) -> Session:
        """Write a page, its changes, the checkpoint and the progress, if the claim and the cursor still hold."""
        with self._transaction() as tables:
            self._at("commit_page:begun")
            session = working(tables, claim)
            if session.cursor != expected_cursor:
                return acknowledged_before(tables, session, expected_cursor, page)
            refuse_repeated_cursor(tables, session, page)
            self._at("commit_page:fence_checked")
            now = self.clock.now()
            diff = write_sims(tables, session, page, now)
            self._at("commit_page:rows_written")
            write_changes(tables, session, diff, now)
            self._at("commit_page:changes_written")
            write_quarantined(tables, session, page, now)
            self._at("commit_page:quarantine_written")
            session = write_checkpoint(tables, session, page, diff, now)
            self._at("commit_page:checkpoint_written")
        self._at("commit_page:committed")
        return session

    def commit_walk_restart(self, claim: Claim, first_cursor: Cursor, reason: str) -> Session:
        """Set the session back to its first page."""
        with self._transaction() as tables:
            session = working(tables, claim)
            notes = tables.internals[claim.session_id]
            tables.internals[claim.session_id] = replace(
                notes, walk_restarts=notes.walk_restarts + 1, last_cursor_digest=None
            )
            tables.walk_cursors[claim.session_id] = frozenset({cursor_digest(first_cursor)})
            now = self.clock.now()
            return tables.put(
                replace(
                    noting(session, f"the walk started again from its first page: {reason}", now),
                    cursor=first_cursor,
                    pages_done=0,
                    # Counted with the pages: the share of unreadable records and the pages expected are judged by both.
                    records_seen=0,
                    records_quarantined=0,
                    updated_at=now,
                )
            )

    def renew_lease(self, claim: Claim) -> Session:
        """Extend the lease of a running session; a paused one is only told."""
        with self._transaction() as tables:
            session = working(tables, claim)
            if session.state is State.PAUSED:
                return session
            lease_seconds = tables.internals[claim.session_id].lease_seconds
            return tables.put(replace(session, lease_expires_at=later(self.clock.now(), lease_seconds)))

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
        with self._transaction() as tables:
            session = tables.sessions.get(claim.session_id)
            if session is None:
                raise Fenced(unknown(claim))
            if session.fence != claim.fence or session.state is not State.RUNNING:
                return session
            now = self.clock.now()
            return tables.put(
                replace(
                    noting(session, error, now),
                    state=next_state(session.state, event),
                    lease_expires_at=None,
                    not_before=None if wait_seconds is None else later(now, wait_seconds),
                    retries=session.retries + retries,
                    throttled_seconds=session.throttled_seconds + throttled_seconds,
                    eta_at=None,
                    updated_at=now,
                )
            )

    def close_session(self, claim: Claim, policy: SweepPolicy, config_hash: str) -> Session:
        """Certify the walk, sweep if it may, and complete the session."""
        with self._transaction() as tables:
            self._at("close_session:begun")
            session = working(tables, claim, states=CLOSABLE_STATES)
            if session.state is not State.RUNNING:  # paused at the last moment; or the acknowledgement was lost
                return session
            if not session.walked_to_the_end:
                raise InternalError(
                    f"carrier {session.carrier}: session {session.session_id} cannot be closed at page "
                    f"{session.pages_done}: the carrier has not given its end signal; please report this as a bug"
                )
            now = self.clock.now()
            verdict = sweep(tables, session, policy, config_hash, now)
            self._at("close_session:swept")
            session = complete(tables, session, verdict, now)
            self._at("close_session:written")
        self._at("close_session:committed")
        return session

    def move_by_operator(self, carrier: str, event: Event, *, error: str | None = None) -> Session:
        """Move the carrier's open session by a person's event, whoever holds the lease."""
        with self._transaction() as tables:
            session = tables.open_session_of(carrier)
            if session is None:
                raise InputError(f"carrier {carrier} has no open session")
            now = self.clock.now()
            return tables.put(
                replace(
                    noting(session, error, now),
                    state=next_state(session.state, event),
                    not_before=None,
                    eta_at=None,
                    updated_at=now,
                    stalled_resumes=0 if event is Event.RELEASED_BY_OPERATOR else session.stalled_resumes,
                )
            )

    # --- reading -----------------------------------------------------------------------------------------------

    def session(self, session_id: str) -> Session:
        """Return a session."""
        with self._lock:
            session = self._tables.sessions.get(session_id)
        if session is None:
            raise InputError(f"session {session_id} does not exist in this warehouse")
        return session

    def open_session_of(self, carrier: str) -> Session | None:
        """Return the carrier's session that is not final, if it has one."""
        with self._lock:
            return self._tables.open_session_of(carrier)

    def latest_sessions(self, carriers: Sequence[str]) -> Sequence[Session]:
        """Return each carrier's open or else newest session, in the order of `carriers`."""
        with self._lock:
            latest = [self._tables.latest_session_of(carrier) for carrier in carriers]
        return [session for session in latest if session is not None]

    def now(self) -> datetime:
        """Return the time that the test has set."""
        return self.clock.now()
