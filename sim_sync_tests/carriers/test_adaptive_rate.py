"""The pace after a carrier said "slower": half, and slowly back."""

from hypothesis import given
from hypothesis import strategies as st

from sim_sync.carriers.rate_limit import AdaptiveRate

rates = st.floats(min_value=0.01, max_value=10_000)


def test_the_pace_is_halved_each_time_the_carrier_asks_for_it() -> None:
    adaptive_rate = AdaptiveRate().slowed(full=10, observed=None)
    assert adaptive_rate == AdaptiveRate(5, recovers_to=10)
    assert adaptive_rate.slowed(full=10, observed=None) == AdaptiveRate(2.5, recovers_to=10)


def test_half_of_what_was_really_sent_is_slower_and_half_of_an_unreached_limit_is_not() -> None:
    assert AdaptiveRate().slowed(full=10, observed=4).requests_per_second == 2


def test_without_a_limit_the_observed_pace_is_halved_and_recovered_to() -> None:
    adaptive_rate = AdaptiveRate().slowed(full=None, observed=30)
    assert adaptive_rate == AdaptiveRate(15, recovers_to=30)
    for _ in range(25):
        assert adaptive_rate != AdaptiveRate()
        adaptive_rate = adaptive_rate.recovered()
    assert adaptive_rate == AdaptiveRate()


def test_where_nothing_is_known_of_the_pace_it_stays() -> None:
    assert AdaptiveRate().slowed(full=None, observed=None) == AdaptiveRate()


def test_a_full_pace_does_not_get_faster() -> None:
    assert AdaptiveRate().recovered() == AdaptiveRate()


@given(rates, st.integers(min_value=1, max_value=30))
def test_however_often_it_is_slowed_a_carrier_is_asked_again(full: float, times: int) -> None:
    adaptive_rate = AdaptiveRate()
    for _ in range(times):
        before = adaptive_rate.limit(full) or 0.0
        adaptive_rate = adaptive_rate.slowed(full=full, observed=None)
        assert 0 < (adaptive_rate.limit(full) or 0.0) <= before
    assert (adaptive_rate.limit(full) or 0.0) >= full / 64


@given(rates, st.integers(min_value=1, max_value=6))
def test_good_answers_lead_back_to_the_full_pace_in_equal_steps(full: float, times: int) -> None:
    adaptive_rate = AdaptiveRate()
    for _ in range(times):
        adaptive_rate = adaptive_rate.slowed(full=full, observed=None)
    responses = 0
    while adaptive_rate != AdaptiveRate():
        before = adaptive_rate.requests_per_second or 0.0
        adaptive_rate = adaptive_rate.recovered()
        responses += 1
        if adaptive_rate != AdaptiveRate():
            assert abs((adaptive_rate.requests_per_second or 0.0) - before - full * 0.02) < full * 1e-9
    assert 25 <= responses <= 50
