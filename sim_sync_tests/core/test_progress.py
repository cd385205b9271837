from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.core.progress import eta, next_pace, pages_for, percent

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
seconds = st.floats(min_value=0, max_value=1e6)


def test_the_first_page_sets_the_pace() -> None:
    assert next_pace(None, 3.5) == 3.5


@given(seconds, seconds)
def test_a_new_page_moves_the_pace_a_tenth_of_the_way_towards_itself(pace: float, page: float) -> None:
    moved = next_pace(pace, page)
    assert moved == pytest.approx(0.9 * pace + 0.1 * page)
    assert min(pace, page) - 1e-6 <= moved <= max(pace, page) + 1e-6


@pytest.mark.parametrize("pace", [None, 5.0])
def test_a_clock_that_was_put_back_makes_no_negative_pace(pace: float | None) -> None:
    assert next_pace(pace, -1e9) == next_pace(pace, 0.0)


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
