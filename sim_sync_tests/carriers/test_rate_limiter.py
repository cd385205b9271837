"""The rate limiter that every request passes: its waits, its places, and what the carrier itself asks for."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sim_sync.carriers.rate_limit import Change, InMemoryRateLimits, Outcome, RateLimiter
from sim_sync.carriers.settings import RateLimit
from sim_sync.core.errors import ParkRequired, StopRequested
from sim_sync.core.sync import StopReason
from sim_sync.worker.stopping import StopSignal
from sim_sync_tests.fakes.moving_time import MovingTime


def rate_limiter(time: MovingTime, limit: RateLimit, store: InMemoryRateLimits | None = None) -> RateLimiter:
    store = store or InMemoryRateLimits(time.monotonic)
    return RateLimiter(limit, time, carrier="acme", park_after_seconds=300, store=store)


def pass_through(at: RateLimiter, times: int) -> list[float]:
    """Return when requests were let through."""
    found = []
    for _ in range(times):
        with at.acquire() as permit:
            found.append(permit.admitted_at)
    return found


def pace_of(times: list[float]) -> float:
    """Return requests per second; the first gap may be shorter, by what may be caught up, so it does not count."""
    return (len(times) - 2) / (times[-1] - times[1])


def test_requests_are_let_through_at_the_limit_with_one_wait_each() -> None:
    time = MovingTime()
    times = pass_through(rate_limiter(time, RateLimit(requests_per_second=10)), 101)
    assert 0.95 * 10 <= 100 / (times[-1] - times[0]) <= 10
    assert len(time.waits) <= 101


def test_waits_that_end_late_do_not_cost_the_limit() -> None:
    chance = random.Random(7)
    time = MovingTime(late_by=lambda: chance.uniform(0, 0.012))
    times = pass_through(rate_limiter(time, RateLimit(requests_per_second=50)), 500)
    assert 0.95 * 50 <= 499 / (times[-1] - times[0]) <= 50
    assert max(sum(1 for time in times if start <= time < start + 1) for start in times) <= 50


def test_many_threads_share_one_limit() -> None:
    time = MovingTime()
    at = rate_limiter(time, RateLimit(requests_per_second=20, max_in_flight=8))
    with ThreadPoolExecutor(8) as threads:
        found = threads.map(lambda _: pass_through(at, 10), range(8))
        times = sorted(time for times in found for time in times)
    assert max(sum(1 for time in times if start <= time < start + 1) for start in times) <= 20


def test_no_more_requests_are_on_their_way_than_allowed() -> None:
    time = MovingTime()
    at = rate_limiter(time, RateLimit(max_in_flight=3))
    lock, inside, most = threading.Lock(), 0, 0
    full = threading.Barrier(3)

    def received(_: int) -> None:
        nonlocal inside, most
        with at.acquire():
            with lock:
                inside += 1
                most = max(most, inside)
            full.wait(timeout=30)  # passes only when three are on their way at the same time
            with lock:
                inside -= 1

    with ThreadPoolExecutor(9) as threads:
        list(threads.map(received, range(9)))
    assert most == 3


def test_a_place_is_given_back_when_a_request_fails() -> None:
    time = MovingTime()
    at = rate_limiter(time, RateLimit(max_in_flight=1))
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), at.acquire():
            _ = 1 / 0
    assert pass_through(at, 1) == [1000.0]
    assert time.waits == []


def test_a_stop_is_heard_while_waiting_for_a_turn() -> None:
    time = MovingTime(stop_at_wait=0)
    at = rate_limiter(time, RateLimit(requests_per_second=0.01))
    pass_through(at, 1)
    with pytest.raises(StopRequested):
        pass_through(at, 1)


def test_a_stop_is_heard_while_waiting_for_a_place() -> None:
    time = MovingTime(stop_at_wait=5)
    at = rate_limiter(time, RateLimit(max_in_flight=1))
    with at.acquire(), pytest.raises(StopRequested):
        pass_through(at, 1)
    assert pass_through(at, 1)


def test_a_hold_keeps_every_thread_until_it_is_over() -> None:
    time = MovingTime()
    at = rate_limiter(time, RateLimit(max_in_flight=4))
    at.pause(30)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: pass_through(at, 1), range(4)))
    assert min(time for times in found for time in times) >= 1030.0


def test_time_in_a_hold_is_told_apart_from_time_for_the_pace() -> None:
    time = MovingTime()
    at = rate_limiter(time, RateLimit(requests_per_second=1))
    pass_through(at, 1)
    at.pause(30)
    with at.acquire() as permit:
        assert permit.paused_seconds == 30
    with at.acquire() as permit:
        assert permit.paused_seconds == 0


def test_a_hold_that_is_longer_than_a_worker_should_sleep_gives_the_worker_back() -> None:
    time = MovingTime()
    at = rate_limiter(time, RateLimit())
    at.pause(7200)
    time.advance(200)
    with pytest.raises(ParkRequired, match="carrier acme asked to be left alone for another 7000 s") as caught:
        pass_through(at, 1)
    assert caught.value.wait_seconds == 7000
    assert time.waits == []


def test_slower_halves_the_pace_and_good_answers_bring_it_back() -> None:
    time = MovingTime()
    at = rate_limiter(time, RateLimit(requests_per_second=10))
    pass_through(at, 20)
    with at.acquire() as permit:
        pass
    at.slow_down(permit)
    slow = pass_through(at, 12)
    assert 4.5 <= pace_of(slow) <= 5
    for _ in range(26):
        with at.acquire() as permit:
            pass
        at.speed_up(permit)
    fast = pass_through(at, 10)
    assert 9.5 <= pace_of(fast) <= 10


def test_a_carrier_without_a_limit_is_slowed_to_half_of_what_was_sent() -> None:
    time = MovingTime()
    at = rate_limiter(time, RateLimit())
    for _ in range(12):
        with at.acquire() as permit:
            time.advance(0.05)
    time.advance(60)  # a silence says nothing about the pace
    with at.acquire() as permit:
        time.advance(0.05)
    at.slow_down(permit)
    times = pass_through(at, 10)
    assert 9.5 <= pace_of(times) <= 10.001


def test_one_word_of_the_carrier_slows_all_who_share_its_limit() -> None:
    time = MovingTime()
    store = InMemoryRateLimits(time.monotonic)
    one, other = (rate_limiter(time, RateLimit(requests_per_second=10), store) for _ in range(2))
    pass_through(other, 2)
    with one.acquire() as permit:
        pass
    one.slow_down(permit)
    one.pause(20)
    times = pass_through(other, 10)
    assert times[0] >= permit.admitted_at + 20
    assert 4.5 <= pace_of(times) <= 5


def test_a_request_that_was_written_late_counts_from_then_so_that_no_second_holds_more_than_the_limit() -> None:
    time = MovingTime()
    at = rate_limiter(time, RateLimit(requests_per_second=2, max_in_flight=2))
    pass_through(at, 1)
    with at.acquire() as late:
        time.advance(0.9)
        late.passed_at -= 0.9
        at.note_sent(late)
        sent_at = time.monotonic()
    assert late.admitted_at == sent_at
    times = [sent_at, *pass_through(at, 6)]
    assert max(sum(1 for time in times if start <= time < start + 1) for start in times) <= 2


class Patient(InMemoryRateLimits):
    """Takes only long delays for late."""

    late_seconds = 10.0


def test_a_delay_in_parts_is_late_as_a_whole() -> None:
    time = MovingTime()
    at = rate_limiter(time, RateLimit(requests_per_second=2), Patient(time.monotonic))
    with at.acquire() as permit:
        for _ in range(2):
            time.advance(6)
            permit.passed_at -= 6
            at.note_sent(permit)
    assert permit.admitted_at == 1012.0


class Counted(InMemoryRateLimits):
    """Knows how often it was asked."""

    asked = 0

    def change(self, rule: Change[Outcome]) -> Outcome:
        self.asked += 1
        return super().change(rule)


def test_of_many_threads_that_wait_for_a_turn_one_asks() -> None:
    store = Counted()
    store.late_seconds = 10.0  # what leaves late is not what is counted here
    limit = RateLimit(requests_per_second=100, max_in_flight=8)
    at = RateLimiter(limit, StopSignal(), carrier="acme", park_after_seconds=300, store=store)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: pass_through(at, 10), range(8)))
    assert store.asked <= 3 * 80, "once to hear when, once to be let through, and once more where a wait ended early"


def test_a_stop_is_heard_by_those_who_are_not_next() -> None:
    stop = StopSignal()
    limit = RateLimit(requests_per_second=0.01, max_in_flight=3)
    at = RateLimiter(limit, stop, carrier="acme", park_after_seconds=300, store=InMemoryRateLimits())
    pass_through(at, 1)
    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(pass_through, at, 1) for _ in range(3)]
        stop.request(StopReason.SHUTDOWN)
        assert [type(one.exception(timeout=30)) for one in waiting] == [StopRequested] * 3
