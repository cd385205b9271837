"""A limit that hosts share in PostgreSQL: no change is lost, and no place in flight outlives its host."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim_sync.carriers.rate_limit import (
    RateLimiter,
    RateLimitState,
    next_permission,
    paused,
    recovered,
    sent_late,
    slowed,
)
from sim_sync.carriers.settings import RateLimit
from sim_sync.carriers.shared_limits import DatabaseRateLimits
from sim_sync.core.errors import StopRequested, WarehouseUnavailable
from sim_sync.warehouse.engine import open_engine, transaction
from sim_sync.warehouse.shared_limits import HURRY, LEASE_SECONDS, Held, SqlSharedLimits, shared_limits
from sim_sync.warehouse.tables import metadata
from sim_sync.worker.stopping import StopSignal
from sim_sync_tests.fakes.pooler import PGBOUNCER, pooled
from sim_sync_tests.fakes.waiter import RecordingWaiter

KEY = "the-account-of-everybody"
PATIENCE_SECONDS = 30.0
LIMIT = RateLimit(requests_per_second=200, burst=5, shared_key=KEY)


class Host:
    """What one process has: connections of its own."""

    def __init__(self, url: str, waiter: RecordingWaiter | None = None) -> None:
        self.engine = open_engine(url, **HURRY)
        self.limits = SqlSharedLimits(Held(self.engine), waiter or RecordingWaiter())

    def count(self) -> float:
        """Add one to a number that all count, and return the time of it."""
        return self.limits.change("count", lambda text, now: (str(int(text or 0) + 1), now))

    def take(self, places: int = 1) -> Callable[[], None] | None:
        return self.limits.take_place("k", places)


@pytest.fixture
def url(postgres_url: str) -> str:
    engine = open_engine(postgres_url)
    metadata.create_all(engine)
    engine.dispose()
    return postgres_url


@pytest.fixture
def hosts(url: str) -> Iterator[Sequence[Host]]:
    found = [Host(url), Host(url)]
    yield found
    for host in found:
        host.engine.dispose()


def end_sessions(url: str) -> None:
    """End every other session of the database, as a server's restart does."""
    engine = open_engine(url)
    with transaction(engine, "ending sessions") as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    engine.dispose()


def transactions(engine: sa.Engine) -> int:
    """Return how many transactions of others are open."""
    with transaction(engine, "looking") as connection:
        found = connection.exec_driver_sql(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%%'"
        )
        return int(found.scalar_one())


def soon(found: Callable[[], Any]) -> Any:
    """Return what comes of it as soon as something does: the server hears of a death a moment later."""
    until = time.monotonic() + PATIENCE_SECONDS
    while (result := found()) is None and time.monotonic() < until:
        time.sleep(0.02)
    return result


# --- the state of a limit ----------------------------------------------------------------------------------------


def test_no_change_of_many_threads_of_two_hosts_is_lost_and_their_times_are_in_order(hosts: Sequence[Host]) -> None:
    times: list[float] = []

    def counted(text: str | None, now: float) -> tuple[str, None]:
        times.append(now)
        return str(int(text or 0) + 1), None

    def count(number: int) -> None:
        host = hosts[number % 2]
        host.limits.change("count", counted)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(count, range(80)))

    assert hosts[0].limits.change("count", lambda text, _: (None, text)) == "80"
    assert times == sorted(times), "the clock is read under the lock"


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from(["send", "slow down", "pause", "speed up"])), max_size=12
    )
)
def test_two_hosts_have_together_what_the_rule_says_for_one(
    hosts: Sequence[Host], steps: Sequence[tuple[int, str]]
) -> None:
    with transaction(hosts[0].engine, "emptying") as connection:
        connection.exec_driver_sql("DELETE FROM rate_limits")
    stores = [DatabaseRateLimits(host.limits, KEY) for host in hosts]
    expected = RateLimitState()
    rules: dict[str, Callable[[RateLimitState, float], RateLimitState]] = {
        "send": lambda state, now: next_permission(state, LIMIT, now)[0],
        "slow down": lambda state, now: slowed(state, LIMIT, now, admitted_at=now, observed=None),
        "pause": lambda state, now: paused(state, now, seconds=0.001),
        "speed up": lambda state, now: recovered(state, now, admitted_at=now),
    }
    for host, step in steps:
        rule = rules[step]
        after, now = stores[host].change(lambda state, now: (rule(state, now), (rule(state, now), now)))  # noqa: B023
        expected = rule(expected, now)
        assert after == expected
    assert stores[0].change(lambda state, _: (state, state)) == expected


def test_a_rule_that_fails_changes_nothing_and_locks_nothing(hosts: Sequence[Host]) -> None:
    hosts[0].count()
    with pytest.raises(ZeroDivisionError):
        hosts[0].limits.change("count", lambda text, _: (str(1 // 0), text))
    hosts[1].count()
    assert hosts[0].limits.change("count", lambda text, _: (None, text)) == "2"


def test_a_state_that_another_version_wrote_starts_afresh(hosts: Sequence[Host]) -> None:
    store = DatabaseRateLimits(hosts[0].limits, KEY)
    store.change(lambda state, now: (paused(state, now, seconds=60), None))
    with transaction(hosts[0].engine, "writing") as connection:
        connection.execute(sa.text("UPDATE rate_limits SET state = :state"), {"state": '{"of": "old"}'})
    assert store.change(lambda state, _: (state, state)) == RateLimitState()


def test_the_key_itself_is_not_kept(hosts: Sequence[Host]) -> None:
    DatabaseRateLimits(hosts[0].limits, KEY).change(lambda state, now: (paused(state, now, seconds=1), None))
    with transaction(hosts[0].engine, "reading") as connection:
        rows = str(connection.exec_driver_sql("SELECT * FROM rate_limits").all())
    assert "seen_at" in rows
    assert KEY not in rows


def test_before_the_tables_are_made_a_process_keeps_its_limit_by_itself(postgres_url: str) -> None:
    host = Host(postgres_url)
    times = [host.count(), host.count()]
    assert times == sorted(times)
    assert host.limits.change("count", lambda text, _: (None, text)) == "2"
    with transaction(host.engine, "reading") as connection:
        assert connection.exec_driver_sql("SELECT to_regclass('rate_limits')").scalar() is None
    metadata.create_all(host.engine)
    host.count()
    assert host.limits.change("count", lambda text, _: (None, text)) == "1", "from now on it is everybody's"
    host.engine.dispose()


def test_sessions_that_were_cut_are_replaced_without_a_word(url: str) -> None:
    waiter = RecordingWaiter()
    host = Host(url, waiter)
    held = host.take(2)
    host.count()
    end_sessions(url)

    host.count()
    assert len(waiter.waits) == 1
    assert host.take(2) is not None
    assert len(waiter.waits) == 2
    assert host.take(2) is None, "the request that is on its way counts as before"
    assert held is not None
    held()
    assert host.take(2) is not None
    host.engine.dispose()


def test_a_server_that_stays_away_is_an_error_in_the_end_and_a_stop_is_heard_meanwhile() -> None:
    nowhere = "postgresql://nobody@127.0.0.1:9/none"
    for waiter, error in (
        (RecordingWaiter(), WarehouseUnavailable),
        (RecordingWaiter(stop_at_wait=2), StopRequested),
    ):
        host = Host(nowhere, waiter)
        with pytest.raises(error):
            host.count()
        with pytest.raises(error):
            host.take()
        assert len(waiter.waits) > 2


# --- places in flight --------------------------------------------------------------------------------------------


def test_places_are_counted_over_hosts_threads_and_keys(hosts: Sequence[Host]) -> None:
    taken = [host.take(3) for host in (hosts[0], hosts[0], hosts[1])]
    assert None not in taken
    assert (hosts[0].take(3), hosts[1].take(3)) == (None, None)
    assert hosts[1].limits.take_place("another key", 1) is not None

    give_back = taken[1]
    assert give_back is not None
    thread = threading.Thread(target=give_back)
    thread.start()
    thread.join()
    assert hosts[1].take(3) is not None
    assert hosts[0].take(3) is None


def test_threads_of_two_hosts_never_have_more_places_than_there_are(hosts: Sequence[Host]) -> None:
    lock, inside, most = threading.Lock(), 0, 0

    def ask(number: int) -> None:
        nonlocal inside, most
        give_back = soon(lambda: hosts[number % 2].take(3))
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.002)
        with lock:
            inside -= 1
        give_back()

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(ask, range(60)))
    assert 2 <= most <= 3


_HOLDER = """
import sys
from sim_sync.warehouse.shared_limits import shared_limits
from sim_sync.worker.stopping import StopSignal

assert shared_limits(sys.argv[1], StopSignal()).take_place("k", 1) is not None
print("taken", flush=True)
sys.stdin.read()
"""


def test_a_killed_holder_has_no_place_any_more(url: str, hosts: Sequence[Host]) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        assert hosts[0].take() is None
        process.kill()
        process.wait()
    assert soon(hosts[0].take) is not None


def test_a_place_whose_session_has_ended_is_given_back_without_a_word_and_to_nobody_elses_loss(
    url: str, hosts: Sequence[Host]
) -> None:
    here, there = hosts
    lost = here.take()
    assert lost is not None
    end_sessions(url)
    assert soon(there.take) is not None

    lost()

    assert here.take() is None
    assert there.take() is None


def test_no_transaction_is_open_while_a_place_is_held(hosts: Sequence[Host]) -> None:
    assert hosts[0].take() is not None
    assert transactions(hosts[1].engine) == 0


# --- behind a pooler ---------------------------------------------------------------------------------------------

needs_pgbouncer = pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed")


@needs_pgbouncer
def test_behind_a_pooler_places_are_counted_and_those_of_a_dead_host_run_out(url: str, hosts: Sequence[Host]) -> None:
    with pooled(url, pool_mode="transaction") as through:
        one, two = Host(through), Host(through)
        first, second = one.take(2), two.take(2)
        assert first is not None
        assert second is not None
        assert (one.take(2), two.take(2)) == (None, None)
        first()
        third = two.take(2)
        assert third is not None

        # Both are dead from here on, and the database's clock has moved.
        leases = hosts[0].limits.change("k.places", lambda text, _: (None, json.loads(text or "{}")))
        now = hosts[0].limits.change("k.places", lambda _, now: (None, now))
        assert sorted(until - now for until in leases.values())[-1] <= LEASE_SECONDS <= 60
        hosts[0].limits.change("k.places", lambda _, now: (json.dumps(dict.fromkeys(leases, now)), None))
        assert one.take(2) is not None

        second()  # it is not its own any more, and nobody loses one by it
        third()
        assert one.take(2) is not None
        assert one.take(2) is None
        for host in (one, two):
            host.engine.dispose()


# --- as carriers use it ------------------------------------------------------------------------------------------


def test_sqlite_keeps_no_limits_for_many_hosts(sqlite_url: str) -> None:
    assert shared_limits(sqlite_url, RecordingWaiter()) is None


def test_a_wait_for_a_turn_holds_no_transaction_open(url: str, hosts: Sequence[Host]) -> None:
    open_ones: list[int] = []

    class Watcher(RecordingWaiter):
        def wait(self, seconds: float) -> None:
            open_ones.append(transactions(hosts[1].engine))
            raise StopRequested("enough")

    limit = RateLimit(requests_per_second=1, max_in_flight=2, shared_key=KEY)
    store = DatabaseRateLimits(hosts[0].limits, KEY)
    limiter = RateLimiter(limit, Watcher(), carrier="acme", park_after_seconds=300, store=store)
    with limiter.acquire(), pytest.raises(StopRequested), limiter.acquire():
        pass
    assert open_ones == [0]


def test_threads_of_two_hosts_together_keep_the_limit(hosts: Sequence[Host]) -> None:
    limit = RateLimit(requests_per_second=60, burst=3, max_in_flight=6, shared_key=KEY)
    times: list[float] = []

    def ask(number: int) -> None:
        store = DatabaseRateLimits(hosts[number % 2].limits, KEY)
        limiter = RateLimiter(limit, StopSignal(), carrier="acme", park_after_seconds=300, store=store)
        for _ in range(25):
            with limiter.acquire() as permit:
                times.append(permit.admitted_at)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(ask, range(6)))

    times.sort()
    assert len(times) == 150
    assert max(sum(first <= time < first + 1 for time in times) for first in times) <= 60


def test_a_request_that_leaves_late_is_counted_when_it_leaves() -> None:
    limit = RateLimit(requests_per_second=10)
    state, first = RateLimitState(), 1000.0
    for number in range(10):
        state, permission = next_permission(state, limit, first + number * 0.11)
        assert permission.wait_seconds == 0
    late = sent_late(state, first + 0.5, admitted_at=first)
    assert next_permission(late, limit, 1001.1)[1].wait_seconds > 0, "one of ten left a little later"
    assert next_permission(late, limit, 1001.14)[1].wait_seconds == 0
    assert next_permission(state, limit, 1001.05)[1].wait_seconds == 0
    very_late = sent_late(state, 1001.0, admitted_at=990.0)
    assert next_permission(very_late, limit, 1001.05)[1].wait_seconds > 0, (
        "its process was frozen, and others continued"
    )
