"""A SIM whose record is what it was is not even read, and every table is what reading it would have made of them."""

import math
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sim_sync.carriers.json_bodies import Ambiguous, NumberText
from sim_sync.carriers.messages import Request, Response
from sim_sync.carriers.pagination import NextLinkInBody
from sim_sync.carriers.records import RecordMap
from sim_sync.carriers.registry import built_in
from sim_sync.carriers.secrets import Redactor
from sim_sync.carriers.source import PageReader
from sim_sync.core.pages import Page
from sim_sync.core.session import Session
from sim_sync.core.sims import Lifecycle, StatusMeaning, StatusWords
from sim_sync.core.sweep import SweepPolicy
from sim_sync.warehouse.engine import transaction
from sim_sync.warehouse.tables import carrier_sims
from sim_sync_tests.fakes.fleet import FIRST_CURSOR
from sim_sync_tests.warehouse.databases import SqlUnderTest, empty_tables, rows_of
from sim_sync_tests.warehouse.store_under_test import TABLES, committed, opened

SECRET = "correct-horse"
FIELDS = {"iccid": "iccid", "imsi": "subscriber.imsi", "status": "state", "label": "label"}
WORDS = StatusWords({"on": StatusMeaning(Lifecycle.ACTIVE), "off": StatusMeaning(Lifecycle.SUSPENDED)})
BY_ID = RecordMap(fields={"sim_id": "id", **FIELDS}, statuses=WORDS, ignored=frozenset({"fetched_at"}))
BY_ICCID = RecordMap(fields={"iccid_with_luhn": "iccid20", **FIELDS}, statuses=WORDS, ignored=frozenset({"fetched_at"}))

Records = Sequence[Any]
Way = Callable[[Page], Page]

read_at_once = Page.read


def as_it_came(page: Page) -> Page:
    return page


class Night(NamedTuple):
    """What the carrier lists, page by page, and what happens besides."""

    pages: Sequence[Records]
    release: str = "1"
    secrets: Sequence[str] = ()
    starts_again: bool = False
    by_hand: bool = False


def reader(record_map: RecordMap, night: Night) -> PageReader:
    pagination = NextLinkInBody(Request(path="/v1/Sims"), "meta.next_page_url")
    connector = replace(built_in()["twilio_super_sim"], record_map=record_map)
    return PageReader(connector, pagination, record_map, Redactor(night.secrets), night.release)


def page_of(reads: PageReader, records: Records) -> Page:
    body = {"sims": list(records), "meta": {"next_page_url": None}}
    return reads.read({"page": "/v1/Sims"}, Response(status=200, headers={}, body=body), lambda path: path)


def walked(under_test: SqlUnderTest, record_map: RecordMap, night: Night, way: Way) -> Session:
    """Walk over what the carrier lists in a night, each page read in one way, and close the session."""
    under_test.clock.advance(3600)
    if night.by_hand:
        with transaction(under_test.engine, "by hand") as connection:
            connection.execute(carrier_sims.update().values(label="by hand", stored_digest=None))
    session, reads = opened(under_test), reader(record_map, night)

    def commit(number: int, session: Session) -> Session:
        page = way(page_of(reads, night.pages[number]))
        return committed(
            under_test,
            session,
            replace(page, next_cursor={"page": number + 1} if number + 1 < len(night.pages) else None),
        )

    if night.starts_again and len(night.pages) > 1:
        session = under_test.store.commit_walk_restart(commit(0, session).claim, FIRST_CURSOR, "HTTP 410")
    for number in range(len(night.pages)):
        session = commit(number, session)
    return under_test.store.close_session(session.claim, SweepPolicy(), session.config_hash)


#: What differs between two runs of the same history, and by how a SIM was seen.
OWN = {"session_id", "id", "last_seen_session", "record_digest"}


def told(under_test: SqlUnderTest) -> Mapping[str, list[dict[str, Any]]]:
    """Return what all tables say."""
    rows = {name: rows_of(under_test.engine, name) for name in TABLES}
    return {
        name: sorted(({key: row[key] for key in row if key not in OWN} for row in found), key=repr)
        for name, found in rows.items()
    }


def histories(engine: sa.Engine, record_map: RecordMap, nights: Sequence[Night], way: Way) -> list[Any]:
    """Return what the tables say after each night."""
    empty_tables(engine)
    under_test, found = SqlUnderTest(engine), []
    for night in nights:
        walked(under_test, record_map, night, way)
        found.append(told(under_test))
    return found


_ICCIDS = ["8988307000000000011", "89883070000000000117", "89883070000000000112", "8988307000000000029", "x", None]
_IDS = ["a", "b", "c", " a", "", None, 7, "7", 7.5, "\0"]
_RECORDS = st.fixed_dictionaries(
    {"id": st.sampled_from(_IDS), "iccid": st.sampled_from(_ICCIDS)},
    optional={
        "iccid20": st.sampled_from(_ICCIDS[:4]),
        "state": st.sampled_from(["on", "ON", "off", "broken", None]),
        "label": st.sampled_from(["x", f"of {SECRET}", 5, math.nan, {"b": 1, "a": [SECRET]}]),
        "subscriber": st.sampled_from([{"imsi": "295010000000001"}, {"imsi": "2950-10000000001", "token": "t"}, []]),
        "fetched_at": st.integers(0, 9),
        "pin": st.sampled_from(["1234", "5678"]),
        "usage": st.sampled_from([1, 2, "\ud800"]),
    },
)
_POOLS = st.lists(st.one_of(_RECORDS, _RECORDS, _RECORDS, st.just("no object")), min_size=1, max_size=6)


@st.composite
def _histories(draw: st.DrawFn) -> list[Night]:
    """Draw nights whose records come from one pool, so that many are what they were."""
    pool = draw(_POOLS)
    pages = st.lists(st.lists(st.sampled_from(pool), max_size=5), min_size=1, max_size=3)
    secrets = st.sampled_from([(), (), (SECRET,), (SECRET, "295010000000001")])
    nights = st.builds(Night, pages, st.sampled_from(["1", "1", "2"]), secrets, st.booleans(), st.booleans())
    return draw(st.lists(nights, min_size=2, max_size=4))


def listed(sim_id: str, iccid: str, **fields: Any) -> dict[str, Any]:
    return {"id": sim_id, "iccid": iccid, "state": "on", **fields}


SHORT, LONG = "8988307000000000011", "89883070000000000117"
A, AGAIN = listed("a", SHORT), listed(" a", SHORT, label="x")
OTHER_FORM = listed("b", LONG)


@pytest.mark.parametrize("record_map", [BY_ID, BY_ICCID], ids=["by id", "by ICCID"])
@given(nights=_histories())
@example(nights=[Night([[A]]), Night([[A, OTHER_FORM]]), Night([[A], [OTHER_FORM]]), Night([[OTHER_FORM]])])
@example(nights=[Night([[A]]), Night([[OTHER_FORM]]), Night([[OTHER_FORM]]), Night([[A, OTHER_FORM]])])
@example(nights=[Night([[A]]), Night([[A, AGAIN]]), Night([[A]]), Night([[AGAIN, A]]), Night([[A]])])
@example(nights=[Night([[A]]), Night([[A, A]]), Night([[]]), Night([[]]), Night([[A]])])
@example(nights=[Night([[{**A, "label": SECRET}]]), Night([[{**A, "label": SECRET}]], secrets=[SECRET])])
@example(nights=[Night([[A]]), Night([[A]], by_hand=True), Night([[A]])])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whether_or_not_records_are_read_all_tables_say_the_same(
    engine: sa.Engine, record_map: RecordMap, nights: list[Night]
) -> None:
    assert histories(engine, record_map, nights, as_it_came) == histories(engine, record_map, nights, read_at_once)


class Counted:
    """A field of a record that counts how often it is read."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, record: Mapping[str, Any]) -> Any:
        self.times += 1
        return record.get("label")


def a_record(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": f"sim-{number}", "iccid": f"8988307{number:013d}", "state": "on", **fields}


def fleet_of(size: int, **fields: Any) -> list[dict[str, Any]]:
    return [a_record(number, **fields) for number in range(size)]


def digests(under_test: SqlUnderTest) -> dict[str, int | None]:
    return {row["sim_id"]: row["record_digest"] for row in rows_of(under_test.engine, "carrier_sims")}


def test_only_records_that_are_not_what_they_were_are_read(engine: sa.Engine) -> None:
    under_test, label = SqlUnderTest(engine), Counted()
    record_map = replace(BY_ID, fields={**BY_ID.fields, "label": label})
    walked(under_test, record_map, Night([fleet_of(4)]), as_it_came)
    assert label.times == 4
    walked(under_test, record_map, Night([fleet_of(4)]), as_it_came)
    assert label.times == 4
    session = walked(under_test, record_map, Night([[*fleet_of(3), a_record(3, label="new")]]), as_it_came)
    assert (label.times, session.records_changed, session.records_seen, session.sweep_state) == (5, 1, 4, "done")
    vanished = walked(under_test, record_map, Night([fleet_of(3)]), as_it_came)
    assert (label.times, vanished.records_seen) == (5, 3)


@pytest.mark.parametrize(
    ("told", "is_read"),
    [
        ({"fetched_at": 2}, False),
        ({"pin": "1234"}, False),
        ({"updated": "2026-01-01T00:00:00+00:00"}, True),
        ({"subscriber": {"token": "another"}}, True),
    ],
    ids=["an ignored key", "a secret", "the same time in another form", "a secret in the depth"],
)
def test_what_makes_no_difference_writes_no_row(engine: sa.Engine, told: dict[str, Any], is_read: bool) -> None:
    under_test = SqlUnderTest(engine)
    record_map = replace(BY_ID, fields={**BY_ID.fields, "carrier_updated_at": "updated"})
    record = {"updated": "2026-01-01T00:00:00Z", "subscriber": {"token": "one"}, **a_record(0)}
    walked(under_test, record_map, Night([[record]]), as_it_came)
    before = rows_of(engine, "carrier_sims")
    in_another_order = dict(reversed({**record, **told}.items()))
    walked(under_test, record_map, Night([[in_another_order]]), as_it_came)
    assert rows_of(engine, "carrier_sims") == before
    unread = page_of(reader(record_map, Night([])), [in_another_order]).unread
    assert unread is not None
    assert (unread.digests["sim-0"] != before[0]["record_digest"]) == is_read


def test_a_row_without_a_digest_or_with_that_of_another_mapping_gets_one_and_keeps_what_it_says(
    engine: sa.Engine,
) -> None:
    under_test = SqlUnderTest(engine)
    walked(under_test, BY_ID, Night([fleet_of(2)]), read_at_once)
    assert digests(under_test) == {"sim-0": None, "sim-1": None}
    before = told(under_test)["carrier_sims"]
    for release in ("1", "2"):
        session = walked(under_test, BY_ID, Night([fleet_of(2)], release), as_it_came)
        unread = page_of(reader(BY_ID, Night([], release)), fleet_of(2)).unread
        assert unread is not None
        assert digests(under_test) == unread.digests
        assert (told(under_test)["carrier_sims"], session.records_changed) == (before, 0)


@pytest.mark.parametrize("secret", [SECRET, "29501", 'a"b"c'], ids=["in a text", "a number", "as JSON may hold it"])
def test_records_that_may_hold_a_secret_of_the_account_are_always_read(secret: str) -> None:
    page = page_of(reader(BY_ID, Night([], secrets=[secret])), [a_record(0, label=f"of {SECRET}")])
    assert page.unread is not None
    assert page.unread.digests == {}


def test_a_record_that_holds_what_json_has_not_or_whose_id_stands_on_the_page_twice_is_always_read() -> None:
    records = [Ambiguous(a_record(0)), a_record(1, label=NumberText("1e999")), a_record(2), a_record(2), a_record(3)]
    unread = page_of(reader(BY_ID, Night([])), records).unread
    assert unread is not None
    assert set(unread.digests) == {"sim-3"}


def test_the_mapping_of_records_is_known_by_its_fields_words_and_functions() -> None:
    maps = [
        BY_ID,
        replace(BY_ID, fields={**BY_ID.fields, "label": "name"}),
        replace(BY_ID, fields={**BY_ID.fields, "label": labelled("name")}),
        replace(BY_ID, fields={**BY_ID.fields, "label": labelled("label")}),
        replace(BY_ID, statuses=BY_ID.statuses.overridden_by({"on": StatusMeaning(Lifecycle.TEST_READY)})),
        replace(BY_ID, msisdn_region="US"),
    ]
    found = [page_of(reader(one, Night([])), fleet_of(1)).unread for one in (*maps, *maps)]
    told = [unread.digests["sim-0"] for unread in found if unread is not None]
    assert len(set(told)) == len(maps)
    assert told[: len(maps)] == told[len(maps) :]


def test_a_record_that_can_be_no_sim_stays_so_when_the_usable_one_with_its_id_has_left(engine: sa.Engine) -> None:
    odd = replace(BY_ID, fields={**BY_ID.fields, "label": lambda record: record["label"]["text"]})
    unusable, usable = a_record(0, label="no object"), {**a_record(0, label={"text": "one"}), "id": " sim-0 "}
    nights = [Night([[unusable, usable]]), Night([[unusable]])]
    assert histories(engine, odd, nights, as_it_came) == histories(engine, odd, nights, read_at_once)


def test_hosts_with_another_build_of_the_same_python_make_the_same_digests() -> None:
    program = """
import sys
from sim_sync_tests.warehouse.test_records_as_they_came import BY_ID, Night, fleet_of, page_of, reader
sys.version = "3 (another build)"
print(page_of(reader(BY_ID, Night([])), fleet_of(1)).unread.digests["sim-0"])
"""
    other = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    unread = page_of(reader(BY_ID, Night([])), fleet_of(1)).unread
    assert unread is not None
    assert int(other.stdout) == unread.digests["sim-0"]


def labelled(key: str) -> Callable[[Mapping[str, Any]], Any]:
    return lambda record: record.get(key)
