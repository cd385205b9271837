"""One run's share of a session: whatever ends it, the session says what that was, and nothing is lost."""

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from sim_sync.core.errors import (
    AuthenticationFailed,
    ConfigError,
    CursorRejected,
    Fenced,
    InsecureConnection,
    ParkRequired,
    Problem,
    StopRequested,
    WaitCause,
    WarehouseUnavailable,
)
from sim_sync.core.pages import Cursor, Page
from sim_sync.core.session import Event, Release, Session, State
from sim_sync.core.sweep import SweepPolicy
from sim_sync.core.sync import QuarantineLimit, StopReason
from sim_sync.worker.leaving import Outcome
from sim_sync.worker.stopping import StopSignal, stopped_by_signals
from sim_sync.worker.work import RunLimits, work_on
from sim_sync_tests.fakes.carrier import ScriptedCarrier, Unreadable, paged
from sim_sync_tests.fakes.fleet import CARRIER, a_fleet, a_request
from sim_sync_tests.fakes.waiter import RecordingWaiter
from sim_sync_tests.fakes.warehouse import InMemoryWarehouse
from sim_sync_tests.worker.faulty_store import FaultyStore

AWAY = WarehouseUnavailable("the warehouse is away")
PATIENCE_SECONDS = 30.0


@dataclass
class WorkHarness:
    """A carrier with ten pages, a warehouse, and a run that has claimed the session."""

    carrier: ScriptedCarrier = field(default_factory=lambda: ScriptedCarrier(pages=paged(a_fleet(20), 2)))
    limits: RunLimits = field(default_factory=RunLimits)
    was_terminated: Callable[[], bool] = lambda: False
    on_checkpoint: Callable[[Session], None] = lambda _session: None
    monotonic: Callable[[], float] = lambda: 0.0

    def __post_init__(self) -> None:
        self.warehouse = InMemoryWarehouse()
        self.store = FaultyStore(self.warehouse)
        self.stop = StopSignal()
        self.final_waiter = RecordingWaiter()
        self.session = self.warehouse.open_session(a_request("run-1")).session

    def work(self) -> Outcome:
        return work_on(
            self.session,
            self.carrier,
            self.store,
            limits=self.limits,
            stop=self.stop,
            on_checkpoint=self.on_checkpoint,
            was_terminated=self.was_terminated,
            monotonic=self.monotonic,
            final_waiter=self.final_waiter,
        )

    @property
    def left(self) -> Session:
        """The session as it is now."""
        return self.warehouse.session(self.session.session_id)


def at_page(number: int, what: Callable[[], object]) -> Callable[[Session], None]:
    """Return an `on_checkpoint` that does something when that many pages are committed."""

    def on_checkpoint(session: Session) -> None:
        if session.pages_done == number:
            what()

    return on_checkpoint


def test_a_walk_to_the_end_leaves_the_session_to_be_closed() -> None:
    harness = WorkHarness()
    outcome = harness.work()
    assert (outcome.stopped_by, outcome.error) == (None, None)
    assert outcome.session == harness.left
    assert (harness.left.state, harness.left.cursor, harness.left.pages_done) == (State.RUNNING, None, 10)
    assert len(harness.warehouse.rows("carrier_sims")) == 20


def test_after_sigterm_the_page_in_hand_is_committed_and_the_session_is_interrupted() -> None:
    harness = WorkHarness()

    class SignalledWhileFetching(ScriptedCarrier):
        def fetch_page(self, cursor: Cursor) -> Page:
            if cursor == {"page": 3}:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().fetch_page(cursor)

    harness.carrier = SignalledWhileFetching(pages=harness.carrier.pages)
    with stopped_by_signals(harness.stop):
        outcome = harness.work()
    assert outcome.stopped_by is StopReason.SHUTDOWN
    left = harness.left
    assert (left.state, left.pages_done, left.cursor) == (State.INTERRUPTED, 4, {"page": 4})
    assert (left.lease_expires_at, left.last_error) == (None, None)
    assert harness.carrier.fetched_pages == [0, 1, 2, 3]


def test_a_run_that_a_person_ended_leaves_the_session_paused() -> None:
    harness = WorkHarness(was_terminated=lambda: True)
    harness.on_checkpoint = at_page(4, lambda: harness.stop.request(StopReason.SHUTDOWN))
    assert harness.work().stopped_by is StopReason.PAUSED
    assert (harness.left.state, harness.left.pages_done) == (State.PAUSED, 4)


def test_nobody_is_asked_about_a_person_where_no_signal_came() -> None:
    asked: list[str] = []

    def ask() -> bool:
        asked.append("asked")
        return True

    harness = WorkHarness(limits=RunLimits(pages=3), was_terminated=ask)
    assert harness.work().stopped_by is StopReason.PAGE_BUDGET
    assert asked == []


def test_a_page_budget_is_used_up_and_not_exceeded() -> None:
    harness = WorkHarness(limits=RunLimits(pages=3))
    assert harness.work().stopped_by is StopReason.PAGE_BUDGET
    assert (harness.left.state, harness.left.pages_done) == (State.INTERRUPTED, 3)
    assert harness.carrier.fetched_pages == [0, 1, 2]


def test_a_page_budget_of_exactly_the_walk_is_enough_to_end_it() -> None:
    harness = WorkHarness(limits=RunLimits(pages=10))
    assert harness.work().stopped_by is None
    assert harness.left.cursor is None


def test_a_time_budget_ends_the_work_between_two_pages() -> None:
    seconds = iter(range(0, 1000, 7))
    harness = WorkHarness(limits=RunLimits(seconds=30.0), monotonic=lambda: float(next(seconds)))
    assert harness.work().stopped_by is StopReason.TIME_BUDGET
    assert (harness.left.state, harness.left.pages_done) == (State.INTERRUPTED, 4)


def test_a_pause_of_the_session_ends_the_work_within_the_page_in_hand() -> None:
    harness = WorkHarness()
    harness.on_checkpoint = at_page(4, lambda: harness.warehouse.move_by_operator(CARRIER, Event.PAUSED_BY_OPERATOR))
    assert harness.work().stopped_by is StopReason.PAUSED
    assert (harness.left.state, harness.left.pages_done) == (State.PAUSED, 5)


def test_a_pause_during_a_stalled_fetch_is_heard_by_its_wait() -> None:
    harness = WorkHarness(limits=RunLimits(lease_seconds=0.003))

    class Stalled(ScriptedCarrier):
        def fetch_page(self, cursor: Cursor) -> Page:
            if cursor == {"page": 3}:
                harness.warehouse.move_by_operator(CARRIER, Event.PAUSED_BY_OPERATOR)
                harness.stop.wait(PATIENCE_SECONDS)
            return super().fetch_page(cursor)

    harness.carrier = Stalled(pages=harness.carrier.pages)
    assert harness.work().stopped_by is StopReason.PAUSED
    assert (harness.left.state, harness.left.pages_done, harness.left.cursor) == (State.PAUSED, 3, {"page": 3})


def test_a_stalled_fetch_keeps_its_lease() -> None:
    renewed = threading.Event()
    harness = WorkHarness(limits=RunLimits(lease_seconds=0.003))
    harness.store = FaultyStore(
        harness.warehouse, on_call=lambda name: renewed.set() if name == "renew_lease" else None
    )

    class Stalled(ScriptedCarrier):
        def fetch_page(self, cursor: Cursor) -> Page:
            assert renewed.wait(PATIENCE_SECONDS)
            return super().fetch_page(cursor)

    harness.carrier = Stalled(pages=harness.carrier.pages)
    assert harness.work().stopped_by is None


def test_a_takeover_stops_the_work_and_is_left_alone() -> None:
    harness = WorkHarness()
    harness.on_checkpoint = at_page(
        4, lambda: harness.warehouse.open_session(a_request("run-2", gone_owners=["run-1"]))
    )
    outcome = harness.work()
    assert outcome.stopped_by is StopReason.FENCED
    assert isinstance(outcome.error, Fenced)
    assert (harness.left.state, harness.left.owner, harness.left.fence, harness.left.pages_done) == (
        State.RUNNING,
        "run-2",
        2,
        4,
    )
    assert "release" not in harness.store.calls


def test_a_takeover_that_the_keeper_hears_of_tells_its_error_too() -> None:
    harness = WorkHarness(limits=RunLimits(lease_seconds=0.003))

    class Stalled(ScriptedCarrier):
        def fetch_page(self, cursor: Cursor) -> Page:
            harness.warehouse.open_session(a_request("run-2", gone_owners=["run-1"]))
            harness.stop.wait(PATIENCE_SECONDS)
            return super().fetch_page(cursor)

    harness.carrier = Stalled(pages=harness.carrier.pages)
    outcome = harness.work()
    assert outcome.stopped_by is StopReason.FENCED
    assert "taken over by run run-2" in str(outcome.error)
    assert (harness.left.state, harness.left.owner) == (State.RUNNING, "run-2")


def test_a_wait_too_long_for_a_worker_parks_the_session() -> None:
    wait = ParkRequired("Retry-After of two hours", wait_seconds=7200, cause=WaitCause.THROTTLED)
    harness = WorkHarness(carrier=ScriptedCarrier(pages=paged(a_fleet(20), 2), faults={3: wait}))
    outcome = harness.work()
    assert (outcome.stopped_by, str(outcome.error)) == (StopReason.PARKED, f"page 4: {wait}")
    left = harness.left
    assert (left.state, left.pages_done, left.last_error) == (State.PARKED, 3, f"throttled: page 4: {wait}")
    assert left.not_before is not None
    assert (left.not_before - harness.warehouse.now()).total_seconds() == 7200


def test_what_a_page_cost_that_did_not_come_is_counted_all_the_same() -> None:
    down = ParkRequired("HTTP 500; gave up after 8 attempts", wait_seconds=60, is_outage=True)
    down.retries, down.throttled_seconds = 7, 12.5
    harness = WorkHarness(carrier=ScriptedCarrier(pages=paged(a_fleet(20), 2), faults={3: down}))
    left = harness.work().session
    assert (left.state, left.pages_done, left.retries, left.throttled_seconds) == (State.PARKED, 3, 7, 12.5)


@pytest.mark.parametrize(("pages", "state"), [(0, State.FAILED), (1, State.PARKED)])
def test_a_wait_after_the_last_of_the_stalled_resumes_is_a_failure_unless_a_page_came_first(
    pages: int, state: State
) -> None:
    down = ParkRequired("HTTP 500; gave up after 8 attempts", wait_seconds=60)
    harness = WorkHarness(
        carrier=ScriptedCarrier(pages=paged(a_fleet(20), 2), faults={pages: down}),
        limits=RunLimits(max_stalled_resumes=2),
    )
    for number in (2, 3):
        harness.warehouse.release(harness.session.claim, Release(Event.STOPPED_BY_MACHINE))
        harness.session = harness.warehouse.open_session(a_request(f"run-{number}", max_stalled_resumes=2)).session
    assert harness.session.stalled_resumes == 2
    outcome = harness.work()
    left = harness.left
    assert left.state is state
    assert left.last_error in {str(outcome.error), f"carrier down: {outcome.error}"}
    if state is State.FAILED:
        assert outcome.stopped_by is StopReason.FAILED
        assert left.last_error == (
            "page 1: HTTP 500; gave up after 8 attempts; gave up after 2 resumes without one committed page"
        )
        assert left.not_before is None


def test_a_wait_for_room_on_this_machine_is_never_given_up() -> None:
    full = ParkRequired("no space is left", wait_seconds=60, is_outage=True, cause=WaitCause.NO_ROOM_LEFT)
    harness = WorkHarness(
        carrier=ScriptedCarrier(pages=paged(a_fleet(20), 2), faults={0: full}), limits=RunLimits(max_stalled_resumes=0)
    )
    harness.work()
    assert (harness.left.state, harness.left.last_error) == (State.PARKED, "no space left: page 1: no space is left")


@pytest.mark.parametrize(
    ("error", "place"),
    [
        (AuthenticationFailed("carrier acme: 401"), "page 1: "),
        (CursorRejected("carrier acme: 410"), "page 1: "),
        (InsecureConnection("carrier acme: the certificate is not trusted"), "page 1: "),
        (ConfigError([Problem("environment", "SSL_CERT_FILE", "a file", "nothing")]), ""),
    ],
)
def test_a_permanent_error_of_the_carrier_or_of_the_environment_fails_the_session(error: Exception, place: str) -> None:
    harness = WorkHarness(carrier=ScriptedCarrier(pages=paged(a_fleet(20), 2), faults={0: error}))
    outcome = harness.work()
    assert (outcome.stopped_by, type(outcome.error)) == (StopReason.FAILED, type(error))
    assert (harness.left.state, harness.left.last_error) == (State.FAILED, f"{place}{error}")
    assert str(outcome.error) == f"{place}{error}"


def test_too_many_unreadable_records_fail_the_session() -> None:
    records = [Unreadable() for _ in range(20)]
    limits = RunLimits(quarantine=QuarantineLimit(max_percent=1, judged_from_records=4))
    harness = WorkHarness(carrier=ScriptedCarrier(pages=paged(records, 2)), limits=limits)
    assert harness.work().stopped_by is StopReason.FAILED
    assert (harness.left.state, harness.left.pages_done) == (State.FAILED, 2)


@pytest.mark.parametrize("bug", [ZeroDivisionError("division by zero"), KeyboardInterrupt(), SystemExit(1)])
def test_a_bug_or_an_interruption_leaves_the_session_interrupted_and_continues(bug: BaseException) -> None:
    harness = WorkHarness(carrier=ScriptedCarrier(pages=paged(a_fleet(20), 2), faults={3: bug}))
    with pytest.raises(type(bug)):
        harness.work()
    left = harness.left
    assert (left.state, left.pages_done, left.lease_expires_at) == (State.INTERRUPTED, 3, None)
    assert left.last_error is not None
    assert left.last_error.startswith(f"{type(bug).__name__} in ")
    assert "by zero" not in left.last_error, "a bug's own words may quote a record"


def test_a_checkpoint_that_cannot_be_told_leaves_the_session_interrupted() -> None:
    def fail() -> None:
        raise OSError("the event log is full")

    harness = WorkHarness(on_checkpoint=at_page(4, fail))
    with pytest.raises(OSError, match="the event log is full"):
        harness.work()
    assert (harness.left.state, harness.left.pages_done) == (State.INTERRUPTED, 4)


def test_a_question_that_cannot_be_answered_leaves_the_session_interrupted() -> None:
    def fail() -> bool:
        raise OSError("the run storage is locked")

    harness = WorkHarness(was_terminated=fail)
    harness.on_checkpoint = at_page(4, lambda: harness.stop.request(StopReason.SHUTDOWN))
    with pytest.raises(OSError, match="the run storage is locked"):
        harness.work()
    assert (harness.left.state, harness.left.pages_done) == (State.INTERRUPTED, 4)


def test_a_warehouse_that_will_not_take_anything_is_told_at_once() -> None:
    broken = ConfigError([Problem("warehouse", "url", "a file that this user may write", "a readonly database")])
    harness = WorkHarness()
    harness.store.fail("commit_page", broken)
    harness.store.fail("release", broken)
    with pytest.raises(ConfigError) as told:
        harness.work()
    assert told.value is broken
    assert (harness.left.state, harness.left.owner) == (State.RUNNING, "run-1"), "its lease runs out by itself"


def test_a_warehouse_that_comes_back_costs_nothing() -> None:
    harness = WorkHarness()
    stop = RecordingStop()
    harness.stop = stop
    harness.store.fail("commit_page", AWAY, AWAY, AWAY)
    assert harness.work().stopped_by is None
    assert len(stop.waits) == 3
    assert (harness.left.pages_done, len(harness.warehouse.rows("carrier_sims"))) == (10, 20)


class RecordingStop(StopSignal):
    """A `Stop` whose waits are over at once, as long as nobody has asked to stop."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        super().wait(0.0)


def test_a_warehouse_that_stays_away_leaves_the_session_interrupted_if_it_can() -> None:
    harness = WorkHarness()
    harness.stop = RecordingStop()
    harness.store.fail("commit_page", *[AWAY] * 8)
    with pytest.raises(WarehouseUnavailable):
        harness.work()
    assert (harness.left.state, harness.left.last_error) == (State.INTERRUPTED, str(AWAY))


def test_a_stop_while_the_warehouse_is_away_loses_only_the_page_in_hand() -> None:
    harness = WorkHarness()
    harness.store.fail("commit_page", *[AWAY] * 8)
    harness.carrier.on_fetched = lambda: harness.stop.request(StopReason.SHUTDOWN)
    assert harness.work().stopped_by is StopReason.SHUTDOWN
    assert (harness.left.state, harness.left.pages_done) == (State.INTERRUPTED, 0)


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (ParkRequired("later", wait_seconds=60), State.PARKED),
        (AuthenticationFailed("401"), State.FAILED),
        (StopRequested("asked to stop"), State.INTERRUPTED),
        (ZeroDivisionError(), State.INTERRUPTED),
    ],
)
def test_the_last_word_is_said_again_while_the_warehouse_is_away_and_no_stop_cuts_that_short(
    fault: Exception, state: State
) -> None:
    harness = WorkHarness(carrier=ScriptedCarrier(pages=paged(a_fleet(20), 2), faults={3: fault}))
    harness.store.fail("release", AWAY, AWAY)
    harness.on_checkpoint = at_page(3, lambda: None)
    if isinstance(fault, StopRequested):
        harness.on_checkpoint = at_page(3, lambda: harness.stop.request(StopReason.SHUTDOWN))
    try:
        harness.work()
    except ZeroDivisionError:
        assert isinstance(fault, ZeroDivisionError)
    assert harness.left.state is state
    assert len(harness.final_waiter.waits) == 2


@pytest.mark.parametrize(
    "fault", [ParkRequired("later", wait_seconds=60), AuthenticationFailed("carrier acme: page 4: 401")]
)
def test_a_last_word_that_cannot_be_said_is_an_error_with_its_cause(fault: Exception) -> None:
    harness = WorkHarness(carrier=ScriptedCarrier(pages=paged(a_fleet(20), 2), faults={3: fault}))
    harness.store.fail("release", *[AWAY] * 20)
    with pytest.raises(WarehouseUnavailable) as told:
        harness.work()
    cause = told.value.__cause__
    assert (type(cause), str(cause)) == (type(fault), f"page 4: {fault}")
    assert (harness.left.state, harness.left.pages_done) == (State.RUNNING, 3), "its lease runs out by itself"
    assert harness.store.calls.count("release") == 4


def test_a_bug_is_told_even_where_the_last_word_cannot_be_said(caplog: pytest.LogCaptureFixture) -> None:
    harness = WorkHarness(carrier=ScriptedCarrier(pages=paged(a_fleet(20), 2), faults={3: ZeroDivisionError()}))
    harness.store.fail("release", *[AWAY] * 20)
    with pytest.raises(ZeroDivisionError):
        harness.work()
    assert "carrier acme: the session could not be released: the warehouse is away" in caplog.text


def test_a_wait_that_was_cut_short_for_no_reason_is_never_taken_for_the_end_of_the_walk() -> None:
    faults: dict[int, Any] = {3: StopRequested("asked to stop")}
    harness = WorkHarness(carrier=ScriptedCarrier(pages=paged(a_fleet(20), 2), faults=faults))
    assert harness.work().stopped_by is StopReason.SHUTDOWN
    assert harness.left.state is State.INTERRUPTED


def test_a_stop_that_comes_with_the_last_page_leaves_closing_to_the_next_run() -> None:
    harness = WorkHarness()
    harness.on_checkpoint = at_page(10, lambda: harness.stop.request(StopReason.SHUTDOWN))
    assert harness.work().stopped_by is StopReason.SHUTDOWN
    assert (harness.left.state, harness.left.cursor) == (State.INTERRUPTED, None)
    resumed = harness.warehouse.open_session(a_request("run-2")).session
    assert resumed.walked_to_the_end


def test_what_one_run_left_the_next_one_ends_without_fetching_a_page_twice() -> None:
    harness = WorkHarness(limits=RunLimits(pages=4))
    harness.work()
    harness.session = harness.warehouse.open_session(a_request("run-2")).session
    harness.limits = RunLimits()
    assert harness.work().stopped_by is None
    assert harness.carrier.fetched_pages == list(range(10))


# --- lookups behind the last page ------------------------------------------------------------------------------------


def looking_up(**fields: Any) -> WorkHarness:
    """Return a run whose session has missed three SIMs of the night before; one of them is there."""
    working = WorkHarness(ScriptedCarrier(pages=[a_fleet(20)]), RunLimits())
    working.work()
    working.warehouse.close_session(working.left.claim, SweepPolicy(), working.left.config_hash)
    carrier = ScriptedCarrier(pages=[a_fleet(17)], there={sim.sim_id: sim for sim in a_fleet(18)}, **fields)
    working.carrier, working.limits = carrier, RunLimits(sweep=SweepPolicy(), pages=1, max_stalled_resumes=3)
    working.session = working.warehouse.open_session(a_request("run-2")).session
    return working


def test_lookups_are_no_pages_of_the_runs_budget() -> None:
    working = looking_up()
    assert working.work().stopped_by is None
    assert (working.left.lookups_done, working.left.pages_done) == (3, 1)


def test_a_long_wait_in_a_lookup_parks_the_session() -> None:
    wait = ParkRequired("HTTP 429", wait_seconds=900, cause=WaitCause.THROTTLED)
    working = looking_up(lookup_faults={1: wait})
    assert working.work().stopped_by is StopReason.PARKED
    left = working.left
    assert (left.state, left.lookups_done, left.last_error) == (State.PARKED, 1, "throttled: HTTP 429")
    assert left.not_before == working.warehouse.now() + timedelta(seconds=900)


@pytest.mark.parametrize(("is_terminated", "state"), [(False, State.INTERRUPTED), (True, State.PAUSED)])
def test_a_signal_between_two_lookups_stops_as_between_two_pages(is_terminated: bool, state: State) -> None:
    working = looking_up()

    def stop_after_one(session: Session) -> None:
        if session.lookups_done == 1:
            working.stop.request(StopReason.SHUTDOWN)

    working.on_checkpoint, working.was_terminated = stop_after_one, lambda: is_terminated
    working.work()
    assert (working.left.state, working.left.lookups_done) == (state, 1)


def test_a_lookup_that_is_refused_fails_no_session() -> None:
    working = looking_up(lookup_faults=dict.fromkeys(range(9), AuthenticationFailed("HTTP 403")))
    assert working.work().stopped_by is None
    assert (working.left.state, working.left.lookups_done) == (State.RUNNING, 3)
