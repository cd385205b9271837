"""Riding out a warehouse that is away: the mission's formula, a bounded number of attempts, and no other errors."""

from collections.abc import Callable
from typing import Any

import pytest

from sim_sync.core.errors import ConfigError, Fenced, Problem, StopRequested, WarehouseUnavailable
from sim_sync.core.ports import PageStore, SessionStore
from sim_sync.core.session import Event, Release, Session
from sim_sync.core.sweep import SweepPolicy
from sim_sync.warehouse.store import WarehouseRetry
from sim_sync_tests.fakes.fleet import a_page, a_request, a_sim
from sim_sync_tests.fakes.waiter import RecordingWaiter
from sim_sync_tests.fakes.warehouse import InMemoryWarehouse
from sim_sync_tests.worker.faulty_store import FaultyStore

AWAY = WarehouseUnavailable("the warehouse is away")


def opened(store: SessionStore) -> Session:
    return store.open_session(a_request()).session


CALLS: dict[str, Callable[[SessionStore, Session], Any]] = {
    "open_session": lambda store, _session: store.open_session(a_request("run-1")),
    "release": lambda store, session: store.release(session.claim, Release(Event.WAIT_TOO_LONG, "why", 7)),
    "session": lambda store, session: store.session(session.session_id),
    "renew_lease": lambda store, session: store.renew_lease(session.claim),
}
PAGE_CALLS: dict[str, Callable[[PageStore, Session], Session]] = {
    "commit_page": lambda store, session: store.commit_page(session.claim, {"page": 0}, a_page([a_sim(1)])),
    "commit_walk_restart": lambda store, session: store.commit_walk_restart(session.claim, {"page": 0}, "gone"),
}


@pytest.mark.parametrize("method", CALLS)
def test_every_method_is_asked_again_and_answers_as_the_store_does(method: str) -> None:
    plain, behind = InMemoryWarehouse(), InMemoryWarehouse()
    faulty, waiter = FaultyStore(behind), RecordingWaiter()
    expected = CALLS[method](plain, opened(plain))
    session = opened(behind)
    faulty.fail(method, AWAY, AWAY)
    assert WarehouseRetry(waiter, chance=lambda: 0.0)(CALLS[method], faulty, session) == expected
    assert waiter.waits == [0.5, 1.0]


@pytest.mark.parametrize("method", PAGE_CALLS)
def test_what_a_walk_writes_is_asked_again_and_answered_as_the_store_does(method: str) -> None:
    plain, behind = InMemoryWarehouse(), InMemoryWarehouse()
    faulty, waiter = FaultyStore(behind), RecordingWaiter()
    expected = PAGE_CALLS[method](plain, opened(plain))
    session = opened(behind)
    faulty.fail(method, AWAY, AWAY)
    assert WarehouseRetry(waiter, chance=lambda: 0.0)(PAGE_CALLS[method], faulty, session) == expected
    assert waiter.waits == [0.5, 1.0]


def test_closing_is_asked_again_too() -> None:
    store, waiter = InMemoryWarehouse(), RecordingWaiter()
    session = opened(store)
    session = store.commit_page(session.claim, {"page": 0}, a_page([a_sim(1)]))
    faulty = FaultyStore(store)
    faulty.fail("close_session", AWAY)
    closed = WarehouseRetry(waiter)(faulty.close_session, session.claim, SweepPolicy(), "config-1")
    assert closed.finished_at is not None
    assert len(waiter.waits) == 1


def faulty_session() -> tuple[FaultyStore, str]:
    """Return a store that can fail, and the id of a session that can be read from it."""
    store = InMemoryWarehouse()
    return FaultyStore(store), opened(store).session_id


def test_waits_grow_to_a_ceiling_and_after_the_last_attempt_the_error_is_told_as_it_is() -> None:
    (faulty, session_id), waiter = faulty_session(), RecordingWaiter()
    faulty.fail("session", *[AWAY] * 20)
    with pytest.raises(WarehouseUnavailable) as failed:
        WarehouseRetry(waiter, chance=lambda: 0.0)(faulty.session, session_id)
    assert failed.value is AWAY
    assert waiter.waits == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
    assert len(faulty.calls) == 8


def test_chance_is_added_to_every_wait() -> None:
    (faulty, session_id), waiter = faulty_session(), RecordingWaiter()
    faulty.fail("session", AWAY, AWAY)
    WarehouseRetry(waiter, chance=lambda: 0.5)(faulty.session, session_id)
    assert waiter.waits == [0.75, 1.25]


def test_every_call_has_its_own_attempts() -> None:
    (faulty, session_id), waiter = faulty_session(), RecordingWaiter()
    retry = WarehouseRetry(waiter, attempts=3, chance=lambda: 0.0)
    for _ in range(4):
        faulty.fail("session", AWAY, AWAY)
        retry(faulty.session, session_id)
    assert waiter.waits == [0.5, 1.0] * 4


@pytest.mark.parametrize(
    "error",
    [Fenced("taken over"), ConfigError([Problem("warehouse", "url", "a database", "none")]), ZeroDivisionError()],
)
def test_what_does_not_pass_by_itself_is_not_asked_again(error: Exception) -> None:
    (faulty, session_id), waiter = faulty_session(), RecordingWaiter()
    faulty.fail("session", error)
    with pytest.raises(type(error)):
        WarehouseRetry(waiter)(faulty.session, session_id)
    assert (waiter.waits, faulty.calls) == ([], ["session"])


def test_a_stop_cuts_a_wait_short() -> None:
    (faulty, session_id), waiter = faulty_session(), RecordingWaiter(stop_at_wait=1)
    faulty.fail("session", *[AWAY] * 20)
    with pytest.raises(StopRequested):
        WarehouseRetry(waiter)(faulty.session, session_id)
    assert len(faulty.calls) == 2
