"""The past walks as both databases list them."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from sim_sync.core.progress import WALKS_COMPARED
from sim_sync.core.session import Event, Release, State
from sim_sync.core.sweep import SweepPolicy
from sim_sync.warehouse.overviews import past_walks
from sim_sync.warehouse.store import SqlSessionStore
from sim_sync.warehouse.tables import sync_sessions
from sim_sync_tests.fakes.clock import START
from sim_sync_tests.fakes.fleet import a_page, a_request, a_sim

MINUTE = timedelta(minutes=1)


class HistoryHarness:
    """Walks of any carrier, whose times are told."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.store = SqlSessionStore(engine)

    def completed(self, started_at: datetime, minutes: float, carrier: str = "acme") -> str:
        session = self.store.open_session(a_request(carrier=carrier)).session
        assert session.cursor is not None
        session = self.store.commit_page(session.claim, session.cursor, a_page([a_sim(1), a_sim(2)]))
        self.store.close_session(session.claim, SweepPolicy(), session.config_hash)
        self._date(session.session_id, started_at, started_at + minutes * MINUTE)
        return session.session_id

    def opened(self, started_at: datetime, carrier: str = "acme") -> str:
        session_id = self.store.open_session(a_request(carrier=carrier)).session.session_id
        self._date(session_id, started_at, None)
        return session_id

    def _date(self, session_id: str, started_at: datetime, finished_at: datetime | None) -> None:
        with self.engine.begin() as connection:
            connection.execute(
                sync_sessions.update()
                .where(sync_sessions.c.session_id == session_id)
                .values(started_at=started_at, finished_at=finished_at)
            )

    def ids(self, *carriers: str, last: int = 100) -> list[str]:
        return [walk.session.session_id for walk in past_walks(self.engine, carriers, last)]


@pytest.fixture
def history(engine: sa.Engine) -> HistoryHarness:
    return HistoryHarness(engine)


def test_the_newest_walk_comes_first_over_all_carriers(history: HistoryHarness) -> None:
    first = history.completed(START, 5)
    second = history.completed(START + 10 * MINUTE, 5, carrier="zeta")
    third = history.opened(START + 20 * MINUTE)
    assert history.ids("acme", "zeta") == [third, second, first]
    assert history.ids("acme", "zeta", last=2) == [third, second]
    assert history.ids("acme") == [third, first]


def test_a_clock_that_was_ahead_for_a_night_does_not_keep_its_walk_on_top(history: HistoryHarness) -> None:
    ahead = history.completed(START + timedelta(days=3), 5)
    newer = history.completed(START, 5)
    other = history.completed(START + MINUTE, 5, carrier="zeta")
    assert history.ids("acme", "zeta") == [other, newer, ahead]
    assert history.ids("acme", "zeta", last=1) == [other]


def test_a_walk_knows_the_durations_of_the_completed_ones_before_it_alone(history: HistoryHarness) -> None:
    for night in range(WALKS_COMPARED + 2):
        history.completed(START + timedelta(days=night), night + 1)
    history.completed(START, 500, carrier="zeta")
    history.opened(START + timedelta(days=30))
    newest, second, *_ = past_walks(history.engine, ["acme"], 100)
    count = WALKS_COMPARED + 2
    assert list(newest.earlier_seconds) == [60.0 * minutes for minutes in range(count, count - WALKS_COMPARED, -1)]
    assert second.earlier_seconds[0] == 60 * (count - 1)
    *_, oldest = past_walks(history.engine, ["acme"], 100)
    assert oldest.usual_seconds is None


def test_what_is_usual_does_not_depend_on_how_many_walks_are_listed(history: HistoryHarness) -> None:
    for night in range(12):
        history.completed(START + timedelta(days=night), night)
    (alone,) = past_walks(history.engine, ["acme"], 1)
    assert alone == past_walks(history.engine, ["acme"], 100)[0]


def test_sims_are_counted_once_the_walk_is_completed(history: HistoryHarness) -> None:
    history.completed(START, 5)
    history.opened(START + 10 * MINUTE)
    newest, completed = past_walks(history.engine, ["acme"], 100)
    assert (newest.sims_seen, completed.sims_seen) == (None, 2)


def test_resumes_are_counted(history: HistoryHarness) -> None:
    store = history.store
    for _ in range(3):
        claim = store.open_session(a_request()).session.claim
        store.release(claim, Release(Event.STOPPED_BY_MACHINE))
    (walk,) = past_walks(history.engine, ["acme"], 100)
    assert (walk.session.state, walk.resumes) == (State.INTERRUPTED, 2)


def test_a_new_warehouse_has_no_walks(history: HistoryHarness) -> None:
    assert history.ids("acme", "zeta") == []
