from collections.abc import Mapping
from pathlib import Path

import pytest

from sim_sync.core.sync import CRASH_POINTS
from sim_sync.selftest.trials import (
    TrialRunner,
    Walk,
    every_commit_point,
    freeze_and_wake,
    kill_at_every_commit_point,
    kill_at_random_times,
)
from sim_sync.simulator.control import RunningSimulator

pytestmark = pytest.mark.slow

SHORT = Walk(sims=5, page_size=3)
LONG = Walk(sims=600, page_size=20, latency_ms=2)
FOUR_IN_FLIGHT = Walk(sims=1200, page_size=20, latency_ms=20, vendor="telnyx", max_in_flight=4)


@pytest.fixture(params=["sqlite", "postgresql"])
def runner(request: pytest.FixtureRequest) -> TrialRunner:
    """A theatre on each database; in PostgreSQL, every trial has a scratch schema."""
    return TrialRunner(None if request.param == "sqlite" else request.getfixturevalue("postgres_url"))


class UnluckyTheatre(TrialRunner):
    """A theatre that expects something else than what syncs write."""

    def undisturbed(self, walk: Walk, simulator: RunningSimulator) -> Mapping[str, str]:
        return dict(super().undisturbed(walk, simulator)) | {"carrier_sims": "something else"}


def test_a_walk_has_every_crash_point_and_those_of_a_page_once_a_page() -> None:
    moments = every_commit_point(SHORT)

    assert {moment.rpartition(":")[0] for moment in moments} == set(CRASH_POINTS)
    assert [moment for moment in moments if moment.startswith("commit_page:rows_written")] == [
        "commit_page:rows_written:1",
        "commit_page:rows_written:2",
    ]


def test_killed_at_every_commit_point_and_resumed_a_sync_has_the_outcome_of_an_undisturbed_one(
    runner: TrialRunner,
) -> None:
    told: list[str] = []

    result = kill_at_every_commit_point(runner, told.append, SHORT)

    moments = every_commit_point(SHORT)
    assert (result.problems, result.trials, result.kills) == ([], len(moments), len(moments))
    # A page that was fetched and not committed is fetched again, and one that was asked for ahead of it; no other is.
    in_hand = sum(
        moment.startswith(("fetch_page", "commit_page")) and not moment.startswith("commit_page:committed")
        for moment in moments
    )
    with_one_ahead = sum(
        moment.startswith(("fetch_page", "commit_page")) and moment.endswith(":1") for moment in moments
    )
    assert in_hand <= result.pages_fetched_again <= in_hand + with_one_ahead
    assert told == [f"killed at {moment}" for moment in moments]


def test_killed_at_random_times_and_resumed_a_sync_has_the_outcome_of_an_undisturbed_one(runner: TrialRunner) -> None:
    result = kill_at_random_times(runner, lambda _line: None, 8, walk=LONG)

    assert (result.problems, result.kills) == ([], 8)
    assert result.trials >= 1
    assert 0 <= result.kills_in_transactions <= 8
    assert 0 <= result.pages_fetched_again <= 8 * LONG.pages_a_kill


def test_killed_with_four_requests_on_their_way_a_sync_has_the_outcome_of_an_undisturbed_one(
    runner: TrialRunner,
) -> None:
    result = kill_at_random_times(runner, lambda _line: None, 8, walk=FOUR_IN_FLIGHT)

    assert (result.problems, result.kills) == ([], 8)
    assert 0 <= result.pages_fetched_again <= 8 * (1 + 4)


def test_a_frozen_worker_that_was_taken_over_writes_nothing_when_it_wakes(runner: TrialRunner) -> None:
    result = freeze_and_wake(runner, lambda _line: None, 1, walk=LONG)

    assert (result.problems, result.frozen_and_woken) == ([], 1)


def test_another_outcome_than_the_undisturbed_one_is_a_problem_that_names_trial_and_table() -> None:
    result = kill_at_random_times(UnluckyTheatre(None), lambda _line: None, 1, walk=SHORT)

    assert result.problems[0] == "walk 1: other content in carrier_sims"


def test_a_trial_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    kill_at_random_times(TrialRunner(None), lambda _line: None, 1, walk=SHORT)

    assert list(tmp_path.glob("sim-sync-selftest-*")) == []
