"""Reading ahead changes which requests are sent, and when; what comes of a walk stays what it is without."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_sync.carriers.ahead import DroppableWaiter, ThreadWorkers
from sim_sync.carriers.http import HttpClient, nobody_asks
from sim_sync.carriers.messages import Request, Response
from sim_sync.carriers.records import RecordMap
from sim_sync.carriers.settings import CarrierSettings, RateLimit, Retry
from sim_sync.carriers.source import RestCarrier
from sim_sync.core.errors import (
    CarrierUnavailable,
    ParkRequired,
    SimSyncError,
    StopRequested,
    UnexpectedResponse,
    WarehouseUnavailable,
)
from sim_sync.core.opening import Trigger
from sim_sync.core.session import Session
from sim_sync.core.sync import StepRules, StopReason, walk
from sim_sync_tests.carriers import plain
from sim_sync_tests.carriers.listings import BLIND, STEADY, Style, ids_in
from sim_sync_tests.fakes.fleet import a_request
from sim_sync_tests.fakes.moving_time import MovingTime
from sim_sync_tests.fakes.stopping import never_stop, stop_after
from sim_sync_tests.fakes.warehouse import InMemoryWarehouse
from sim_sync_tests.fakes.workers import ChanceWorkers

#: What a request gets instead of its page.
REFUSALS: Mapping[str, Response] = {
    "down": Response(status=503, headers={}, body=None),
    "slower": Response(status=429, headers={"retry-after": "2"}, body=None),
    "much slower": Response(status=429, headers={"retry-after": "4000"}, body=None),
    "not there": Response(status=404, headers={}, body=None),
    "never": Response(status=422, headers={}, body={"message": "no"}),
}


@dataclass
class Listing:
    """A carrier's list in some style. `faults` are what the requests for a page (from 0) get, one after the other.

    A page that is not there stays so. `leaving` are the rows that leave before the request with that number, `entering`
    those that are put in.
    """

    style: Style
    rows: list[int]
    size: int
    faults: Mapping[int, Sequence[str]] = field(default_factory=dict)
    leaving: Mapping[int, Sequence[int]] = field(default_factory=dict)
    entering: Mapping[int, Sequence[int]] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)
    _attempts: Counter[int] = field(default_factory=Counter)

    def answer(self, request: Request) -> Response:
        there = [row for row in self.rows if row not in self.leaving.get(len(self.asked), ())]
        self.rows = sorted([*there, *self.entering.get(len(self.asked), ())])
        self.asked.append(request)
        found = self.style.give(request, self.rows, self.size)
        number = request.params.get("page")
        page = min(ids_in(found), default=-1) // self.size if number is None else int(number) - 1
        given = [*self.faults.get(page, ())][: self._attempts[page] + 1]
        fault = ["not there"] if "not there" in given else given[self._attempts[page] :]
        self._attempts[page] += 1
        if fault == ["gone"]:
            raise CarrierUnavailable("the connection was reset")
        if fault == ["no limit"]:
            raise WarehouseUnavailable("the warehouse, where hosts share the limit, is away")
        if fault == ["no quota"]:
            raise ParkRequired("the quota is used up", wait_seconds=1_000.0)
        return REFUSALS[fault[0]] if fault else found


def records_of(response: Response) -> list[Any]:
    """Return the rows of a page as records."""
    return [{"id": f"sim-{row:04}"} for row in ids_in(response)]


@dataclass
class Walk:
    """A list, walked into a warehouse by the real loop and the real connector; only the wire is the test's."""

    listing: Listing
    read_ahead: int = 1
    in_flight: int = 1
    chance: Random = field(default_factory=lambda: Random(1))
    time: MovingTime = field(default_factory=MovingTime)
    warehouse: InMemoryWarehouse = field(default_factory=InMemoryWarehouse)
    error: str | None = None
    #: How many answers were asked for and not committed, at each commit.
    ahead_at_commit: list[int] = field(default_factory=list)

    def carrier(self) -> RestCarrier:
        listing = self.listing

        class Wire(HttpClient):
            def prepare(self) -> None:
                """Make no connection."""

            def fetch(
                self, request: Request, credentials: Mapping[str, str], on_sent: Callable[[], None] = nobody_asks
            ) -> Response:
                return listing.answer(request)

        style, time = listing.style, self.time
        connector = replace(
            plain.connector(records=records_of),
            pagination=lambda account: style.rule(account.page_size),
            record_map=RecordMap(fields={"sim_id": "id"}, statuses=plain.RECORDS.statuses),
        )
        return RestCarrier(
            connector,
            self._settings(),
            time,
            chance=lambda: 0.5,
            monotonic=time.monotonic,
            now=time.now,
            workers=lambda most, _name: ChanceWorkers(most, self.chance),
            wire=Wire,
        )

    def _settings(self) -> CarrierSettings:
        limit = RateLimit(max_in_flight=self.in_flight)
        given = plain.settings("https://carrier.example", page_size=self.listing.size, rate_limit=limit)
        return replace(given, read_ahead=self.read_ahead, retry=Retry(max_attempts=3))

    def run(self, **rules: Any) -> StopReason | None:
        """Walk as one run does it, and note the error that it ends with."""
        request = a_request("run-1", Trigger.OPERATOR, first_cursor={}, gone_owners=["run-1"])
        opened = self.warehouse.open_session(request)
        committed = 0

        def note(_session: Session) -> None:
            nonlocal committed
            committed += 1
            self.ahead_at_commit.append(len(self.listing.asked) - committed)

        plain_rules: dict[str, Any] = {"should_stop": never_stop, "on_checkpoint": note}
        try:
            return walk(opened.session, self.carrier(), self.warehouse, StepRules(**(plain_rules | rules)))
        except SimSyncError as error:
            self.error = f"{type(error).__name__}: {error}"
            raise

    def to_its_end(self) -> "Walk":
        """Walk until the end or a permanent error; after a long wait, another run continues."""
        try:
            while self.run() is not None:
                pass
        except ParkRequired as wait:
            self.time.advance(wait.wait_seconds)
            self.error = None
            return self.to_its_end()
        except SimSyncError:
            pass
        return self

    @property
    def session(self) -> Session:
        (session,) = self.warehouse.latest_sessions(["acme"])
        return session

    @property
    def outcome(self) -> Any:
        """What is left in the end, but for times and what requests have cost."""
        left = self.session
        counts = (left.pages_done, left.records_seen, left.records_added, left.records_quarantined)
        sims = sorted((row["sim_id"], row["last_seen_session"]) for row in self.warehouse.rows("carrier_sims"))
        return sims, left.state, left.cursor, counts, self.error


passing = st.lists(st.sampled_from(["down", "slower", "gone"]), max_size=2)
lasting = st.lists(st.sampled_from(["down", "slower", "much slower", "gone", "never", "not there"]), max_size=4)


@dataclass(frozen=True)
class Trial:
    """What a walk is to go through. `leaving` are the requests before which a row leaves, and its place."""

    rows: list[int]
    size: int
    faults: dict[int, list[str]]
    leaving: list[tuple[int, int]]
    read_ahead: int
    in_flight: int

    def listing(self, style: Style) -> Listing:
        """Return the list as it is when the walk begins."""
        gone: dict[int, list[int]] = {}
        there = list(self.rows)
        for number, place in self.leaving:
            if place < len(there):
                gone.setdefault(number, []).append(there.pop(place))
        return Listing(style, list(self.rows), self.size, self.faults, gone)


def trials(faults: st.SearchStrategy[list[str]], leaving: int = 0) -> st.SearchStrategy[Trial]:
    """Return trials with such faults, from whose lists up to so many rows leave."""
    return st.builds(
        Trial,
        rows=st.lists(st.integers(0, 60), unique=True, max_size=30).map(sorted),
        size=st.integers(1, 6),
        faults=st.dictionaries(st.integers(-1, 20), faults, max_size=4),
        leaving=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 29)), max_size=leaving),
        read_ahead=st.integers(1, 3),
        in_flight=st.integers(1, 5),
    )


@pytest.mark.parametrize("style", [*STEADY, *BLIND], ids=str)
@given(trial=trials(lasting), chance=st.randoms(use_true_random=False))
@settings(max_examples=25)
def test_the_outcome_of_a_walk_is_that_without_reading_ahead(style: Style, trial: Trial, chance: Random) -> None:
    plainly = Walk(trial.listing(style), read_ahead=0).to_its_end()
    ahead = Walk(trial.listing(style), trial.read_ahead, trial.in_flight, chance).to_its_end()
    assert ahead.outcome == plainly.outcome


@pytest.mark.parametrize("style", STEADY, ids=str)
@given(trial=trials(passing, leaving=6), chance=st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_no_sim_is_passed_over_when_others_leave_while_pages_are_on_their_way(
    style: Style, trial: Trial, chance: Random
) -> None:
    done = Walk(trial.listing(style), trial.read_ahead, trial.in_flight, chance).to_its_end()
    assert done.error is None
    assert {f"sim-{row:04}" for row in done.listing.rows} <= {
        row["sim_id"] for row in done.warehouse.rows("carrier_sims")
    }


@pytest.mark.parametrize(
    "style", [style for style in STEADY if style.name.startswith(("page number", "offset"))], ids=str
)
@pytest.mark.parametrize("seed", range(6))
def test_a_list_that_grows_makes_no_walk_blind_to_a_row_that_leaves_later(style: Style, seed: int) -> None:
    growing = {number: [999 - number] for number in range(3, 40, 3)}
    listing = Listing(style, list(range(1000, 1120)), 3, leaving={52: [1000, 1001]}, entering=growing)
    walking = Walk(listing, in_flight=4, chance=Random(seed)).to_its_end()
    seen = {row["sim_id"] for row in walking.warehouse.rows("carrier_sims")}
    assert {f"sim-{row:04}" for row in listing.rows if row >= 1000} <= seen


# --- which requests, and how many ------------------------------------------------------------------------------------

BY_NUMBER = next(style for style in STEADY if style.name == "page number, total in a header")
BY_OFFSET = next(style for style in STEADY if style.name == "offset and total")
BY_LINK = next(style for style in STEADY if style.name == "next link in the body")
WITHOUT_END = next(style for style in BLIND if style.name == "page number, nothing told")
COUNTED = [BY_NUMBER, BY_OFFSET]


def walk_over(pages: int, style: Style = BY_NUMBER, *, read_ahead: int = 1, in_flight: int = 1, **fields: Any) -> Walk:
    return Walk(Listing(style, list(range(2 * pages)), 2, **fields), read_ahead, in_flight, Random(1))


@pytest.mark.parametrize("style", [BY_NUMBER, BY_OFFSET, BY_LINK, WITHOUT_END], ids=str)
def test_without_read_ahead_a_page_is_asked_for_when_the_one_before_it_is_committed(style: Style) -> None:
    walking = walk_over(6, style, read_ahead=0, in_flight=4)
    walking.run()
    assert set(walking.ahead_at_commit) == {0}


@pytest.mark.parametrize("style", [BY_NUMBER, BY_OFFSET, BY_LINK], ids=str)
@pytest.mark.parametrize(("read_ahead", "in_flight"), [(1, 1), (1, 4), (3, 1), (2, 4)])
def test_no_page_is_asked_for_twice_and_none_behind_a_known_end(style: Style, read_ahead: int, in_flight: int) -> None:
    walking = walk_over(9, style, read_ahead=read_ahead, in_flight=in_flight)
    walking.run()
    assert len(walking.listing.asked) == 9
    most = 1 if style is BY_LINK else max(read_ahead, in_flight)
    assert max(walking.ahead_at_commit) <= most


def test_behind_an_unknown_end_no_more_is_asked_for_than_may_be_in_flight() -> None:
    walking = walk_over(9, WITHOUT_END, in_flight=4, faults={10: ["down"], 11: ["never"], 12: ["down"]})
    assert walking.run() is None
    assert 10 <= len(walking.listing.asked) <= 10 + 4
    assert (walking.session.pages_done, walking.session.retries) == (10, 0)


def test_pages_that_are_uneven_cost_few_requests_in_vain() -> None:
    def uneven(request: Request, rows: list[int], size: int) -> Response:
        offset = int(request.params["offset"])
        return Response(status=200, headers={}, body={"items": rows[offset : offset + 1 + offset % 3], "total": 60})

    walking = Walk(Listing(replace(BY_OFFSET, give=uneven), list(range(60)), 2), 1, 5, Random(1))
    assert walking.run() is None
    assert len(walking.listing.asked) <= 2 * walking.session.pages_done


@pytest.mark.parametrize("style", COUNTED, ids=str)
def test_nothing_is_asked_for_that_the_run_may_not_commit(style: Style) -> None:
    walking = walk_over(9, style, in_flight=4)
    left = iter([2, 1, 0])
    assert walking.run(should_stop=stop_after(3), pages_left=lambda: next(left)) is StopReason.PAGE_BUDGET
    assert len(walking.listing.asked) == 3


def test_a_refusal_ahead_fails_the_walk_behind_the_pages_before_it() -> None:
    walking = walk_over(9, in_flight=4, faults={3: ["never"]})
    with pytest.raises(UnexpectedResponse, match="page 4: "):
        walking.run()
    assert walking.session.pages_done == 3


def test_a_retry_ahead_is_counted_in_its_turn_and_what_was_waited_already_is_not_waited_for_again() -> None:
    walking = walk_over(9, in_flight=4, faults={2: ["slower"], 3: ["slower"], 4: ["slower"]})
    assert walking.run() is None
    assert walking.session.retries == 3
    assert walking.session.throttled_seconds <= walking.time.monotonic() - 1000.0
    assert len(walking.listing.asked) == 12


def test_pages_that_a_gateway_had_lost_for_a_moment_are_not_the_end_of_the_list() -> None:
    def give(request: Request, rows: list[int], size: int) -> Response:
        asked.append(request)
        is_lost = len(asked) in {4, 5}
        return REFUSALS["not there"] if is_lost else WITHOUT_END.give(request, rows, size)

    asked: list[Request] = []
    walking = walk_over(9, replace(WITHOUT_END, give=give), in_flight=2)
    walking.chance = AtOnce()
    assert walking.run() is None
    assert walking.session.pages_done == 10


class AtOnce(Random):
    """What is asked for ahead is answered at once, before the page that led to it is read to its end."""

    def random(self) -> float:
        return 0.0


def test_a_refusal_ahead_shows_no_part_of_a_token_that_the_page_in_hand_has_brought() -> None:
    token = "f00dfacade" * 8
    before_it = "x" * 165  # a message shows 200 characters of a body, and the token begins behind 190

    def give(request: Request, rows: list[int], size: int) -> Response:
        if "signature" not in request.path:
            return Response(status=200, headers={}, body={"items": rows, "meta": {"next": f"?signature={token}"}})
        return Response(status=422, headers={}, body={"items": [], "refused": before_it + token})

    walking = Walk(Listing(replace(BY_LINK, give=give), [1], 1), chance=AtOnce())
    with pytest.raises(UnexpectedResponse, match="page 2: ") as raised:
        walking.run()
    assert "HTTP 422" in str(raised.value)
    assert token[:4] not in str(raised.value)


def test_a_limit_that_could_not_be_kept_ahead_is_kept_when_the_page_has_its_turn() -> None:
    walking = walk_over(9, in_flight=4, faults={2: ["no limit"], 5: ["no limit"]})
    assert walking.run() is None
    assert (walking.session.pages_done, walking.session.retries) == (9, 0)


@pytest.mark.parametrize(("commit_seconds", "left"), [(100.0, 800.0), (499.0, 2.0), (500.0, None), (900.0, None)])
def test_of_a_long_wait_that_was_named_ahead_as_much_is_left_as_has_not_passed(
    commit_seconds: float, left: float | None
) -> None:
    """The third page is asked for while the first one is read; two pages are committed before its turn."""
    walking = walk_over(9, in_flight=4, faults={2: ["no quota"]})
    walking.chance = AtOnce()

    def commit_slowly(_session: Session) -> None:
        walking.time.advance(commit_seconds)

    if left is None:
        assert walking.run(on_checkpoint=commit_slowly) is None
    else:
        with pytest.raises(ParkRequired) as wait:
            walking.run(on_checkpoint=commit_slowly)
        assert (walking.session.pages_done, round(wait.value.wait_seconds)) == (2, left)


# --- threads ---------------------------------------------------------------------------------------------------------


def test_threads_do_tasks_beside_each_other_and_tell_results_and_errors_where_they_are_asked_for() -> None:
    workers = ThreadWorkers(2, "test")
    both = threading.Barrier(2)

    def fail() -> None:
        raise CarrierUnavailable("no answer")

    one, other, failing = workers.start(both.wait), workers.start(both.wait), workers.start(fail)
    assert sorted([one.result(), other.result()]) == [0, 1]
    with pytest.raises(CarrierUnavailable, match="no answer"):
        failing.result()
    workers.close()


def test_a_task_that_was_dropped_ends_its_waits_and_one_that_had_not_begun_never_begins() -> None:
    workers, time = ThreadWorkers(1, "test"), MovingTime()
    waiter = DroppableWaiter(time)
    began, may_wait = threading.Event(), threading.Event()
    done: list[str] = []

    def wait_long() -> None:
        began.set()
        may_wait.wait()
        waiter.wait(3600)

    waiting, queued = workers.start(wait_long), workers.start(lambda: done.append("queued"))
    began.wait()
    waiting.drop()
    queued.drop()
    may_wait.set()
    with pytest.raises(StopRequested, match="nobody waits"):
        waiting.result()
    assert workers.start(waiter.is_stopped).result() is False
    assert (time.waits, done) == ([1.0], [])
    workers.close()


def test_a_thread_that_cannot_be_started_costs_one_task_and_lets_no_later_one_wait_for_ever() -> None:
    workers = ThreadWorkers(1, "test")
    usual = threading.stack_size(2**46)  # more memory than any machine has for a thread
    try:
        with pytest.raises(RuntimeError):
            workers.start(lambda: "in vain")
    finally:
        threading.stack_size(usual)
    assert workers.start(lambda: "done").result() == "done"
    workers.close()
