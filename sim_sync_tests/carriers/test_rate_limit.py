"""When the next request may be sent, for any limit and whoever comes late."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.carriers.rate_limit import AdaptiveRate, RateLimitState, next_permission, paused, recovered, slowed
from sim_sync.carriers.settings import RateLimit

limits = st.builds(
    RateLimit,
    requests_per_second=st.one_of(
        st.sampled_from([0.1, 0.5, 1.0, 4.0, 5.0, 10.0, 50.0]), st.floats(min_value=0.05, max_value=60)
    ),
    burst=st.one_of(st.none(), st.integers(min_value=1, max_value=40)),
)
#: How long a caller does something else before it asks again, and how late its waits end; seconds.
pauses = st.lists(
    st.one_of(st.just(0.0), st.floats(min_value=0, max_value=0.02), st.floats(min_value=0, max_value=30)),
    min_size=1,
    max_size=120,
)


def sent(limit: RateLimit, pauses: Sequence[float], *, start: float = 1000.0) -> list[float]:
    """Return when requests went out: one after each pause, as soon as it was let through."""
    state, now, times = RateLimitState(), start, []
    for pause in pauses:
        now += pause
        while True:
            state, permission = next_permission(state, limit, now)
            if permission.wait_seconds == 0:
                break
            now += permission.wait_seconds
        times.append(now)
    return times


def most_in_any(times: Sequence[float], seconds: float) -> int:
    """Return the most requests in any window of that many seconds, its end not included."""
    return max(sum(1 for time in times[first:] if time < start + seconds) for first, start in enumerate(times))


@given(limits, pauses)
def test_no_window_sees_more_than_the_limit(limit: RateLimit, pauses: list[float]) -> None:
    rate = limit.requests_per_second or math.nan
    times = sent(limit, pauses)
    # A second, or the time that the burst or a whole number of requests takes at the limit; and longer windows.
    most = max(math.ceil(rate), limit.burst or 1)
    for windows in (1, 2, 5):
        assert most_in_any(times, windows * most / rate) <= windows * most


@given(limits, pauses)
def test_no_more_than_a_burst_is_sent_at_once(limit: RateLimit, pauses: list[float]) -> None:
    rate, burst = limit.requests_per_second or math.inf, limit.burst or 1
    # Beyond the burst, only what falls due in this time anyway.
    assert most_in_any(sent(limit, pauses), 0.001) <= burst + math.ceil(0.051 * rate)


@given(limits.filter(lambda limit: limit.burst is None), pauses)
def test_without_bursts_requests_keep_their_distance(limit: RateLimit, pauses: list[float]) -> None:
    times = sent(limit, pauses)
    rate = limit.requests_per_second or math.inf
    for n in range(1, len(times)):
        for first in range(len(times) - n):
            assert times[first + n] - times[first] >= n / rate - 0.0511


@pytest.mark.parametrize("rate", [0.2, 1, 5, 10, 50, 100, 400])
@pytest.mark.parametrize("late_by", [0.0, 0.002, 0.008, 0.03])
def test_a_long_run_gets_at_least_95_percent_of_the_limit(rate: float, late_by: float) -> None:
    limit, state, now, count = RateLimit(requests_per_second=rate), RateLimitState(), 1000.0, 0
    end = now + max(200 / rate, 10.0)
    while now < end:
        state, permission = next_permission(state, limit, now)
        if permission.wait_seconds == 0:
            count += 1
        else:
            now += permission.wait_seconds + late_by
    assert 0.95 <= count / (rate * (now - 1000.0)) <= 1.01


def test_a_long_run_with_bursts_gets_at_least_95_percent_of_the_limit_too() -> None:
    times = sent(RateLimit(requests_per_second=10, burst=5), [0.0] * 400)
    assert 399 / (times[-1] - times[0]) >= 9.5


def test_after_a_silence_a_burst_goes_out_at_once_and_the_rest_is_spaced() -> None:
    times = sent(RateLimit(requests_per_second=10, burst=5), [0.0] * 20)
    assert times[:5] == [1000.0] * 5
    assert all(later - earlier >= 0.1 for earlier, later in pairwise(times[4:10]))


def test_without_a_limit_nobody_waits() -> None:
    assert sent(RateLimit(), [0.0] * 100) == [1000.0] * 100


# What the carrier asks for


def test_a_hold_keeps_everybody_and_a_shorter_one_does_not_end_it() -> None:
    state = paused(paused(RateLimitState(), 1000.0, seconds=60), 1010.0, seconds=5)
    _, permission = next_permission(state, RateLimit(), 1010.0)
    assert (permission.wait_seconds, permission.is_pause) == (50.0, True)
    _, permission = next_permission(state, RateLimit(), 1060.0)
    assert permission.wait_seconds == 0


def test_a_slowed_carrier_gets_half_the_requests_and_no_bursts() -> None:
    limit = RateLimit(requests_per_second=10, burst=5)
    state = slowed(RateLimitState(), limit, 1000.0, admitted_at=999.0, observed=None)
    now = 1000.0
    times: list[float] = []
    while len(times) < 20:
        state, permission = next_permission(state, limit, now)
        if permission.wait_seconds == 0:
            times.append(now)
        now += permission.wait_seconds
    assert most_in_any(times, 1.0) <= 5
    assert most_in_any(times, 0.1) == 1
    assert 19 / (times[-1] - times[0]) >= 0.95 * 5


def test_the_requests_that_were_on_their_way_together_slow_the_carrier_once() -> None:
    limit = RateLimit(requests_per_second=16)
    state = RateLimitState()
    for answered_at in (1001.0, 1001.1, 1001.2, 1001.3):
        state = slowed(state, limit, answered_at, admitted_at=1000.9, observed=None)
    assert state.adaptive_rate.requests_per_second == 8
    state = slowed(state, limit, 1003.0, admitted_at=1002.0, observed=None)
    assert state.adaptive_rate.requests_per_second == 4


def test_only_answers_to_requests_after_the_slow_down_speed_a_carrier_up() -> None:
    limit = RateLimit(requests_per_second=10)
    state = slowed(RateLimitState(), limit, 1001.0, admitted_at=1000.0, observed=None)
    assert recovered(state, 1002.0, admitted_at=1000.5).adaptive_rate.requests_per_second == 5
    assert recovered(state, 1002.0, admitted_at=1001.5).adaptive_rate == AdaptiveRate(5.2, recovers_to=10)


# The state itself

traffics = st.builds(
    RateLimitState,
    free_at_us=st.integers(min_value=0, max_value=10**15),
    recent=st.lists(st.floats(min_value=0, max_value=1e9), max_size=5).map(tuple),
    adaptive_rate=st.builds(
        AdaptiveRate, st.none() | st.floats(min_value=0.01, max_value=100), st.none() | st.just(100.0)
    ),
    slowed_at=st.just(-math.inf) | st.floats(min_value=0, max_value=1e9),
    paused_until=st.just(-math.inf) | st.floats(min_value=0, max_value=1e9),
    seen_at=st.just(-math.inf) | st.floats(min_value=0, max_value=1e9),
)


@given(traffics)
def test_the_state_survives_its_way_through_a_file(state: RateLimitState) -> None:
    assert RateLimitState.from_json(json.loads(json.dumps(state.as_json(), allow_nan=False))) == state


def test_a_clock_that_starts_anew_keeps_what_was_left_to_wait() -> None:
    limit = RateLimit(requests_per_second=0.1)
    state, _ = next_permission(RateLimitState(), limit, 500_000.0)
    state = paused(state, 500_001.0, seconds=100)
    after_a_reboot, permission = next_permission(state, limit, 3.0)
    assert permission.wait_seconds == 100.0
    _, permission = next_permission(replace(after_a_reboot, paused_until=-math.inf), limit, 3.0)
    assert 9.0 < permission.wait_seconds < 10.4
