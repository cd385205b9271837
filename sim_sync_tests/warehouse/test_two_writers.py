"""Two who want to write to one carrier at the same moment: over connections, and over processes."""

import multiprocessing
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from sim_sync.core.errors import Fenced, InputError, WarehouseUnavailable
from sim_sync.core.held_sweep import OperatorDecision, SweepChoice
from sim_sync.core.opening import FailedOpening, Opened, OpenRequest, Trigger
from sim_sync.core.session import Claim, Event, Session, State
from sim_sync.core.sweep import SweepPolicy
from sim_sync.core.sync import CrashPoint, nothing_armed
from sim_sync.warehouse.engine import open_engine
from sim_sync.warehouse.migrate import migrate
from sim_sync.warehouse.scratch import exact_digests
from sim_sync.warehouse.store import SqlSessionStore
from sim_sync.warehouse.warehouse import open_warehouse
from sim_sync_tests.fakes.fleet import CARRIER, a_page, a_request, a_sim
from sim_sync_tests.warehouse.databases import disposed, rows_of

_ROUNDS = 20


def url_of(engine: sa.Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


@pytest.fixture
def other_engine(engine: sa.Engine) -> Iterator[sa.Engine]:
    """Connections of somebody else to the same warehouse."""
    with disposed(open_engine(url_of(engine))) as other:
        yield other


class TwoWritersHarness:
    """A crash point at which one worker stops inside of its transaction until another one has set out to do something.

    The other one's deed must not wait for it to end, or must be allowed to continue by it: both run in threads.
    """

    def __init__(self, point: str, deed: Callable[[], Any]) -> None:
        self._point, self._deed = point, deed
        self._pool = ThreadPoolExecutor(1)
        self._answer: Any = None
        self._met = False

    def __call__(self, point: str) -> None:
        if point != self._point or self._met:
            return
        self._met = True
        started = threading.Event()

        def do() -> Any:
            started.set()
            return self._deed()

        self._answer = self._pool.submit(do)
        assert started.wait(30)

    def answer(self) -> Any:
        """Return what the other one's deed has come to."""
        answer = self._answer.result(timeout=60)
        self._pool.shutdown()
        return answer


def test_a_takeover_waits_for_the_page_in_hand_and_the_next_page_of_the_old_owner_is_refused(
    engine: sa.Engine, other_engine: sa.Engine
) -> None:
    rescuer = SqlSessionStore(other_engine)
    meeting = TwoWritersHarness(
        "commit_page:rows_written", lambda: rescuer.open_session(a_request("run-2", gone_owners=["run-1"]))
    )
    store = SqlSessionStore(engine, at=meeting)
    session = store.open_session(a_request("run-1")).session
    session = store.commit_page(session.claim, {"page": 0}, a_page([a_sim(1)], {"page": 1}))
    taken_over = meeting.answer().session
    # The rescuer saw the page that was in hand, not the one before it.
    assert (taken_over.pages_done, taken_over.cursor, taken_over.fence) == (1, {"page": 1}, 2)
    before = exact_digests(engine)
    with pytest.raises(Fenced, match="taken over by run run-2"):
        store.commit_page(session.claim, {"page": 1}, a_page([a_sim(2)], {"page": 2}))
    assert exact_digests(engine) == before


def test_a_page_waits_for_a_takeover_in_hand_and_is_refused(engine: sa.Engine, other_engine: sa.Engine) -> None:
    zombie = SqlSessionStore(other_engine)
    session = SqlSessionStore(engine).open_session(a_request("run-1")).session

    def commit() -> object:
        try:
            return zombie.commit_page(session.claim, {"page": 0}, a_page([a_sim(1)], {"page": 1}))
        except Fenced as lost:
            return lost

    meeting = TwoWritersHarness("open_session:written", commit)
    rescuer = SqlSessionStore(engine, at=meeting)
    taken_over = rescuer.open_session(a_request("run-2", gone_owners=["run-1"])).session
    assert isinstance(meeting.answer(), Fenced)
    assert rescuer.session(session.session_id) == taken_over
    assert rows_of(engine, "carrier_sims") == []


def test_a_pause_waits_for_the_page_in_hand_and_is_told_by_the_next(engine: sa.Engine, other_engine: sa.Engine) -> None:
    person = SqlSessionStore(other_engine)
    meeting = TwoWritersHarness(
        "commit_page:checkpoint_written", lambda: person.move_by_operator(CARRIER, Event.PAUSED_BY_OPERATOR)
    )
    store = SqlSessionStore(engine, at=meeting)
    session = store.open_session(a_request("run-1")).session
    committed = store.commit_page(session.claim, {"page": 0}, a_page([a_sim(1)], {"page": 1}))
    paused = meeting.answer()
    assert committed.state is State.RUNNING
    assert (paused.state, paused.pages_done, paused.cursor) == (State.PAUSED, 1, {"page": 1})
    assert store.renew_lease(session.claim).state is State.PAUSED


def test_a_pause_that_comes_first_stays_when_the_page_in_hand_is_committed(
    engine: sa.Engine, other_engine: sa.Engine
) -> None:
    store, person = SqlSessionStore(engine), SqlSessionStore(other_engine)
    session = store.open_session(a_request("run-1")).session
    person.move_by_operator(CARRIER, Event.PAUSED_BY_OPERATOR)
    committed = store.commit_page(session.claim, {"page": 0}, a_page([a_sim(1)], {"page": 1}))
    assert (committed.state, committed.pages_done) == (State.PAUSED, 1)


def test_a_restart_waits_for_the_end_of_the_session_in_hand(engine: sa.Engine, other_engine: sa.Engine) -> None:
    person = SqlSessionStore(other_engine)
    meeting = TwoWritersHarness(
        "close_session:swept", lambda: person.open_session(a_request("run-2", Trigger.OPERATOR, restart=True))
    )
    store = SqlSessionStore(engine, at=meeting)
    session = store.open_session(a_request("run-1")).session
    session = store.commit_page(session.claim, {"page": 0}, a_page([a_sim(1)]))
    assert store.close_session(session.claim, SweepPolicy(), "config-1").state is State.COMPLETED
    answer = meeting.answer()
    assert answer.session.fence == 1
    assert store.session(session.session_id).state is State.COMPLETED


def test_the_sensor_and_a_person_never_both_get_the_session(engine: sa.Engine, other_engine: sa.Engine) -> None:
    stores = [SqlSessionStore(engine), SqlSessionStore(other_engine)]
    wishes = [("sensor", Trigger.SENSOR), ("person", Trigger.OPERATOR)]
    with ThreadPoolExecutor(2) as pool:
        for number in range(_ROUNDS):
            carrier = f"carrier-{number}"
            first = stores[0].open_session(a_request("dead", carrier=carrier)).session
            gate = threading.Barrier(2)

            def ask(place: int, gate: threading.Barrier = gate, carrier: str = carrier) -> Opened:
                owner, trigger = wishes[place]
                gate.wait(30)
                return stores[place].open_session(a_request(owner, trigger, carrier=carrier, gone_owners=["dead"]))

            answers = list(pool.map(ask, range(2)))
            assert sorted(answer.refusal is None for answer in answers) == [False, True]
            (winner,) = [answer.session for answer in answers if answer.refusal is None]
            assert (winner.fence, winner.session_id) == (2, first.session_id)
            assert stores[0].open_session_of(carrier) == winner


# --- processes ---------------------------------------------------------------------------------------------------


def _open_all(url: str, requests: Sequence[OpenRequest], gate: Any, answers: Any) -> None:
    warehouse = open_warehouse(url)
    for request in requests:
        gate.wait(60)
        answers.put(warehouse.sessions.open_session(request))
    warehouse.close()


def _rush(url: str, claims: Sequence[Claim], owner: str, gate: Any, answers: Any) -> None:
    """Commit, or take over and commit: every process does its worst at the same moment."""
    warehouse = open_warehouse(url)
    for claim in claims:
        gate.wait(60)
        opened = warehouse.sessions.open_session(
            a_request(owner, Trigger.OPERATOR, carrier=claim.carrier, gone_owners=["dead", "run-a", "run-b", "run-c"])
        )
        mine = opened.session.claim if opened.refusal is None else claim
        sim = a_sim(1, label=owner)
        try:
            warehouse.sessions.commit_page(mine, {"page": 0}, a_page([sim], {"page": 1, "by": owner}))
            answers.put((claim.carrier, owner, mine.fence, "committed"))
        except Fenced:
            answers.put((claim.carrier, owner, mine.fence, "fenced"))
    warehouse.close()


def _together(target: Callable[..., None], arguments: Sequence[tuple[Any, ...]], answers_each: int) -> list[Any]:
    context = multiprocessing.get_context("spawn")
    gate, answers = context.Barrier(len(arguments)), context.Queue()
    processes = [context.Process(target=target, args=(*given, gate, answers)) for given in arguments]
    for process in processes:
        process.start()
    told = [answers.get(timeout=120) for _ in range(answers_each * len(arguments))]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * len(processes)
    return told


def test_of_processes_that_open_a_carrier_at_the_same_moment_one_gets_the_session(engine: sa.Engine) -> None:
    migrate(engine)
    wishes = [
        (url_of(engine), [a_request(owner, carrier=f"carrier-{number}") for number in range(_ROUNDS)])
        for owner in ("run-a", "run-b", "run-c")
    ]
    answers: list[Opened] = _together(_open_all, wishes, _ROUNDS)
    by_carrier: dict[str, list[Opened]] = {}
    for answer in answers:
        by_carrier.setdefault(answer.session.carrier, []).append(answer)
    assert len(by_carrier) == _ROUNDS
    for carrier, three in by_carrier.items():
        assert sorted(answer.refusal is None for answer in three) == [False, False, True], carrier
        assert len({answer.session.session_id for answer in three}) == 1
    assert len(rows_of(engine, "sync_sessions")) == _ROUNDS


def test_processes_that_take_over_and_commit_at_once_leave_the_page_of_one_of_them(engine: sa.Engine) -> None:
    store = SqlSessionStore(engine)
    claims = [store.open_session(a_request("dead", carrier=f"carrier-{number}")).session.claim for number in range(12)]
    owners = ("run-a", "run-b", "run-c")
    told = _together(_rush, [(url_of(engine), claims, owner) for owner in owners], len(claims))
    labels = {row["carrier"]: row["label"] for row in rows_of(engine, "carrier_sims")}
    for claim in claims:
        written = [
            (owner, fence) for carrier, owner, fence, how in told if (carrier, how) == (claim.carrier, "committed")
        ]
        session = store.session(claim.session_id)
        # Whoever committed held the fence at that moment; a page for a place that was passed is refused too.
        assert [labels[claim.carrier]] == [owner for owner, _ in written]
        assert session.pages_done == 1
        assert session.cursor == {"page": 1, "by": written[0][0]}
        assert session.fence >= written[0][1]


def test_a_run_that_cannot_open_leaves_the_session_alone_that_another_one_opens_at_the_same_moment(
    engine: sa.Engine, other_engine: sa.Engine
) -> None:
    failed = FailedOpening(carrier=CARRIER, owner="run-2", reason="its configuration cannot be used")
    meeting = TwoWritersHarness("open_session:written", lambda: SqlSessionStore(other_engine).fail_opening(failed))
    opened = SqlSessionStore(engine, at=meeting).open_session(a_request("run-1")).session
    assert meeting.answer() == opened
    assert [row["state"] for row in rows_of(engine, "sync_sessions")] == ["running"]


def held_sweep(store: SqlSessionStore) -> None:
    """Walk twice, the second time without seven SIMs of eight, and show what approving would mark."""
    for sims in (range(8), range(1)):
        session = store.open_session(a_request()).session
        session = store.commit_page(session.claim, {"page": 0}, a_page([a_sim(number) for number in sims]))
        store.close_session(session.claim, SweepPolicy(min_vanished_count=2), session.config_hash)
    store.show_held_sweep(CARRIER, most=1)


def test_of_two_people_who_decide_at_once_one_is_refused(engine: sa.Engine, other_engine: sa.Engine) -> None:
    def decide(store: SqlSessionStore, decision: OperatorDecision) -> str:
        try:
            return store.decide_held_sweep(CARRIER, decision)[0].sweep_state
        except InputError as refused:
            return str(refused)

    other = SqlSessionStore(other_engine)
    meeting = TwoWritersHarness(
        "decide_sweep:compared", lambda: decide(other, OperatorDecision(SweepChoice.REJECT, "bob"))
    )
    store = SqlSessionStore(engine, at=meeting)
    held_sweep(store)
    assert decide(store, OperatorDecision(SweepChoice.APPROVE, "ann")) == "approved"
    assert "is approved, decided by ann" in meeting.answer()
    assert sum(row["absent_since"] is not None for row in rows_of(engine, "carrier_sims")) == 7


class ApprovalHarness:
    """An approval of a held sweep on PostgreSQL, and the pages of walks at work that meet it.

    Under SQLite a writer is alone.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self._others = open_engine(url_of(engine))
        #: Who waits for nobody: a lock that is held is an error at once.
        self._hurried = open_engine(url_of(engine), lock_timeout="'50ms'")
        held_sweep(SqlSessionStore(engine))
        self.walks = {carrier: self.opened(carrier) for carrier in (CARRIER, "zeta")}

    def dispose(self) -> None:
        for engine in (self._others, self._hurried):
            engine.dispose()

    def opened(self, carrier: str) -> Session:
        return SqlSessionStore(self._hurried).open_session(a_request("run-2", carrier=carrier)).session

    def see(self, sim: int, carrier: str = CARRIER, *, waits: bool = False, at: CrashPoint = nothing_armed) -> Session:
        """Commit a page with one SIM: the next one of the walk."""
        walk = self.walks[carrier]
        assert walk.cursor is not None
        store = SqlSessionStore(self._others if waits else self._hurried, at=at)
        self.walks[carrier] = store.commit_page(walk.claim, walk.cursor, a_page([a_sim(sim)], {"page": sim}))
        return self.walks[carrier]

    def approve(self, at: CrashPoint = nothing_armed) -> str:
        """Return the state of the sweep, or why it was not approved."""
        try:
            decision = OperatorDecision(SweepChoice.APPROVE, "ann")
            return SqlSessionStore(self.engine, at=at).decide_held_sweep(CARRIER, decision)[0].sweep_state
        except InputError as refused:
            return str(refused)

    def absent(self) -> list[int]:
        rows = rows_of(self.engine, "carrier_sims")
        return [int(row["sim_id"][4:]) for row in rows if row["absent_since"] is not None]


@pytest.fixture
def approval(postgres_engine: sa.Engine) -> Iterator[ApprovalHarness]:
    harness = ApprovalHarness(postgres_engine)
    yield harness
    harness.dispose()


def test_a_sim_that_is_seen_between_comparing_and_marking_is_not_marked(approval: ApprovalHarness) -> None:
    def see_one(point: str) -> None:
        if point == "decide_sweep:compared":
            approval.see(3)

    assert "were seen again at this very moment" in approval.approve(see_one)
    assert approval.absent() == []


def test_an_approval_waits_for_the_page_in_hand_and_marks_nothing_that_it_has_seen(approval: ApprovalHarness) -> None:
    compared = threading.Event()

    def tell(point: str) -> None:
        if point == "decide_sweep:compared":
            compared.set()

    with ThreadPoolExecutor(1) as pool:
        answers = []

        def approve_meanwhile(point: str) -> None:
            if point == "commit_page:checkpoint_written":
                answers.append(pool.submit(approval.approve, tell))
                assert compared.wait(60)

        approval.see(3, waits=True, at=approve_meanwhile)
        assert "were seen again at this very moment" in answers[0].result(60)
    assert approval.absent() == []


def test_a_page_waits_for_an_approval_in_hand_and_its_sim_is_there_afterwards(approval: ApprovalHarness) -> None:
    def see_one(point: str) -> None:
        if point == "decide_sweep:written":
            approval.see(3)

    meeting = TwoWritersHarness("decide_sweep:written", lambda: approval.see(3, waits=True))
    with pytest.raises(WarehouseUnavailable, match="lock timeout"):
        approval.approve(see_one)
    assert approval.approve(meeting) == "approved"
    assert meeting.answer().pages_done == 1
    assert approval.absent() == [1, 2, 4, 5, 6, 7]


@pytest.mark.parametrize("point", ["decide_sweep:compared", "decide_sweep:written"])
def test_while_an_approval_is_open_other_carriers_open_commit_and_decide(approval: ApprovalHarness, point: str) -> None:
    """Nobody waits: each of them would fail within a moment."""

    def work_elsewhere(reached: str) -> None:
        if reached == point:
            approval.see(1, "zeta")
            approval.see(2, "zeta")
            approval.opened("omega")
            with pytest.raises(WarehouseUnavailable, match="lock timeout"):
                approval.opened(CARRIER)

    assert approval.approve(work_elsewhere) == "approved"
    assert approval.walks["zeta"].pages_done == 2
    assert len(approval.absent()) == 7


def test_while_a_decision_keeps_pages_out_it_reads_what_later_walks_have_noted_and_no_more(
    postgres_engine: sa.Engine,
) -> None:
    """The carrier's pages wait for that: it must not take as long as the fleet is large."""
    store = SqlSessionStore(postgres_engine)
    kept_out: list[str] = []
    read: list[int] = []
    held_sweep(store)
    walked = store.open_session(a_request("run-2")).session
    store.commit_page(walked.claim, {"page": 0}, a_page([a_sim(number) for number in range(1, 4)], {"page": 1}))
    store.show_held_sweep(CARRIER, most=1)

    def note(_c: Any, cursor: Any, statement: str, *_rest: Any) -> None:
        if kept_out and "FROM seen_sims" in statement:
            read.append(cursor.rowcount)

    deciding = SqlSessionStore(
        postgres_engine, at=lambda point: kept_out.append(point) if "compared" in point else None
    )
    sa.event.listen(postgres_engine, "after_cursor_execute", note)
    try:
        _, marked = deciding.decide_held_sweep(CARRIER, OperatorDecision(SweepChoice.APPROVE, "ann"))
    finally:
        sa.event.remove(postgres_engine, "after_cursor_execute", note)
    assert (read, marked.absent) == ([3], 4)
