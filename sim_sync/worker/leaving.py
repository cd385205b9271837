"""How a run leaves its session: in the state that says what happened, whatever that was."""

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sim_sync.core.backoff import decide_parking
from sim_sync.core.errors import (
    ParkRequired,
    SimSyncError,
    TransientError,
    WaitCause,
)
from sim_sync.core.pages import Effort
from sim_sync.core.ports import LeaseStore
from sim_sync.core.session import Event, Release, Session
from sim_sync.core.sync import StopReason
from sim_sync.core.text import counted
from sim_sync.files import is_about_room

_log = logging.getLogger("sim_sync.worker")

_EVENT_OF_STOP = {
    StopReason.PARKED: Event.WAIT_TOO_LONG,
    StopReason.FAILED: Event.GAVE_UP,
    StopReason.PAUSED: Event.PAUSED_BY_OPERATOR,
    StopReason.SHUTDOWN: Event.STOPPED_BY_MACHINE,
    StopReason.PAGE_BUDGET: Event.STOPPED_BY_MACHINE,
    StopReason.TIME_BUDGET: Event.STOPPED_BY_MACHINE,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run's share ended: the session as it stands, and why the work stopped (None: the walk is at its end)."""

    session: Session
    stopped_by: StopReason | None
    error: SimSyncError | None = None


@dataclass(frozen=True, slots=True)
class Exit:
    """How a run leaves its session; what cannot be written at once is tried again."""

    session: Session
    store: LeaseStore
    #: Calls a method of the store, and again where that helps.
    retry: Callable[..., Session]

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
