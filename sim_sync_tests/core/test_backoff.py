import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.core.backoff import backoff_seconds, wait_seconds

attempts = st.integers(min_value=0, max_value=100_000)
bases = st.floats(min_value=0.001, max_value=3600)
ceilings = st.floats(min_value=0.001, max_value=86_400)
chances = st.floats(min_value=0, max_value=1, exclude_max=True)


@pytest.mark.parametrize(
    ("attempt", "chance", "seconds"),
    [(0, 0.0, 1.0), (0, 0.5, 1.5), (1, 0.25, 2.25), (3, 0.0, 8.0), (5, 0.5, 32.5), (6, 0.5, 60.5), (99, 0.0, 60.0)],
)
def test_the_wait_is_the_missions_formula(attempt: int, chance: float, seconds: float) -> None:
    assert backoff_seconds(attempt, base_seconds=1, ceiling_seconds=60, chance=chance) == seconds


@given(st.integers(min_value=0, max_value=60), bases, ceilings, chances)
def test_the_wait_is_the_formula_for_every_retry(attempt: int, base: float, ceiling: float, chance: float) -> None:
    expected = min(base * 2**attempt, ceiling) + chance * base
    assert backoff_seconds(attempt, base_seconds=base, ceiling_seconds=ceiling, chance=chance) == expected


@given(attempts, bases, ceilings, chances)
def test_the_wait_lies_between_the_capped_exponential_and_one_base_more(
    attempt: int, base: float, ceiling: float, chance: float
) -> None:
    wait = backoff_seconds(attempt, base_seconds=base, ceiling_seconds=ceiling, chance=chance)
    least = backoff_seconds(attempt, base_seconds=base, ceiling_seconds=ceiling, chance=0.0)
    assert 0 < least <= wait <= least + base
    assert wait <= ceiling + base


@given(bases, ceilings)
def test_without_chance_the_wait_doubles_until_the_ceiling_and_stays_there(base: float, ceiling: float) -> None:
    waits = [backoff_seconds(n, base_seconds=base, ceiling_seconds=ceiling, chance=0.0) for n in range(40)]
    for shorter, longer in itertools.pairwise(waits):
        assert longer == min(2 * shorter, ceiling)


@given(attempts, bases, ceilings, chances, st.floats(min_value=0, max_value=1e7))
def test_nobody_retries_earlier_than_the_carrier_asked_for(
    attempt: int, base: float, ceiling: float, chance: float, retry_after: float
) -> None:
    wait = wait_seconds(
        attempt, base_seconds=base, ceiling_seconds=ceiling, chance=chance, retry_after_seconds=retry_after
    )
    formula = backoff_seconds(attempt, base_seconds=base, ceiling_seconds=ceiling, chance=chance)
    assert wait >= retry_after
    assert wait == max(formula, retry_after + chance * base)


@given(attempts, bases, ceilings, chances)
def test_a_carrier_that_names_no_wait_gets_the_formula(
    attempt: int, base: float, ceiling: float, chance: float
) -> None:
    assert wait_seconds(
        attempt, base_seconds=base, ceiling_seconds=ceiling, chance=chance, retry_after_seconds=None
    ) == backoff_seconds(attempt, base_seconds=base, ceiling_seconds=ceiling, chance=chance)


def test_those_who_were_told_the_same_time_do_not_come_back_together() -> None:
    waits = [
        wait_seconds(0, base_seconds=1, ceiling_seconds=60, chance=chance, retry_after_seconds=7200)
        for chance in (0.0, 0.25, 0.75)
    ]
    assert waits == [7200.0, 7200.25, 7200.75]
