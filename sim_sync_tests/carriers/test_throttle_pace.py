"""The pace after a carrier said "slower": half, and slowly back."""

from hypothesis import given
from hypothesis import strategies as st

from sim_sync.carriers.pace import Pace

rates = st.floats(min_value=0.01, max_value=10_000)


def test_the_pace_is_halved_each_time_the_carrier_asks_for_it() -> None:
    pace = Pace().slowed(full=10, observed=None)
    assert pace == Pace(5, recovers_to=10)
    assert pace.slowed(full=10, observed=None) == Pace(2.5, recovers_to=10)


def test_half_of_what_was_really_sent_is_slower_and_half_of_an_unreached_limit_is_not() -> None:
    assert Pace().slowed(full=10, observed=4).requests_per_second == 2


def test_without_a_limit_the_observed_pace_is_halved_and_recovered_to() -> None:
    pace = Pace().slowed(full=None, observed=30)
    assert pace == Pace(15, recovers_to=30)
    for _ in range(25):
        assert pace != Pace()
        pace = pace.recovered()
    assert pace == Pace()


def test_where_nothing_is_known_of_the_pace_it_stays() -> None:
    assert Pace().slowed(full=None, observed=None) == Pace()


def test_a_full_pace_does_not_get_faster() -> None:
    assert Pace().recovered() == Pace()


@given(rates, st.integers(min_value=1, max_value=30))
def test_however_often_it_is_slowed_a_carrier_is_asked_again(full: float, times: int) -> None:
    pace = Pace()
    for _ in range(times):
        before = pace.limit(full) or 0.0
        pace = pace.slowed(full=full, observed=None)
        assert 0 < (pace.limit(full) or 0.0) <= before
    assert (pace.limit(full) or 0.0) >= full / 64


@given(rates, st.integers(min_value=1, max_value=6))
def test_good_answers_lead_back_to_the_full_pace_in_equal_steps(full: float, times: int) -> None:
    pace = Pace()
    for _ in range(times):
        pace = pace.slowed(full=full, observed=None)
    answers = 0
    while pace != Pace():
        before = pace.requests_per_second or 0.0
        pace = pace.recovered()
        answers += 1
        if pace != Pace():
            assert abs((pace.requests_per_second or 0.0) - before - full * 0.02) < full * 1e-9
    assert 25 <= answers <= 50
