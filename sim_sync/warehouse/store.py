"""The warehouse as a sync sees it: every method is one transaction, and every write checks the fence in it.

Rows are written in `pages`, session rows in `sessions`, the end of a walk in `sweeping`; what may happen is decided in
core. Times are the warehouse's own, so that two hosts need not agree about the time of day.
"""

import logging
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import ParamSpec, TypeAlias, TypeVar

import sqlalchemy as sa
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from sim_sync.core import session_events
from sim_sync.core.backoff import backoff_seconds
from sim_sync.core.errors import InputError, WarehouseUnavailable, WriteRefused
from sim_sync.core.held_sweep import Marked, OperatorDecision, ShownSweep, SweepHistory
from sim_sync.core.lookups import AskedSim, LookedUp, LookupOutcome, LookupPlan
from sim_sync.core.opening import FailedOpening, Opened, OpenRequest, decide_opening
from sim_sync.core.pages import Cursor, Page, PageDiff, cursor_digest
from sim_sync.core.ports import Waiter
from sim_sync.core.session import (
    CLOSABLE_STATES,
    WORKING_STATES,
    Claim,
    Event,
    Release,
    Session,
    SessionInternals,
    SessionRecord,
    State,
    check_claim,
    is_committed,
    may_come_again,
    repeated_cursor,
    unknown_session,
)
from sim_sync.core.sweep import SweepPolicy
from sim_sync.core.sync import CrashPoint, nothing_armed
from sim_sync.warehouse import lookups, pages, sessions, sweeping
from sim_sync.warehouse.engine import can_write_now, read_clock, reading, transaction
from sim_sync.warehouse.opening import carry_out_decision, carry_out_failure
from sim_sync.warehouse.pages import write_isolated
from sim_sync.warehouse.seen import SeenMemory, SeenNumbers
from sim_sync.warehouse.temporary import lock_carrier

#: Writes a page's rows, and returns the page as it was written with what that changed.
_WritePage: TypeAlias = Callable[[sa.Connection, SessionRecord, Page, datetime, SeenNumbers], tuple[Page, PageDiff]]


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
        self._seen = SeenMemory()

    # --- opening -----------------------------------------------------------------------------------------------

    def open_session(self, request: OpenRequest) -> Opened:
        """Open, resume or refuse the carrier's session; a success takes the lease and raises the fence."""
        with transaction(self.engine, f"opening the session of carrier {request.carrier}") as connection:
            self._at("open_session:begun")
            lock_carrier(connection, request.carrier)
            record, now = self._lock_open(connection, request.carrier)
            decision = decide_opening(None if record is None else record.session, request, now)
            opened = carry_out_decision(connection, record, decision, request, now)
            self._at("open_session:written")
        self._at("open_session:committed")
        return opened

    def fail_opening(self, failed: FailedOpening) -> Session | None:
        """Write down why no run can open the carrier's session, if nobody is at work on it; return the open session."""
        with transaction(self.engine, f"failing the session of carrier {failed.carrier}") as connection:
            lock_carrier(connection, failed.carrier)
            record, now = self._lock_open(connection, failed.carrier)
            return carry_out_failure(connection, record, failed, now)

    # --- steps -------------------------------------------------------------------------------------------------

    def commit_page(self, claim: Claim, expected_cursor: Cursor, page: Page) -> Session:
        """Write a page, its changes, the checkpoint and the progress, if the claim and the cursor still hold.

        A record that the database does not take is quarantined, and the rest of the page is written.
        """
        try:
            session = self._commit_page(claim, expected_cursor, page, self._write_page)
        except WriteRefused:
            session = self._commit_page(claim, expected_cursor, page, write_isolated)
        self._at("commit_page:committed")
        return session

    def _commit_page(self, claim: Claim, expected_cursor: Cursor, page: Page, write: _WritePage) -> Session:
        with transaction(self.engine, f"committing a page of carrier {claim.carrier}") as connection:
            self._at("commit_page:begun")
            record, now = self._working(connection, claim)
            session = record.session
            if is_committed(record, expected_cursor, page):
                return session
            self._note_cursor(connection, session, page)
            self._at("commit_page:fence_checked")
            seen = self._seen.numbers_of(connection, session)
            page, diff = write(connection, record, page, now, seen)
            self._at("commit_page:quarantine_written")
            after = session_events.page_committed(record, page, diff, now)
            session = sessions.write_record(connection, after, record)
            self._at("commit_page:checkpoint_written")
        return session

    def _write_page(
        self, connection: sa.Connection, record: SessionRecord, page: Page, now: datetime, seen: SeenNumbers
    ) -> tuple[Page, PageDiff]:
        session = record.session
        repeats = may_come_again(record, page)
        page, diff = pages.write_page_sims(connection, session, page, now, seen, may_come_again=repeats)
        self._at("commit_page:rows_written")
        pages.write_changes(connection, session, diff.changes, now)
        self._at("commit_page:changes_written")
        pages.write_quarantined(connection, session, page.rejected, now)
        return page, diff

    @staticmethod
    def _note_cursor(connection: sa.Connection, session: Session, page: Page) -> None:
        if page.next_cursor is None:
            return
        if not sessions.note_cursor(connection, session.session_id, cursor_digest(page.next_cursor)):
            raise repeated_cursor(session, page)

    def commit_walk_restart(self, claim: Claim, first_cursor: Cursor, reason: str) -> Session:
        """Set the session back to its first page, because the carrier no longer takes its cursor."""
        with transaction(self.engine, f"restarting the walk over carrier {claim.carrier}") as connection:
            record, now = self._working(connection, claim)
            sessions.forget_cursors(connection, claim.session_id)
            sessions.note_cursor(connection, claim.session_id, cursor_digest(first_cursor))
            after = session_events.walk_restarted(record, first_cursor, reason, now)
            return sessions.write_record(connection, after, record)

    def plan_lookups(self, claim: Claim, policy: SweepPolicy, config_hash: str) -> LookupPlan:
        """Return whom to ask for still: nobody, where the sweep would not be done, or where no SIM was missed."""
        with transaction(self.engine, f"looking for what the walk over carrier {claim.carrier} missed") as connection:
            record, now = self._working(connection, claim)
            self._at("plan_lookups:begun")
            plan, after = sweeping.plan_lookups(connection, record, policy, config_hash=config_hash, now=now)
            sessions.write_record(connection, after, record)
            self._at("plan_lookups:written")
        self._at("plan_lookups:committed")
        return plan

    def commit_lookup(self, claim: Claim, asked: AskedSim, looked_up: LookedUp) -> Session:
        """Write one answer down, if the claim still holds; a SIM that was found is written as its page would do it.

        A record that the database does not take leaves the answer unclear.
        """
        try:
            session = self._commit_lookup(claim, asked, looked_up)
        except WriteRefused as refused:
            problem = f"carrier {claim.carrier}: a SIM that was looked up cannot be stored: {refused}"
            session = self._commit_lookup(
                claim, asked, replace(looked_up, outcome=LookupOutcome.UNCLEAR, problem=problem)
            )
        self._at("commit_lookup:committed")
        return session

    def _commit_lookup(self, claim: Claim, asked: AskedSim, looked_up: LookedUp) -> Session:
        with transaction(self.engine, f"committing a lookup at carrier {claim.carrier}") as connection:
            self._at("commit_lookup:begun")
            record, now = self._working(connection, claim)
            if lookups.is_answered(connection, record.session, asked):
                return record.session
            self._at("commit_lookup:fence_checked")
            seen = self._seen.numbers_of(connection, record.session)
            diff = lookups.write_answer(connection, record.session, asked, looked_up, now, seen=seen)
            self._at("commit_lookup:rows_written")
            after = session_events.sim_looked_up(record, looked_up, diff, now)
            session = sessions.write_record(connection, after, record)
            self._at("commit_lookup:checkpoint_written")
        return session

    def renew_lease(self, claim: Claim) -> Session:
        """Extend the lease and return the session as it stands, a pause included."""
        with transaction(self.engine, f"renewing the lease on carrier {claim.carrier}") as connection:
            record, now = self._working(connection, claim)
            return sessions.write_record(connection, session_events.lease_renewed(record, now), record)

    # --- ends --------------------------------------------------------------------------------------------------

    def release(self, claim: Claim, release: Release) -> Session:
        """Give the lease back and move the session as the release says; a claim that was lost changes nothing."""
        with transaction(self.engine, f"releasing the session of carrier {claim.carrier}") as connection:
            record, now = self._lock(connection, claim)
            after = session_events.released(record, claim, release, now)
            return sessions.write_record(connection, after, record)

    def close_session(self, claim: Claim, policy: SweepPolicy, config_hash: str) -> Session:
        """Certify the walk, sweep if it may, and complete the session, all in one transaction."""
        with transaction(self.engine, f"closing the session of carrier {claim.carrier}") as connection:
            self._at("close_session:begun")
            record, now = self._working(connection, claim, states=CLOSABLE_STATES)
            session = record.session
            if session.state is not State.RUNNING:  # paused at the last moment; or the acknowledgement was lost
                return session
            decision, sims_seen = sweeping.sweep(connection, record, policy, config_hash=config_hash, now=now)
            self._at("close_session:swept")
            after = session_events.completed(record, decision, sims_seen, now)
            session = sessions.write_record(connection, after, record)
            sessions.forget_cursors(connection, session.session_id)
            sessions.forget_lookups(connection, session.session_id)
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
            record, now = self._lock_open(connection, carrier)
            if record is None:
                raise InputError(f"carrier {carrier} has no open session")
            after = session_events.moved_by_operator(record, event, error, now)
            return sessions.write_record(connection, after, record)

    # --- a held sweep ------------------------------------------------------------------------------------------

    def show_held_sweep(self, carrier: str, *, most: int) -> ShownSweep:
        """Return what approving the carrier's held sweep would mark; only that can be approved from now on.

        Args:
            carrier: its name.
            most: how long a list may be; what is counted is not capped.

        Raises:
            InputError: the carrier has no held sweep.
        """
        with transaction(self.engine, f"reading the held sweep of carrier {carrier}") as connection:
            return sweeping.show(connection, sweeping.lock_held(connection, carrier).record, most=most)

    def decide_held_sweep(self, carrier: str, decision: OperatorDecision) -> tuple[Session, Marked]:
        """Write a person's decision down, and mark the SIMs if they approve; return the session and what was marked.

        Raises:
            InputError: the carrier has no held sweep, or what would be marked is not what was shown; nothing was
                written.
        """
        with transaction(self.engine, f"deciding on the held sweep of carrier {carrier}") as connection:
            self._at("decide_sweep:begun")
            lock_carrier(connection, carrier)
            locked = sweeping.lock_held(connection, carrier)
            now = locked.now if self._clock is None else self._clock()
            decided = sweeping.decide(connection, locked.record, decision, now, at=self._at)
            self._at("decide_sweep:written")
        self._at("decide_sweep:committed")
        return decided

    def sweep_history(self, carrier: str) -> SweepHistory:
        """Return the carrier's last two certified walks."""
        with reading(self.engine, f"reading the sessions of carrier {carrier}") as connection:
            return sessions.read_sweep_history(connection, carrier)

    # --- reading -----------------------------------------------------------------------------------------------

    def session(self, session_id: str) -> Session:
        """Return a session."""
        with reading(self.engine, f"reading session {session_id}") as connection:
            session = sessions.read_session(connection, session_id)
        if session is None:
            raise InputError(f"session {session_id} does not exist in this warehouse")
        return session

    def internals(self, session_id: str) -> SessionInternals:
        """Return what sim_sync remembers about a session for itself."""
        with reading(self.engine, f"reading session {session_id}") as connection:
            internals = sessions.read_internals(connection, session_id)
        if internals is None:
            raise InputError(f"session {session_id} does not exist in this warehouse")
        return internals

    def internals_of(self, session_ids: Sequence[str]) -> Mapping[str, SessionInternals]:
        """Return the same about many sessions, by their ids, in one query."""
        with reading(self.engine, "reading what is remembered about the sessions") as connection:
            return sessions.read_all_internals(connection, session_ids)

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
        self, connection: sa.Connection, claim: Claim, *, states: Collection[State] = WORKING_STATES
    ) -> tuple[SessionRecord, datetime]:
        record, now = self._lock(connection, claim)
        check_claim(record.session, claim, states)
        return record, now

    def _lock(self, connection: sa.Connection, claim: Claim) -> tuple[SessionRecord, datetime]:
        locked = sessions.lock_session(connection, claim.session_id)
        if locked is None:
            raise unknown_session(claim)
        return locked.record, locked.now if self._clock is None else self._clock()

    def _lock_open(self, connection: sa.Connection, carrier: str) -> tuple[SessionRecord | None, datetime]:
        locked = sessions.lock_open_session(connection, carrier)
        if locked is None:
            return None, self._now(connection)
        return locked.record, locked.now if self._clock is None else self._clock()

    def _now(self, connection: sa.Connection) -> datetime:
        if self._clock is not None:
            return self._clock()
        return read_clock(connection)


# --- while it is away ------------------------------------------------------------------------------------------------

# Rides out a warehouse that is away for a while: a restart, a cut connection, a lock held too long, a full disk.
#
# Every method of a store is one transaction that either happened or did not, and says so when asked again; so asking
# again is always safe.


_log = logging.getLogger("sim_sync.worker")

#: 0.5, 1, 2, 4, 8, 15, 15 seconds: a restart of a database server fits in.
_ATTEMPTS = 8
_BASE_SECONDS = 0.5
_CEILING_SECONDS = 15.0

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class WarehouseRetry:
    """Calls a method of the store again while the warehouse is unavailable, `attempts` times at most.

    `waiter` waits between the attempts, and cuts them short when the sync has to stop.
    """

    def __init__(
        self, waiter: Waiter, *, attempts: int = _ATTEMPTS, chance: Callable[[], float] = random.random
    ) -> None:
        self._chance = chance
        self._retrying = Retrying(
            retry=retry_if_exception_type(WarehouseUnavailable),
            stop=stop_after_attempt(attempts),
            wait=self._wait_seconds,
            sleep=waiter.wait,
            before_sleep=_warn,
            reraise=True,
        )

    def __call__(
        self, method: Callable[Arguments, Result], *arguments: Arguments.args, **options: Arguments.kwargs
    ) -> Result:
        """Return what the method returns, or raise the error of its last attempt."""
        return self._retrying(method, *arguments, **options)

    def _wait_seconds(self, state: RetryCallState) -> float:
        return backoff_seconds(
            state.attempt_number - 1,
            base_seconds=_BASE_SECONDS,
            ceiling_seconds=_CEILING_SECONDS,
            chance=self._chance(),
        )


def _warn(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    wait_seconds = state.next_action.sleep if state.next_action else 0.0
    # The first says it all, and what to do; those that follow are for who reads the whole log.
    _log.log(
        logging.WARNING if state.attempt_number == 1 else logging.INFO,
        "attempt %d: %s; trying again in %.1f s",
        state.attempt_number,
        error,
        wait_seconds,
    )
