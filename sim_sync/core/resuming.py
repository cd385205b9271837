"""Which sessions get a new run now: the decision of the sensor, as a pure function of what it sees.

The sensor asks often and remembers little: for each carrier, the session and the resume point it last asked for. A run
that it asked for and that died before it took the session over is asked for again, later and later.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sim_sync.core.backoff import backoff_seconds
from sim_sync.core.opening import owner_loss
from sim_sync.core.session import Session, State


@dataclass(frozen=True, slots=True)
class Asked:
    """What the sensor last asked for about one carrier: the resume point, how often, and when."""

    session_id: str
    fence: int
    pages_done: int
    attempt: int
    asked_at: datetime

    @property
    def run_key(self) -> str:
        """A key that is new for every takeover and every attempt: run keys are remembered for ever."""
        return f"{self.session_id}:{self.fence}:{self.attempt}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What the sensor sees of one carrier.

    `live_runs` are the ids of its unfinished runs that are not known to be dead; `gone_owners` are owners known to be
    over; `asked` is what was asked last. `terminated_run` is the run that a person ended although the session was to go
    on with it: its owner, or the run that was asked for last.
    """

    session: Session
    live_runs: Collection[str] = ()
    gone_owners: Collection[str] = ()
    asked: Asked | None = None
    terminated_run: str | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast resumes without progress may follow each other (`retry:` in `carriers.yaml`)."""

    base_seconds: float = 1.0
    ceiling_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class ResumeNow:
    """Launch a run for the session; `asked` goes into the sensor's memory, `why` to whoever reads its log."""

    session: Session
    asked: Asked
    why: str

    @property
    def run_key(self) -> str:
        """The key of the run that is asked for."""
        return self.asked.run_key


@dataclass(frozen=True, slots=True)
class PauseNow:
    """A person ended the run that was to go on with the session: that is a pause, and a new run would defy it.

    `asked` goes into the sensor's memory: once somebody has resumed the session, that run says nothing any more.
    """

    session: Session
    asked: Asked
    why: str


@dataclass(frozen=True, slots=True)
class LeaveAlone:
    """Launch nothing, for a reason that a person can read."""

    session: Session
    why: str


Verdict = ResumeNow | PauseNow | LeaveAlone


def decide_resumes(
    sights: Sequence[Sight], paces: Mapping[str, Pace], now: datetime, chance: float
) -> Sequence[Verdict]:
    """Decide for each carrier's open session whether a run is to be launched now. `chance` is in [0, 1)."""
    return [decide_resume(sight, paces.get(sight.session.carrier, Pace()), now, chance) for sight in sights]


def decide_resume(sight: Sight, pace: Pace, now: datetime, chance: float) -> Verdict:
    """Decide about one carrier."""
    session = sight.session
    why = _why_resumable(sight, now)
    if why is None:
        return LeaveAlone(session, _why_not(session))
    attempt = _next_attempt(sight)
    asked = Asked(session.session_id, session.fence, session.pages_done, attempt, now)
    if sight.terminated_run is not None:
        return PauseNow(session, asked, f"a person terminated run {sight.terminated_run}")
    waiting_runs = [run for run in sight.live_runs if run != session.owner or session.state is not State.RUNNING]
    if waiting_runs:
        return LeaveAlone(session, f"run {waiting_runs[0]} is on its way to it")
    due = _due(sight, pace, attempt, chance)
    if due is not None and now < due:
        return LeaveAlone(session, f"{why}; the next resume is due at {due:%H:%M:%S} UTC")
    return ResumeNow(session, asked, why)


def _why_resumable(sight: Sight, now: datetime) -> str | None:
    session = sight.session
    match session.state:
        case State.RUNNING:
            return owner_loss(session, sight.gone_owners, now)
        case State.INTERRUPTED:
            return session.last_error or "it was stopped before its end"
        case State.PARKED if session.not_before is None or session.not_before <= now:
            return "the wait it was parked for is over"
        case _:
            return None


def _why_not(session: Session) -> str:
    match session.state:
        case State.RUNNING:
            return f"run {session.owner} is at work on it"
        case State.PARKED:
            return f"parked until {session.not_before:%Y-%m-%d %H:%M:%S} UTC"
        case State.PAUSED:
            return f"paused by an operator; `sim-sync resume {session.carrier}` lets it go on"
        case _:
            return f"{session.state.value}; an operator or the next nightly run decides"


def _next_attempt(sight: Sight) -> int:
    asked, session = sight.asked, sight.session
    if asked is None or (asked.session_id, asked.fence) != (session.session_id, session.fence):
        return 0
    return asked.attempt + 1


def _due(sight: Sight, pace: Pace, attempt: int, chance: float) -> datetime | None:
    """Return when the next resume may come: at once after progress, later and later without."""

    def later(since: datetime, failures: int) -> datetime:
        wait = backoff_seconds(
            failures - 1, base_seconds=pace.base_seconds, ceiling_seconds=pace.ceiling_seconds, chance=chance
        )
        return since + timedelta(seconds=wait)

    if attempt > 0 and sight.asked is not None:
        return later(sight.asked.asked_at, attempt)
    if sight.session.stalled_resumes > 0 and sight.session.state is not State.PARKED:
        return later(sight.session.updated_at, sight.session.stalled_resumes)
    return None
