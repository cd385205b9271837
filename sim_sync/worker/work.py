"""Works on a claimed session until its walk ends or something stops it, and reports the session what that was."""

import logging
import random
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sim_sync.core.backoff import decide_parking
from sim_sync.core.errors import (
    CarrierError,
    Fenced,
    InputError,
    ParkRequired,
    SimSyncError,
    StopRequested,
    TransientError,
    WaitCause,
)
from sim_sync.core.pages import Effort
from sim_sync.core.ports import CarrierSource, LeaseStore, Waiter, WorkStore
from sim_sync.core.session import Event, Release, Session
from sim_sync.core.sync import CrashPoint, QuarantineLimit, StepRules, StopReason, nothing_armed, walk
from sim_sync.core.text import counted
from sim_sync.files import is_about_room
from sim_sync.worker.lease import kept_lease
from sim_sync.worker.retrying import WarehouseRetry
from sim_sync.worker.stopping import StopSignal

_log = logging.getLogger("sim_sync.worker")

#: The last word of a run that was told to end is tried for 3.5 seconds: whoever ends it does not wait long.
_LAST_ATTEMPTS = 4

_EVENT_OF_STOP = {
    StopReason.PARKED: Event.WAIT_TOO_LONG,
    StopReason.FAILED: Event.GAVE_UP,
    StopReason.PAUSED: Event.PAUSED_BY_OPERATOR,
    StopReason.SHUTDOWN: Event.STOPPED_BY_MACHINE,
    StopReason.PAGE_BUDGET: Event.STOPPED_BY_MACHINE,
    StopReason.TIME_BUDGET: Event.STOPPED_BY_MACHINE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """What one run is bound by. `seconds` and `pages` are its budget; None is no budget.

    A wait after `max_stalled_resumes` resumes in a row without one committed page is no wait any more: the session has
    failed.
    """

    lease_seconds: float = 30.0
    pages: int | None = None
    seconds: float | None = None
    max_stalled_resumes: int | None = None
    quarantine: QuarantineLimit = field(default_factory=QuarantineLimit)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run's share ended: the session as it stands, and why the work stopped (None: the walk is at its end)."""

    session: Session
    stopped_by: StopReason | None
    error: SimSyncError | None = None


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
    """Walk a claimed session and leave it in the state that says what happened.

    `was_terminated` is asked after a signal: True if a person ended the run (a pause), False for a deploy.
    `last_waiter` waits between the attempts to leave the session; unlike all other waits, no stop cuts these short.

    Returns normally for every outcome that maps to a session state. An error that it has no word for (a bug, a database
    that stays away) leaves the session interrupted, and is raised; if even that cannot be written, its lease runs out.
    """
    rules = StepRules(
        should_stop=_stop_question(limits, stop, monotonic),
        on_checkpoint=on_checkpoint,
        quarantine=limits.quarantine,
        retried=WarehouseRetry(stop),
        at=at,
    )
    exit_ = _Exit(session, store, WarehouseRetry(final_waiter or StopSignal(), attempts=_LAST_ATTEMPTS))
    try:
        try:
            with kept_lease(store, session.claim, lease_seconds=limits.lease_seconds, stop=stop):
                # A stop that arrived with the last page: closing is the next run's.
                reason, error = walk(session, carrier, store, rules) or stop.reason, None
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


@dataclass(frozen=True, slots=True)
class _Exit:
    """How a run leaves its session; what cannot be written at once is tried again."""

    session: Session
    store: LeaseStore
    retry: WarehouseRetry

    def park(self, wait: ParkRequired, max_stalled_resumes: int | None, chance: float) -> Outcome:
        """Park the session, or fail it where that did not help often enough."""
        stalled_resumes = self._current().stalled_resumes
        if wait.cause is WaitCause.NO_ROOM_LEFT:  # a matter of this machine, and of nobody's patience
            max_stalled_resumes = None
        seconds = decide_parking(wait, stalled_resumes, max_stalled_resumes=max_stalled_resumes, chance=chance)
        if seconds is None:
            resumes = counted(stalled_resumes, "resume")
            return self.leave(
                StopReason.FAILED, wait.saying(f"{wait}; gave up after {resumes} without one committed page")
            )
        return self.leave(StopReason.PARKED, wait, wait_seconds=seconds)

    def leave(
        self, reason: StopReason | None, error: SimSyncError | None, *, wait_seconds: float | None = None
    ) -> Outcome:
        """Release the session for this reason, unless closing is left to do or the session is another one's."""
        if reason is None or reason is StopReason.FENCED:
            return Outcome(self._current(), reason, error)
        told = None if error is None else str(error)
        if reason is StopReason.PARKED and isinstance(error, ParkRequired):
            told = f"{error.cause.value}: {error}"
        release = Release(_EVENT_OF_STOP[reason], told, wait_seconds, _effort_of(error))
        try:
            left = self.retry(self.store.release, self.session.claim, release)
        except TransientError as unavailable:
            raise unavailable from error
        return Outcome(left, reason, error)

    def release_after(self, error: BaseException) -> None:
        """Leave a word in the session before the error continues; if even that fails, the lease runs out by itself."""
        told = _without_values(error)
        try:
            self.retry(self.store.release, self.session.claim, Release(Event.STOPPED_BY_MACHINE, told))
        except SimSyncError as refused:
            _log.warning("carrier %s: the session could not be released: %s", self.session.carrier, refused)

    def _current(self) -> Session:
        return self.retry(self.store.session, self.session.session_id)


def _effort_of(error: SimSyncError | None) -> Effort:
    """Return what a page has cost that did not come."""
    return Effort(error.retries, error.throttled_seconds) if isinstance(error, ParkRequired) else Effort()


def _stop_question(
    limits: RunLimits, stop: StopSignal, monotonic: Callable[[], float]
) -> Callable[[Session], StopReason | None]:
    started = monotonic()
    pages_left = limits.pages

    def should_stop(_session: Session) -> StopReason | None:
        nonlocal pages_left
        if stop.reason is not None:
            return stop.reason
        if limits.seconds is not None and monotonic() - started >= limits.seconds:
            return StopReason.TIME_BUDGET
        if pages_left is not None:
            if pages_left <= 0:
                return StopReason.PAGE_BUDGET
            pages_left -= 1
        return None

    return should_stop


def _without_values(error: BaseException) -> str:
    """Return what an error says where that is meant for people; of any other one, its kind and place.

    A bug's own text may quote the records that it tripped over.
    """
    if isinstance(error, SimSyncError):
        return str(error)
    if is_about_room(error):
        return f"no space is left on a file system ({type(error).__name__})"
    if isinstance(error, OSError):
        return f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {frames[-1].name}, line {frames[-1].lineno} of {Path(frames[-1].filename).name}" if frames else ""
    return f"{type(error).__name__}{place}"
