"""Works on a claimed session until its walk ends or something stops it, and tells the session what that was."""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sim_sync.core.errors import (
    CarrierError,
    Fenced,
    ParkRequired,
    SimSyncError,
    StopRequested,
    TransientError,
)
from sim_sync.core.parking import decide_parking
from sim_sync.core.ports import CarrierSource, SessionStore, Waiter
from sim_sync.core.session import Event, Session
from sim_sync.core.sync import QuarantineLimit, StepRules, StopReason, walk
from sim_sync.worker.lease import kept_lease
from sim_sync.worker.patience import PatientStore
from sim_sync.worker.stopping import Stop

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
class Limits:
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
    store: SessionStore,
    *,
    limits: Limits,
    stop: Stop,
    on_checkpoint: Callable[[Session], None],
    was_terminated: Callable[[], bool] = lambda: False,
    monotonic: Callable[[], float] = time.monotonic,
    last_waiter: Waiter | None = None,
    chance: Callable[[], float] = random.random,
) -> Outcome:
    """Walk a claimed session and leave it in the state that says what happened.

    `was_terminated` is asked after a signal: True if a person ended the run (a pause), False for a deploy.
    `last_waiter` waits between the attempts to leave the session; unlike all other waits, no stop cuts these short.

    Returns normally for everything that a session has a word for. An error that it has no word for (a bug, a database
    that stays away) leaves the session interrupted, and is raised; if even that cannot be written, its lease runs out.
    """
    rules = StepRules(
        should_stop=_stop_question(limits, stop, monotonic),
        on_checkpoint=on_checkpoint,
        quarantine=limits.quarantine,
    )
    last_words = PatientStore(store, last_waiter or Stop(), attempts=_LAST_ATTEMPTS)
    try:
        with kept_lease(store, session.claim, lease_seconds=limits.lease_seconds, stop=stop):
            reason, error = _walk(session, carrier, PatientStore(store, stop), rules, stop)
        if reason is StopReason.SHUTDOWN and was_terminated():
            reason = StopReason.PAUSED
    except BaseException as unnamed:
        _release_after(unnamed, session, last_words)
        raise
    if isinstance(error, ParkRequired):
        return _park(session, error, last_words, limits, chance())
    return _leave(session, reason, error, last_words)


def _walk(
    session: Session, carrier: CarrierSource, store: SessionStore, rules: StepRules, stop: Stop
) -> tuple[StopReason | None, SimSyncError | None]:
    """Walk, and return why the walk stopped (None: it is at its end) with the error behind that, if there is one."""
    try:
        reason = walk(session, carrier, store, rules)
    except StopRequested:
        reason = stop.reason or StopReason.SHUTDOWN
    except Fenced as lost:
        return StopReason.FENCED, lost
    except ParkRequired as wait:
        return StopReason.PARKED, wait
    except CarrierError as error:
        return StopReason.FAILED, error
    reason = reason or stop.reason  # a stop that arrived with the last page: closing is the next run's
    lost_elsewhere = stop.error if reason is StopReason.FENCED else None
    return reason, lost_elsewhere if isinstance(lost_elsewhere, SimSyncError) else None


def _park(session: Session, wait: ParkRequired, store: SessionStore, limits: Limits, chance: float) -> Outcome:
    """Park the session, or fail it where that did not help often enough."""
    stalled_resumes = store.session(session.session_id).stalled_resumes
    seconds = decide_parking(wait, stalled_resumes, max_stalled_resumes=limits.max_stalled_resumes, chance=chance)
    if seconds is None:
        wait.args = (f"{wait}; gave up after {stalled_resumes} resumes without one committed page",)
        return _leave(session, StopReason.FAILED, wait, store)
    return _leave(session, StopReason.PARKED, wait, store, wait_seconds=seconds)


def _leave(
    session: Session,
    reason: StopReason | None,
    error: SimSyncError | None,
    store: SessionStore,
    *,
    wait_seconds: float | None = None,
) -> Outcome:
    if reason is None or reason is StopReason.FENCED:  # there is closing left to do, or the session is another one's
        return Outcome(store.session(session.session_id), reason, error)
    told = None if error is None else str(error)
    try:
        left = store.release(
            session.claim,
            _EVENT_OF_STOP[reason],
            error=told,
            wait_seconds=wait_seconds,
            retries=error.retries if isinstance(error, ParkRequired) else 0,
            throttled_seconds=error.throttled_seconds if isinstance(error, ParkRequired) else 0.0,
        )
    except TransientError as unavailable:
        raise unavailable from error
    return Outcome(left, reason, error)


def _stop_question(
    limits: Limits, stop: Stop, monotonic: Callable[[], float]
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


def _release_after(error: BaseException, session: Session, store: SessionStore) -> None:
    """Leave a word in the session before the error goes on; if even that fails, the lease runs out by itself."""
    told = str(error) if isinstance(error, SimSyncError) else f"{type(error).__name__}: {error}"
    try:
        store.release(session.claim, Event.STOPPED_BY_MACHINE, error=told)
    except SimSyncError as refused:
        _log.warning("carrier %s: the session could not be released: %s", session.carrier, refused)
