"""What no database holds: both keep the rest of the page, and put aside the record that one of them refuses."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.core.errors import WriteRefused
from sim_sync.core.pages import Cursor
from sim_sync.core.session import Session
from sim_sync.core.sims import Sim
from sim_sync.warehouse.sessions import cursor_from_stored, stored_cursor
from sim_sync_tests.fakes.fleet import a_fleet, a_page, a_rejected, a_request, a_sim
from sim_sync_tests.warehouse.databases import SqlUnderTest
from sim_sync_tests.warehouse.iccid_rules import named
from sim_sync_tests.warehouse.store_under_test import night

ANY = st.characters(exclude_categories=[])
#: What the rule of `storable` keeps away from here, and a database refuses, for reasons of its own.
REFUSED = [
    pytest.param({"label": "\ud800"}, id="a lone surrogate"),
    pytest.param({"sim_id": "s\ud800"}, id="a lone surrogate in the id"),
    pytest.param({"label": "forbidden"}, id="a rule that somebody has added to the table"),
]


_TRIGGER = (
    "CREATE TRIGGER theirs BEFORE INSERT ON carrier_sims WHEN NEW.label = 'forbidden' "
    "BEGIN SELECT RAISE(ABORT, 'forbidden by them'); END"
)
_RULE = {
    "sqlite": (_TRIGGER, "DROP TRIGGER theirs"),
    "postgresql": (
        "ALTER TABLE carrier_sims ADD CONSTRAINT theirs CHECK (label <> 'forbidden')",
        "ALTER TABLE carrier_sims DROP CONSTRAINT theirs",
    ),
}


@pytest.fixture
def under_test(engine: sa.Engine) -> Iterator[SqlUnderTest]:
    """Each database, with a rule of somebody else's."""
    make, drop = _RULE[engine.dialect.name]
    with engine.begin() as connection:
        connection.exec_driver_sql(make)
    yield SqlUnderTest(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(drop)


def committed(under_test: SqlUnderTest, sims: list[Sim], **fields: Any) -> Session:
    store = under_test.store
    session = store.open_session(a_request()).session
    return store.commit_page(session.claim, {"page": 0}, a_page(sims, {"page": 1}, **fields))


def stored_ids(under_test: SqlUnderTest) -> list[str]:
    return sorted(row["sim_id"] for row in under_test.rows("carrier_sims"))


@pytest.mark.parametrize("odd", REFUSED)
@pytest.mark.parametrize("size", [1, 7, 300])
def test_a_record_that_is_refused_is_put_aside_and_the_rest_of_its_page_is_kept(
    under_test: SqlUnderTest, odd: dict[str, Any], size: int
) -> None:
    sims = a_fleet(size)
    place = size // 2
    sims[place] = sims[place]._replace(**odd)
    session = committed(under_test, sims, rejected=[a_rejected(size)])
    kept = [sim.sim_id for number, sim in enumerate(sims) if number != place]
    assert stored_ids(under_test) == sorted(kept)
    assert (session.pages_done, session.records_seen, session.records_added) == (1, size + 1, size - 1)
    assert (session.records_quarantined, session.cursor, session.last_error) == (2, {"page": 1}, None)
    refused, unreadable = sorted(under_test.rows("quarantined_records"), key=lambda row: int(row["position"]))
    assert (refused["page_number"], refused["position"], unreadable["position"]) == (1, place, size)
    assert refused["reason"].startswith("the database does not take this record (")
    assert str(sims[place].imsi) in json.dumps(refused["payload"])
    assert "INSERT" not in refused["reason"]


def test_several_that_are_refused_are_put_aside_each_at_its_place(under_test: SqlUnderTest) -> None:
    sims = [sim._replace(label="\udfff") if number % 5 == 3 else sim for number, sim in enumerate(a_fleet(20))]
    session = committed(under_test, sims)
    assert (session.records_quarantined, session.records_added) == (4, 16)
    assert sorted(row["position"] for row in under_test.rows("quarantined_records")) == [3, 8, 13, 18]


def test_a_change_of_a_known_sim_that_is_refused_leaves_the_sim_as_it_was(under_test: SqlUnderTest) -> None:
    committed(under_test, [a_sim(1, label="one"), a_sim(2, label="two")])
    store = under_test.store
    session = store.open_session(a_request(restart=True)).session
    page = a_page([a_sim(1, label="\ud800"), a_sim(2, label="zwei")], {"page": 1})
    session = store.commit_page(session.claim, {"page": 0}, page)
    assert {row["sim_id"]: row["label"] for row in under_test.rows("carrier_sims")} == {
        "sim-0001": "one",
        "sim-0002": "zwei",
    }
    assert [(row["field"], row["new_value"]) for row in under_test.rows("sim_changes")] == [("label", "zwei")]
    assert (session.records_changed, session.records_quarantined) == (1, 1)


def test_two_forms_of_an_iccid_stay_two_sims_where_a_refused_record_stands_between_them(
    under_test: SqlUnderTest,
) -> None:
    """The page is written in parts: what one part has seen and not written, the next one has to know."""
    known, other = named(1), named(1, "7")
    night(under_test, [known, a_sim(2)])
    session = night(under_test, [known, a_sim(3, label="forbidden"), other, a_sim(2)])
    assert (session.records_added, session.records_quarantined) == (1, 1)
    assert stored_ids(under_test) == sorted([known.sim_id, other.sim_id, "sim-0002"])
    assert {row["sim_id"]: row["iccid"] for row in under_test.rows("carrier_sims")}[known.sim_id] == known.iccid


def test_a_rejected_record_whose_text_is_refused_is_kept_by_its_place(under_test: SqlUnderTest) -> None:
    odd = a_rejected(1)
    session = committed(under_test, a_fleet(1), rejected=[type(odd)(1, "no id", '{"a":"\ud800"}'), a_rejected(2)])
    assert session.records_quarantined == 2
    assert sorted((row["position"], json.dumps(row["payload"])) for row in under_test.rows("quarantined_records")) == [
        (1, "{}"),
        (2, '{"iccid": null}'),
    ]


def test_a_database_that_takes_no_row_at_all_is_told_and_puts_nothing_aside(under_test: SqlUnderTest) -> None:
    store = under_test.store
    session = store.open_session(a_request()).session
    page = a_page(a_fleet(3), {"page": 1}, pages_total=2**64)
    with pytest.raises(WriteRefused, match="committing a page of carrier acme") as refused:
        store.commit_page(session.claim, {"page": 0}, page)
    assert "sim-000" not in str(refused.value)
    assert under_test.rows("carrier_sims") == under_test.rows("quarantined_records") == []


CURSORS: list[Cursor] = [
    {"after": "a\x00b"},
    {"after": "\ud800"},
    {"after": "\ufffd"},
    {"after": "\ufffd\\u0000"},
    {"k\x00": [{"next": ["\udfff", 1, None, True, 1.5]}]},
    {"after": 10**400},
    {"after": "x" * 100_000},
]


@pytest.mark.parametrize("cursor", CURSORS, ids=[str(number) for number in range(len(CURSORS))])
def test_a_cursor_comes_back_as_the_carrier_gave_it_and_breaks_nobodys_query(
    under_test: SqlUnderTest, cursor: Cursor
) -> None:
    store = under_test.store
    session = store.open_session(a_request()).session
    store.commit_page(session.claim, {"page": 0}, a_page(a_fleet(1), cursor))
    assert store.session(session.session_id).cursor == cursor
    with under_test.engine.connect() as connection:
        connection.execute(sa.text("SELECT cursor ->> 'after' FROM sync_sessions")).all()


@given(st.dictionaries(st.text(ANY), st.text(ANY) | st.integers() | st.none() | st.lists(st.text(ANY))))
def test_every_cursor_survives_its_column(cursor: dict[str, Any]) -> None:
    stored = stored_cursor(cursor)
    json.dumps(stored, ensure_ascii=False).encode()
    assert "\\u0000" not in json.dumps(stored).replace("\\\\", "")
    assert cursor_from_stored(json.loads(json.dumps(stored))) == cursor


@pytest.mark.parametrize("total", [2**63 - 1, 2**62, 10**12])
def test_counts_fill_64_bits(under_test: SqlUnderTest, total: int) -> None:
    session = committed(under_test, a_fleet(2), records_total=total)
    assert session.records_expected == total
    assert under_test.store.session(session.session_id).pages_expected in {None, (total + 1) // 2}
