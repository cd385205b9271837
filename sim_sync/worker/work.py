"""Works on a claimed session until its walk ends or something stops it, and tells the session what that was."""

import logging
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
from sim_sync.core.ports import CarrierSource, SessionStore
from sim_sync.core.session import Event, Session
from sim_sync.core.sync import QuarantineLimit, StepRules, StopReason, walk
from sim_sync.worker.lease import kept_lease
from sim_sync.worker.patience import PatientStore
from sim_sync.worker.stopping import Stop

_log = logging.getLogger("sim_sync.worker")

_EVENT_OF_STOP = {
    StopReason.PAUSED: Event.PAUSED_BY_OPERATOR,
    StopReason.SHUTDOWN: Event.STOPPED_BY_MACHINE,
    StopReason.PAGE_BUDGET: Event.STOPPED_BY_MACHINE,
    StopReason.TIME_BUDGET: Event.STOPPED_BY_MACHINE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one run is bound by. `seconds` and `pages` are its budget; None is no budget."""

    lease_seconds: float = 30.0
    pages: int | None = None
    seconds: float | None = None
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
) -> Outcome:
    """Walk a claimed session and leave it in the state that says what happened.

    `was_terminated` is asked after a signal: True if a person ended the run (a pause), False for a deploy.

    Returns normally for everything that a session has a word for. An error that it has no word for (a bug, a database
    that stays away) leaves the session interrupted, and is raised.
    """
    patient = PatientStore(store, stop)
    rules = StepRules(
        should_stop=_stop_question(limits, stop, monotonic),
        on_checkpoint=on_checkpoint,
        quarantine=limits.quarantine,
    )
    try:
        with kept_lease(store, session.claim, lease_seconds=limits.lease_seconds, stop=stop):
            reason = walk(session, carrier, patient, rules)
    except StopRequested:
        reason = stop.reason
    except Fenced as lost:
        return Outcome(store.session(session.session_id), StopReason.FENCED, lost)
    except ParkRequired as wait:
        parked = store.release(session.claim, Event.WAIT_TOO_LONG, error=str(wait), wait_seconds=wait.wait_seconds)
        return Outcome(parked, StopReason.PARKED, wait)
    except CarrierError as error:
        return Outcome(store.release(session.claim, Event.GAVE_UP, error=str(error)), StopReason.FAILED, error)
    except BaseException as error:
        _release_after(error, session, store)
        raise
    reason = reason or stop.reason  # a stop that arrived with the last page: closing is the next run's
    if reason is None:
        return Outcome(store.session(session.session_id), None)
    if reason is StopReason.SHUTDOWN and was_terminated():
        reason = StopReason.PAUSED
    return _stopped(session, reason, store, stop)


def _stopped(session: Session, reason: StopReason, store: SessionStore, stop: Stop) -> Outcome:
    if reason is StopReason.FENCED:
        error = stop.error if isinstance(stop.error, SimSyncError) else None
        return Outcome(store.session(session.session_id), reason, error)
    return Outcome(store.release(session.claim, _EVENT_OF_STOP[reason], error=None), reason)


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
        store.release(session.claim, Event.STOPPED_BY_MACHINE, error=told or type(error).__name__)
    except TransientError as unavailable:
        _log.warning("carrier %s: the session could not be released: %s", session.carrier, unavailable)
