"""Which sessions get a new run now: the decision of the sensor, as a pure function of what it sees.

The sensor asks often and remembers little: for each carrier, the session and the resume point it last asked for. A run
that it asked for and that died before it took the session over is asked for again, later and later, and not forever.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sim_sync.core import backoff, clocks
from sim_sync.core.backoff import backoff_seconds, is_due
from sim_sync.core.notes import due_text, session_note
from sim_sync.core.opening import FailedOpening, owner_loss
from sim_sync.core.session import Session, State
from sim_sync.core.text import counted

#: A trouble that may pass keeps the sensor from nothing but hurry: it asks once an hour.
LONGEST_WAIT_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class ResumeRequest:
    """What the sensor last asked for about one carrier: the resume point, how often, and when.

    `deaths` is how many of those runs died in a row before they took the session over. `session_updated_at` is when the
    session had last changed then; None in the memory of an earlier version.
    """

    session_id: str
    fence: int
    pages_done: int
    attempt: int
    asked_at: datetime
    deaths: int = 0
    session_updated_at: datetime | None = None

    @property
    def run_key(self) -> str:
        """A key that is new for every takeover and every attempt: run keys are remembered forever."""
        return f"{self.session_id}:{self.fence}:{self.attempt}"

    def is_about(self, session: Session) -> bool:
        """Return whether nobody has taken the session over since: then this is the last word about it."""
        return (self.session_id, self.fence) == (session.session_id, session.fence)


@dataclass(frozen=True, slots=True)
class Death:
    """How a run ended before it took the session over; `may_pass` where only a wait can help."""

    reason: str
    may_pass: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierSnapshot:
    """What the sensor sees of one carrier.

    `live_runs` are the ids of its unfinished runs that may still come to the session; `gone_owners` are owners known to
    be over, `present_owners` those known to be there, whatever the session's lease says; `asked` is what was asked
    last. `terminated_run` is the run that a person ended although the session was to continue with it: its owner, or
    the run that was asked for last.
    """

    session: Session
    live_runs: Collection[str] = ()
    gone_owners: Collection[str] = ()
    present_owners: Collection[str] = ()
    asked: ResumeRequest | None = None
    terminated_run: str | None = None
    death: Death | None = None


@dataclass(frozen=True, slots=True)
class ResumeBackoff:
    """How fast resumes without progress may follow each other, and how many (`retry:` in `carriers.yaml`)."""

    base_seconds: float = 1.0
    ceiling_seconds: float = 60.0
    max_stalled_resumes: int = 5
    longest_wait_seconds: float = backoff.LONGEST_WAIT_SECONDS


@dataclass(frozen=True, slots=True)
class ResumeNow:
    """Launch a run for the session; `asked` goes into the sensor's memory, `why` to whoever reads its log."""

    session: Session
    asked: ResumeRequest
    why: str

    @property
    def run_key(self) -> str:
        """The key of the run that is asked for."""
        return self.asked.run_key


@dataclass(frozen=True, slots=True)
class PauseNow:
    """A person ended the run that was to continue with the session: that is a pause, and a new run would defy it.

    `asked` goes into the sensor's memory: once somebody has resumed the session, that run says nothing any more.
    """

    session: Session
    asked: ResumeRequest
    why: str


@dataclass(frozen=True, slots=True)
class GiveUpNow:
    """So many runs died before they took the session over that another one would, too: the session has failed."""

    session: Session
    why: str
    gone_owners: Collection[str] = ()
    present_owners: Collection[str] = ()

    @property
    def failed(self) -> FailedOpening:
        """What is to be written down, unless the session is another one's by now."""
        session = self.session
        return FailedOpening(
            carrier=session.carrier,
            owner=session.owner or "",
            reason=self.why,
            session_id=session.session_id,
            gone_owners=self.gone_owners,
            present_owners=self.present_owners,
        )


@dataclass(frozen=True, slots=True)
class LeaveAlone:
    """Launch nothing, for a reason that a person can read."""

    session: Session
    why: str


ResumeDecision = ResumeNow | PauseNow | GiveUpNow | LeaveAlone


def decide_resumes(
    snapshots: Sequence[CarrierSnapshot], paces: Mapping[str, ResumeBackoff], now: datetime, chance: float
) -> Sequence[ResumeDecision]:
    """Decide for each carrier's open session whether a run is to be launched now. `chance` is in [0, 1)."""
    return [
        decide_resume(snapshot, paces.get(snapshot.session.carrier, ResumeBackoff()), now, chance)
        for snapshot in snapshots
    ]


def decide_resume(snapshot: CarrierSnapshot, pace: ResumeBackoff, now: datetime, chance: float) -> ResumeDecision:
    """Decide about one carrier."""
    session = snapshot.session
    why = _why_resumable(snapshot, pace, now)
    if why is None:
        return LeaveAlone(session, _why_not(session, now))
    deaths = _deaths(snapshot)
    place = (session.session_id, session.fence, session.pages_done)
    asked = ResumeRequest(*place, _next_attempt(snapshot), now, deaths, session.updated_at)
    if snapshot.terminated_run is not None:
        return PauseNow(session, asked, f"a person terminated run {snapshot.terminated_run}")
    waiting_runs = [run for run in snapshot.live_runs if run != session.owner or session.state is not State.RUNNING]
    if waiting_runs:
        return LeaveAlone(session, f"run {waiting_runs[0]} is on its way to it")
    if deaths >= pace.max_stalled_resumes and not (snapshot.death is not None and snapshot.death.may_pass):
        return GiveUpNow(
            session,
            f"gave up after {counted(deaths, 'run')} that ended before they opened the session; "
            f"the last one: {_last(snapshot)}",
            snapshot.gone_owners,
            snapshot.present_owners,
        )
    due = _due(snapshot, pace, deaths, chance)
    if due is not None and not due.is_over(now):
        why = f"{why}; the last run ended before it opened the session: {_last(snapshot)}" if deaths else why
        return LeaveAlone(session, f"{why}; the next resume is due at {due.until:%H:%M:%S} UTC")
    return ResumeNow(session, asked, why)


def lost_owner(snapshot: CarrierSnapshot, now: datetime) -> str | None:
    """Return the run that owned the session and is lost: it must not keep its carrier from the run that comes next."""
    session = snapshot.session
    if session.state is not State.RUNNING:
        return None
    is_lost = owner_loss(session, snapshot.gone_owners, now, snapshot.present_owners) is not None
    return session.owner if is_lost else None


def _why_resumable(snapshot: CarrierSnapshot, pace: ResumeBackoff, now: datetime) -> str | None:
    """Return why a machine may resume a session now; None where somebody is at work, or a person or a time decides."""
    session = snapshot.session
    match session.state:
        case State.RUNNING:
            return owner_loss(session, snapshot.gone_owners, now, snapshot.present_owners)
        case State.INTERRUPTED:
            return session.last_error or "it was stopped before its end"
        case State.PARKED if is_due(session, now, pace.longest_wait_seconds):
            return "the wait it was parked for is over"
        case _:
            return None


def _why_not(session: Session, now: datetime) -> str:
    match session.state:
        case State.RUNNING:
            return f"run {session.owner} is at work on it"
        case State.PARKED:
            return due_text(session, now)
        case State.PAUSED:
            return session_note(session, now)
        case _:
            return f"{session.state.value}; an operator or the next nightly run decides"


def _next_attempt(snapshot: CarrierSnapshot) -> int:
    asked = _asked_about_this(snapshot)
    return 0 if asked is None else asked.attempt + 1


def _deaths(snapshot: CarrierSnapshot) -> int:
    """Return how many runs died in a row on their way to the session; a change of it, by anybody, begins a new row."""
    asked = _asked_about_this(snapshot)
    if asked is None:
        return 0
    changed_at, known_at = snapshot.session.updated_at, asked.session_updated_at
    has_changed = changed_at > asked.asked_at if known_at is None else changed_at != known_at
    return 0 if has_changed else asked.deaths + 1


def _asked_about_this(snapshot: CarrierSnapshot) -> ResumeRequest | None:
    asked = snapshot.asked
    return asked if asked is not None and asked.is_about(snapshot.session) else None


def _last(snapshot: CarrierSnapshot) -> str:
    return "it left no word" if snapshot.death is None else snapshot.death.reason


class _Wait(NamedTuple):
    """A wait of the sensor's own."""

    since: datetime
    until: datetime

    def is_over(self, now: datetime) -> bool:
        return clocks.is_over(self.until, since=self.since, now=now, longest=self.until - self.since)


def _due(snapshot: CarrierSnapshot, pace: ResumeBackoff, deaths: int, chance: float) -> _Wait | None:
    """Return the wait before the next resume: none after progress, longer and longer without."""

    def later(since: datetime, failures: int, ceiling_seconds: float) -> _Wait:
        wait = backoff_seconds(
            failures - 1, base_seconds=pace.base_seconds, ceiling_seconds=ceiling_seconds, chance=chance
        )
        return _Wait(since, since + timedelta(seconds=wait))

    if deaths > 0 and snapshot.asked is not None:
        is_long = deaths >= pace.max_stalled_resumes
        ceiling_seconds = max(pace.ceiling_seconds, LONGEST_WAIT_SECONDS) if is_long else pace.ceiling_seconds
        return later(snapshot.asked.asked_at, deaths, ceiling_seconds)
    if snapshot.session.stalled_resumes > 0 and snapshot.session.state is not State.PARKED:
        return later(snapshot.session.updated_at, snapshot.session.stalled_resumes, pace.ceiling_seconds)
    return None
