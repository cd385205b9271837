import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.core.discrepancies import MIN_SHARE, Concentration, can_concentrate, explained, is_telling


def on_plan(changes: int, all_changes: int, sims: int, all_sims: int, value: str = "X") -> Concentration:
    return Concentration("status", "plan", value, changes, all_changes, sims, all_sims)


def test_changes_on_one_plan_are_said_in_one_sentence() -> None:
    assert explained([on_plan(97, 100, 40, 1000)]) == [
        "97 % of the status changes are on plan X, which has 4 % of the SIMs"
    ]


@pytest.mark.parametrize(
    "found",
    [
        on_plan(19, 19, 40, 1000),  # a handful
        on_plan(49, 100, 40, 1000),  # not most of them
        on_plan(97, 100, 960, 1000),  # the group is nearly all SIMs
        on_plan(60, 100, 250, 1000),  # less than three times its share
        on_plan(100, 100, 1000, 1000),
        on_plan(0, 0, 0, 0),
    ],
)
def test_what_is_no_pattern_is_not_said(found: Concentration) -> None:
    assert explained([found]) == []


def test_each_field_is_explained_by_the_group_that_explains_it_best() -> None:
    account = Concentration("status", "account", "A", 100, 100, 200, 1000)
    imei = Concentration("imei", "ICCID range", "8949", 30, 30, 50, 1000)
    assert explained([account, on_plan(97, 100, 40, 1000), imei]) == [
        "100 % of the imei changes are on ICCID range 8949, which has 5 % of the SIMs",
        "97 % of the status changes are on plan X, which has 4 % of the SIMs",
    ]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (on_plan(9999, 10000, 20000, 400000), "over 99 % of"),
        (on_plan(100, 100, 1, 1000), "has under 1 % of"),
    ],
)
def test_nearly_all_is_not_told_as_all_nor_nearly_nothing_as_nothing(found: Concentration, words: str) -> None:
    (sentence,) = explained([found])
    assert words in sentence


@given(st.integers(0, 2**32), st.integers(2, 300), st.integers(20, 2000))
def test_changes_that_fall_on_sims_by_chance_are_never_explained(seed: int, groups: int, changes: int) -> None:
    chance = random.Random(seed)
    plans = [chance.randrange(groups) for _ in range(3000)]
    drawn = [plans[sim] for sim in chance.sample(range(3000), changes)]
    assert not any(is_telling(on_plan(drawn.count(plan), changes, plans.count(plan), 3000)) for plan in set(drawn))


@given(st.integers(20, 1000), st.integers(1, 1000), st.data())
def test_where_most_sims_changed_no_group_explains_it(changes: int, sims: int, data: st.DataObject) -> None:
    """No more SIMs of a group can have changed than it has."""
    group = data.draw(st.integers(0, sims))
    of_group = data.draw(st.integers(0, min(group, changes)))
    found = on_plan(of_group, changes, group, sims)
    assert can_concentrate(changes, sims) or not is_telling(found)
    if not can_concentrate(changes, sims):
        assert found.share_of_changes < max(MIN_SHARE, 3 * found.share_of_sims + 1e-9)


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500), st.integers(0, 500))
def test_any_counts_have_an_answer(one: int, two: int, three: int, four: int) -> None:
    changes, sims = sorted((one, two)), sorted((three, four))
    assert is_telling(on_plan(changes[0], changes[1], sims[0], sims[1])) in {True, False}
