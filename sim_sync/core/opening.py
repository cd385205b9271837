"""Who may work on a carrier now: the decision behind opening, resuming, refusing and superseding a session.

Pure: the warehouse reads the open session under a lock, asks here, and does what it is told in the same transaction.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sim_sync.core.backoff import LONGEST_WAIT_SECONDS, is_due
from sim_sync.core.notes import session_note
from sim_sync.core.pages import Cursor
from sim_sync.core.session import NEVER_OPENED, Process, Session, State, require_known
from sim_sync.core.text import counted


class Trigger(StrEnum):
    """Who started the run. A machine resumes less than a person may."""

    SENSOR = "sensor"
    NIGHTLY = "nightly"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRequest:
    """A run's wish to work on a carrier.

    `owner` is the run's id. `first_cursor` and `config_hash` come from the connector. `gone_owners` are owners known to
    be over: their run is finished or their process is dead. `present_owners` are owners known to be there, whatever the
    lease on the session says: the lease of their run has not run out.
    """

    carrier: str
    owner: str
    process: Process | None
    trigger: Trigger
    first_cursor: Cursor
    config_hash: str
    lease_seconds: float
    max_session_age_hours: float
    max_stalled_resumes: int
    longest_wait_seconds: float = LONGEST_WAIT_SECONDS
    max_idle_pages: int = 100
    max_pages: int = 1_000_000
    restart: bool = False
    gone_owners: Collection[str] = ()
    present_owners: Collection[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedOpening:
    """A run that could not even ask for the carrier's session, and no wait can help: its id and the reason.

    With a `session_id`, it was that session that it was to open, and no other is meant.
    """

    carrier: str
    owner: str
    reason: str
    session_id: str | None = None
    gone_owners: Collection[str] = ()
    present_owners: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class OpenNew:
    """Open a new session; `supersede_reason` says why the open one, if any, is given up."""

    supersede_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Resume:
    """Take the open session over. `lost_owner` says how its owner was lost, where it still counted as running."""

    lost_owner: str | None = None
    counts_as_stalled: bool = True


@dataclass(frozen=True, slots=True)
class Refuse:
    """Leave the session alone, for a reason that a person can read."""

    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Resuming has not helped `max_stalled_resumes` times in a row: the session fails."""

    reason: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The answer to an `OpenRequest`: the session as it now stands, and why this run may not work on it, if so."""

    session: Session
    refusal: str | None = None


OpeningDecision = OpenNew | Resume | Refuse | GiveUp


def decide_opening(session: Session | None, request: OpenRequest, now: datetime) -> OpeningDecision:
    """Decide what a run may do about the carrier's open session (`None`: it has none). `now` is the warehouse's."""
    if session is None:
        return OpenNew()
    require_known(session.state, f"the session of carrier {session.carrier}")
    if request.restart:
        return OpenNew("an operator asked for a restart")
    lost_owner = None
    if session.state is State.RUNNING:
        lost_owner = owner_loss(session, request.gone_owners, now, request.present_owners)
    if refusal := _must_wait(session, request, lost_owner, now):
        return refusal
    if reason := _outlived(session, request, now):
        return OpenNew(reason)
    return _decide_resuming(session, request, lost_owner)


def lets_it_fail(session: Session, failed: FailedOpening, now: datetime) -> bool:
    """Return whether a failed opening fails the open session: only where the run would have been let in."""
    if failed.session_id not in {None, session.session_id}:
        return False
    match session.state:
        case State.RUNNING:
            return owner_loss(session, failed.gone_owners, now, failed.present_owners) is not None
        case State.PARKED:
            return is_due(session, now)
        case _:
            return session.state in {State.INTERRUPTED, State.FAILED}


def _must_wait(session: Session, request: OpenRequest, lost_owner: str | None, now: datetime) -> Refuse | None:
    """Refuse what this run may not touch yet, however old it is: a new session would disturb just as much."""
    if session.state is State.PAUSED:
        return Refuse(session_note(session, now))
    if session.state is State.RUNNING and lost_owner is None and session.owner != request.owner:
        return Refuse(_busy(session))
    if session.state is State.PARKED and not is_due(session, now, request.longest_wait_seconds):
        return Refuse(session_note(session, now))
    if session.state is State.FAILED and request.trigger is Trigger.SENSOR:
        return Refuse(f"failed and waiting for an operator: {session.last_error}")
    return None


def _decide_resuming(session: Session, request: OpenRequest, lost_owner: str | None) -> OpeningDecision:
    used_up = session.stalled_resumes >= request.max_stalled_resumes
    if used_up and request.trigger is Trigger.SENSOR:
        return GiveUp(
            f"gave up after {counted(session.stalled_resumes, 'resume')} in a row without one committed page; "
            f"the last error was: {session.last_error or lost_owner or 'none'}"
        )
    # An op's retry of the same run is no resume; and whoever tries again what was given up begins to count again.
    is_retry = session.state is State.RUNNING and lost_owner is None
    begins_again = used_up or session.state is State.FAILED
    return Resume(lost_owner, counts_as_stalled=not (is_retry or begins_again))


def owner_loss(
    session: Session, gone_owners: Collection[str], now: datetime, present_owners: Collection[str] = ()
) -> str | None:
    """Return how the owner of a running session was lost, or None while it must be presumed alive."""
    if session.owner in gone_owners:
        return f"its run {session.owner} died"
    if session.owner in present_owners:
        return None
    if session.lease_expires_at is None or session.lease_expires_at <= now:
        return f"the lease of its run {session.owner} ran out"
    return None


def _outlived(session: Session, request: OpenRequest, now: datetime) -> str | None:
    if session.config_hash == NEVER_OPENED:
        return f"no run could open it: {session.last_error}"
    if session.config_hash != request.config_hash:
        return "the carrier's configuration changed, so the cursor means nothing any more"
    if now - session.started_at > timedelta(hours=request.max_session_age_hours):
        return f"the session is older than {request.max_session_age_hours:g} hours"
    return None


def _busy(session: Session) -> str:
    until = f"{session.lease_expires_at:%H:%M:%S} UTC" if session.lease_expires_at else "now"
    return f"at work in run {session.owner}, whose lease lasts until {until}; it is taken over if that run dies"
