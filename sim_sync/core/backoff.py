"""How long to wait before trying again: a request, or a session that is parked. The only place with the formula."""

from sim_sync.core.errors import ParkRequired

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
