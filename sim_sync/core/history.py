"""How long walks took, and whether that is longer than usual: the answer to "is tonight slow?". Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from sim_sync.core.session import Session, State

#: So many completed walks before one say what is usual for it.
WALKS_COMPARED = 7
#: States in which nobody continues without a person, or the next night: the walk has taken what it took until then.
_STOPPED = frozenset({State.PAUSED, State.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class PastWalk:
    """One walk of the history.

    `sims_seen` counts its distinct SIMs, and is None until it is completed. `earlier_seconds` are the durations of up
    to `WALKS_COMPARED` completed walks of the same carrier before it.
    """

    session: Session
    sims_seen: int | None = None
    earlier_seconds: Sequence[float] = ()

    @property
    def resumes(self) -> int:
        """How often somebody continued with it: every one raised its fence."""
        return self.session.fence - 1

    @property
    def usual_seconds(self) -> float | None:
        """How long a walk of this carrier took before it: the median, or None where none was completed."""
        return median(self.earlier_seconds) if self.earlier_seconds else None

    def duration_seconds(self, now: datetime) -> float | None:
        """Return how long the walk took, or has taken until now, all waits included.

        One that is paused or has failed took until then. None where its end is before its beginning: a clock was put
        back meanwhile, and nobody knows.
        """
        session = self.session
        end = session.finished_at or (session.updated_at if session.state in _STOPPED else now)
        return seconds_between(session.started_at, end)


def seconds_between(start: datetime, end: datetime) -> float | None:
    """Return how long something took, in seconds; None where a clock was put back in between."""
    seconds = (end - start).total_seconds()
    return None if seconds < 0 else round(seconds, 3)
