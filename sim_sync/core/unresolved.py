"""What stays unresolved at a carrier until a complete walk or a person resolves it, each as one sentence or None.

A newer session hides nothing of an older one: a held sweep is held until a later walk is complete, whatever the
sessions in between came to. The checks and `sim-sync status` say the same, because both ask here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sim_sync.core.clocks import is_ahead
from sim_sync.core.counting import counted
from sim_sync.core.held_sweep import SweepHistory, held_text
from sim_sync.core.session import Session, State, SweepState

#: Without a completed walk for so long, a carrier is not fresh (`max_age_hours` in `carriers.yaml`).
DEFAULT_MAX_AGE_HOURS = 36.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierOverview:
    """What is known of a carrier's walks.

    `newest` is its open or else its newest session. `quarantined` counts unresolved records of the last completed walk
    and of any later one: what a later complete walk could read is no concern any more.
    """

    carrier: str
    newest: Session | None = None
    #: The times of the newest session's last pages, in seconds.
    recent_page_seconds: Sequence[float] = ()
    #: The pages that the newest session expects follow from an earlier walk or our own list.
    expects_estimate: bool = False
    last_completed: Session | None = None
    #: The last certified walks: a held sweep waits for a person until a later one is certified.
    sweeps: SweepHistory = field(default_factory=SweepHistory)
    quarantined: int = 0

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
    told = f"{completed_at:%Y-%m-%d %H:%M} UTC"
    if is_ahead(completed_at, now):
        return f"its last complete walk is dated {told}, which is still to come: the clock was wrong; walk it again"
    if now - completed_at <= timedelta(hours=max_age_hours):
        return None
    hours = (now - completed_at) / timedelta(hours=1)
    return f"its last complete walk ended {told}, {hours:.0f} h ago; max_age_hours is {max_age_hours:g}"


def quarantine_concern(overview: CarrierOverview) -> str | None:
    """Return how many records of the last walks could not be read, or None where all could."""
    count = overview.quarantined
    if not count:
        return None
    return f"{counted(count, 'record')} could not be read; `sim-sync quarantine list` shows them"


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
