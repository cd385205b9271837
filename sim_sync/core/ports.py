"""What the core asks of the outside world, as Protocols. Adapters: `carriers`, `warehouse`; fakes: the tests."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from sim_sync.core.lookups import AskedSim, LookedUp, LookupPlan
from sim_sync.core.opening import Opened, OpenRequest
from sim_sync.core.pages import Cursor, Page
from sim_sync.core.session import Claim, Process, Release, Session
from sim_sync.core.sweep import SweepPolicy


class PageSource(Protocol):
    """One configured account at one carrier, read page by page."""

    @property
    def name(self) -> str:
        """The carrier's name in `carriers.yaml`."""

    @property
    def config_hash(self) -> str:
        """A digest of everything that gives this carrier's cursors their meaning; no secret goes into it."""

    def first_cursor(self) -> Cursor:
        """Return the cursor of the first page."""

    def reading_ahead(self, pages_left: Callable[[], int | None]) -> AbstractContextManager[None]:
        """In the block, let pages that presumably follow be asked for while a page that was fetched is committed.

        What is on its way at the end of the block is thrown away. `pages_left` is how many pages behind the one that is
        being fetched may still be committed; None is no bound.
        """

    def fetch_page(self, cursor: Cursor) -> Page:
        """Fetch one page, riding out transient failures.

        Raises:
            ParkRequired: the wait is longer than a worker should sleep.
            CarrierError: a permanent problem; `CursorRejected` where only the cursor is at fault.
            StopRequested: a wait was cut short because the sync has to stop.
        """


class LookupSource(Protocol):
    """A carrier that may have a way to ask for one SIM."""

    @property
    def config_hash(self) -> str:
        """A digest of everything that gives this carrier's cursors their meaning; no secret goes into it."""

    @property
    def can_look_up(self) -> bool:
        """Whether it has such a way."""

    def look_up(self, asked: AskedSim) -> LookedUp:
        """Ask for one SIM, riding out transient failures.

        Raises:
            ParkRequired, CarrierError, StopRequested: as for a page; a permanent problem leaves the answer unclear.
        """


class CarrierSource(PageSource, LookupSource, Protocol):
    """One configured account at one carrier, as a whole sync asks it."""


class Waiter(Protocol):
    """The one way to wait: a wait can be cut short by a stop, and tests do not sleep."""

    def wait(self, seconds: float) -> None:
        """Return after `seconds`, or raise `StopRequested` as soon as the sync has to stop."""

    def is_stopped(self) -> bool:
        """Return whether the sync has to stop, for what waits for something else than time."""


class PageStore(Protocol):
    """What a walk writes. Every method is one transaction."""

    def commit_page(self, claim: Claim, expected_cursor: Cursor, page: Page) -> Session:
        """Write a page, its changes, the checkpoint and the progress, if the claim and the cursor still hold.

        Raises:
            Fenced: another owner has taken the session over; nothing was written.
            CursorRepeated: the page leads back to a cursor of this walk; nothing was written.
            WarehouseUnavailable: the transaction did not happen, and may be tried again.
        """

    def commit_walk_restart(self, claim: Claim, first_cursor: Cursor, reason: str) -> Session:
        """Set the session back to its first page, because the carrier no longer takes its cursor."""


class LookupStore(Protocol):
    """Where the answers about SIMs go that a walk has missed. Every method is one transaction."""

    def plan_lookups(self, claim: Claim, policy: SweepPolicy, config_hash: str) -> LookupPlan:
        """Return whom to ask for still: nobody, where the sweep would not be done, or where no SIM was missed."""

    def commit_lookup(self, claim: Claim, asked: AskedSim, looked_up: LookedUp) -> Session:
        """Write one answer down, if the claim still holds; a SIM that was found is written as its page would do it.

        Raises:
            Fenced, WarehouseUnavailable: as for a page.
        """


class LeaseStore(Protocol):
    """What an owner does with its session besides walking. Every method is one transaction."""

    def renew_lease(self, claim: Claim) -> Session:
        """Extend the lease and return the session as it stands, a pause included."""

    def release(self, claim: Claim, release: Release) -> Session:
        """Give the lease back and move the session as the release says; a claim that was lost changes nothing."""

    def session(self, session_id: str) -> Session:
        """Return a session."""


class RunLeaseStore(Protocol):
    """Where a run says that it lives. Every method is one transaction."""

    def renew(self, run_id: str, process: Process, lease_seconds: float) -> None:
        """Take the run's lease, or extend it."""

    def give_back(self, run_id: str) -> None:
        """Let go of the run's lease."""


class WorkStore(PageStore, LookupStore, LeaseStore, Protocol):
    """What an owner needs from opening to closing."""


class SessionStore(WorkStore, Protocol):
    """The warehouse as one whole sync sees it."""

    def open_session(self, request: OpenRequest) -> Opened:
        """Open, resume or refuse the carrier's session, as `decide_opening` says; a success takes the lease."""

    def close_session(self, claim: Claim, policy: SweepPolicy, config_hash: str) -> Session:
        """Certify the walk, sweep if it may, and complete the session."""
