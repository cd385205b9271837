"""How long to wait before trying again. The only place with the formula."""


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

    A wait the carrier named is never shortened: the jitter comes on top of it, so that waiters do not knock together.
    """
    formula = backoff_seconds(attempt, base_seconds=base_seconds, ceiling_seconds=ceiling_seconds, chance=chance)
    if retry_after_seconds is None:
        return formula
    return max(formula, retry_after_seconds + chance * base_seconds)
