"""The lease keeper: it renews while the worker waits, hears of a pause and of a takeover, and survives trouble."""

import threading
from collections.abc import Callable

import pytest

from sim_sync.core.errors import ConfigError, Fenced, Problem, WarehouseUnavailable
from sim_sync.core.session import Event, Process
from sim_sync.core.sync import StopReason
from sim_sync.worker.lease import KeptRun, kept_lease, kept_run_lease
from sim_sync.worker.processes import this_process
from sim_sync.worker.stopping import StopSignal
from sim_sync_tests.fakes.fleet import CARRIER, a_request
from sim_sync_tests.fakes.warehouse import InMemoryWarehouse
from sim_sync_tests.worker.faulty_store import FaultyStore

#: The keeper's turn comes every third of it: at once, for a test.
SHORT = 0.003
PATIENCE_SECONDS = 30.0


class Turns:
    """Counts the keeper's turns, and lets a test wait for one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0

    def __call__(self, method: str) -> None:
        assert method == "renew_lease"
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        """Return when the keeper's turn with this number has begun."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._count >= count, PATIENCE_SECONDS)


def keeper_thread() -> threading.Thread | None:
    return next((thread for thread in threading.enumerate() if thread.name == f"lease on carrier {CARRIER}"), None)


def test_the_lease_is_renewed_again_and_again_while_the_worker_waits() -> None:
    store, turns = InMemoryWarehouse(), Turns()
    session = store.open_session(a_request()).session
    with kept_lease(FaultyStore(store, on_call=turns), session.claim, lease_seconds=SHORT, stop=StopSignal()):
        store.clock.advance(20)
        turns.wait_for(1)
        turns.wait_for(4)
        renewed = store.session(session.session_id)
    assert session.lease_expires_at is not None
    assert renewed.lease_expires_at is not None
    assert (renewed.lease_expires_at - session.lease_expires_at).total_seconds() == 20
    assert (renewed.updated_at, renewed.pages_done) == (session.updated_at, 0), "a heartbeat is no progress"


def test_the_keeper_ends_with_the_block_whatever_ends_that() -> None:
    store = InMemoryWarehouse()
    session = store.open_session(a_request()).session

    def work_and_fail() -> None:
        with kept_lease(store, session.claim, lease_seconds=SHORT, stop=StopSignal()):
            assert keeper_thread() is not None
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work_and_fail()
    assert keeper_thread() is None


def _stopped(happens: Callable[[InMemoryWarehouse], object]) -> StopSignal:
    """Let something happen to the session while its worker waits for an hour."""
    store, stop = InMemoryWarehouse(), StopSignal()
    session = store.open_session(a_request()).session
    with kept_lease(store, session.claim, lease_seconds=SHORT, stop=stop):
        happens(store)
        with pytest.raises(Exception, match="cut short"):
            stop.wait(3600)
    return stop


def test_a_pause_ends_the_wait() -> None:
    stop = _stopped(lambda store: store.move_by_operator(CARRIER, Event.PAUSED_BY_OPERATOR))
    assert (stop.reason, stop.error) == (StopReason.PAUSED, None)


def test_a_takeover_ends_the_wait_and_tells_by_whom() -> None:
    stop = _stopped(lambda store: store.open_session(a_request("run-2", gone_owners=["run-1"])))
    assert stop.reason is StopReason.FENCED
    assert isinstance(stop.error, Fenced)
    assert "taken over by run run-2" in str(stop.error)


@pytest.mark.parametrize(
    "trouble",
    [
        WarehouseUnavailable("away"),
        ConfigError([Problem("warehouse", "url", "a database", "none")]),
        ZeroDivisionError("a bug"),
    ],
)
def test_a_keeper_that_cannot_reach_the_warehouse_continues_trying_and_stops_nobody(
    trouble: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    store, turns, stop = InMemoryWarehouse(), Turns(), StopSignal()
    session = store.open_session(a_request()).session
    faulty = FaultyStore(store, on_call=turns)
    faulty.fail("renew_lease", trouble, trouble)
    store.clock.advance(20)
    with kept_lease(faulty, session.claim, lease_seconds=SHORT, stop=stop):
        turns.wait_for(4)
    assert stop.reason is None
    renewed = store.session(session.session_id)
    assert renewed.lease_expires_at != session.lease_expires_at
    assert caplog.text.count(f"the lease on carrier {CARRIER} could not be renewed") == 1, "once in a row"


def test_a_keeper_that_hangs_does_not_keep_the_worker_from_ending() -> None:
    hanging, let_go = threading.Event(), threading.Event()

    def hang(_method: str) -> None:
        hanging.set()
        assert let_go.wait(PATIENCE_SECONDS)

    store = InMemoryWarehouse()
    session = store.open_session(a_request()).session
    with kept_lease(FaultyStore(store, on_call=hang), session.claim, lease_seconds=SHORT, stop=StopSignal()):
        assert hanging.wait(PATIENCE_SECONDS)
    thread = keeper_thread()
    assert thread is not None
    assert thread.daemon, "a process that ends does not wait for it either"
    let_go.set()
    thread.join(PATIENCE_SECONDS)


# --- the lease of a run ----------------------------------------------------------------------------------------


class NotedLeases:
    """A `RunLeaseStore` that notes what it is told; `troubles` are raised by the next renewals, or the first ones."""

    def __init__(self, *troubles: Exception, from_the_first: bool = False) -> None:
        self._spared = 0 if from_the_first else 1
        self.told: list[str] = []
        self.turns = Turns()
        self._troubles = list(troubles)

    def renew(self, run_id: str, process: Process, lease_seconds: float) -> None:
        self.told.append(f"renew {run_id}")
        self.turns("renew_lease")
        if self._troubles and len(self.told) > self._spared:
            raise self._troubles.pop(0)

    def give_back(self, run_id: str) -> None:
        self.told.append(f"give back {run_id}")
        if self._troubles:
            raise self._troubles.pop(0)


def test_a_run_takes_its_lease_at_once_renews_it_and_gives_it_back() -> None:
    leases = NotedLeases()
    with kept_run_lease(leases, "run-1", this_process(), lease_seconds=3600):
        assert leases.told == ["renew run-1"]
    with kept_run_lease(leases, "run-2", this_process(), lease_seconds=SHORT):
        leases.turns.wait_for(4)
    assert leases.told[1] == "give back run-1"
    assert leases.told[-1] == "give back run-2"
    assert set(leases.told[2:-1]) == {"renew run-2"}


def test_an_outage_ends_neither_the_keeping_of_a_run_nor_the_run() -> None:
    leases = NotedLeases(WarehouseUnavailable("away"), WarehouseUnavailable("away"))
    with kept_run_lease(leases, "run-1", this_process(), lease_seconds=SHORT):
        leases.turns.wait_for(5)

    away_at_its_end = NotedLeases(WarehouseUnavailable("away"))
    with kept_run_lease(away_at_its_end, "run-1", this_process(), lease_seconds=3600):
        pass
    assert away_at_its_end.told == ["renew run-1", "give back run-1"]


def test_a_run_that_begins_while_the_warehouse_is_away_takes_its_lease_as_soon_as_it_can(
    caplog: pytest.LogCaptureFixture,
) -> None:
    leases = NotedLeases(WarehouseUnavailable("away"), from_the_first=True)
    with kept_run_lease(leases, "run-1", this_process(), lease_seconds=3600):
        leases.turns.wait_for(2)
    assert leases.told == ["renew run-1", "renew run-1", "give back run-1"]
    assert "the lease of run run-1 could not be taken yet: away" in caplog.text


def test_what_no_wait_can_help_ends_the_run_at_its_first_word() -> None:
    leases = NotedLeases(ConfigError([Problem("warehouse", "url", "a database", "none")]), from_the_first=True)
    with (
        pytest.raises(ConfigError),
        kept_run_lease(leases, "run-1", this_process(), lease_seconds=3600),
    ):
        raise AssertionError("it must not begin")


def test_a_kept_run_begins_once_and_lets_go_of_everything_at_its_end() -> None:
    store, leases, run = InMemoryWarehouse(), NotedLeases(), KeptRun()
    session = store.open_session(a_request()).session
    for _ in range(3):
        run.begin(leases, "run-1", this_process(), lease_seconds=3600)
    run.hold(store, session.claim, lease_seconds=3600)
    assert keeper_thread() is not None
    run.end()
    assert keeper_thread() is None
    assert leases.told == ["renew run-1", "give back run-1"]
    assert run.let_go() is None


def test_a_claim_is_handed_over_once() -> None:
    store, run = InMemoryWarehouse(), KeptRun()
    claim = store.open_session(a_request()).session.claim
    run.hold(store, claim, lease_seconds=3600)
    assert run.let_go() == claim
    assert keeper_thread() is None
    assert run.let_go() is None
