"""Transient failures are ridden out with the one formula; a longer wait frees the worker."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.carriers.client import Retrier
from sim_sync.carriers.settings import Retry
from sim_sync.core.errors import (
    AuthenticationFailed,
    CarrierUnavailable,
    ParkRequired,
    SimSyncError,
    StopRequested,
    Throttled,
)
from sim_sync_tests.fakes.waiter import RecordingWaiter


class Attempts:
    """Raises one error after the other, then returns `"page"`."""

    def __init__(self, *errors: SimSyncError) -> None:
        self.count = 0
        self._errors = list(errors)

    def __call__(self) -> str:
        self.count += 1
        if self._errors:
            raise self._errors.pop(0)
        return "page"


def away(times: int) -> list[SimSyncError]:
    return [CarrierUnavailable(f"away {number}") for number in range(times)]


@given(
    st.floats(min_value=0.001, max_value=3600),
    st.floats(min_value=0.001, max_value=86_400),
    st.lists(st.floats(min_value=0, max_value=1, exclude_max=True), min_size=7, max_size=7),
)
def test_the_waits_are_the_missions_formula(base: float, ceiling: float, chances: list[float]) -> None:
    waiter, left = RecordingWaiter(), list(chances)
    settings = Retry(base_seconds=base, ceiling_seconds=ceiling, max_attempts=8, park_after_seconds=86_400)
    patience = Retrier(settings, waiter, chance=lambda: left.pop(0))
    expected = [min(base * 2**attempt, ceiling) + chance * base for attempt, chance in enumerate(chances)]
    if max(expected) > 86_400:
        return
    assert patience.call(Attempts(*away(7)))[0] == "page"
    assert waiter.waits == expected


@given(st.floats(min_value=0, max_value=300), st.floats(min_value=0, max_value=1, exclude_max=True))
def test_a_wait_the_carrier_asked_for_is_never_shortened(told: float, chance: float) -> None:
    waiter = RecordingWaiter()
    patience = Retrier(Retry(park_after_seconds=400), waiter, chance=lambda: chance)
    patience.call(Attempts(Throttled("slower", retry_after_seconds=told)))
    assert waiter.waits[0] >= told
    assert waiter.waits == [max(1.0 + chance, told + chance)]


def test_what_it_cost_is_told() -> None:
    waiter = RecordingWaiter()
    patience = Retrier(Retry(), waiter, chance=lambda: 0.0)
    errors = [CarrierUnavailable("away"), Throttled("slower", retry_after_seconds=20), Throttled("slower again")]
    _, effort = patience.call(Attempts(*errors))
    assert waiter.waits == [1.0, 20.0, 4.0]
    assert (effort.retries, effort.throttled_seconds, effort.last_error) == (3, 24.0, "slower again")


def test_a_first_success_costs_nothing() -> None:
    _, effort = Retrier(Retry(), RecordingWaiter()).call(Attempts())
    assert (effort.retries, effort.throttled_seconds, effort.last_error) == (0, 0.0, None)


def test_a_longer_wait_than_a_worker_should_sleep_gives_it_back_at_once() -> None:
    waiter = RecordingWaiter()
    patience = Retrier(Retry(park_after_seconds=300), waiter, chance=lambda: 0.5)
    with pytest.raises(ParkRequired, match=r"quota; the carrier asks for a wait of 3600 s") as caught:
        patience.call(Attempts(Throttled("quota", retry_after_seconds=3600)))
    assert caught.value.wait_seconds == 3600.5
    assert waiter.waits == []


def test_after_the_last_attempt_the_worker_is_given_back() -> None:
    attempts, waiter = Attempts(*away(99)), RecordingWaiter()
    with pytest.raises(ParkRequired, match="away 4; no better after 5 attempts") as caught:
        Retrier(Retry(max_attempts=5), waiter, chance=lambda: 0.0).call(attempts)
    assert attempts.count == 5
    assert len(waiter.waits) == 4
    assert caught.value.wait_seconds == 60.0
    assert (caught.value.retries, caught.value.throttled_seconds) == (4, 0.0)


@pytest.mark.parametrize("error", [AuthenticationFailed("no"), ParkRequired("later", wait_seconds=1)])
def test_what_does_not_pass_by_itself_is_not_tried_again(error: SimSyncError) -> None:
    attempts, waiter = Attempts(error), RecordingWaiter()
    with pytest.raises(type(error)):
        Retrier(Retry(), waiter).call(attempts)
    assert (attempts.count, waiter.waits) == (1, [])


def test_a_stop_is_heard_during_a_wait() -> None:
    attempts = Attempts(*away(5))
    with pytest.raises(StopRequested):
        Retrier(Retry(), RecordingWaiter(stop_at_wait=1)).call(attempts)
    assert attempts.count == 2


def test_every_retry_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        Retrier(Retry(), RecordingWaiter(), chance=lambda: 0.0).call(Attempts(*away(2)))
    assert [record.getMessage() for record in caplog.records] == [
        "away 0; attempt 2 follows in 1.0 s",
        "away 1; attempt 3 follows in 2.0 s",
    ]
