import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.core.backoff import LONGEST_OUTAGE_WAIT_SECONDS, decide_parking
from sim_sync.core.errors import ParkRequired

DOWN = ParkRequired("HTTP 503; gave up after 8 attempts", wait_seconds=60, is_outage=True)


@given(st.floats(0.1, 1e7), st.integers(0, 4), st.floats(0, 0.999))
def test_a_wait_that_the_carrier_named_is_kept_to_the_second(seconds: float, stalled: int, chance: float) -> None:
    named = ParkRequired("Retry-After", wait_seconds=seconds)
    assert decide_parking(named, stalled, max_stalled_resumes=5, chance=chance) == seconds


@pytest.mark.parametrize(("stalled", "seconds"), [(0, 60), (1, 120), (2, 240), (3, 480), (4, 960), (9, 3600)])
def test_a_carrier_that_stays_down_is_asked_later_and_later(stalled: int, seconds: float) -> None:
    assert decide_parking(DOWN, stalled, max_stalled_resumes=None, chance=0) == seconds


@given(st.floats(0.1, 1e5), st.integers(0, 100), st.floats(0, 0.999))
def test_an_outage_is_never_waited_for_longer_than_an_hour_and_its_jitter_or_shorter_than_asked(
    first: float, stalled: int, chance: float
) -> None:
    down = ParkRequired("down", wait_seconds=first, is_outage=True)
    seconds = decide_parking(down, stalled, max_stalled_resumes=None, chance=chance)
    assert seconds is not None
    assert first <= seconds <= max(LONGEST_OUTAGE_WAIT_SECONDS, first) + first


@pytest.mark.parametrize(("stalled", "gives_up"), [(4, False), (5, True), (6, True)])
@pytest.mark.parametrize("wait", [DOWN, ParkRequired("Retry-After", wait_seconds=7200)])
def test_the_last_of_the_stalled_resumes_is_given_up(wait: ParkRequired, stalled: int, *, gives_up: bool) -> None:
    assert (decide_parking(wait, stalled, max_stalled_resumes=5, chance=0) is None) is gives_up
