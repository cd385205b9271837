"""Many rows at once: a page is the same in the tables whatever its size, and whatever characters it holds."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim_sync.core.errors import WarehouseUnavailable
from sim_sync.core.pages import Page
from sim_sync.core.sims import Lifecycle, Sim
from sim_sync.core.storable import canonical_json
from sim_sync.warehouse.engine import open_engine, transaction
from sim_sync.warehouse.postgresql import copy_rows
from sim_sync.warehouse.tables import carrier_sims
from sim_sync_tests.fakes.fleet import CARRIER, a_request, a_sim
from sim_sync_tests.warehouse.databases import SqlUnderTest, disposed, empty_tables, rows_of

#: Characters that mean something to one way or another of sending rows.
NASTY = [
    "\t",
    "\n",
    "\r",
    "\\",
    "\\N",
    "\\.",
    "'",
    '"',
    "{}",
    "{a,b}",
    "NULL",
    "",
    " ",
    "é",
    "\U0001f4f6",
    ",",
    ";",
    "\x1f",
]
STORABLE = st.characters(exclude_characters="\x00", exclude_categories=["Cs"])
#: More than PostgreSQL takes as arrays, so that it takes them by COPY.
MANY = 450


def commit(engine: sa.Engine, sims: list[Sim], page_size: int) -> list[dict[str, Any]]:
    """Commit SIMs page by page into empty tables and return the rows, blind to ids of sessions and times of writing."""
    empty_tables(engine)
    store = SqlUnderTest(engine).store
    session = store.open_session(a_request()).session
    for start in range(0, len(sims), page_size):
        assert session.cursor is not None
        part = sims[start : start + page_size]
        session = store.commit_page(session.claim, session.cursor, Page(part, {"page": start + 1}, len(part)))
    return stored(engine)


def stored(engine: sa.Engine) -> list[dict[str, Any]]:
    """Return the rows of SIMs by their ids, blind to ids of sessions and times of writing."""
    hidden = {"last_seen_session", "first_seen_at", "last_changed_at"}
    rows = [without(row, hidden) for row in rows_of(engine, "carrier_sims")]
    return sorted(rows, key=lambda row: str(row["sim_id"]))


def without(row: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def nasty_fleet(count: int) -> list[Sim]:
    sims = []
    for number in range(count):
        text = NASTY[number % len(NASTY)] + str(number) + NASTY[(number * 7) % len(NASTY)]
        attributes = canonical_json({"text": text, "n": 89883070000123456789, "none": None, "list": [text, True, 0.5]})
        sims.append(
            a_sim(
                number,
                label=text,
                attributes=attributes,
                quality_flags='["iccid_check_digit"]' if number % 3 else "[]",
                pending=number % 2 == 0,
                activated_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=number),
                imsi=None if number % 5 == 0 else str(number),
            )
        )
    return sims


def test_a_large_page_stores_what_small_ones_do(engine: sa.Engine) -> None:
    sims = nasty_fleet(MANY)
    large = commit(engine, sims, MANY)
    assert large == commit(engine, sims, 10)
    assert [(row["label"], row["attributes"], row["activated_at"], row["pending"], row["imsi"]) for row in large] == [
        (sim.label, json.loads(sim.attributes), sim.activated_at, sim.pending, sim.imsi)
        for sim in sorted(sims, key=lambda sim: sim.sim_id)
    ]


def test_a_known_large_page_is_read_back_as_it_was_sent_so_that_nothing_counts_as_changed(engine: sa.Engine) -> None:
    empty_tables(engine)
    store = SqlUnderTest(engine).store
    sims = nasty_fleet(MANY)
    for night in range(2):
        session = store.open_session(a_request(restart=night > 0)).session
        session = store.commit_page(session.claim, {"page": 0}, Page(sims, {"page": 1}, len(sims)))
        assert (session.records_added, session.records_changed) == ((MANY, 0) if night == 0 else (0, 0))


@pytest.mark.parametrize("count", [20, MANY])
def test_a_page_of_new_and_known_sims_stores_what_pages_of_new_ones_do(engine: sa.Engine, count: int) -> None:
    sims = nasty_fleet(count)
    expected = commit(engine, sims, count)
    empty_tables(engine)
    store = SqlUnderTest(engine).store
    session = store.open_session(a_request()).session
    earlier = [sim._replace(label="earlier") for sim in sims[::2]]
    session = store.commit_page(session.claim, {"page": 0}, Page(earlier, {"page": 1}, len(earlier)))
    session = store.commit_page(session.claim, {"page": 1}, Page(sims, {"page": 2}, len(sims)))
    assert (session.records_added, session.records_changed) == (count, len(earlier))
    numbers, found = {"sim_number", "stored_digest"}, stored(engine)
    assert [without(row, numbers) for row in found] == [without(row, numbers) for row in expected]
    assert sorted(row["sim_number"] for row in found) == list(range(1, count + 1))


@pytest.mark.parametrize("status", [Lifecycle.ACTIVE, Lifecycle.ACTIVE.value])
def test_a_word_of_an_enumeration_is_stored_as_the_text_that_it_is(engine: sa.Engine, status: str) -> None:
    rows = commit(engine, [a_sim(number, status=status) for number in range(2)], 1)
    assert [row["status"] for row in rows] == ["active", "active"]


def test_new_sims_come_into_their_table_by_one_copy(postgres_engine: sa.Engine) -> None:
    sims = nasty_fleet(MANY)
    statements: list[str] = []
    sa.event.listen(
        postgres_engine, "before_cursor_execute", lambda _c, _u, statement, *_rest: statements.append(statement)
    )
    commit(postgres_engine, sims, MANY)
    # By the driver's own COPY: SQLAlchemy is not asked to write SIMs, nor to make a table beside theirs.
    assert [one for one in statements if "INTO carrier_sims" in one or "TEMPORARY" in one] == []


def test_a_row_that_a_person_puts_in_at_that_very_moment_costs_no_sim(postgres_engine: sa.Engine) -> None:
    sims, by_hand = nasty_fleet(MANY), [_BY_HAND]

    def put_in(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "sim_numbers" in statement and by_hand:  # the page has read what is there
            with psycopg.connect(_conninfo(postgres_engine), autocommit=True) as person:
                person.execute(by_hand.pop(), (CARRIER, sims[7].sim_id))

    sa.event.listen(postgres_engine, "before_cursor_execute", put_in)
    rows = commit(postgres_engine, sims, MANY)
    assert by_hand == []
    assert [row["label"] for row in rows] == [sim.label for sim in sorted(sims, key=lambda sim: sim.sim_id)]
    assert rows_of(postgres_engine, "quarantined_records") == []


def test_a_table_with_row_level_security_takes_new_sims_too(postgres_engine: sa.Engine) -> None:
    """PostgreSQL refuses every COPY into such a table, whatever the policies let in."""
    sims = nasty_fleet(MANY)
    with transaction(postgres_engine, "securing the rows") as connection:
        for statement in _SECURED:
            connection.exec_driver_sql(statement)
    url = postgres_engine.url.update_query_dict({"options": "-c role=walker"})
    try:
        with disposed(open_engine(url.render_as_string(hide_password=False))) as engine:
            store = SqlUnderTest(engine).store
            session = store.open_session(a_request()).session
            session = store.commit_page(session.claim, {"page": 0}, Page(sims, None, MANY))
        assert (session.records_added, session.records_quarantined) == (MANY, 0)
    finally:
        with transaction(postgres_engine, "as it was") as connection:
            connection.exec_driver_sql("ALTER TABLE carrier_sims DISABLE ROW LEVEL SECURITY")
            connection.exec_driver_sql("DROP POLICY everything ON carrier_sims")
            connection.exec_driver_sql("DROP OWNED BY walker")
            connection.exec_driver_sql("DROP ROLE walker")


_SECURED = (
    "CREATE ROLE walker",
    "GRANT ALL ON ALL TABLES IN SCHEMA public TO walker",
    "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO walker",
    "ALTER TABLE carrier_sims ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY everything ON carrier_sims USING (true) WITH CHECK (true)",
)
_BY_HAND = (
    "INSERT INTO carrier_sims (carrier, sim_id, status, attributes, quality_flags, first_seen_at, last_changed_at, "
    "last_seen_session) VALUES (%s, %s, 'active', '{}', '[]', now(), now(), 'by hand')"
)


def test_two_large_pages_on_one_connection_do_not_mix(engine: sa.Engine) -> None:
    sims = nasty_fleet(2 * MANY)
    assert len(commit(engine, sims, MANY)) == 2 * MANY


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    labels=st.lists(st.text(alphabet=st.characters(exclude_characters="\x00", exclude_categories=["Cs"])), min_size=1)
)
def test_any_text_comes_back_as_it_was(engine: sa.Engine, labels: list[str]) -> None:
    sims = [a_sim(number, label=labels[number % len(labels)]) for number in range(MANY)]
    assert [row["label"] for row in commit(engine, sims, MANY)] == [sim.label for sim in sims]


def test_a_connection_that_is_cut_during_a_copy_is_told_as_an_unavailable_warehouse(postgres_engine: sa.Engine) -> None:
    rows = [(sim.sim_id,) for sim in nasty_fleet(MANY)]
    with (
        pytest.raises(WarehouseUnavailable, match="while copying"),
        transaction(postgres_engine, "copying") as connection,
    ):
        copy_rows(connection, carrier_sims, ["sim_id"], _cut_in_the_middle(rows, postgres_engine))
    with postgres_engine.connect() as connection:
        assert connection.execute(sa.select(sa.literal(1))).scalar_one() == 1


def _cut_in_the_middle(rows: list[tuple[str]], engine: sa.Engine) -> Any:
    """Yield rows, and cut the connection that copies them before the last ones."""
    yield from rows[:100]
    with psycopg.connect(_conninfo(engine), autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND datname = current_database() AND query LIKE 'COPY%'"
        )
    for row in rows[100:]:
        # Enough to be sent: a broken connection is noticed by the one who writes to it.
        yield (row[0] * 2000,)


def _conninfo(engine: sa.Engine) -> str:
    return engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
