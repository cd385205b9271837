"""How long a session is parked whose carrier makes it wait, and when that is no waiting any more but a failure."""

from sim_sync.core.backoff import backoff_seconds
from sim_sync.core.errors import ParkRequired

#: A carrier that is down for hours is asked once an hour.
LONGEST_OUTAGE_WAIT_SECONDS = 3600.0


def decide_parking(
    wait: ParkRequired, stalled_resumes: int, *, max_stalled_resumes: int | None, chance: float
) -> float | None:
    """Return for how many seconds to park, or None to give up.

    A wait that the carrier named is kept as it is. Where it is just down, the formula goes on from resume to resume:
    the first wait is the one that the attempts of a run ended with. `stalled_resumes` counts the resumes in a row
    without one committed page; so many of them as `max_stalled_resumes` are the last.
    """
    if max_stalled_resumes is not None and stalled_resumes >= max_stalled_resumes:
        return None
    if not wait.is_outage:
        return wait.wait_seconds
    ceiling_seconds = max(LONGEST_OUTAGE_WAIT_SECONDS, wait.wait_seconds)
    return backoff_seconds(
        stalled_resumes, base_seconds=wait.wait_seconds, ceiling_seconds=ceiling_seconds, chance=chance
    )
