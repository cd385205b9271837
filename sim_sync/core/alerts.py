"""What people are told who do not look: which alerts open, which are over, and in which words. Pure.

An alert opens when something is certain to be so, and is over when it is certain not to be so any more. In between lie
moments that say neither: a session that failed and was resumed has proved nothing before its next page. They change
nothing, so that a carrier that fails again and again is told once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from sim_sync.core.backoff import cause_and_error
from sim_sync.core.held_sweep import decision_text, held_text
from sim_sync.core.notes import CarrierOverview, age_text, due_text, error_text
from sim_sync.core.session import Session, State, SweepState
from sim_sync.core.text import counted

#: An error can be a page long; whoever wants all of it asks `sim-sync status`.
_LONGEST_ERROR = 500


class AlertKind(StrEnum):
    """What can be told, by its word in `alerts.on` and in the table `alerts`."""

    SESSION_FAILED = "session_failed"
    PARKED_OVER_MINUTES = "parked_over_minutes"
    SWEEP_HELD = "sweep_held"
    NOT_FRESH = "not_fresh"
    FINDINGS_OVER = "findings_over"
    QUARANTINE_OVER = "quarantine_over"


#: The threshold of each kind where the configuration names none; those that have none are not in here.
DEFAULT_THRESHOLDS: Mapping[AlertKind, float] = {
    AlertKind.PARKED_OVER_MINUTES: 120.0,
    AlertKind.FINDINGS_OVER: 100.0,
    AlertKind.QUARANTINE_OVER: 100.0,
}
#: What a subject line says of each kind.
TITLES: Mapping[str, str] = {
    AlertKind.SESSION_FAILED: "session failed",
    AlertKind.PARKED_OVER_MINUTES: "parked for long",
    AlertKind.SWEEP_HELD: "sweep held",
    AlertKind.NOT_FRESH: "not fresh",
    AlertKind.FINDINGS_OVER: "many discrepancies",
    AlertKind.QUARANTINE_OVER: "many unreadable records",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierFacts:
    """All that is known of one carrier at the moment `now`.

    `findings` counts the open discrepancies that nobody has acknowledged, and is None where nothing was ever compared.
    """

    overview: CarrierOverview
    now: datetime
    max_age_hours: float
    findings: int | None = None

    @property
    def carrier(self) -> str:
        """The carrier's name."""
        return self.overview.carrier


class Reading(NamedTuple):
    """Whether something is so; None where that is not certain. `text` says what and what to do, or why it is over."""

    holds: bool | None
    text: str = ""


class OpenAlert(NamedTuple):
    """An alert that has been told and is not over."""

    id: int
    carrier: str
    kind: str


class NewAlert(NamedTuple):
    """An alert that opens."""

    carrier: str
    kind: AlertKind
    message: str


class EndOfAlert(NamedTuple):
    """An alert that is over, and why."""

    alert: OpenAlert
    message: str


class AlertChanges(NamedTuple):
    """What a look at the carriers changes."""

    opened: Sequence[NewAlert]
    ended: Sequence[EndOfAlert]

    def __bool__(self) -> bool:
        """Return whether anything changes."""
        return bool(self.opened or self.ended)


def decide_alerts(
    carriers: Sequence[CarrierFacts], watched: Mapping[AlertKind, float], open_alerts: Sequence[OpenAlert]
) -> AlertChanges:
    """Return which alerts open and which are over.

    Args:
        carriers: what is known of each carrier of the configuration. Alerts of others are left alone.
        watched: the kinds that people want to hear of, with their thresholds (0 where a kind has none).
        open_alerts: those that are open; at most one a carrier and kind. A kind of another version is left alone.
    """
    standing = {(alert.carrier, alert.kind): alert for alert in open_alerts}
    opened, ended = [], []
    for facts in carriers:
        for kind in AlertKind:
            alert = standing.get((facts.carrier, kind))
            reading = _read(facts, kind, watched)
            if alert is None and reading.holds:
                opened.append(NewAlert(facts.carrier, kind, f"{facts.carrier}: {reading.text}"))
            elif alert is not None and reading.holds is False:
                ended.append(EndOfAlert(alert, f"{facts.carrier}: {TITLES[kind]}: over: {reading.text}"))
    return AlertChanges(opened, ended)


def left_the_configuration(alert: OpenAlert) -> EndOfAlert:
    """Return the end of an alert that nobody looks at any more; a kind of another version has no title here."""
    title = TITLES.get(alert.kind, alert.kind)
    return EndOfAlert(alert, f"{alert.carrier}: {title}: over: the carrier has left the configuration")


def _read(facts: CarrierFacts, kind: AlertKind, watched: Mapping[AlertKind, float]) -> Reading:
    if kind not in watched:
        return Reading(holds=False, text="`alerts.on` no longer names it")
    return _READERS[kind](facts, watched[kind])


def _session_failed(facts: CarrierFacts, _threshold: float) -> Reading:
    session = facts.overview.newest
    if session is None:
        return Reading(holds=None)
    match session.state:
        case State.FAILED:
            return Reading(holds=True, text=_failure(session))
        case State.COMPLETED:
            return Reading(holds=False, text=f"session {session.session_id} walked to the end")
        case State.PAUSED:
            return Reading(holds=False, text=f"a person paused session {session.session_id}")
        case State.RUNNING | State.INTERRUPTED | State.PARKED if _has_progressed(facts, session):
            return Reading(holds=False, text=f"session {session.session_id} continued to page {session.pages_done}")
        case _:
            return Reading(holds=None)


def _failure(session: Session) -> str:
    told = _shortened(error_text(session)) or "no error was written down"
    at = session.last_error_at or session.updated_at
    return (
        f"session {session.session_id} failed after page {session.pages_done}, {_utc(at)}: {told}. Nothing resumes it "
        f"before the next nightly run; when the cause is mended: `sim-sync resume {session.carrier}`"
    )


def _has_progressed(facts: CarrierFacts, session: Session) -> bool:
    """Return whether a page was committed after the last error."""
    internals = facts.overview.internals
    committed_at = None if internals is None else internals.page_committed_at
    return committed_at is not None and (session.last_error_at is None or committed_at >= session.last_error_at)


def _parked(facts: CarrierFacts, minutes: float) -> Reading:
    session = facts.overview.newest
    if session is None:
        return Reading(holds=None)
    match session.state:
        case State.PARKED:
            return _parked_since(facts, session, timedelta(minutes=minutes))
        case State.RUNNING | State.INTERRUPTED:
            return _working_again(facts, session, timedelta(minutes=minutes))
        case State.COMPLETED | State.PAUSED | State.FAILED:
            return Reading(holds=False, text=f"session {session.session_id} is {session.state.value}")
        case _:
            return Reading(holds=None)


def _parked_since(facts: CarrierFacts, session: Session, longest: timedelta) -> Reading:
    """Read a session that is parked; tries in between that brought no page do not count as its end."""
    internals = facts.overview.internals
    noted = None if internals is None else internals.parked_since
    since = min(noted or session.updated_at, session.updated_at)
    if facts.now - since <= longest:
        return Reading(holds=None)
    _, error = cause_and_error(session)
    told = f": {_shortened(error)}" if error else ""
    return Reading(
        holds=True,
        text=f"session {session.session_id} waits since {_utc(since)} without one page: "
        f"{due_text(session, facts.now)}{told}",
    )


def _working_again(facts: CarrierFacts, session: Session, longest: timedelta) -> Reading:
    """Read a session that is not parked now. It has to work for as long as it may be parked before that is over."""
    internals = facts.overview.internals
    if internals is None or internals.parked_since is not None:
        return Reading(holds=None)
    if internals.unparked_at is not None and facts.now - internals.unparked_at < longest:
        return Reading(holds=None)
    return Reading(holds=False, text=f"session {session.session_id} is at page {session.pages_done} and was not parked")


def _sweep_held(facts: CarrierFacts, _threshold: float) -> Reading:
    held = facts.overview.sweeps.held
    if held is not None:
        since = f" since {_utc(held.finished_at)}" if held.finished_at else ""
        return Reading(holds=True, text=f"the sweep of session {held.session_id} is {held_text(held)}{since}")
    last = facts.overview.sweeps.last
    if last is None:
        return Reading(holds=None)
    told = decision_text(last) or "a later complete walk made it moot"
    return Reading(holds=False, text=f"the sweep of session {last.session_id} is {last.sweep_state.value}, {told}")


def _not_fresh(facts: CarrierFacts, _threshold: float) -> Reading:
    """Read how old the last certified walk is. A person who paused the carrier knows that it grows old."""
    last, newest = facts.overview.sweeps.last, facts.overview.newest
    certified_at = None if last is None else last.finished_at
    told = (
        "no walk was ever certified complete"
        if certified_at is None
        else age_text("certified", certified_at, facts.max_age_hours, facts.now)
    )
    if told is None:
        return Reading(holds=False, text=f"a walk was certified complete {_utc(certified_at)}")
    if newest is not None and newest.state is State.PAUSED:
        return Reading(holds=None)
    return Reading(
        holds=True,
        text=f"{told}; max_age_hours is {facts.max_age_hours:g}{_why_uncertified(facts)}. `sim-sync status --carrier "
        f"{facts.carrier}` says where it stands; `sim-sync backfill {facts.carrier}` walks it now",
    )


def _why_uncertified(facts: CarrierFacts) -> str:
    completed = facts.overview.last_completed
    if completed is None or completed.sweep_state is not SweepState.SKIPPED:
        return ""
    return f"; the last complete one was not certified: {_shortened(completed.sweep_reason or 'no reason')}"


def _findings(facts: CarrierFacts, most: float) -> Reading:
    count = facts.findings or 0
    return _counted_reading(
        count,
        most,
        counted(count, "discrepancy is open", "discrepancies are open"),
        f"`sim-sync discrepancies --carrier {facts.carrier}` lists them; "
        "known exceptions are acknowledged with `sim-sync discrepancies ack`",
    )


def _quarantine(facts: CarrierFacts, most: float) -> Reading:
    count = facts.overview.quarantined
    return _counted_reading(
        count,
        most,
        counted(count, "record is in quarantine", "records are in quarantine"),
        f"`sim-sync quarantine list --carrier {facts.carrier}` shows why they could not be read, "
        "`sim-sync quarantine replay` reads them again",
    )


def _counted_reading(count: int, most: float, told: str, todo: str) -> Reading:
    if count <= most:
        return Reading(holds=False, text=f"{told}, and {most:,.0f} may be")
    return Reading(holds=True, text=f"{told}, more than {most:,.0f}. {todo}")


def _utc(time: datetime | None) -> str:
    return "at an unknown time" if time is None else f"{time:%Y-%m-%d %H:%M} UTC"


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_ERROR else f"{text[:_LONGEST_ERROR]}..."


_READERS: Mapping[AlertKind, Callable[[CarrierFacts, float], Reading]] = {
    AlertKind.SESSION_FAILED: _session_failed,
    AlertKind.PARKED_OVER_MINUTES: _parked,
    AlertKind.SWEEP_HELD: _sweep_held,
    AlertKind.NOT_FRESH: _not_fresh,
    AlertKind.FINDINGS_OVER: _findings,
    AlertKind.QUARANTINE_OVER: _quarantine,
}
