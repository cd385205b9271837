"""Workers that freeze, wake up and race for one carrier: only the last one let in writes."""

from dataclasses import dataclass
from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from sim_sync.core.errors import Fenced
from sim_sync.core.opening import Trigger
from sim_sync.core.session import Session
from sim_sync_tests.fakes.carrier import ScriptedCarrier, paged
from sim_sync_tests.fakes.fleet import a_fleet, a_request
from sim_sync_tests.fakes.warehouse import InMemoryWarehouse

WORKERS = ("run-1", "run-2", "run-3")


@dataclass
class TwoWorkersHarness:
    """Some workers at one warehouse; each goes by what it last heard, however long ago that was."""

    carrier: ScriptedCarrier
    warehouse: InMemoryWarehouse
    heard: dict[str, Session]
    last_let_in: str | None = None
    writes: int = 0

    def ask(self, worker: str) -> None:
        before = self.warehouse.open_session_of("acme")
        opened = self.warehouse.open_session(a_request(worker, Trigger.OPERATOR))
        if opened.refusal is None:
            assert before is None or before.owner == worker or _lease_is_over(before, self.warehouse.now())
            self.heard[worker] = opened.session
            self.last_let_in = worker

    def step(self, worker: str) -> None:
        session = self.heard.get(worker)
        if session is None or session.cursor is None:
            return
        page = self.carrier.fetch_page(session.cursor)
        try:
            self.heard[worker] = self.warehouse.commit_page(session.claim, session.cursor, page)
        except Fenced:
            assert worker != self.last_let_in
            del self.heard[worker]
        else:
            assert worker == self.last_let_in
            self.writes += 1


def _lease_is_over(session: Session, now: datetime) -> bool:
    return session.lease_expires_at is None or session.lease_expires_at <= now


moves = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(WORKERS)),
    st.tuples(st.just("step"), st.sampled_from(WORKERS)),
    st.tuples(st.just("time"), st.sampled_from([1, 15, 30, 31])),
)


@given(st.lists(moves, max_size=60))
def test_only_the_worker_that_was_let_in_last_ever_writes(history: list[tuple[str, str | int]]) -> None:
    pages = paged(a_fleet(40), 2)
    race = TwoWorkersHarness(ScriptedCarrier(pages=pages), InMemoryWarehouse(), {})
    for move, what in history:
        match move, what:
            case "ask", str(worker):
                race.ask(worker)
            case "step", str(worker):
                race.step(worker)
            case _, seconds:
                race.warehouse.clock.advance(float(seconds))
    (session,) = race.warehouse.latest_sessions(["acme"]) or (None,)
    assert race.writes == (session.pages_done if session else 0)
    stored = {row["sim_id"] for row in race.warehouse.rows("carrier_sims")}
    assert stored == {sim.sim_id for sim in a_fleet(2 * race.writes)}
