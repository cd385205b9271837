"""`SessionStore` on dicts, for tests that need no database: it locks, reads, calls core, and writes, as the real one.

A transaction works on a draft that replaces the tables at its end, so a crash inside it leaves nothing behind.
"""

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sim_sync.core import session_events
from sim_sync.core.errors import InputError
from sim_sync.core.held_sweep import (
    Marked,
    OperatorDecision,
    ShownSweep,
    SweepChoice,
    SweepHistory,
    held_session,
    require_as_shown,
)
from sim_sync.core.lookups import AskedSim, LookedUp, LookupPlan
from sim_sync.core.opening import (
    FailedOpening,
    GiveUp,
    Opened,
    OpenNew,
    OpenRequest,
    Refuse,
    Resume,
    decide_opening,
    lets_it_fail,
)
from sim_sync.core.pages import Cursor, Page
from sim_sync.core.session import (
    CLOSABLE_STATES,
    WORKING_STATES,
    Claim,
    Event,
    Release,
    Session,
    SessionRecord,
    State,
    check_claim,
    is_committed,
    repeated_cursor,
    unknown_session,
)
from sim_sync.core.sweep import SweepPolicy
from sim_sync.core.sync import CrashPoint, nothing_armed
from sim_sync_tests.fakes.clock import SettableClock
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
        #: How many SIMs our list has of each carrier.
        self.sims_on_our_list: dict[str, int] = {}

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
            opened = self._carry_out(tables, request)
            self._at("open_session:written")
        self._at("open_session:committed")
        return opened

    def _carry_out(self, tables: Tables, request: OpenRequest) -> Opened:
        record, now = tables.open_record_of(request.carrier), self.clock.now()
        decision = decide_opening(None if record is None else record.session, request, now)
        if record is None:
            return Opened(self._open_new(tables, request))
        match decision:
            case OpenNew(reason):
                tables.put(session_events.superseded(record, reason, now))
                tables.forget_answers(record.session.session_id)
                return Opened(self._open_new(tables, request))
            case Resume():
                return Opened(tables.put(session_events.taken_over(record, request, decision, now)))
            case GiveUp(reason):
                return Opened(tables.put(session_events.gave_up(record, reason, now)), refusal=reason)
            case Refuse(reason):
                return Opened(record.session, refusal=reason)

    def _open_new(self, tables: Tables, request: OpenRequest) -> Session:
        now, carrier = self.clock.now(), request.carrier
        done = [one for one in tables.records_of(carrier) if one.session.state is State.COMPLETED]
        expected = (done[-1].internals.sims_seen if done else None) or self.sims_on_our_list.get(carrier) or None
        session_id = f"{carrier}-{now:%Y%m%dT%H%M%S}-{len(tables.records):04d}"
        tables.use_cursor(session_id, request.first_cursor)
        number = len(tables.records_of(carrier)) + 1
        return tables.put(session_events.opened(request, session_id, number, expected, now))

    def fail_opening(self, failed: FailedOpening) -> Session | None:
        """Write down why no run can open the carrier's session, if nobody is at work on it."""
        with self._transaction() as tables:
            record, now = tables.open_record_of(failed.carrier), self.clock.now()
            if record is None:
                if failed.session_id is not None:
                    return None
                number = len(tables.records_of(failed.carrier)) + 1
                session_id = f"{failed.carrier}-{now:%Y%m%dT%H%M%S}-{len(tables.records):04d}"
                return tables.put(session_events.failed_to_open(failed, session_id, number, now))
            if not lets_it_fail(record.session, failed, now):
                return record.session
            return tables.put(session_events.opening_failed(record, failed.reason, now))

    # --- steps -------------------------------------------------------------------------------------------------

    def commit_page(self, claim: Claim, expected_cursor: Cursor, page: Page) -> Session:
        """Write a page, its changes, the checkpoint and the progress, if the claim and the cursor still hold."""
        with self._transaction() as tables:
            self._at("commit_page:begun")
            record, now = _working(tables, claim), self.clock.now()
            session = record.session
            if is_committed(record, expected_cursor, page):
                return session
            if page.next_cursor is not None and not tables.use_cursor(claim.session_id, page.next_cursor):
                raise repeated_cursor(session, page)
            self._at("commit_page:fence_checked")
            diff = tables.write_sims(record, page, now)
            self._at("commit_page:rows_written")
            tables.write_changes(session, diff, now)
            self._at("commit_page:changes_written")
            tables.write_quarantined(session, page, now)
            self._at("commit_page:quarantine_written")
            session = tables.put(session_events.page_committed(record, page, diff, now))
            self._at("commit_page:checkpoint_written")
        self._at("commit_page:committed")
        return session

    def commit_walk_restart(self, claim: Claim, first_cursor: Cursor, reason: str) -> Session:
        """Set the session back to its first page."""
        with self._transaction() as tables:
            record = _working(tables, claim)
            tables.walk_cursors.pop(claim.session_id)
            tables.use_cursor(claim.session_id, first_cursor)
            return tables.put(session_events.walk_restarted(record, first_cursor, reason, self.clock.now()))

    def plan_lookups(self, claim: Claim, policy: SweepPolicy, config_hash: str) -> LookupPlan:
        """Return whom to ask for still."""
        with self._transaction() as tables:
            record, now = _working(tables, claim), self.clock.now()
            self._at("plan_lookups:begun")
            plan = tables.plan_lookups(record, policy, config_hash, now)
            self._at("plan_lookups:written")
        self._at("plan_lookups:committed")
        return plan

    def commit_lookup(self, claim: Claim, asked: AskedSim, looked_up: LookedUp) -> Session:
        """Write one answer down, and the SIM if it was found."""
        with self._transaction() as tables:
            self._at("commit_lookup:begun")
            record, now = _working(tables, claim), self.clock.now()
            if (claim.session_id, asked.sim_id) in tables.lookups:
                return record.session
            self._at("commit_lookup:fence_checked")
            diff = tables.write_answer(record, asked, looked_up, now)
            self._at("commit_lookup:rows_written")
            session = tables.put(session_events.sim_looked_up(record, looked_up, diff, now))
            self._at("commit_lookup:checkpoint_written")
        self._at("commit_lookup:committed")
        return session

    def renew_lease(self, claim: Claim) -> Session:
        """Extend the lease of a running session; a paused one is only told."""
        with self._transaction() as tables:
            return tables.put(session_events.lease_renewed(_working(tables, claim), self.clock.now()))

    # --- ends --------------------------------------------------------------------------------------------------

    def release(self, claim: Claim, release: Release) -> Session:
        """Give the lease back and move the session as the release says; a claim that was lost changes nothing."""
        with self._transaction() as tables:
            return tables.put(session_events.released(_known(tables, claim), claim, release, self.clock.now()))

    def close_session(self, claim: Claim, policy: SweepPolicy, config_hash: str) -> Session:
        """Certify the walk, sweep if it may, and complete the session."""
        with self._transaction() as tables:
            self._at("close_session:begun")
            record, now = _working(tables, claim, CLOSABLE_STATES), self.clock.now()
            if record.session.state is not State.RUNNING:
                return record.session
            decision, sims_seen = tables.sweep(record, policy, config_hash, now)
            self._at("close_session:swept")
            session = tables.put(session_events.completed(record, decision, sims_seen, now))
            tables.forget_answers(session.session_id)
            self._at("close_session:written")
        self._at("close_session:committed")
        return session

    def move_by_operator(self, carrier: str, event: Event, *, error: str | None = None) -> Session:
        """Move the carrier's open session by a person's event, whoever holds the lease."""
        with self._transaction() as tables:
            record = tables.open_record_of(carrier)
            if record is None:
                raise InputError(f"carrier {carrier} has no open session")
            return tables.put(session_events.moved_by_operator(record, event, error, self.clock.now()))

    # --- a held sweep ------------------------------------------------------------------------------------------

    def show_held_sweep(self, carrier: str, *, most: int) -> ShownSweep:
        """Return what approving the carrier's held sweep would mark, and write down that it was shown."""
        with self._transaction() as tables:
            record = _held(tables, carrier)
            shown = tables.held_sweep(record, most)
            tables.put(session_events.sweep_shown(record, shown.digest))
        return shown

    def decide_held_sweep(self, carrier: str, decision: OperatorDecision) -> tuple[Session, Marked]:
        """Write a person's decision down, and mark the SIMs that were shown if they approve."""
        with self._transaction() as tables:
            self._at("decide_sweep:begun")
            record, now, marked = _held(tables, carrier), self.clock.now(), Marked()
            after = session_events.sweep_decided(record, decision, now)
            if decision.choice is SweepChoice.APPROVE:
                shown = tables.held_sweep(record, 0)
                require_as_shown(record, decision, shown.digest)
                self._at("decide_sweep:compared")
                tables.mark(tables.not_seen(record), now)
                marked = Marked(shown.absent, shown.vanished)
            session = tables.put(after)
            self._at("decide_sweep:written")
        self._at("decide_sweep:committed")
        return session, marked

    def sweep_history(self, carrier: str) -> SweepHistory:
        """Return the carrier's last two certified walks."""
        with self._lock:
            return self._tables.sweep_history(carrier)

    # --- reading -----------------------------------------------------------------------------------------------

    def session(self, session_id: str) -> Session:
        """Return a session."""
        with self._lock:
            record = self._tables.records.get(session_id)
        if record is None:
            raise InputError(f"session {session_id} does not exist in this warehouse")
        return record.session

    def open_session_of(self, carrier: str) -> Session | None:
        """Return the carrier's session that is not final, if it has one."""
        with self._lock:
            record = self._tables.open_record_of(carrier)
        return None if record is None else record.session

    def latest_sessions(self, carriers: Sequence[str]) -> Sequence[Session]:
        """Return each carrier's open or else newest session, in the order of `carriers`."""
        with self._lock:
            latest = [self._tables.latest_record_of(carrier) for carrier in carriers]
        return [record.session for record in latest if record is not None]

    def now(self) -> datetime:
        """Return the time that the test has set."""
        return self.clock.now()


def _known(tables: Tables, claim: Claim) -> SessionRecord:
    if claim.session_id not in tables.records:
        raise unknown_session(claim)
    return tables.records[claim.session_id]


def _held(tables: Tables, carrier: str) -> SessionRecord:
    return tables.records[held_session(carrier, tables.sweep_history(carrier)).session_id]


def _working(tables: Tables, claim: Claim, states: Collection[State] = WORKING_STATES) -> SessionRecord:
    record = _known(tables, claim)
    check_claim(record.session, claim, states)
    return record
