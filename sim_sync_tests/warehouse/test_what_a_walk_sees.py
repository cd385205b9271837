"""What a walk has seen is noted and not written: each rule of the end goes by the notes, on both databases."""

from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from sim_sync.core.sims import Sim, sim_digest
from sim_sync.core.sweep import SweepPolicy
from sim_sync.warehouse.engine import transaction
from sim_sync.warehouse.migrate import VERSION_TABLE, alembic_config, known_versions
from sim_sync.warehouse.tables import carrier_sims, seen_sims, sync_sessions
from sim_sync_tests.fakes.crash_points import SimulatedCrash
from sim_sync_tests.fakes.fleet import CARRIER, a_fleet, a_page, a_request, a_sim
from sim_sync_tests.warehouse.databases import SqlUnderTest, rows_of
from sim_sync_tests.warehouse.store_under_test import committed, night, opened, walked

NEWEST = known_versions()[-1]


@pytest.fixture
def under_test(engine: sa.Engine) -> SqlUnderTest:
    return SqlUnderTest(engine)


def noted(under_test: SqlUnderTest) -> dict[int, list[list[int]]]:
    """Return the notes of each walk, page by page."""
    found: dict[int, list[list[int]]] = {}
    for row in sorted(rows_of(under_test.engine, "seen_sims"), key=lambda row: (row["session_number"], row["place"])):
        found.setdefault(row["session_number"], []).append(sorted(row["sim_numbers"]))
    return found


def sims(under_test: SqlUnderTest) -> dict[str, dict[str, Any]]:
    return {row["sim_id"]: row for row in rows_of(under_test.engine, "carrier_sims")}


def absent(under_test: SqlUnderTest) -> set[str]:
    return {sim_id for sim_id, row in sims(under_test).items() if row["absent_since"] is not None}


def test_a_walk_that_finds_all_as_it_was_writes_one_note_a_page_and_no_row(under_test: SqlUnderTest) -> None:
    written: list[str] = []

    def note(_c: Any, _u: Any, statement: str, *_rest: Any) -> None:
        if "carrier_sims" in statement and not statement.startswith("SELECT"):
            written.append(statement)

    first = night(under_test, a_fleet(6)[:3], a_fleet(6)[3:])
    before = sims(under_test)
    sa.event.listen(under_test.engine, "before_cursor_execute", note)
    second = night(under_test, a_fleet(6)[:3], a_fleet(6)[3:])
    assert written == []
    assert sims(under_test) == before
    assert {row["last_seen_session"] for row in before.values()} == {first.session_id}
    assert noted(under_test) == {second.session_number: [[1, 2, 3], [4, 5, 6]]}
    assert (second.sweep_state, second.records_seen) == ("done", 6)


def test_a_changed_sim_is_written_and_those_beside_it_are_noted(under_test: SqlUnderTest) -> None:
    night(under_test, a_fleet(3))
    second = night(under_test, [a_sim(0), a_sim(1, label="new"), a_sim(2)])
    assert noted(under_test) == {second.session_number: [[1, 3]]}
    row = sims(under_test)["sim-0001"]
    assert (row["last_seen_session"], row["stored_digest"]) == (second.session_id, sim_digest(a_sim(1, label="new")))
    assert absent(under_test) == set()


def test_one_that_comes_again_is_noted_once_however_the_pages_lie(under_test: SqlUnderTest) -> None:
    night(under_test, a_fleet(4))
    session = opened(under_test)
    session = committed(under_test, session, a_page([a_sim(0), a_sim(1), a_sim(0)], {"page": 1}))
    session = committed(under_test, session, a_page([a_sim(1), a_sim(2)], {"page": 2}))
    session = under_test.store.commit_walk_restart(session.claim, {"page": 0}, "HTTP 410")
    walked(under_test, session, a_fleet(4))
    assert noted(under_test) == {session.session_number: [[1, 2], [3], [4]]}


def test_who_takes_a_session_over_knows_what_it_has_seen(under_test: SqlUnderTest) -> None:
    night(under_test, a_fleet(4))
    committed(under_test, opened(under_test), a_page(a_fleet(2), {"page": 1}))
    another = SqlUnderTest(under_test.engine, under_test.clock)
    session = opened(another, "run-2", gone_owners=["run-1"])
    session = committed(another, session, a_page([a_sim(1), a_sim(2)], overlap=1))
    done = another.store.close_session(session.claim, SweepPolicy(), session.config_hash)
    assert noted(under_test) == {done.session_number: [[1, 2], [3]]}
    assert absent(under_test) == {"sim-0003"}


def test_a_page_that_was_not_committed_is_not_remembered(under_test: SqlUnderTest) -> None:
    night(under_test, a_fleet(3))
    session = opened(under_test)
    page = a_page(a_fleet(2), {"page": 1})
    for point in ("commit_page:rows_written", "commit_page:checkpoint_written"):
        under_test.crash_points.arm(point)
        with pytest.raises(SimulatedCrash):
            committed(under_test, session, page)
        assert session.session_number not in noted(under_test)
    session = committed(under_test, session, a_page([a_sim(2)], {"page": 1}))
    session = committed(under_test, session, a_page(a_fleet(2)))
    under_test.store.close_session(session.claim, SweepPolicy(), session.config_hash)
    assert noted(under_test)[session.session_number] == [[3], [1, 2]]
    assert absent(under_test) == set()


def test_notes_that_are_set_back_behind_a_worker_are_read_again(under_test: SqlUnderTest) -> None:
    """A database that was restored from a copy knows less than the process that works on it."""
    night(under_test, a_fleet(2))
    session = committed(under_test, opened(under_test), a_page([a_sim(0)], {"page": 1}))
    session = committed(under_test, session, a_page([], {"page": 2}))
    with transaction(under_test.engine, "restoring") as connection:
        connection.execute(seen_sims.delete())
    session = committed(under_test, session, a_page(a_fleet(2)))
    assert noted(under_test)[session.session_number] == [[1, 2]]


def test_for_a_sim_that_is_missed_its_row_says_which_walk_saw_it_last(under_test: SqlUnderTest) -> None:
    fleet = a_fleet(4)
    first = night(under_test, fleet)
    second = night(under_test, fleet)
    third = committed(under_test, opened(under_test), a_page([a_sim(1), a_sim(2, label="new")], {"page": 1}))
    opened(under_test, "run-2", restart=True, gone_owners=["run-1"])  # supersedes the third
    session = committed(under_test, opened(under_test, "run-2"), a_page([a_sim(3)]))
    last = under_test.store.close_session(session.claim, SweepPolicy(), session.config_hash)
    told = {sim_id: row["last_seen_session"] for sim_id, row in sims(under_test).items()}
    assert told == {
        "sim-0000": second.session_id,
        "sim-0001": third.session_id,
        "sim-0002": third.session_id,
        "sim-0003": first.session_id,
    }
    assert absent(under_test) == {"sim-0000", "sim-0001", "sim-0002"}
    assert list(noted(under_test)) == [last.session_number]


def test_a_held_sweep_knows_what_a_later_walk_has_noted(under_test: SqlUnderTest) -> None:
    strict = SweepPolicy(min_vanished_count=2)
    night(under_test, a_fleet(8))
    night(under_test, a_fleet(1), policy=strict)
    committed(under_test, opened(under_test), a_page(a_fleet(4), {"page": 1}))
    shown = under_test.store.show_held_sweep(CARRIER, most=10)
    assert [sim.sim_id for sim in shown.listed] == ["sim-0004", "sim-0005", "sim-0006", "sim-0007"]


def test_a_row_that_was_deleted_by_hand_is_a_new_sim_and_nobody_gets_its_number(under_test: SqlUnderTest) -> None:
    night(under_test, a_fleet(3))
    with transaction(under_test.engine, "by hand") as connection:
        connection.execute(carrier_sims.delete().where(carrier_sims.c.sim_id == "sim-0002"))
    session = night(under_test, a_fleet(3))
    assert (session.records_added, sims(under_test)["sim-0002"]["sim_number"]) == (1, 4)


def test_sims_that_are_called_another_carriers_by_hand_share_no_number_with_new_ones(under_test: SqlUnderTest) -> None:
    night(under_test, a_fleet(3))
    with transaction(under_test.engine, "by hand") as connection:
        for table in (carrier_sims, sync_sessions):
            connection.execute(table.update().values(carrier="renamed"))

    def night_of(sims: list[Sim]) -> None:
        session = under_test.store.open_session(a_request(carrier="renamed")).session
        session = committed(under_test, session, a_page(sims))
        under_test.store.close_session(session.claim, SweepPolicy(), session.config_hash)

    night_of(a_fleet(4))
    night_of(a_fleet(4)[1:])
    assert absent(under_test) == {"sim-0000"}
    assert sorted(row["sim_number"] for row in sims(under_test).values()) == [1, 2, 3, 4]


@pytest.mark.parametrize("deleted", [sync_sessions.c.state == "running", sa.true()], ids=["the open one", "all"])
def test_what_a_session_has_noted_that_was_deleted_by_hand_counts_for_no_other(
    under_test: SqlUnderTest, deleted: sa.ColumnElement[bool]
) -> None:
    night(under_test, a_fleet(4))
    committed(under_test, opened(under_test), a_page(a_fleet(3), {"page": 1}))
    with transaction(under_test.engine, "by hand") as connection:
        connection.execute(sync_sessions.delete().where(deleted))
    night(under_test, a_fleet(4)[1:])
    night(under_test, a_fleet(4)[2:])
    assert absent(under_test) == {"sim-0000", "sim-0001"}
    assert {sim_id for sim_id, row in sims(under_test).items() if row["vanished_at"] is not None} == {"sim-0000"}


@pytest.mark.parametrize("column", ["stored_digest", "sim_number"])
def test_a_row_that_is_not_complete_is_read_compared_and_completed(under_test: SqlUnderTest, column: str) -> None:
    night(under_test, a_fleet(2))
    with transaction(under_test.engine, "by hand") as connection:
        connection.execute(carrier_sims.update().values({column: None, "label": "by hand"}))
    session = night(under_test, a_fleet(2))
    assert session.records_changed == 2
    assert {(row["stored_digest"] is None, row["sim_number"] is None) for row in sims(under_test).values()} == {
        (False, False)
    }
    assert night(under_test, a_fleet(2)).records_changed == 0


def test_equal_sims_and_no_others_have_equal_digests() -> None:
    told = [
        a_sim(1),
        a_sim(1, label=""),
        a_sim(1, label="None"),
        a_sim(1, label="a\x1fb", account="c"),
        a_sim(1, label="a", account="b\x1fc"),
        a_sim(1, pending=True),
        a_sim(1, rate_plan="true"),
    ]
    assert len({sim_digest(sim) for sim in told}) == len(told)
    assert sim_digest(a_sim(1)._replace(label="x")) == sim_digest(a_sim(1, label="x"))
    assert sim_digest(a_sim(1)) == -5218291648131726890, "stored: see RECORD_MAP_VERSION"


def to_the_schema_before(engine: sa.Engine) -> None:
    """Make of a warehouse what the version before walks had notes would have left, as far as walks go."""
    with transaction(engine, "going back") as connection:
        for statement in (
            *(f"ALTER TABLE carrier_sims DROP COLUMN {name}" for name in ("stored_digest", "sim_number")),
            *(f"DROP TABLE {name}" for name in ("seen_sims", "sim_numbers")),
            f"UPDATE {VERSION_TABLE} SET version_num = '0020'",  # noqa: S608 - our own name
        ):
            connection.exec_driver_sql(statement)


def migrate_from_there(engine: sa.Engine) -> None:
    """Bring it up to date; what later migrations have made is there still."""
    with transaction(engine, "migrating") as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0021")
        connection.execute(sa.table(VERSION_TABLE, sa.column("version_num")).update().values(version_num=NEWEST))


def test_an_open_walk_of_a_migrated_warehouse_continues_and_marks_nothing_that_it_has_seen(
    under_test: SqlUnderTest,
) -> None:
    first = night(under_test, a_fleet(6))
    session = committed(under_test, opened(under_test), a_page(a_fleet(2), {"page": 1}))
    seen_before = carrier_sims.c.sim_id.in_(["sim-0000", "sim-0001"])
    with transaction(under_test.engine, "as it was written then") as connection:
        connection.execute(carrier_sims.update().where(seen_before).values(last_seen_session=session.session_id))
    to_the_schema_before(under_test.engine)

    migrate_from_there(under_test.engine)

    assert {row["sim_number"] for row in sims(under_test).values()} == {None}
    store = SqlUnderTest(under_test.engine, under_test.clock)
    session = opened(store, "run-2", gone_owners=["run-1"])
    session = committed(store, session, a_page([a_sim(1), a_sim(2), a_sim(3, label="new"), a_sim(4)], overlap=1))
    done = store.store.close_session(session.claim, SweepPolicy(), session.config_hash)
    assert (done.sweep_state, done.records_added, done.records_changed) == ("done", 0, 1)
    assert absent(under_test) == {"sim-0005"}
    assert sims(under_test)["sim-0005"]["last_seen_session"] == first.session_id
    night(store, a_fleet(6))
    assert absent(under_test) == set()
    again = night(store, a_fleet(6))
    assert noted(under_test) == {again.session_number: [[1, 2, 3, 4, 5, 6]]}
