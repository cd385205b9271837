"""The limit that a simulated carrier keeps, and the peaks it counts, against a clock that only the test moves."""

from hypothesis import given
from hypothesis import strategies as st

from sim_sync.simulator.simulated_carrier import Peak, RateLimit


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_served_and_then_one_request_each_time_the_bucket_refills() -> None:
    clock = Clock()
    limit = RateLimit(4, 2, clock=clock)
    assert [limit.take() for _ in range(3)] == [None, None, 0.25]
    clock.now = 0.25
    assert [limit.take() for _ in range(2)] == [None, 0.25]
    clock.now = 100.0
    assert [limit.take() for _ in range(3)] == [None, None, 0.25]


def test_without_a_burst_a_seconds_worth_may_come_at_once() -> None:
    limit = RateLimit(2.5, clock=Clock())
    assert [limit.take() is None for _ in range(4)] == [True, True, True, False]


def test_without_a_rate_all_requests_are_served() -> None:
    assert [RateLimit(None).take() for _ in range(1000)] == [None] * 1000


@given(st.lists(st.floats(0, 0.4), max_size=60), st.floats(1, 20), st.integers(1, 5))
def test_no_window_ever_has_more_than_its_share(pauses: list[float], per_second: float, burst: int) -> None:
    clock = Clock()
    limit = RateLimit(per_second, burst, clock=clock)
    served: list[float] = []
    for pause in pauses:
        clock.now += pause
        if limit.take() is None:
            served.append(clock.now)
    for first, moment in enumerate(served):
        for last in range(first, len(served)):
            assert last - first + 1 <= burst + (served[last] - moment) * per_second + 1e-6


@given(st.lists(st.floats(0, 0.6), min_size=1, max_size=60))
def test_the_peak_is_the_fullest_second(pauses: list[float]) -> None:
    clock = Clock()
    peak = Peak(clock)
    moments: list[float] = []
    for pause in pauses:
        clock.now += pause
        moments.append(clock.now)
        peak.count()
    assert peak.highest == max(sum(end - 1 < moment <= end for moment in moments) for end in moments)
