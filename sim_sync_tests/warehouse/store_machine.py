"""Any history of openings, pages, crashes, pauses and takeovers, lived through by two stores at once.

The in-memory warehouse says what the real one has to answer and to hold: both call the same events, so this compares
how they read, lock and write. On top of that are the rules that no history may break, without any store's help; what
an event makes of a session is checked in `core/test_session_histories.py`, by a model of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from sim_sync.core.errors import Fenced, SimSyncError
from sim_sync.core.opening import Opened, Trigger
from sim_sync.core.pages import Cursor, Page
from sim_sync.core.session import FINAL_STATES, Claim, Event, Release, Session
from sim_sync.core.sweep import SweepPolicy
from sim_sync_tests.fakes.clock import SettableClock
from sim_sync_tests.fakes.crash_points import SimulatedCrash
from sim_sync_tests.fakes.fleet import a_page, a_rejected, a_request, a_sim
from sim_sync_tests.warehouse.crash_rules import points_of
from sim_sync_tests.warehouse.in_memory import InMemoryUnderTest
from sim_sync_tests.warehouse.store_under_test import TABLES, StoreUnderTest

CARRIERS = ("acme", "other")
OWNERS = ("run-1", "run-2", "run-3")
POLICY = SweepPolicy(max_vanished_percent=30.0, min_vanished_count=2)

_RELEASES = st.sampled_from(
    [
        (Event.STOPPED_BY_MACHINE, None),
        (Event.WAIT_TOO_LONG, 20.0),
        (Event.GAVE_UP, None),
        (Event.PAUSED_BY_OPERATOR, None),
    ]
)
_SIMS = st.builds(
    lambda number, label: a_sim(number, label=label), st.integers(1, 8), st.sampled_from([None, "a", "b"])
)


def _sometimes(method: str) -> st.SearchStrategy[str | None]:
    """A crash point of a method, or more often none."""
    return st.sampled_from([*[None] * 12, *points_of(method)])


@dataclass
class Worker:
    """A run that once got a session: what it believes, which may be long out of date."""

    carrier: str
    number: int
    fence: int
    cursor: Cursor | None
    #: The page that it holds in hand because its commit crashed, and the one that was acknowledged last.
    in_hand: Page | None = None
    acknowledged: tuple[Cursor, Page] | None = None


class StoreMachine(RuleBasedStateMachine):
    """Drives the store under test and the in-memory warehouse through the same history."""

    workers: Bundle[Worker] = Bundle("workers")

    def __init__(self, real: Callable[[SettableClock], StoreUnderTest]) -> None:
        super().__init__()
        self.clock = SettableClock()
        self.told = InMemoryUnderTest(self.clock)
        self.real = real(self.clock)
        #: The sessions in the order of their opening, by each store's own id.
        self.ids: dict[str, list[str]] = {"told": [], "real": []}
        self.fences: dict[int, int] = {}
        self.pages: dict[int, int] = {}
        self.sims: set[tuple[str, str]] = set()
        self.next_page = 0

    # --- asking both ---------------------------------------------------------------------------------------------

    def both(self, ask: Callable[[StoreUnderTest, str], Any]) -> Any:
        """Ask both stores, and return the answer (or the error) that they agree on."""
        self.clock.advance(1)  # no two things happen at the same moment
        before = self._everything(self.real, "real")
        told, real = self._answer(ask, self.told, "told"), self._answer(ask, self.real, "real")
        self._learn_ids()
        assert self._shown(real, "real") == self._shown(told, "told")
        if isinstance(real, Fenced):
            assert self._everything(self.real, "real") == before
        return real

    @staticmethod
    def _answer(ask: Callable[[StoreUnderTest, str], Any], store: StoreUnderTest, name: str) -> Any:
        try:
            return ask(store, name)
        except (SimSyncError, SimulatedCrash) as error:
            return error
        finally:
            store.crash_points.disarm()

    def _learn_ids(self) -> None:
        for name, store in (("told", self.told), ("real", self.real)):
            rows = store.rows("sync_sessions")
            new = [row["session_id"] for row in rows if row["session_id"] not in self.ids[name]]
            assert len(new) <= 1
            self.ids[name].extend(new)

    def _shown(self, answer: Any, name: str) -> Any:
        match answer:
            case BaseException():
                return type(answer)
            case Opened(session, refusal):
                return (self._shown(session, name), refusal)
            case Session():
                return self._plain({column: getattr(answer, column) for column in Session.__slots__}, name)
            case _:
                return answer

    def _plain(self, row: dict[str, Any], name: str) -> dict[str, Any]:
        """Return a row with each session called by its number."""
        ids = self.ids[name]
        return {
            column: ids.index(value) if column in {"session_id", "last_seen_session"} else value
            for column, value in row.items()
            if column != "id"
        }

    def _everything(self, store: StoreUnderTest, name: str) -> dict[str, list[str]]:
        return {
            table: sorted(repr(sorted(self._plain(row, name).items())) for row in store.rows(table)) for table in TABLES
        }

    def _claim(self, worker: Worker, name: str) -> Claim:
        return Claim(self.ids[name][worker.number], worker.carrier, worker.fence)

    # --- what can happen -----------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 10, 29, 31, 3600, 90_000]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(
        target=workers,
        carrier=st.sampled_from(CARRIERS),
        owner=st.sampled_from(OWNERS),
        trigger=st.sampled_from(Trigger),
        gone=st.sets(st.sampled_from(OWNERS)),
        restart=st.booleans(),
        config=st.sampled_from(["config-1", "config-1", "config-1", "config-2"]),
        crash_at=_sometimes("open_session"),
    )
    def run_opens(
        self,
        *,
        carrier: str,
        owner: str,
        trigger: Trigger,
        gone: set[str],
        restart: bool,
        config: str,
        crash_at: str | None,
    ) -> Any:
        request = a_request(
            owner,
            trigger,
            carrier=carrier,
            gone_owners=gone,
            restart=restart and trigger is Trigger.OPERATOR,
            config_hash=config,
            first_cursor={"page": 0},
        )

        def ask(store: StoreUnderTest, _name: str) -> Opened:
            if crash_at is not None:
                store.crash_points.arm(crash_at)
            return store.store.open_session(request)

        answer = self.both(ask)
        if not isinstance(answer, Opened) or answer.refusal is not None:
            return multiple()
        number = self.ids["real"].index(answer.session.session_id)
        return Worker(carrier, number, answer.session.fence, answer.session.cursor)

    @rule(
        target=workers,
        carrier=st.sampled_from(CARRIERS),
        owner=st.sampled_from(OWNERS),
        pages=st.lists(st.lists(_SIMS, max_size=4), min_size=1, max_size=3),
        ends=st.booleans(),
    )
    def run_walks(self, carrier: str, owner: str, pages: list[list[Any]], ends: bool) -> Any:
        """A run that nothing happens to: it opens, walks some pages, and closes if these were all."""
        everybody = set(OWNERS)
        worker = self.run_opens(
            carrier=carrier,
            owner=owner,
            trigger=Trigger.OPERATOR,
            gone=everybody,
            restart=False,
            config="config-1",
            crash_at=None,
        )
        if not isinstance(worker, Worker):
            return multiple()
        for number, sims in enumerate(pages, start=1):
            is_last = ends and number == len(pages)
            self.worker_commits(worker=worker, sims=sims, is_last=is_last, is_bad=False, total=None, crash_at=None)
        if worker.cursor is None:
            self.worker_closes(worker, crash_at=None)
        return worker

    @rule(
        worker=workers,
        sims=st.lists(_SIMS, max_size=4),
        is_last=st.booleans(),
        is_bad=st.booleans(),
        total=st.sampled_from([None, None, 8]),
        crash_at=_sometimes("commit_page"),
    )
    def worker_commits(
        self, *, worker: Worker, sims: list[Any], is_last: bool, is_bad: bool, total: int | None, crash_at: str | None
    ) -> None:
        if worker.cursor is None:
            return
        if worker.in_hand is None:
            self.next_page += 1
            next_cursor = None if is_last else {"page": self.next_page}
            rejected = [a_rejected(len(sims))] if is_bad else []
            worker.in_hand = a_page(sims, next_cursor, rejected=rejected, records_total=total)
        expected, page = worker.cursor, worker.in_hand
        before = self._pages_of(worker)

        def ask(store: StoreUnderTest, name: str) -> Session:
            if crash_at is not None:
                store.crash_points.arm(crash_at)
            return store.store.commit_page(self._claim(worker, name), expected, page)

        answer = self.both(ask)
        if self._pages_of(worker) > before:
            self.pages[worker.number] = self.pages.get(worker.number, 0) + 1
            self.sims |= {(worker.carrier, sim.sim_id) for sim in page.sims}
        if isinstance(answer, Session):
            worker.acknowledged, worker.in_hand, worker.cursor = (expected, page), None, answer.cursor

    @rule(worker=workers)
    def worker_commits_again_what_was_acknowledged(self, worker: Worker) -> None:
        if worker.acknowledged is None:
            return
        expected, page = worker.acknowledged
        before = self._everything(self.real, "real")
        self.both(lambda store, name: store.store.commit_page(self._claim(worker, name), expected, page))
        assert self._everything(self.real, "real") == before

    @rule(worker=workers)
    def worker_starts_the_walk_again(self, worker: Worker) -> None:
        answer = self.both(
            lambda store, name: store.store.commit_walk_restart(self._claim(worker, name), {"page": 0}, "gone")
        )
        if isinstance(answer, Session):
            worker.cursor, worker.in_hand, worker.acknowledged = answer.cursor, None, None
            self.pages[worker.number] = 0

    @rule(worker=workers)
    def worker_renews_its_lease(self, worker: Worker) -> None:
        self.both(lambda store, name: store.store.renew_lease(self._claim(worker, name)))

    @rule(worker=consumes(workers), how=_RELEASES)
    def worker_gives_its_lease_back(self, worker: Worker, how: tuple[Event, float | None]) -> None:
        event, wait_seconds = how
        self.both(
            lambda store, name: store.store.release(
                self._claim(worker, name), Release(event, error="as told", wait_seconds=wait_seconds)
            )
        )

    @rule(worker=workers, crash_at=_sometimes("close_session"))
    def worker_closes(self, worker: Worker, crash_at: str | None) -> None:
        def ask(store: StoreUnderTest, name: str) -> Session:
            if crash_at is not None:
                store.crash_points.arm(crash_at)
            return store.store.close_session(self._claim(worker, name), POLICY, "config-1")

        self.both(ask)

    @rule(
        carrier=st.sampled_from(CARRIERS),
        event=st.sampled_from([Event.PAUSED_BY_OPERATOR, Event.RELEASED_BY_OPERATOR]),
    )
    def person_decides(self, carrier: str, event: Event) -> None:
        self.both(lambda store, _name: store.store.move_by_operator(carrier, event))

    # --- what no history may break -------------------------------------------------------------------------------

    def _pages_of(self, worker: Worker) -> int:
        session_id = self.ids["real"][worker.number]
        return self.real.store.session(session_id).pages_done

    @invariant()
    def both_hold_the_same(self) -> None:
        assert self._everything(self.real, "real") == self._everything(self.told, "told")

    @invariant()
    def one_session_a_carrier_is_open(self) -> None:
        rows = self.real.rows("sync_sessions")
        is_open = [row["carrier"] for row in rows if row["state"] not in FINAL_STATES]
        assert len(is_open) == len(set(is_open))

    @invariant()
    def no_fence_falls(self) -> None:
        for row in self.real.rows("sync_sessions"):
            number = self.ids["real"].index(row["session_id"])
            assert row["fence"] >= self.fences.get(number, 1)
            self.fences[number] = row["fence"]

    @invariant()
    def rows_and_checkpoints_agree(self) -> None:
        """What was written is what was counted when a transaction went through, and nothing besides."""
        done = {self.ids["real"].index(row["session_id"]): row["pages_done"] for row in self.real.rows("sync_sessions")}
        assert done == {number: self.pages.get(number, 0) for number in done}
        assert {(row["carrier"], row["sim_id"]) for row in self.real.rows("carrier_sims")} == self.sims
