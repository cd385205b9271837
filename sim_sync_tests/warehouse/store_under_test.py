"""What the store contract asks of a store under test, and the few steps that its rules are told in.

No rule is asserted in here. See `store_contract` for how a store is put under test.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from sim_sync.core.held_sweep import Marked, OperatorDecision, ShownSweep, SweepHistory
from sim_sync.core.opening import FailedOpening, Trigger
from sim_sync.core.pages import Cursor, Page
from sim_sync.core.ports import SessionStore
from sim_sync.core.session import Event, Session
from sim_sync.core.sims import Sim
from sim_sync.core.sweep import SweepPolicy
from sim_sync_tests.fakes.crash_points import ArmedPoints
from sim_sync_tests.fakes.fleet import a_page, a_request

#: The tables that a sync writes; `everything` reads them.
TABLES = ("carrier_sims", "sim_changes", "sync_sessions", "session_internals", "quarantined_records")


class Clock(Protocol):
    """The clock that the store under test goes by; it moves only when told."""

    def now(self) -> datetime:
        """Return the time."""

    def advance(self, seconds: float) -> datetime:
        """Move the time forward."""


class ReadableStore(SessionStore, Protocol):
    """A store with what an operator, the sensor and the contract ask of it besides."""

    def move_by_operator(self, carrier: str, event: Event, *, error: str | None = None) -> Session:
        """Move the carrier's open session by an operator's event."""

    def fail_opening(self, failed: FailedOpening) -> Session | None:
        """Write down why no run can open the carrier's session."""

    def show_held_sweep(self, carrier: str, *, most: int) -> ShownSweep:
        """Return what approving the carrier's held sweep would mark."""

    def decide_held_sweep(self, carrier: str, decision: OperatorDecision) -> tuple[Session, Marked]:
        """Write a person's decision on the carrier's held sweep down, and carry it out."""

    def sweep_history(self, carrier: str) -> SweepHistory:
        """Return the carrier's last two certified walks."""

    def open_session_of(self, carrier: str) -> Session | None:
        """Return the carrier's session that is not final, if it has one."""

    def latest_sessions(self, carriers: Sequence[str]) -> Sequence[Session]:
        """Return each carrier's open or else newest session."""

    def now(self) -> datetime:
        """Return the warehouse's own time."""


class StoreUnderTest(Protocol):
    """An empty warehouse, its clock, and a way to read its tables back."""

    @property
    def store(self) -> ReadableStore:
        """The store itself."""

    @property
    def clock(self) -> Clock:
        """The store's clock."""

    @property
    def crash_points(self) -> ArmedPoints:
        """What the store calls at each of its crash points."""

    def load_our_list(self, carrier: str, sims: int) -> None:
        """Make this many SIMs of the carrier stand on our list."""

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return a table's rows: JSON parsed, times aware and in UTC, in any order."""


def table(under_test: StoreUnderTest, name: str, *columns: str) -> list[tuple[Any, ...]]:
    """Return some columns of a table, sorted."""
    return sorted((tuple(row[column] for column in columns) for row in under_test.rows(name)), key=repr)


def everything(under_test: StoreUnderTest) -> dict[str, list[dict[str, Any]]]:
    """Return all that is stored, in an order that does not depend on the store."""
    return {name: sorted(under_test.rows(name), key=repr) for name in TABLES}


def opened(
    under_test: StoreUnderTest, owner: str = "run-1", trigger: Trigger = Trigger.NIGHTLY, **fields: Any
) -> Session:
    """Open or resume a session, which must be granted."""
    answer = under_test.store.open_session(a_request(owner, trigger, **fields))
    assert answer.refusal is None
    return answer.session


def refusal(under_test: StoreUnderTest, owner: str = "run-2", trigger: Trigger = Trigger.NIGHTLY, **fields: Any) -> str:
    """Ask for a session, which must be refused, and return the reason."""
    answer = under_test.store.open_session(a_request(owner, trigger, **fields))
    assert answer.refusal is not None
    return answer.refusal


def cursor_of(session: Session) -> Cursor:
    """Return where a session that has not reached its end stands."""
    assert session.cursor is not None
    return session.cursor


def committed(under_test: StoreUnderTest, session: Session, page: Page) -> Session:
    """Commit the page that the session stands at."""
    return under_test.store.commit_page(session.claim, cursor_of(session), page)


def walked(under_test: StoreUnderTest, session: Session, *pages: Sequence[Sim]) -> Session:
    """Commit these SIMs page by page, with the end signal on the last."""
    for number, sims in enumerate(pages, start=1):
        next_cursor = {"page": number} if number < len(pages) else None
        session = committed(under_test, session, a_page(sims, next_cursor))
    return session


def night(under_test: StoreUnderTest, *pages: Sequence[Sim], policy: SweepPolicy | None = None) -> Session:
    """Walk over the whole carrier once, an hour after the last time, and close the session."""
    under_test.clock.advance(3600)
    session = walked(under_test, opened(under_test), *pages)
    return under_test.store.close_session(session.claim, policy or SweepPolicy(), session.config_hash)
