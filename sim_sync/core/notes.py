"""What the state of a session means to a person, and what stays unresolved at a carrier: one sentence each."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple

from sim_sync.core.backoff import cause_and_error, is_due
from sim_sync.core.clocks import is_ahead
from sim_sync.core.held_sweep import SweepHistory, decision_text, held_text
from sim_sync.core.session import Session, SessionInternals, State, SweepState
from sim_sync.core.text import counted

# What the state of a session means to a person, in one sentence: the same in a terminal, in Dagster and in a refusal.
#
# The words of the states are never mixed: a session waits for a carrier that is down, or for one that throttles it,
# or for a person, and says which.


def session_note(session: Session, now: datetime) -> str:
    """Return why a session is where it is, and what follows; nothing where it is simply at work."""
    if not session.state.is_known:
        return "this version of sim_sync does not know the state that it is in; upgrade sim_sync here"
    return _NOTES[session.state](session, now)


def due_text(session: Session, now: datetime) -> str:
    """Return why a parked session waits, and until when."""
    cause, _ = cause_and_error(session)
    if session.not_before is None or is_due(session, now):
        return f"{cause}, and due now; the sensor or `sim-sync backfill {session.carrier}` continues"
    due = f"{time_text(session.not_before, now)} ({wait_text((session.not_before - now).total_seconds())})"
    return f"{cause}, tries again at {due}; `sim-sync resume {session.carrier}` tries now"


def sweep_text(session: Session) -> str:
    """Return what became of marking the SIMs that a walk did not see, why, and who decided on it."""
    if session.sweep_state is SweepState.HELD:
        return f"sweep {held_text(session)}"
    if decision := decision_text(session):
        return f"sweep {session.sweep_state.value}, {decision}"
    reason = f": {session.sweep_reason}" if session.sweep_reason else ""
    return f"sweep {session.sweep_state.value}{reason}"


def place_text(session: Session) -> str:
    """Return the step that a session has committed last: a page, or behind the last page the answer about a SIM."""
    if not session.is_looking_up:
        return f"page {session.pages_done}"
    return f"page {session.pages_done} and {session.lookups_done:,} of {counted(session.lookups_expected, 'lookup')}"


def lookups_note(session: Session) -> str:
    """Return that a session asks for SIMs that its list lacks, and how far it is; nothing where it does not."""
    if not session.is_looking_up:
        return ""
    return (
        f"all pages are read; {session.lookups_done:,} of {counted(session.lookups_expected, 'SIM')} that the list "
        "lacks asked for"
    )


def error_text(session: Session) -> str:
    """Return the last error of a session without the carrier's name, which stands beside it."""
    return without_name(session.last_error or "", session.carrier)


def without_name(text: str, carrier: str) -> str:
    """Return a text of one carrier without its name, for a place that reports the name already."""
    return text.replace(f"carrier {carrier}: ", "").removeprefix(f"{carrier}: ")


def time_text(at: datetime | None, now: datetime | None) -> str:
    """Return a time as `04:42:10 UTC`, with its date unless that is today's (`now` None: always)."""
    if at is None:
        return "an unknown time"
    is_today = now is not None and at.date() == now.date()
    return f"{at:%H:%M:%S} UTC" if is_today else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def wait_text(seconds: float) -> str:
    """Return how long something takes from now on, in words: `in 40 s`, `in 1 min`, `in 2 h 5 min`."""
    if seconds < 60:
        return f"in {max(math.ceil(seconds), 0)} s"
    hours, minutes = divmod(math.ceil(seconds / 60), 60)
    parts = [f"{hours} h"] if hours else []
    return " ".join(["in", *parts, *([f"{minutes} min"] if minutes or not hours else [])])


def is_silent(session: Session, now: datetime) -> bool:
    """Return whether somebody is to be at work, and has not said so for longer than a lease."""
    is_held = session.lease_expires_at is not None and session.lease_expires_at > now
    return session.state is State.RUNNING and not is_held


def _note_on_running(session: Session, now: datetime) -> str:
    if is_silent(session, now):
        return f"its run {session.owner} is silent; the sensor or `sim-sync backfill {session.carrier}` takes over"
    earlier = _earlier(session, now)
    return "; ".join(filter(None, [lookups_note(session), earlier]))


def _note_on_interrupted(session: Session, now: datetime) -> str:
    continues = f"the sensor or `sim-sync backfill {session.carrier}` continues after {place_text(session)}"
    if session.last_error_at is not None and session.last_error_at >= session.updated_at:
        return f"{error_text(session)}; {continues}"
    earlier = _earlier(session, now)
    return f"{continues}; {earlier}" if earlier else continues


def _note_on_parked(session: Session, now: datetime) -> str:
    _, text = cause_and_error(session)
    return due_text(session, now) + (f": {without_name(text, session.carrier)}" if text else "")


def _note_on_paused(session: Session, _now: datetime) -> str:
    after = f"paused after {place_text(session)}" if session.pages_done else "paused before its first page"
    return f"{after}; `sim-sync resume {session.carrier}` continues it"


def _note_on_completed(session: Session, _now: datetime) -> str:
    return f"finished {time_text(session.finished_at, None)}; {sweep_text(session)}"


def _note_on_ended(session: Session, _now: datetime) -> str:
    return error_text(session)


def _earlier(session: Session, now: datetime) -> str:
    """Return an error that is over, with its time: beside a session at work it would be read as a new one."""
    return f"earlier, at {time_text(session.last_error_at, now)}: {error_text(session)}" if session.last_error else ""


_NOTES: Mapping[State, Callable[[Session, datetime], str]] = {
    State.RUNNING: _note_on_running,
    State.INTERRUPTED: _note_on_interrupted,
    State.PARKED: _note_on_parked,
    State.PAUSED: _note_on_paused,
    State.FAILED: _note_on_ended,
    State.COMPLETED: _note_on_completed,
    State.SUPERSEDED: _note_on_ended,
}


# What stays unresolved at a carrier until a complete walk or a person resolves it, each as one sentence or None.
#
# A newer session hides nothing of an older one: a held sweep is held until a later walk is complete, whatever the
# sessions in between came to. The checks and `sim-sync status` say the same, because both ask here.


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierOverview:
    """What is known of a carrier's walks.

    `newest` is its open or else its newest session, with its `internals`. `quarantined` counts unresolved records of
    the last completed walk and of any later one: what a later complete walk could read is no concern any more.
    """

    carrier: str
    newest: Session | None = None
    internals: SessionInternals | None = None
    #: The pages that the newest session expects follow from an earlier walk or our own list.
    expects_estimate: bool = False
    last_completed: Session | None = None
    #: The last certified walks: a held sweep waits for a person until a later one is certified.
    sweeps: SweepHistory = field(default_factory=SweepHistory)
    quarantined: int = 0

    @property
    def recent_page_seconds(self) -> Sequence[float]:
        """The times of the newest session's last pages, in seconds."""
        return () if self.internals is None else self.internals.recent_page_seconds

    @property
    def complete_as_of(self) -> datetime | None:
        """When the last completed walk ended."""
        return None if self.last_completed is None else self.last_completed.finished_at


def sweep_concern(overview: CarrierOverview) -> str | None:
    """Return which walk marked nothing and why, or None where the last one did what it should.

    A held sweep waits for a person until it is decided or a later walk is certified; one that is not hides nothing.
    """
    last, held = overview.last_completed, overview.sweeps.held
    told = []
    if last is not None and last.sweep_state is SweepState.SKIPPED:
        told.append(f"sweep skipped: {last.sweep_reason}")
    if held is not None:
        told.append(f"sweep {held_text(held)}")
    return "; of an earlier walk: ".join(told) or None


def failure_concern(overview: CarrierOverview) -> str | None:
    """Return what the open session failed of, or None where it did not fail."""
    newest = overview.newest
    if newest is None or newest.state is not State.FAILED:
        return None
    return f"failed after page {newest.pages_done}: {newest.last_error or 'no error was written down'}"


def freshness_concern(overview: CarrierOverview, max_age_hours: float, now: datetime) -> str | None:
    """Return why what is known of the carrier is too old, or None while it is fresh."""
    completed_at = overview.complete_as_of
    if completed_at is None:
        return "never walked to its end"
    told = age_text("complete", completed_at, max_age_hours, now)
    if told is None:
        return None
    return f"{told}; walk it again" if is_ahead(completed_at, now) else f"{told}; max_age_hours is {max_age_hours:g}"


def age_text(kind: str, ended_at: datetime, max_age_hours: float, now: datetime) -> str | None:
    """Return when a carrier's last walk of a kind ended, where that is too long ago or yet to come; None else."""
    told = f"{ended_at:%Y-%m-%d %H:%M} UTC"
    if is_ahead(ended_at, now):
        return f"its last {kind} walk is dated {told}, which is still to come: the clock was wrong"
    if now - ended_at <= timedelta(hours=max_age_hours):
        return None
    return f"its last {kind} walk ended {told}, {(now - ended_at) / timedelta(hours=1):.0f} h ago"


def quarantine_concern(overview: CarrierOverview) -> str | None:
    """Return how many records of the last walks could not be read, or None where all could."""
    count = overview.quarantined
    if not count:
        return None
    return f"{counted(count, 'record')} could not be read; `sim-sync quarantine list` shows them"


def since_note(overview: CarrierOverview) -> str | None:
    """Return what has become of the walk after the last completed one, or None where there is none."""
    newest, last = overview.newest, overview.last_completed
    if newest is None or last is None or newest.session_number <= last.session_number:
        return None
    return f"a later walk is {newest.state.value} after {place_text(newest)}"


def concerns(overview: CarrierOverview, max_age_hours: float, now: datetime) -> Sequence[str]:
    """Return everything that is unresolved at the carrier; what is fresh, read and marked is not mentioned."""
    sweep = sweep_concern(overview)
    told = (
        None if sweep is None else f"last complete walk: {sweep}",
        failure_concern(overview),
        freshness_concern(overview, max_age_hours, now),
        quarantine_concern(overview),
    )
    return [text for text in told if text is not None]


class Rank(IntEnum):
    """How much a carrier wants a person, the most first."""

    FAILED = 0
    HELD = 1
    STALE = 2
    PAUSED = 3
    QUARANTINED = 4
    NEVER = 5
    SILENT = 6
    PARKED = 7
    INTERRUPTED = 8
    RUNNING = 9
    FINE = 10


class Urgency(NamedTuple):
    """How much a carrier wants a person, and what that person is to do, in a few words."""

    rank: Rank
    todo: str


def urgency(overview: CarrierOverview, max_age_hours: float, now: datetime) -> Urgency:
    """Return the most urgent of what is to be done at a carrier; `nothing` where it continues by itself."""
    carrier, newest = overview.carrier, overview.newest
    if newest is None:
        return Urgency(Rank.NEVER, f"sim-sync backfill {carrier}")
    found = [_of_session(newest, now)]
    if overview.sweeps.held is not None:
        found.append(Urgency(Rank.HELD, f"sim-sync sweep show {carrier}"))
    if overview.quarantined:
        found.append(Urgency(Rank.QUARANTINED, f"sim-sync quarantine list --carrier {carrier}"))
    if overview.complete_as_of is not None and freshness_concern(overview, max_age_hours, now) is not None:
        found.append(_of_stale(newest, found[0]))
    return min(found)


def _of_session(session: Session, now: datetime) -> Urgency:
    if is_silent(session, now):
        return Urgency(Rank.SILENT, "nothing: taken over soon")
    rank, todo = _STATES.get(session.state, (Rank.FAILED, "upgrade sim_sync here"))
    if session.state is State.PARKED:
        todo = f"nothing: {cause_and_error(session)[0]}, tries again {_due(session, now)}"
    return Urgency(rank, todo.format(carrier=session.carrier))


_STATES: Mapping[State, tuple[Rank, str]] = MappingProxyType(
    {
        State.FAILED: (Rank.FAILED, "mend it, then sim-sync resume {carrier}"),
        State.PAUSED: (Rank.PAUSED, "sim-sync resume {carrier}"),
        State.PARKED: (Rank.PARKED, "nothing"),
        State.INTERRUPTED: (Rank.INTERRUPTED, "nothing: continues by itself"),
        State.RUNNING: (Rank.RUNNING, "nothing"),
        State.COMPLETED: (Rank.FINE, "nothing"),
        State.SUPERSEDED: (Rank.FINE, "nothing"),
    }
)


def _due(session: Session, now: datetime) -> str:
    return "soon" if session.not_before is None or is_due(session, now) else f"at {time_text(session.not_before, now)}"


def _of_stale(newest: Session, own: Urgency) -> Urgency:
    """Return what to do about data that is too old: a walk that is under way mends it by itself."""
    return own if newest.is_open else Urgency(Rank.STALE, f"sim-sync backfill {newest.carrier}")
