"""One configured carrier's session opened, walked and closed by its settings: what every kind of run does.

Dagster's ops do it in three steps (`defs.ops`); `sync_once` does it in one, for `sim-sync selftest`.
"""

import random
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from sim_sync.config import CarrierConfig
from sim_sync.core.errors import (
    CarrierError,
    Fenced,
    InputError,
    ParkRequired,
    SimSyncError,
    StopRequested,
)
from sim_sync.core.looking_up import look_up_missing
from sim_sync.core.lookups import LookupLimits
from sim_sync.core.opening import Opened, OpenRequest, Trigger
from sim_sync.core.ports import CarrierSource, SessionStore, Waiter, WorkStore
from sim_sync.core.session import Process, Session, State
from sim_sync.core.sweep import SweepPolicy
from sim_sync.core.sync import CrashPoint, QuarantineLimit, StepRules, StopReason, nothing_armed, walk
from sim_sync.logs import work_noted
from sim_sync.warehouse.store import WarehouseRetry
from sim_sync.worker.lease import kept_lease
from sim_sync.worker.leaving import Exit, Outcome
from sim_sync.worker.processes import armed_crash_point, this_process
from sim_sync.worker.stopping import StopSignal, stopped_by_signals

# --- one run's share of a walk ---------------------------------------------------------------------------------------

#: The last word of a run that was told to end is tried for 3.5 seconds: whoever ends it does not wait long.
_LAST_ATTEMPTS = 4

#: So often in a row a session waits for a lookup that gets no answer.
_MAX_LOOKUP_PARKS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """What one run is bound by. `seconds` and `pages` are its budget; None is no budget.

    A wait after `max_stalled_resumes` resumes in a row without one committed page is no wait any more: the session has
    failed. `sweep` says whether SIMs that the walk missed are asked for; None asks for none.
    """

    lease_seconds: float = 30.0
    pages: int | None = None
    seconds: float | None = None
    max_stalled_resumes: int | None = None
    quarantine: QuarantineLimit = field(default_factory=QuarantineLimit)
    sweep: SweepPolicy | None = None


def work_on(
    session: Session,
    carrier: CarrierSource,
    store: WorkStore,
    *,
    limits: RunLimits,
    stop: StopSignal,
    on_checkpoint: Callable[[Session], None],
    was_terminated: Callable[[], bool] = lambda: False,
    monotonic: Callable[[], float] = time.monotonic,
    final_waiter: Waiter | None = None,
    chance: Callable[[], float] = random.random,
    at: CrashPoint = nothing_armed,
) -> Outcome:
    """Walk a claimed session, ask for what the walk has missed, and leave it in the state that says what happened.

    `was_terminated` is asked after a signal: True if a person ended the run (a pause), False for a deploy.
    `final_waiter` waits between the attempts to leave the session; unlike all other waits, no stop cuts these short.

    Returns normally for every outcome that maps to a session state. An error that it has no word for (a bug, a database
    that stays away) leaves the session interrupted, and is raised; if even that cannot be written, its lease runs out.
    """
    budget = _Budget(limits, stop, monotonic)
    rules = StepRules(
        should_stop=budget.reason_to_stop,
        pages_left=lambda: budget.pages_left,
        on_checkpoint=on_checkpoint,
        quarantine=limits.quarantine,
        retried=WarehouseRetry(stop),
        lookups=_lookup_limits(limits),
        at=at,
    )
    exit_ = Exit(session, store, WarehouseRetry(final_waiter or StopSignal(), attempts=_LAST_ATTEMPTS))
    try:
        try:
            with kept_lease(store, session.claim, lease_seconds=limits.lease_seconds, stop=stop):
                reason, error = walk(session, carrier, store, rules), None
                if reason is None:
                    reason = look_up_missing(session.claim, carrier, store, rules)
                reason = reason or stop.reason  # a stop that arrived with the last page: closing is the next run's
        except SimSyncError as raised:
            reason, error = _reason_of(raised, stop)
        if reason is StopReason.FENCED and isinstance(stop.error, SimSyncError):
            error = error or stop.error  # the loss was noticed elsewhere
        if reason is StopReason.SHUTDOWN and was_terminated():
            reason = StopReason.PAUSED
    except BaseException as unnamed:
        exit_.release_after(unnamed)
        raise
    if isinstance(error, ParkRequired):
        return exit_.park(error, limits.max_stalled_resumes, chance())
    return exit_.leave(reason, error)


def _reason_of(raised: SimSyncError, stop: StopSignal) -> tuple[StopReason, SimSyncError | None]:
    """Return why a walk stopped that ended with an error, and the error where a session has a word for it."""
    match raised:
        case StopRequested():
            return stop.reason or StopReason.SHUTDOWN, None
        case Fenced():
            return StopReason.FENCED, raised
        case ParkRequired():
            return StopReason.PARKED, raised
        case CarrierError() | InputError():  # InputError: of the environment, such as certificates to trust
            return StopReason.FAILED, raised
        case _:
            raise raised


def _lookup_limits(limits: RunLimits) -> LookupLimits | None:
    if limits.sweep is None:
        return None
    # Not as often as a session may be resumed without progress: it would have failed by then.
    parks = _MAX_LOOKUP_PARKS if limits.max_stalled_resumes is None else limits.max_stalled_resumes
    return LookupLimits(limits.sweep, max_parks=min(parks, _MAX_LOOKUP_PARKS))


class _Budget:
    """Whether a run may take one more step: nobody has asked to stop, and neither time nor pages are used up."""

    def __init__(self, limits: RunLimits, stop: StopSignal, monotonic: Callable[[], float]) -> None:
        self._seconds = limits.seconds
        self._stop = stop
        self._monotonic = monotonic
        self._started = monotonic()
        #: Pages that may be taken after the one in hand; None is no bound.
        self.pages_left = limits.pages

    def reason_to_stop(self, session: Session) -> StopReason | None:
        """Return why no page is taken now, or None, and count the page that is."""
        if self._stop.reason is not None:
            return self._stop.reason
        if self._seconds is not None and self._monotonic() - self._started >= self._seconds:
            return StopReason.TIME_BUDGET
        if self.pages_left is not None and not session.walked_to_the_end:
            if self.pages_left <= 0:
                return StopReason.PAGE_BUDGET
            self.pages_left -= 1
        return None


# --- opening, walking, closing ---------------------------------------------------------------------------------------


def open_carrier(
    carrier: CarrierConfig,
    store: SessionStore,
    *,
    owner: str,
    process: Process | None,
    trigger: Trigger,
    restart: bool = False,
    gone_owners: Collection[str] = (),
    present_owners: Collection[str] = (),
) -> Opened:
    """Open the carrier's session, or take over the one that is open, for the run `owner`.

    `process` is the one that the run lives and dies with, where there is such a one.
    """
    source = carrier.build(StopSignal())
    request = OpenRequest(
        carrier=carrier.name,
        owner=owner,
        process=process,
        trigger=trigger,
        first_cursor=source.first_cursor(),
        config_hash=source.config_hash,
        lease_seconds=carrier.lease_seconds,
        max_session_age_hours=carrier.max_session_age_hours,
        max_stalled_resumes=carrier.retry.max_stalled_resumes,
        longest_wait_seconds=carrier.retry.longest_wait_seconds,
        max_idle_pages=carrier.max_idle_pages,
        max_pages=carrier.max_pages_per_walk,
        restart=restart,
        gone_owners=gone_owners,
        present_owners=present_owners,
    )
    return WarehouseRetry(StopSignal())(store.open_session, request)


def walk_carrier(
    carrier: CarrierConfig,
    store: WorkStore,
    session: Session,
    *,
    stop: StopSignal,
    max_pages: int | None,
    on_checkpoint: Callable[[Session], None],
    was_terminated: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Walk the carrier's claimed session within its budget, listening to SIGTERM and SIGINT meanwhile."""
    budget = carrier.run_budget
    pages = [limit for limit in (max_pages, budget.pages) if limit is not None]
    limits = RunLimits(
        lease_seconds=carrier.lease_seconds,
        pages=min(pages, default=None),
        seconds=None if budget.minutes is None else budget.minutes * 60,
        max_stalled_resumes=carrier.retry.max_stalled_resumes,
        quarantine=carrier.quarantine,
        sweep=carrier.sweep,
    )
    committed = session

    def checkpoint(newest: Session) -> None:
        nonlocal committed
        committed = newest
        on_checkpoint(newest)

    with stopped_by_signals(stop), work_noted(lambda: committed):
        return work_on(
            session,
            carrier.build(stop),
            store,
            limits=limits,
            stop=stop,
            on_checkpoint=checkpoint,
            was_terminated=was_terminated,
            at=armed_crash_point(),
        )


def close_carrier(carrier: CarrierConfig, store: SessionStore, session: Session) -> Session:
    """Certify the walk, sweep if it may, and complete the session; one that is completed stays as it is."""
    if session.state is State.COMPLETED:
        return session
    source = carrier.build(StopSignal())
    return WarehouseRetry(StopSignal())(store.close_session, session.claim, carrier.sweep, source.config_hash)


def sync_once(carrier: CarrierConfig, store: SessionStore, *, owner: str, gone_owners: Collection[str]) -> Session:
    """Do a whole run's share without Dagster, and return the session as it is left."""
    opened = open_carrier(
        carrier, store, owner=owner, process=this_process(), trigger=Trigger.OPERATOR, gone_owners=gone_owners
    )
    if opened.refusal is not None:
        return opened.session
    outcome = walk_carrier(
        carrier, store, opened.session, stop=StopSignal(), max_pages=None, on_checkpoint=lambda _session: None
    )
    if outcome.stopped_by is not None:
        return outcome.session
    return close_carrier(carrier, store, outcome.session)
