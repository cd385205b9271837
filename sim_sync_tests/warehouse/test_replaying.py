"""Quarantined records put in afterwards, on both databases."""

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from sim_sync.core.errors import InputError, WarehouseUnavailable
from sim_sync.core.pages import QuarantinedRecord
from sim_sync.core.quarantine import REFUSED_BY_DATABASE, Reread
from sim_sync.core.session import Event as SessionEvent
from sim_sync.core.session import Release, Session, State, SweepState
from sim_sync.core.sims import Sim
from sim_sync.core.sweep import SweepPolicy
from sim_sync.warehouse.engine import open_engine
from sim_sync.warehouse.quarantine import Replayed, drop, quarantined, quarantined_by_id, replay
from sim_sync.warehouse.store import SqlSessionStore
from sim_sync.warehouse.tables import carrier_sims, quarantined_records
from sim_sync_tests.fakes.fleet import a_page, a_request, a_sim
from sim_sync_tests.warehouse.databases import disposed, rows_of

#: What a walk and a replay write alike; times of writing are their own.
_TIMES = {"first_seen_at", "last_changed_at", "changed_at"}


def record_of(sim: Sim, position: int = 0) -> QuarantinedRecord:
    """Return a record that no walk of these tests can read, and every replay."""
    told = {"number": int(sim.sim_id[4:]), "label": sim.label, "status": sim.status}
    return QuarantinedRecord(position, "unreadable", json.dumps(told, sort_keys=True))


def read(payload: str) -> Reread:
    told = json.loads(payload)
    return Reread([a_sim(told["number"], label=told["label"], status=told["status"])])


def unreadable(_payload: str) -> Reread:
    return Reread([], "expected better")


class ReplayHarness:
    """Walks of one carrier, page after page, and replays of what they could not read."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.store = SqlSessionStore(engine)

    def begun(self, sims: Sequence[Sim] = (), unread: Sequence[Sim] = ()) -> Session:
        """Open a walk and commit one page of it."""
        session = self.store.open_session(a_request()).session
        assert session.cursor is not None
        return self.store.commit_page(session.claim, session.cursor, self._page(sims, unread, {"page": 1}))

    def ended(self, session: Session, sims: Sequence[Sim] = (), unread: Sequence[Sim] = ()) -> Session:
        """Commit the last page of a walk, and close it."""
        assert session.cursor is not None
        session = self.store.commit_page(session.claim, session.cursor, self._page(sims, unread, None))
        return self.store.close_session(session.claim, SweepPolicy(), session.config_hash)

    def walked(self, sims: Sequence[Sim] = (), unread: Sequence[Sim] = ()) -> Session:
        return self.ended(self.begun(sims, unread))

    @staticmethod
    def _page(sims: Sequence[Sim], unread: Sequence[Sim], next_cursor: Mapping[str, int] | None) -> Any:
        rejected = [record_of(sim, len(sims) + place) for place, sim in enumerate(unread)]
        return a_page(sims, next_cursor, rejected=rejected)

    def replayed(self, *ids: int) -> list[Replayed]:
        return list(replay(self.engine, "acme", read, ids or None))

    def sim(self, number: int) -> dict[str, Any]:
        (row,) = [row for row in rows_of(self.engine, "carrier_sims") if row["sim_id"] == a_sim(number).sim_id]
        return row

    def rows(self, table: str) -> list[dict[str, Any]]:
        rows = [{key: row[key] for key in row if key not in _TIMES} for row in rows_of(self.engine, table)]
        return sorted(rows, key=str)


@pytest.fixture
def harness(engine: sa.Engine) -> ReplayHarness:
    return ReplayHarness(engine)


def test_a_replayed_record_is_what_the_walk_would_have_made_of_it(harness: ReplayHarness) -> None:
    harness.walked([a_sim(1), a_sim(2, label="old")])
    session = harness.walked([a_sim(1)], unread=[a_sim(2, label="new"), a_sim(3)])
    assert [one.resolution for one in harness.replayed()] == ["replayed", "replayed"]
    found = harness.sim(2)
    assert (found["label"], found["last_seen_session"]) == ("new", session.session_id)
    assert found["last_changed_at"] > found["first_seen_at"]
    new = harness.sim(3)
    assert (new["first_session_number"], new["absent_since"], new["vanished_at"]) == (
        session.session_number,
        None,
        None,
    )
    (change,) = harness.rows("sim_changes")
    assert (change["session_id"], change["field"], change["old_value"], change["new_value"]) == (
        session.session_id,
        "label",
        "old",
        "new",
    )
    assert all(
        row["resolved_at"] and row["resolution"] == "replayed" for row in rows_of(harness.engine, "quarantined_records")
    )


def test_a_second_replay_finds_nothing_to_do(harness: ReplayHarness) -> None:
    harness.walked([a_sim(1)], unread=[a_sim(2)])
    harness.replayed()
    before = {table: rows_of(harness.engine, table) for table in ("carrier_sims", "sim_changes", "quarantined_records")}
    assert harness.replayed() == []
    assert {table: rows_of(harness.engine, table) for table in before} == before


def test_what_cannot_be_read_stays_with_the_new_reason(harness: ReplayHarness) -> None:
    harness.walked([a_sim(1)], unread=[a_sim(2)])
    (done,) = replay(harness.engine, "acme", unreadable)
    assert done == Replayed(done.id, None, "expected better")
    (row,) = rows_of(harness.engine, "quarantined_records")
    assert (row["reason"], row["resolved_at"], row["resolution"]) == ("expected better", None, None)
    assert len(harness.rows("carrier_sims")) == 1


def test_a_sim_that_a_later_walk_saw_is_not_overwritten(harness: ReplayHarness) -> None:
    harness.walked(unread=[a_sim(1, label="older")])
    harness.walked([a_sim(1, label="newer")])
    before = harness.sim(1)
    (done,) = harness.replayed()
    assert done.resolution is not None
    assert done.resolution.startswith("not needed")
    assert harness.sim(1) == before


def test_a_later_walk_that_is_under_way_is_newer_too(harness: ReplayHarness) -> None:
    harness.walked(unread=[a_sim(1, label="older")])
    harness.begun([a_sim(1, label="newer")])
    harness.replayed()
    assert harness.sim(1)["label"] == "newer"


@pytest.mark.parametrize("nights", [1, 2, 3])
def test_a_sim_that_later_walks_missed_is_marked_as_they_would_have(harness: ReplayHarness, nights: int) -> None:
    harness.walked([a_sim(1)], unread=[a_sim(2)])
    later = [harness.walked([a_sim(1)]) for _ in range(nights)]
    assert {walk.sweep_state for walk in later} == {SweepState.DONE}
    harness.replayed()
    found = harness.sim(2)
    assert found["absent_since"] == later[0].finished_at
    assert found["vanished_at"] == (later[1].finished_at if nights > 1 else None)


def test_a_sim_that_its_own_walk_had_missed_is_there_again(harness: ReplayHarness) -> None:
    """The carrier sent it: only we could not read it."""
    harness.walked([a_sim(1), a_sim(2)])
    harness.walked([a_sim(1)])
    assert harness.sim(2)["absent_since"] is not None
    harness.walked([a_sim(1)], unread=[a_sim(2)])
    harness.replayed()
    assert harness.sim(2)["absent_since"] is None


def test_a_vanished_sim_comes_back_with_the_record_that_shows_it(harness: ReplayHarness) -> None:
    harness.walked([a_sim(1), a_sim(2)])
    harness.walked([a_sim(1)])
    harness.walked([a_sim(1)])
    assert harness.sim(2)["vanished_at"] is not None
    harness.walked([a_sim(1)], unread=[a_sim(2)])
    harness.replayed()
    assert harness.sim(2)["vanished_at"] is None


def test_the_records_of_several_walks_are_replayed_in_their_order(harness: ReplayHarness) -> None:
    harness.walked([a_sim(1, label="0")])
    for label in ("1", "2"):
        harness.walked(unread=[a_sim(1, label=label)])
    assert [one.resolution for one in harness.replayed()] == ["replayed", "replayed"]
    assert harness.sim(1)["label"] == "2"
    changes = sorted((row["old_value"], row["new_value"]) for row in harness.rows("sim_changes"))
    assert changes == [("0", "1"), ("1", "2")]


def test_an_older_record_that_is_replayed_after_a_newer_one_changes_nothing(harness: ReplayHarness) -> None:
    for label in ("1", "2"):
        harness.walked(unread=[a_sim(1, label=label)])
    older, newer = (row.id for row in quarantined(harness.engine, include_resolved=False))
    harness.replayed(newer)
    harness.replayed(older)
    assert harness.sim(1)["label"] == "2"


def test_a_walk_that_is_under_way_counts_what_is_replayed_as_seen_and_can_be_certified(harness: ReplayHarness) -> None:
    harness.walked([a_sim(1), a_sim(2), a_sim(3)])
    session = harness.begun([a_sim(1)], unread=[a_sim(2)])
    harness.replayed()
    session = harness.ended(session)
    assert (session.sweep_state, session.records_quarantined) == (SweepState.DONE, 0)
    assert harness.sim(2)["absent_since"] is None
    assert harness.sim(3)["absent_since"] is not None


def test_a_walk_with_one_record_left_marks_nothing(harness: ReplayHarness) -> None:
    harness.walked([a_sim(1), a_sim(2), a_sim(3)])
    session = harness.begun([a_sim(1)], unread=[a_sim(2), a_sim(3)])
    first = next(quarantined(harness.engine, include_resolved=False))
    harness.replayed(first.id)
    assert harness.ended(session).sweep_state is SweepState.SKIPPED
    assert harness.sim(3)["absent_since"] is None


def test_a_replayed_sim_that_the_walk_has_listed_twice_still_shows_as_a_repeat(harness: ReplayHarness) -> None:
    """Where some come twice, others may not have come at all: a replay must not hide that."""
    harness.walked([a_sim(1), a_sim(2), a_sim(3)])
    session = harness.begun([a_sim(1)], unread=[a_sim(1)])
    harness.replayed()
    assert harness.ended(session).sweep_state is SweepState.SKIPPED


def test_a_failed_session_stays_failed_and_has_fewer_unread_records(harness: ReplayHarness) -> None:
    session = harness.begun([a_sim(1)], unread=[a_sim(2)])
    harness.store.release(session.claim, Release(SessionEvent.GAVE_UP, error="too many"))
    before = harness.store.session(session.session_id)
    harness.replayed()
    after = harness.store.session(session.session_id)
    assert (after.state, after.records_quarantined, after.records_added) == (State.FAILED, 0, before.records_added + 1)
    assert (after.updated_at, after.fence) == (before.updated_at, before.fence)


def test_a_record_that_the_database_refused_waits_for_a_walk(harness: ReplayHarness) -> None:
    """It is kept in our own form: the carrier's mapping would read our word for the carrier's."""
    harness.walked([a_sim(1)], unread=[a_sim(2)])
    reason = f"{REFUSED_BY_DATABASE} (22P05)"
    with harness.engine.begin() as connection:
        connection.execute(quarantined_records.update().values(reason=reason))
    (done,) = harness.replayed()
    assert done == Replayed(done.id, None, reason)


def test_a_sim_that_the_database_does_not_take_costs_no_other_one(harness: ReplayHarness) -> None:
    harness.walked(unread=[a_sim(1), a_sim(2), a_sim(3)])

    def read_badly(payload: str) -> Reread:
        (sim,) = read(payload).sims
        return Reread([sim._replace(label="\ud800") if sim.sim_id == a_sim(2).sim_id else sim])

    done = list(replay(harness.engine, "acme", read_badly))
    assert [one.resolution for one in done] == ["replayed", None, "replayed"]
    assert len(harness.rows("carrier_sims")) == 2
    (left,) = quarantined(harness.engine, include_resolved=False)
    assert left.reason.startswith("expected a record that the database takes")


def test_a_record_whose_session_is_gone_stays(harness: ReplayHarness) -> None:
    harness.walked(unread=[a_sim(1)])
    with harness.engine.begin() as connection:
        connection.execute(quarantined_records.update().values(session_id="gone"))
    (done,) = harness.replayed()
    assert (done.resolution, "gone" in (done.reason or "")) == (None, True)


def test_two_replays_at_once_put_a_record_in_once(harness: ReplayHarness) -> None:
    harness.walked(unread=[a_sim(number) for number in range(20)])
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: harness.replayed(), range(2)))
    assert sorted(map(len, both)) == [0, 20]


@pytest.mark.parametrize("is_open", [True, False])
def test_no_page_is_committed_between_what_a_replay_reads_and_what_it_writes(
    harness: ReplayHarness, is_open: bool
) -> None:
    """A newer record that came in between would be lost; a session that is opened in between might bring one."""
    harness.walked([a_sim(7)], unread=[a_sim(1)])
    walk = harness.begun([a_sim(7)]) if is_open else None
    refused = []

    def write(store: SqlSessionStore) -> object:
        if walk is None:
            return store.open_session(a_request("run-9"))
        return store.commit_page(walk.claim, {"page": 1}, a_page([a_sim(1, label="newer")]))

    def read_while_a_page_comes(payload: str) -> Reread:
        with impatient(harness.engine) as store, pytest.raises(WarehouseUnavailable):
            write(store)
        refused.append(payload)
        return read(payload)

    assert len(list(replay(harness.engine, "acme", read_while_a_page_comes))) == len(refused) == 1


def test_pages_of_other_carriers_are_committed_while_one_carriers_records_are_replayed(
    postgres_engine: sa.Engine,
) -> None:
    """Under SQLite a writer is alone."""
    harness = ReplayHarness(postgres_engine)
    harness.walked([a_sim(7)], unread=[a_sim(1)])

    def read_while_a_page_comes(payload: str) -> Reread:
        with impatient(postgres_engine) as store:
            walk = store.open_session(a_request("run-2", carrier="zeta")).session
            assert store.commit_page(walk.claim, {"page": 0}, a_page([a_sim(2)], {"page": 1})).pages_done == 1
        return read(payload)

    assert len(list(replay(postgres_engine, "acme", read_while_a_page_comes))) == 1


@contextmanager
def impatient(engine: sa.Engine) -> Iterator[SqlSessionStore]:
    """Lend a store that waits for no lock."""
    url = engine.url.render_as_string(hide_password=False)
    with disposed(open_engine(url, lock_seconds=0, lock_timeout="'50ms'")) as other:
        yield SqlSessionStore(other)


def test_a_dropped_record_stays_with_its_reason_and_is_not_replayed(harness: ReplayHarness) -> None:
    harness.walked(unread=[a_sim(1), a_sim(2)])
    first, second = quarantined(harness.engine, include_resolved=False)
    assert drop(harness.engine, [first.id], "a test SIM") == [first.id]
    assert drop(harness.engine, [first.id, second.id], "again") == [second.id]
    rows = quarantined_by_id(harness.engine, [second.id, first.id])
    assert [row.resolution for row in rows] == ["dropped: again", "dropped: a test SIM"]
    assert harness.replayed() == []


def test_one_unknown_id_drops_nothing(harness: ReplayHarness) -> None:
    harness.walked(unread=[a_sim(1)])
    (row,) = quarantined(harness.engine, include_resolved=False)
    with pytest.raises(InputError, match="no quarantined record 999"):
        drop(harness.engine, [row.id, 999], "why")
    assert len(list(quarantined(harness.engine, include_resolved=False))) == 1


def test_a_payload_is_given_back_as_it_was_kept(harness: ReplayHarness) -> None:
    harness.walked(unread=[a_sim(1)])
    (row,) = quarantined(harness.engine, carrier="acme", include_resolved=False)
    assert row.payload == record_of(a_sim(1)).payload
    assert list(quarantined(harness.engine, carrier="zeta", include_resolved=True)) == []


def test_an_unread_sim_counts_for_nothing_before(harness: ReplayHarness) -> None:
    harness.walked(unread=[a_sim(1)])
    with harness.engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(carrier_sims)).scalar_one() == 0
