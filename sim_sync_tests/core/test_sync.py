from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.core.errors import (
    AuthenticationFailed,
    CarrierUnavailable,
    CursorRejected,
    CursorRepeated,
    Fenced,
    ParkRequired,
    StopRequested,
    TooManyQuarantined,
)
from sim_sync.core.opening import Trigger
from sim_sync.core.session import Event, Release, Session, State
from sim_sync.core.sync import QuarantineLimit, StepRules, StopReason, walk
from sim_sync_tests.fakes.carrier import Record, ScriptedCarrier, Unreadable, paged
from sim_sync_tests.fakes.fleet import a_fleet, a_request, a_sim
from sim_sync_tests.fakes.stopping import never_stop, stop_after
from sim_sync_tests.fakes.warehouse import InMemoryWarehouse


@dataclass
class SyncHarness:
    """A carrier, a warehouse and the walks between them."""

    carrier: ScriptedCarrier
    warehouse: InMemoryWarehouse = field(default_factory=InMemoryWarehouse)
    #: Every session that `on_checkpoint` was told.
    checkpoints: list[Session] = field(default_factory=list)

    def open(self, owner: str = "run-1", trigger: Trigger = Trigger.NIGHTLY, **wish: Any) -> Session:
        opened = self.warehouse.open_session(a_request(owner, trigger, **wish))
        assert opened.refusal is None
        return opened.session

    def walk(self, session: Session | None = None, **rules: Any) -> StopReason | None:
        plain: dict[str, Any] = {
            "should_stop": never_stop,
            "on_checkpoint": self.checkpoints.append,
        }
        return walk(session or self.open(), self.carrier, self.warehouse, StepRules(**(plain | rules)))

    @property
    def stored(self) -> Session:
        """The carrier's session as the warehouse has it."""
        (session,) = self.warehouse.latest_sessions([self.carrier.name])
        return session

    @property
    def sim_ids(self) -> list[str]:
        return sorted(row["sim_id"] for row in self.warehouse.rows("carrier_sims"))


def walking_over(*pages: Sequence[Record], **fields: Any) -> SyncHarness:
    return SyncHarness(ScriptedCarrier(pages=pages, **fields))


def three_pages(**fields: Any) -> SyncHarness:
    return walking_over([a_sim(1)], [a_sim(2)], [a_sim(3)], **fields)


# --- to the end --------------------------------------------------------------------------------------------------


def test_the_point_between_fetching_a_page_and_committing_it_is_passed_once_a_page() -> None:
    walking = walking_over([a_sim(1)], [a_sim(2)])
    passed: list[tuple[str, int]] = []
    walking.walk(at=lambda point: passed.append((point, walking.stored.pages_done)))
    assert passed == [("fetch_page:fetched", 0), ("fetch_page:fetched", 1)]


@given(st.integers(0, 40), st.integers(1, 9))
def test_a_walk_fetches_every_page_once_and_stores_every_sim(size: int, page_size: int) -> None:
    walking = walking_over(*paged(a_fleet(size), page_size))
    assert walking.walk() is None
    assert walking.sim_ids == [sim.sim_id for sim in a_fleet(size)]
    assert walking.carrier.fetched_pages == list(range(max(-(-size // page_size), 1)))
    assert walking.stored.walked_to_the_end


def test_an_empty_page_in_the_middle_is_not_the_end() -> None:
    walking = walking_over([a_sim(1)], [], [a_sim(2)])
    walking.walk()
    assert walking.sim_ids == ["sim-0001", "sim-0002"]


def test_every_checkpoint_is_told_as_it_was_committed() -> None:
    walking = three_pages()
    walking.walk()
    assert [(session.pages_done, session.cursor) for session in walking.checkpoints] == [
        (1, {"page": 1}),
        (2, {"page": 2}),
        (3, None),
    ]
    assert walking.checkpoints[-1] == walking.stored


def test_a_walk_that_was_at_its_end_fetches_nothing() -> None:
    walking = three_pages()
    walking.walk()
    assert walking.walk(walking.open("run-2", gone_owners=["run-1"])) is None
    assert walking.carrier.fetched_pages == [0, 1, 2]


# --- stops -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_walk_stops_between_two_steps(steps: int) -> None:
    walking = three_pages()
    assert walking.walk(should_stop=stop_after(steps)) is StopReason.PAGE_BUDGET
    assert walking.carrier.fetched_pages == list(range(steps))
    assert (walking.stored.pages_done, walking.stored.cursor) == (steps, {"page": steps})


def test_a_stop_that_comes_with_the_last_page_is_too_late() -> None:
    walking = three_pages()
    assert walking.walk(should_stop=stop_after(3)) is None
    assert walking.stored.walked_to_the_end


@pytest.mark.parametrize("reason", list(StopReason))
def test_a_walk_says_why_it_stopped(reason: StopReason) -> None:
    assert three_pages().walk(should_stop=stop_after(1, reason)) is reason


def test_the_question_whether_to_stop_is_asked_about_the_committed_session() -> None:
    asked: list[Session] = []

    def ask(session: Session) -> None:
        asked.append(session)

    walking = three_pages()
    walking.walk(should_stop=ask)
    assert [session.pages_done for session in asked] == [0, 1, 2]
    assert asked[1:] == walking.checkpoints[:-1]


@given(st.integers(0, 20), st.integers(1, 4), st.lists(st.integers(0, 4), max_size=8))
def test_a_walk_in_many_runs_fetches_no_page_twice(size: int, page_size: int, budgets: list[int]) -> None:
    walking = walking_over(*paged(a_fleet(size), page_size))
    for number, budget in enumerate(budgets):
        session = walking.open(f"run-{number}")
        walking.walk(session, should_stop=stop_after(budget))
        walking.warehouse.release(session.claim, Release(Event.STOPPED_BY_MACHINE))
    walking.walk(walking.open("run-last"))
    assert walking.sim_ids == [sim.sim_id for sim in a_fleet(size)]
    assert walking.carrier.fetched_pages == list(range(len(walking.carrier.pages)))


# --- pauses and takeovers in the middle --------------------------------------------------------------------------


def test_a_pause_reaches_a_walk_within_the_page_in_hand() -> None:
    walking = three_pages()
    session = walking.open()

    def pause_at_first_page(checkpoint: Session) -> None:
        walking.warehouse.release(checkpoint.claim, Release(Event.PAUSED_BY_OPERATOR))

    assert walking.walk(session, on_checkpoint=pause_at_first_page) is StopReason.PAUSED
    assert walking.carrier.fetched_pages == [0, 1]
    assert (walking.stored.state, walking.stored.pages_done) == (State.PAUSED, 2)


def test_a_pause_during_the_last_page_leaves_closing_to_the_operator() -> None:
    walking = three_pages()
    session = walking.open()

    def pause_at_second_page(checkpoint: Session) -> None:
        if checkpoint.pages_done == 2:
            walking.warehouse.release(checkpoint.claim, Release(Event.PAUSED_BY_OPERATOR))

    assert walking.walk(session, on_checkpoint=pause_at_second_page) is StopReason.PAUSED
    assert (walking.stored.state, walking.stored.cursor) == (State.PAUSED, None)


def test_a_paused_session_continues_where_it_stood_after_its_release() -> None:
    walking = three_pages()
    walking.walk(should_stop=stop_after(1))
    walking.warehouse.move_by_operator("acme", Event.PAUSED_BY_OPERATOR)
    walking.warehouse.move_by_operator("acme", Event.RELEASED_BY_OPERATOR)
    walking.walk(walking.open("run-2"))
    assert walking.carrier.fetched_pages == [0, 1, 2]


def test_a_walk_that_is_overtaken_writes_nothing_more() -> None:
    walking = three_pages()

    def take_over(checkpoint: Session) -> None:
        if checkpoint.owner == "run-1":
            walking.open("run-2", gone_owners=["run-1"])

    with pytest.raises(Fenced, match="run-2"):
        walking.walk(on_checkpoint=take_over)
    assert (walking.stored.owner, walking.stored.pages_done) == ("run-2", 1)
    assert walking.sim_ids == ["sim-0001"]


# --- errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        CarrierUnavailable("HTTP 500"),
        ParkRequired("Retry-After: 7200", wait_seconds=7200),
        AuthenticationFailed("HTTP 401"),
        StopRequested("SIGTERM"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_the_carrier_ends_the_walk_at_its_last_checkpoint(error: Exception) -> None:
    walking = three_pages(faults={1: error})
    with pytest.raises(type(error)):
        walking.walk()
    assert (walking.stored.state, walking.stored.pages_done, walking.stored.cursor) == (State.RUNNING, 1, {"page": 1})
    assert len(walking.checkpoints) == 1


@pytest.mark.parametrize(
    "error",
    [ParkRequired("acme: HTTP 500", wait_seconds=60), AuthenticationFailed("acme: HTTP 500")],
    ids=lambda error: type(error).__name__,
)
def test_an_error_that_somebody_reads_names_its_page(error: Exception) -> None:
    walking = three_pages(faults={1: error})
    with pytest.raises(type(error), match=r"^page 2: acme: HTTP 500$"):
        walking.walk()


def test_a_carrier_that_leads_in_a_circle_is_stopped() -> None:
    walking = three_pages(detours={2: {"page": 1}})
    with pytest.raises(CursorRepeated):
        walking.walk()
    assert walking.carrier.fetched_pages == [0, 1, 2]
    assert walking.stored.pages_done == 2


# --- cursors that are refused ------------------------------------------------------------------------------------


def test_a_refused_cursor_starts_the_walk_again_within_its_session() -> None:
    walking = three_pages(rejections={2: 1})
    session = walking.open()
    assert walking.walk(session) is None
    assert walking.carrier.fetched_pages == [0, 1, 2, 0, 1, 2]
    assert walking.sim_ids == ["sim-0001", "sim-0002", "sim-0003"]
    assert (walking.stored.session_id, walking.stored.pages_done) == (session.session_id, 3)
    assert "page 2: the cursor is no longer known" in (walking.stored.last_error or "")
    assert [row["walk_restarts"] for row in walking.warehouse.rows("session_internals")] == [1]


def test_a_restart_of_the_walk_is_a_checkpoint_that_people_see() -> None:
    walking = three_pages(rejections={1: 1})
    walking.walk()
    assert [checkpoint.pages_done for checkpoint in walking.checkpoints] == [1, 0, 1, 2, 3]


def test_a_cursor_that_is_refused_at_the_same_page_again_leads_nowhere_and_ends_the_walk() -> None:
    walking = three_pages(rejections={2: 99})
    with pytest.raises(CursorRejected, match="started again because of this, and got no further"):
        walking.walk()
    assert walking.carrier.fetched_pages == [0, 1, 2, 0, 1, 2]


def test_cursors_that_run_out_ever_later_are_given_up_after_some_restarts() -> None:
    walking = three_pages(rejections={1: 1, 2: 99})
    with pytest.raises(CursorRejected):
        walking.walk(max_walk_restarts=1)
    assert walking.carrier.fetched_pages == [0, 1, 0, 1, 2]


def test_a_refused_first_cursor_is_no_matter_of_starting_again() -> None:
    walking = three_pages(rejections={0: 1})
    with pytest.raises(CursorRejected):
        walking.walk()
    assert walking.carrier.fetched_pages == [0]


def test_a_stop_is_heard_between_a_restart_and_the_first_page() -> None:
    walking = three_pages(rejections={1: 1})
    assert walking.walk(should_stop=stop_after(2)) is StopReason.PAGE_BUDGET
    assert (walking.stored.cursor, walking.stored.pages_done) == ({"page": 0}, 0)


# --- unreadable records ------------------------------------------------------------------------------------------

STRICT = QuarantineLimit(max_percent=10.0, judged_from_records=10)


def test_one_unreadable_record_never_stops_a_walk() -> None:
    walking = walking_over([Unreadable()])
    assert walking.walk(quarantine=QuarantineLimit(max_percent=0.0, judged_from_records=0)) is None
    assert (walking.stored.records_seen, walking.stored.records_quarantined) == (1, 1)


def test_too_many_unreadable_records_stop_the_walk_after_the_page_is_kept() -> None:
    walking = walking_over([*a_fleet(8), Unreadable(), Unreadable()], [a_sim(9)])
    with pytest.raises(TooManyQuarantined, match=r"2 of 10 records.*10 %.*sim-sync quarantine list"):
        walking.walk(quarantine=STRICT)
    assert walking.stored.pages_done == 1
    assert len(walking.warehouse.rows("quarantined_records")) == 2
    assert len(walking.sim_ids) == 8


def test_as_many_unreadable_records_as_may_be_do_not_stop_the_walk() -> None:
    walking = walking_over([*a_fleet(18), Unreadable(), Unreadable()])
    assert walking.walk(quarantine=STRICT) is None


def test_a_few_records_are_not_judged_before_the_end() -> None:
    bad_start: list[Record] = [a_sim(1), Unreadable(), Unreadable()]
    assert walking_over(bad_start, a_fleet(30)).walk(quarantine=STRICT) is None
    with pytest.raises(TooManyQuarantined):
        walking_over(bad_start, [a_sim(2)]).walk(quarantine=STRICT)


def test_a_walk_that_was_stopped_for_unreadable_records_does_not_go_on_before_something_changed() -> None:
    walking = walking_over([*a_fleet(8), Unreadable(), Unreadable()], [a_sim(9)])
    for owner in ("run-1", "run-2"):
        session = walking.open(owner)
        with pytest.raises(TooManyQuarantined):
            walking.walk(session, quarantine=STRICT)
        walking.warehouse.release(session.claim, Release(Event.GAVE_UP))
    assert walking.carrier.fetched_pages == [0]
    raised = QuarantineLimit(max_percent=20.0, judged_from_records=10)
    assert walking.walk(walking.open("run-3"), quarantine=raised) is None


@given(st.integers(0, 300), st.integers(0, 300), st.floats(0, 100), st.integers(0, 200), st.booleans())
def test_a_limit_is_a_share_of_what_was_seen_and_never_less_than_one_record(
    readable: int, unreadable: int, max_percent: float, judged_from: int, at_the_end: bool
) -> None:
    walking = walking_over([*a_fleet(readable), *[Unreadable()] * unreadable], *([] if at_the_end else [[]]))
    walking.walk(quarantine=QuarantineLimit(100.0), should_stop=stop_after(1))
    limit = QuarantineLimit(max_percent, judged_from)
    seen = readable + unreadable
    judged = at_the_end or seen >= judged_from
    if judged and unreadable > 1 and unreadable > seen * max_percent / 100:
        with pytest.raises(TooManyQuarantined):
            limit.check(walking.stored)
    else:
        limit.check(walking.stored)
