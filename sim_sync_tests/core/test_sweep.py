from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.core.session import SweepState
from sim_sync.core.sweep import SweepDecision, SweepPolicy, WalkFacts, certification_problem, decide_sweep

POLICY = SweepPolicy(max_vanished_percent=5.0, min_vanished_count=20, total_tolerance_percent=0.5)
GOOD = WalkFacts(sims_seen=1000, sims_known=1000, newly_missing=0, records_quarantined=0, carrier_total=None)

facts = st.builds(
    WalkFacts,
    sims_seen=st.integers(0, 2000),
    sims_known=st.integers(0, 2000),
    newly_missing=st.integers(0, 2000),
    records_quarantined=st.integers(0, 3),
    carrier_total=st.none() | st.integers(0, 2000),
    end_signalled=st.booleans(),
    config_unchanged=st.booleans(),
)
policies = st.builds(
    SweepPolicy,
    max_vanished_percent=st.floats(0, 100),
    min_vanished_count=st.integers(0, 100),
    total_tolerance_percent=st.floats(0, 10),
)


def test_a_complete_walk_is_certified_and_swept() -> None:
    assert certification_problem(GOOD, POLICY) is None
    assert decide_sweep(GOOD, POLICY) == SweepDecision(SweepState.DONE)


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        ({"end_signalled": False}, "the carrier never gave its end signal"),
        ({"config_unchanged": False}, "the carrier's configuration changed during the walk"),
        ({"records_quarantined": 1}, "1 record could not be read: each may be a SIM that seems missing"),
        ({"carrier_total": 1006}, "the carrier says it has 1,006 SIMs, but 1,000 were seen"),
        ({"carrier_total": 994}, "the carrier says it has 994 SIMs, but 1,000 were seen"),
    ],
)
def test_a_walk_that_is_not_certified_sweeps_nothing_and_says_why(problem: dict[str, int | bool], words: str) -> None:
    bad = replace(GOOD, **problem)  # type: ignore[arg-type] # the fields differ in type
    assert decide_sweep(bad, POLICY) == SweepDecision(SweepState.SKIPPED, f"not certified complete: {words}")


@pytest.mark.parametrize(
    ("walk", "words"),
    [
        (
            {"sims_listed": 1001},
            "1,001 records were 1,000 SIMs: where some come twice, others may not have come at all",
        ),
        (
            {"sims_listed": 1001, "carrier_total": 1001},
            "1,001 records were 1,000 SIMs, and the carrier says it has 1,001: where",
        ),
        (
            {"sims_listed": 1004, "carrier_total": 998, "total_fallen": 3},
            "1,004 records were 1,000 SIMs, and the carrier says it has 1,001 with 3 that left during the walk: where",
        ),
        (
            {"sims_listed": 1000, "carrier_total": 997, "total_fallen": 9},
            "the carrier says it has 997 SIMs, but 1,000 were seen and 9 left during the walk: others may have",
        ),
        (
            {"carrier_total": 1001, "total_is_stale": True},
            "the carrier says it has 1,001 SIMs, but 1,000 were seen, and its last page did not tell that any more",
        ),
        ({"walk_gap": "a key came twice"}, "a key came twice"),
        (
            {"walk_gap": "a key came twice", "carrier_total": 1001},
            "the carrier says it has 1,001 SIMs, but 1,000 were seen: a key came twice",
        ),
        ({"end_doubt": "it ended with 400", "carrier_total": 1000}, "it ended with 400"),
        (
            {"sims_listed": 1000, "walk_restarts": 1, "unseen": 2},
            "the walk had to start again, and 2 known SIMs are not among those that it saw before and after",
        ),
        (
            {"sims_listed": 1001, "carrier_total": 1000, "unseen": 1},
            "1,001 records were 1,000 SIMs, and 1 known SIM is not among them: where some come twice, others",
        ),
        (
            {"moves_unseen": True, "longest_break_seconds": 9000.0},
            "the walk stood still for 2.5 hours in a list by position that reports no total",
        ),
    ],
)
def test_a_walk_that_shows_that_it_may_have_missed_sims_is_not_certified(walk: dict[str, Any], words: str) -> None:
    assert (certification_problem(replace(GOOD, **walk), POLICY) or "").startswith(words)


@pytest.mark.parametrize(
    "walk",
    [
        # Some SIMs came twice, and all that the total counts were seen: the list grew at its beginning.
        {"sims_listed": 1003, "carrier_total": 1000},
        {"sims_listed": 1003, "carrier_total": 999},
        # Three that had been seen left, and the walk stepped back.
        {"sims_listed": 1006, "carrier_total": 997, "total_fallen": 3},
        {"sims_listed": 1000, "carrier_total": 997, "total_fallen": 3},
        {"carrier_total": 1000, "total_is_stale": True, "walk_gap": "a key came twice"},
        {"sims_listed": 1000, "walk_restarts": 1},
        {"moves_unseen": True, "longest_break_seconds": 300.0, "unseen": 1},
        {"longest_break_seconds": 9000.0, "unseen": 1},
        # A walk that was under way when counting began.
        {"sims_listed": 10},
    ],
)
def test_a_walk_that_has_seen_all_there_is_to_see_is_certified(walk: dict[str, Any]) -> None:
    assert certification_problem(replace(GOOD, **walk), POLICY) is None


def test_sims_that_come_twice_by_the_pagings_design_are_no_sign() -> None:
    overlapping = replace(POLICY, repeats_by_design=True)
    assert certification_problem(replace(GOOD, sims_listed=1100), overlapping) is None


@given(st.integers(1, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 20))
def test_a_sim_that_was_there_all_along_and_missed_is_never_covered_by_those_that_came_twice(
    stayed: int, left: int, came: int, repeats: int
) -> None:
    # All that could be seen were seen, but for one that stayed; those that left were seen before, and fell out.
    seen = stayed - 1 + left + came
    walk = replace(
        GOOD,
        sims_seen=seen,
        sims_known=stayed + left,
        sims_listed=seen + 1 + repeats,
        carrier_total=stayed + came,
        total_fallen=left,
    )
    assert certification_problem(walk, POLICY) is not None


@pytest.mark.parametrize("total", [996, 999, 1000, 1005])
def test_a_total_within_the_tolerance_is_agreement(total: int) -> None:
    assert decide_sweep(replace(GOOD, carrier_total=total), POLICY).state is SweepState.DONE


@pytest.mark.parametrize(("total", "state"), [(4, SweepState.DONE), (6, SweepState.DONE), (7, SweepState.SKIPPED)])
def test_in_a_small_fleet_one_sim_may_come_or_go_during_the_walk(total: int, state: SweepState) -> None:
    small = replace(GOOD, sims_seen=5, sims_known=5, carrier_total=total)
    assert decide_sweep(small, POLICY).state is state


@pytest.mark.parametrize(
    ("known", "missing", "state"),
    [
        (1000, 50, SweepState.DONE),
        (1000, 51, SweepState.HELD),
        (100, 20, SweepState.DONE),
        (100, 21, SweepState.HELD),
        (20, 20, SweepState.DONE),
    ],
)
def test_only_more_than_both_limits_at_once_is_held(known: int, missing: int, state: SweepState) -> None:
    walk = replace(GOOD, sims_seen=max(known - missing, 1), sims_known=known, newly_missing=missing)
    assert decide_sweep(walk, POLICY).state is state


def test_a_held_sweep_gives_the_operator_the_figures() -> None:
    walk = replace(GOOD, sims_seen=480, newly_missing=520)
    assert decide_sweep(walk, POLICY) == SweepDecision(
        SweepState.HELD,
        "520 of 1,000 known SIMs (52.0 %) were missing at once, more than 5 % and 20; nothing was marked",
    )


def test_an_empty_answer_is_held_however_few_sims_were_known() -> None:
    assert decide_sweep(replace(GOOD, sims_seen=0, sims_known=1, newly_missing=1), POLICY) == SweepDecision(
        SweepState.HELD, "the carrier returned no SIM at all, 1 was known; nothing was marked"
    )


def test_a_carrier_that_never_had_a_sim_may_return_none() -> None:
    assert decide_sweep(replace(GOOD, sims_seen=0, sims_known=0), POLICY).state is SweepState.DONE


@given(facts, policies)
def test_nothing_is_marked_without_a_certified_walk_within_the_limits(walk: WalkFacts, policy: SweepPolicy) -> None:
    decision = decide_sweep(walk, policy)
    if decision.state is not SweepState.DONE:
        assert decision.reason
        return
    assert decision.reason is None
    assert walk.end_signalled
    assert walk.config_unchanged
    assert walk.records_quarantined == 0
    assert walk.sims_seen > 0 or walk.sims_known == 0
    within_percent = walk.newly_missing * 100 <= policy.max_vanished_percent * walk.sims_known or not walk.sims_known
    assert within_percent or walk.newly_missing <= policy.min_vanished_count


@given(facts, policies)
def test_the_machine_never_decides_for_the_operator(walk: WalkFacts, policy: SweepPolicy) -> None:
    assert decide_sweep(walk, policy).state in {SweepState.DONE, SweepState.HELD, SweepState.SKIPPED}
