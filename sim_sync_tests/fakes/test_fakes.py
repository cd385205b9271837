"""The fakes do what tests rely on. The rules of the warehouse are in the store contract."""

import pytest

from sim_sync.core.errors import CursorRejected, IllegalTransition, InputError, StopRequested
from sim_sync.core.pages import Effort, QuarantinedRecord
from sim_sync.core.session import Event, State
from sim_sync.core.sync import StopReason
from sim_sync_tests.fakes.carrier import ScriptedCarrier, Unreadable, paged
from sim_sync_tests.fakes.clock import START, SettableClock
from sim_sync_tests.fakes.crash_points import ArmedPoints, SimulatedCrash
from sim_sync_tests.fakes.fleet import a_fleet, a_page, a_rejected, a_request, a_sim
from sim_sync_tests.fakes.stopping import stop_after
from sim_sync_tests.fakes.waiter import RecordingWaiter
from sim_sync_tests.fakes.warehouse import InMemoryWarehouse


def test_the_clock_moves_only_when_told() -> None:
    clock = SettableClock()
    assert clock.now() == START == clock.now()
    assert clock.advance(1.5) == clock.now()
    assert (clock.now() - START).total_seconds() == 1.5
    clock.set(START)
    assert clock.now() == START


def test_the_waiter_records_its_waits_and_moves_the_clock() -> None:
    clock = SettableClock()
    waiter = RecordingWaiter(clock, stop_at_wait=2)
    waiter.wait(5)
    waiter.wait(0.5)
    with pytest.raises(StopRequested, match="7 seconds"):
        waiter.wait(7)
    assert waiter.waits == [5, 0.5, 7]
    assert (clock.now() - START).total_seconds() == 5.5


def test_an_armed_point_is_passed_as_often_as_told_and_then_once_deadly() -> None:
    points = ArmedPoints()
    points.arm("commit_page:begun", skip=1)
    points("commit_page:begun")
    with pytest.raises(SimulatedCrash, match="commit_page:begun"):
        points("commit_page:begun")
    points("commit_page:begun")
    assert points.passed == ["commit_page:begun"] * 3


def test_a_disarmed_point_is_harmless_and_an_unknown_one_cannot_be_armed() -> None:
    points = ArmedPoints()
    points.arm("commit_page:begun")
    points.disarm()
    points("commit_page:begun")
    with pytest.raises(KeyError, match="commit_page:bygone"):
        points.arm("commit_page:bygone")


def test_no_handler_of_errors_survives_a_simulated_crash() -> None:
    assert not issubclass(SimulatedCrash, Exception)


def test_records_are_cut_into_pages_and_no_record_is_one_empty_page() -> None:
    assert [len(page) for page in paged(a_fleet(5), 2)] == [2, 2, 1]
    assert paged([], 2) == [[]]


def test_a_scripted_page_says_what_its_script_says() -> None:
    effort = Effort(retries=1)
    carrier = ScriptedCarrier(
        pages=[[a_sim(1), Unreadable("no sim_id", "{}")], []], tells_totals=True, efforts={0: effort}
    )
    assert carrier.fetch_page(carrier.first_cursor()) == a_page(
        [a_sim(1)],
        {"page": 1},
        rejected=(QuarantinedRecord(1, "no sim_id", "{}"),),
        records_total=2,
        pages_total=2,
        effort=effort,
    )
    assert carrier.fetch_page({"page": 1}) == a_page([], records_total=2, pages_total=2)
    assert carrier.fetched == [{"page": 0}, {"page": 1}]


def test_a_scripted_carrier_fails_refuses_and_misleads_as_told() -> None:
    carrier = ScriptedCarrier(
        pages=[[a_sim(1)], [a_sim(2)]], faults={0: TimeoutError("stalled")}, rejections={1: 1}, detours={1: {"page": 0}}
    )
    with pytest.raises(TimeoutError, match="stalled"):
        carrier.fetch_page({"page": 0})
    assert carrier.fetch_page({"page": 0}).next_cursor == {"page": 1}
    with pytest.raises(CursorRejected):
        carrier.fetch_page({"page": 1})
    assert carrier.fetch_page({"page": 1}).next_cursor == {"page": 0}
    assert carrier.fetched_pages == [0, 0, 1, 1]


def test_a_cursor_of_another_carrier_is_a_mistake_of_the_test() -> None:
    with pytest.raises(TypeError, match="scripted carrier"):
        ScriptedCarrier(pages=[[]]).fetch_page({"page": "one"})


def test_a_walk_is_stopped_after_so_many_steps() -> None:
    session = InMemoryWarehouse().open_session(a_request()).session
    should_stop = stop_after(2, StopReason.SHUTDOWN)
    assert [should_stop(session) for _ in range(4)] == [None, None, StopReason.SHUTDOWN, StopReason.SHUTDOWN]


def test_an_operator_moves_the_open_session_whoever_holds_its_lease() -> None:
    warehouse = InMemoryWarehouse()
    session = warehouse.open_session(a_request()).session
    paused = warehouse.move_by_operator("acme", Event.PAUSED_BY_OPERATOR)
    assert (paused.state, paused.fence, paused.lease_expires_at) == (State.PAUSED, 1, session.lease_expires_at)
    released = warehouse.move_by_operator("acme", Event.RELEASED_BY_OPERATOR)
    assert warehouse.session(session.session_id) == released
    assert (released.state, released.lease_expires_at) == (State.INTERRUPTED, None)
    with pytest.raises(IllegalTransition):
        warehouse.move_by_operator("acme", Event.RELEASED_BY_OPERATOR)
    with pytest.raises(InputError, match="other"):
        warehouse.move_by_operator("other", Event.PAUSED_BY_OPERATOR)


def test_an_unknown_table_or_session_is_a_clear_error() -> None:
    warehouse = InMemoryWarehouse()
    with pytest.raises(KeyError, match="sims"):
        warehouse.rows("sims")
    with pytest.raises(InputError, match="never-opened"):
        warehouse.session("never-opened")


def test_rows_that_were_read_do_not_change_the_warehouse() -> None:
    warehouse = InMemoryWarehouse()
    session = warehouse.open_session(a_request()).session
    warehouse.commit_page(session.claim, {"page": 0}, a_page([a_sim(1)], {"page": 1}, rejected=[a_rejected(1)]))
    for table in ("carrier_sims", "sync_sessions", "quarantined_records"):
        before = warehouse.rows(table)
        for row in warehouse.rows(table):
            row.clear()
        assert warehouse.rows(table) == before
