"""How long to wait before trying again, and when a parked session is due. The only place with the formula."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sim_sync.core.clocks import is_over
from sim_sync.core.errors import ParkRequired, WaitCause

if TYPE_CHECKING:  # a carrier's settings know the longest wait, and nothing of sessions
    from sim_sync.core.session import Session

#: A carrier that is down for hours is asked once an hour.
LONGEST_OUTAGE_WAIT_SECONDS = 3600.0


def backoff_seconds(attempt: int, *, base_seconds: float, ceiling_seconds: float, chance: float) -> float:
    """Return the wait before retry number `attempt` (0 for the first): capped, exponential, jittered.

    `chance` is a random number in [0, 1), an argument so that the rule stays a rule. The result lies between
    `min(base * 2**attempt, ceiling)` and that plus one `base`.
    """
    # 2.0 ** 1024 overflows; every ceiling is reached long before.
    exponential = base_seconds * 2.0 ** min(attempt, 1000)
    return min(exponential, ceiling_seconds) + chance * base_seconds


def wait_seconds(
    attempt: int,
    *,
    base_seconds: float,
    ceiling_seconds: float,
    chance: float,
    retry_after_seconds: float | None,
) -> float:
    """Return the wait after a failed request: the formula, or what the carrier asked for where that is longer.

    A wait the carrier named is never shortened: the jitter comes on top of it, so that waiters do not retry together.
    """
    formula = backoff_seconds(attempt, base_seconds=base_seconds, ceiling_seconds=ceiling_seconds, chance=chance)
    if retry_after_seconds is None:
        return formula
    return max(formula, retry_after_seconds + chance * base_seconds)


def decide_parking(
    wait: ParkRequired, stalled_resumes: int, *, max_stalled_resumes: int | None, chance: float
) -> float | None:
    """Return for how many seconds to park, or None to give up.

    A wait that the carrier named is kept as it is. Where it is just down, the formula continues from resume to resume:
    the first wait is the one that the attempts of a run ended with. `stalled_resumes` counts the resumes in a row
    without one committed page; that many of them as `max_stalled_resumes` are the last.
    """
    if max_stalled_resumes is not None and stalled_resumes >= max_stalled_resumes:
        return None
    if not wait.is_outage:
        return wait.wait_seconds
    ceiling_seconds = max(LONGEST_OUTAGE_WAIT_SECONDS, wait.wait_seconds)
    return backoff_seconds(
        stalled_resumes, base_seconds=wait.wait_seconds, ceiling_seconds=ceiling_seconds, chance=chance
    )


# --- when a parked session is due ------------------------------------------------------------------------------------

#: Without another word of the config, no carrier is waited for longer (`retry.max_wait_seconds`).
LONGEST_WAIT_SECONDS = 86_400.0
#: A quota comes back with the next month.
_LONGEST_QUOTA_WAIT = timedelta(days=31)
_CAUSES = frozenset(cause.value for cause in WaitCause)


def cause_and_error(session: "Session") -> tuple[str, str]:
    """Return why a session is parked, with which its last error begins, and that error."""
    cause, _, text = (session.last_error or "").partition(": ")
    return (cause, text) if cause in _CAUSES else ("waiting", session.last_error or "")


def is_due(session: "Session", now: datetime, longest_wait_seconds: float = LONGEST_WAIT_SECONDS) -> bool:
    """Return whether a parked session may continue now, or its time lies farther ahead than one can (`clocks`).

    Its wait has a cause, and each cause its longest wait.
    """
    if session.not_before is None:
        return True
    is_quota = cause_and_error(session)[0] == WaitCause.QUOTA_USED_UP
    longest = timedelta(seconds=longest_wait_seconds)
    # What parks a session is the last that changes it.
    since, longest = session.updated_at, max(longest, _LONGEST_QUOTA_WAIT) if is_quota else longest
    return is_over(session.not_before, since=since, now=now, longest=longest)
