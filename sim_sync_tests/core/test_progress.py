from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.core.progress import (
    PAGES_NEEDED,
    PAGES_REMEMBERED,
    end_range,
    eta,
    is_estimate,
    pace_of,
    pages_for,
    pages_per_minute,
    percent,
    remaining,
    remembered,
)
from sim_sync.core.session import Session, State
from sim_sync_tests.bench.ends import KINDS, a_simulated_walk, looks_at

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
seconds = st.floats(min_value=0, max_value=1e6)
some_pages = st.lists(seconds, min_size=PAGES_NEEDED, max_size=PAGES_REMEMBERED)


@pytest.mark.parametrize("pages", [[], [1.0], [1.0, 2.0]])
def test_a_few_pages_have_no_pace(pages: list[float]) -> None:
    assert pace_of(pages) is None


@given(seconds, st.integers(PAGES_NEEDED, PAGES_REMEMBERED))
def test_pages_that_all_take_the_same_have_that_pace(each: float, pages: int) -> None:
    assert pace_of([each] * pages) == pytest.approx(each)


@given(some_pages)
def test_the_pace_is_between_the_quickest_and_the_slowest_page(pages: list[float]) -> None:
    pace = pace_of(pages)
    assert pace is not None
    assert min(0.0, *pages) - 1e-6 <= pace <= max(pages) + 1e-6


@given(st.floats(min_value=0.001, max_value=100), st.floats(min_value=1, max_value=1e6), st.integers(0, 19))
def test_one_slow_page_moves_a_pace_of_twenty_by_a_quarter_at_most(each: float, slow: float, place: int) -> None:
    pages = [each] * PAGES_REMEMBERED
    pages[place] = slow * each
    pace = pace_of(pages)
    assert pace is not None
    assert pace <= 1.25 * each + 1e-6


def test_a_new_page_counts_more_than_an_old_one() -> None:
    newest, oldest = pace_of([1.0] * 19 + [2.0]), pace_of([2.0] + [1.0] * 19)
    assert newest is not None
    assert oldest is not None
    assert newest > oldest > 1.0


def test_a_lasting_change_of_pace_is_believed() -> None:
    times: tuple[float, ...] = (1.0,) * 20
    for _ in range(20):
        times = remembered(times, 10.0)
    assert pace_of(times) == pytest.approx(10)


@given(st.lists(seconds, max_size=100))
def test_only_the_last_pages_are_remembered(pages: list[float]) -> None:
    times: tuple[float, ...] = ()
    for page in pages:
        times = remembered(times, page)
    assert times == pytest.approx(pages[-PAGES_REMEMBERED:], abs=0.001)


def test_a_clock_that_was_put_back_makes_no_negative_page() -> None:
    assert remembered((1.0,), -1e9) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("records", "pages_done", "records_seen", "pages"),
    [
        (1000, 1, 100, 10),
        (1001, 1, 100, 11),
        (1001, 5, 500, 11),
        (999, 10, 1000, 10),
        (0, 1, 100, 1),
        (None, 1, 100, None),
        (1000, 0, 0, None),
        (1000, 1, 0, None),
    ],
)
def test_a_total_of_records_is_pages_at_the_size_seen_so_far(
    records: int | None, pages_done: int, records_seen: int, pages: int | None
) -> None:
    assert pages_for(records, pages_done=pages_done, records_seen=records_seen) == pages


@given(st.integers(0, 10**7), st.integers(1, 10**5), st.integers(1, 5000))
def test_full_pages_foretell_the_number_of_pages_exactly(records: int, pages_done: int, page_size: int) -> None:
    foretold = pages_for(records, pages_done=pages_done, records_seen=pages_done * page_size)
    assert foretold == max(-(-records // page_size), pages_done)


@pytest.mark.parametrize(
    ("done", "expected", "finished", "result"),
    [
        (0, 10, False, 0.0),
        (1, 3, False, 33.3),
        (10, 10, False, 99.9),
        (12, 10, False, 99.9),
        (9999, 10000, False, 99.9),
        (3, None, False, None),
        (0, 0, False, None),
        (3, None, True, 100.0),
        (3, 7, True, 100.0),
    ],
)
def test_a_walk_is_at_a_hundred_percent_only_when_it_is_finished(
    done: int, expected: int | None, finished: bool, result: float | None
) -> None:
    assert percent(done, expected, finished=finished) == result


@given(st.integers(0, 10**6), st.integers(0, 10**6) | st.none())
def test_an_estimate_is_never_an_end(done: int, expected: int | None) -> None:
    share = percent(done, expected)
    assert share is None or 0.0 <= share <= 99.9


@pytest.mark.parametrize(
    ("done", "expected", "pace", "result"),
    [
        (2, 5, 10.0, NOW + timedelta(seconds=30)),
        (5, 5, 10.0, NOW),
        (6, 5, 10.0, None),
        (2, None, 10.0, None),
        (2, 5, None, None),
    ],
)
def test_the_eta_is_the_remaining_pages_at_the_present_pace_or_nothing(
    done: int, expected: int | None, pace: float | None, result: datetime | None
) -> None:
    assert eta(NOW, pages_done=done, pages_expected=expected, pace_seconds=pace) == result


def a_walk(**fields: Any) -> Session:
    """Return a session at work that has done 10 of 30 pages, the last one now, at a second each."""
    walk = Session(
        session_id="acme-1",
        session_number=1,
        carrier="acme",
        state=State.RUNNING,
        cursor={"page": 10},
        fence=1,
        config_hash="c",
        started_at=NOW,
        updated_at=NOW,
        pages_done=10,
        pages_expected=30,
        eta_at=NOW + timedelta(seconds=20),
        lease_expires_at=NOW + timedelta(seconds=30),
    )
    return replace(walk, **fields)


def test_what_remains_counts_down_and_has_a_range() -> None:
    walk = a_walk(started_at=NOW - timedelta(seconds=10))
    first, later = remaining(walk, [1.0] * 10, NOW), remaining(walk, [1.0] * 10, NOW + timedelta(seconds=5))
    assert (first.seconds, later.seconds) == (20, 15)
    for each in (first, later, remaining(walk, [1.0] * 10, NOW + timedelta(seconds=29))):
        assert each.seconds is not None
        assert each.low_seconds is not None
        assert each.high_seconds is not None
        assert 0 <= each.low_seconds <= each.seconds <= each.high_seconds
    assert (first.low_seconds, first.high_seconds) == (10, 35)


def test_what_a_walk_has_waited_so_far_is_in_the_range_of_its_end_and_not_in_its_pace() -> None:
    waited = a_walk(started_at=NOW - timedelta(seconds=40), throttled_seconds=30.0)
    found = remaining(waited, [1.0] * 10, NOW)
    assert found.seconds == 20
    assert found.high_seconds is not None
    assert found.high_seconds > 2 * 20 * 4 * 0.75


@given(st.integers(0, 10**6), st.floats(0, 1e5), st.integers(0, 10**6), st.floats(-1e6, 1e7), st.floats(0, 1e7))
def test_the_range_of_an_end_is_one_whatever_the_clocks_said(
    pages: int, pace: float, done: int, elapsed: float, waited: float
) -> None:
    low, high = end_range(pages, pace, done, elapsed, waited)
    assert 0 <= low <= high


@pytest.mark.parametrize("kind", KINDS)
def test_from_a_fifth_of_a_walk_on_its_end_lies_in_the_range_in_four_of_five_looks(kind: str) -> None:
    looks = [look for seed in range(100) for look in looks_at(a_simulated_walk(kind, seed))]
    assert fmean(look.is_in_range for look in looks) >= 0.8


@pytest.mark.parametrize("fields", [{"eta_at": None}, {"lease_expires_at": None}, {"lease_expires_at": NOW}])
def test_nothing_is_said_to_remain_while_nobody_works(fields: dict[str, Any]) -> None:
    assert remaining(a_walk(**fields), [1.0] * 20, NOW) == (None, None, None)


def test_without_the_pages_times_there_is_no_doubt_to_tell() -> None:
    assert remaining(a_walk(), [], NOW) == (20, None, None)


def test_pages_a_minute_are_those_of_the_last_pages_while_somebody_works() -> None:
    assert pages_per_minute(a_walk(), [0.5] * 6, NOW) == 120
    assert pages_per_minute(a_walk(), [0.5] * 2, NOW) is None
    assert pages_per_minute(a_walk(), [0.0] * 6, NOW) is None
    assert pages_per_minute(a_walk(lease_expires_at=None), [0.5] * 6, NOW) is None
    assert pages_per_minute(a_walk(), [0.5] * 6, NOW + timedelta(seconds=30)) is None


@pytest.mark.parametrize(
    ("fields", "carrier_total", "expected"),
    [
        ({"records_expected": 60, "records_seen": 20}, None, True),
        ({"records_expected": 60, "records_seen": 20}, 60, False),
        # The carrier tells how many pages there are, and no records.
        ({"records_expected": None, "records_seen": 20}, None, False),
        ({"records_expected": 90, "records_seen": 20}, None, False),
        ({"pages_expected": None}, None, False),
        ({"records_expected": 60, "records_seen": 20, "state": State.COMPLETED}, None, False),
    ],
)
def test_pages_that_follow_from_another_total_than_the_carriers_are_an_estimate(
    fields: dict[str, Any], carrier_total: int | None, *, expected: bool
) -> None:
    assert is_estimate(a_walk(**fields), carrier_total) is expected
