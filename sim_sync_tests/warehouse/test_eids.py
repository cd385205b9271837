"""Which SIM is which by EID: eUICCs, their profiles, and the rows of our list that name either or both."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim_sync.core.discrepancies import CompanyRules, Prices
from sim_sync.core.inventory import BY_EID, InventorySim
from sim_sync.core.sims import Sim
from sim_sync.core.storable import canonical_json
from sim_sync.core.sweep import SweepPolicy
from sim_sync.warehouse.inventory import load_inventory
from sim_sync.warehouse.reconcile import reconcile
from sim_sync_tests.fakes.fleet import CARRIER
from sim_sync_tests.warehouse.databases import SqlUnderTest, empty_tables, rows_of
from sim_sync_tests.warehouse.nights_model import paired
from sim_sync_tests.warehouse.store_under_test import opened, walked

STEM = "8988303000008013931"
OTHER, THIRD = STEM[:-1] + "2", STEM[:-1] + "3"
EID = "89049032123451234512345678901235"
EIDS = (EID, "89049011803455664400046832584675")
FIELDS = ("status", "msisdn")
Found = dict[tuple[str, str, str], tuple[str | None, str | None]]


def theirs(iccid: str | None, eid: str | None = EID, *, sim_id: str | None = None, **fields: Any) -> Sim:
    return Sim(sim_id or f"id-{iccid}", iccid, iccid, eid=eid, status="active")._replace(**fields)


def ours(iccid: str | None, eid: str | None = EID, carrier: str = CARRIER, **fields: Any) -> InventorySim:
    """Return a row of our list as reading it makes it."""
    return InventorySim(carrier, iccid or f"{BY_EID}{eid}", iccid, eid=eid, status="active")._replace(**fields)


def night(
    under_test: SqlUnderTest, fleet: Sequence[Sim], listed: Sequence[InventorySim], carrier: str = CARRIER
) -> None:
    load_inventory(under_test.engine, carrier, listed, min_percent=0, now=under_test.clock.advance(60))
    session = walked(under_test, opened(under_test, carrier=carrier), fleet)
    under_test.store.close_session(session.claim, SweepPolicy(), session.config_hash)


def found_of(engine: sa.Engine, carrier: str = CARRIER) -> Found:
    """Return what is open at a carrier: kind, field and name to what both sides say."""
    return {
        (row["kind"], row["field"], row["iccid"]): (row["ours"], row["theirs"])
        for row in rows_of(engine, "sim_discrepancies")
        if row["resolved_at"] is None and row["carrier"] == carrier
    }


def compared(engine: sa.Engine, listed: Sequence[InventorySim], fleet: Sequence[Sim]) -> Found:
    night(SqlUnderTest(engine), fleet, listed)
    reconcile(engine, CARRIER, FIELDS)
    return found_of(engine)


def test_a_row_that_names_an_euicc_alone_is_its_profile(engine: sa.Engine) -> None:
    assert compared(engine, [ours(None, msisdn="+1")], [theirs(STEM, msisdn="+2")]) == {
        ("mismatch", "msisdn", f"eid:{EID}"): ("+1", "+2")
    }


def test_an_euicc_is_compared_with_its_profile_in_use_and_its_other_profiles_are_known(engine: sa.Engine) -> None:
    fleet = [
        theirs(STEM, status="suspended", msisdn="+1"),
        theirs(OTHER, msisdn="+2"),
        theirs(THIRD, status="replaced"),
    ]
    assert compared(engine, [ours(None, msisdn="+2")], fleet) == {}


def test_of_several_profiles_that_may_be_in_use_only_the_status_is_compared(engine: sa.Engine) -> None:
    fleet = [theirs(STEM, status="suspended", msisdn="+1"), theirs(OTHER, status="suspended", msisdn="+2")]
    assert compared(engine, [ours(None, msisdn="+3")], fleet) == {
        ("mismatch", "status", f"eid:{EID}"): ("active", "suspended")
    }


def test_a_profile_that_was_changed_is_one_finding_and_neither_missing_nor_unknown(engine: sa.Engine) -> None:
    assert compared(engine, [ours(STEM)], [theirs(OTHER)]) == {("mismatch", "iccid", STEM): (STEM, OTHER)}
    (row,) = rows_of(engine, "sim_discrepancies")
    assert (row["severity"], row["advice"]) == (
        "medium",
        "Correct the ICCID in our list: the eUICC has another profile than it says.",
    )


@pytest.mark.parametrize(
    ("listed", "fleet"),
    [([STEM], [OTHER, THIRD]), ([STEM, OTHER], [THIRD])],
    ids=["one row and two profiles", "two rows and one profile"],
)
def test_which_profile_is_meant_is_never_guessed(engine: sa.Engine, listed: list[str], fleet: list[str]) -> None:
    found = compared(engine, [ours(iccid) for iccid in listed], [theirs(iccid) for iccid in fleet])
    assert {key[::2] for key in found} == {
        *(("missing_at_carrier", iccid) for iccid in listed),
        *(("unknown_to_us", iccid) for iccid in fleet),
    }


def test_iccids_go_before_eids_and_a_profile_that_no_row_names_is_unknown(engine: sa.Engine) -> None:
    assert compared(engine, [ours(STEM)], [theirs(STEM), theirs(OTHER)]) == {
        ("unknown_to_us", "", OTHER): (None, "active")
    }


def test_an_euicc_is_missing_only_where_the_carrier_has_no_profile_of_it(engine: sa.Engine) -> None:
    assert compared(engine, [ours(STEM), ours(None)], [theirs(STEM)]) == {}
    engine_found = compared(engine, [ours(None, EIDS[1])], [theirs(STEM, None)])
    assert engine_found == {
        ("missing_at_carrier", "", f"eid:{EIDS[1]}"): ("active", None),
        ("unknown_to_us", "", STEM): (None, "active"),
    }


def test_what_too_many_sims_have_is_no_eid_and_hides_none_of_them(engine: sa.Engine) -> None:
    fleet = [theirs(f"8988303000009{number:06}") for number in range(101)]
    same = [ours(sim.iccid) for sim in fleet[1:]]
    found = compared(engine, [ours(None), *same[1:]], fleet)
    assert [key[::2] for key in found] == [("unknown_to_us", fleet[0].iccid), ("unknown_to_us", fleet[1].iccid)]
    found = compared(engine, [ours(STEM), *same], fleet)
    assert {key[::2] for key in found} == {("missing_at_carrier", STEM), ("unknown_to_us", fleet[0].iccid)}


def test_an_eid_tells_which_of_two_forms_is_meant(engine: sa.Engine) -> None:
    fleet = [theirs(STEM + "1"), theirs(STEM + "2", EIDS[1])]
    assert compared(engine, [ours(STEM)], fleet) == {("unknown_to_us", "", STEM + "2"): (None, "active")}


def test_a_sim_without_an_iccid_is_matched_by_its_eid(engine: sa.Engine) -> None:
    assert compared(engine, [ours(None)], [theirs(None, sim_id="7")]) == {}


def test_a_sim_whose_iccid_cannot_be_one_is_quality_and_matched_by_its_eid(engine: sa.Engine) -> None:
    bad = theirs(None, sim_id="7", quality_flags=canonical_json(["iccid_malformed"]))._replace(iccid_raw="12AB")
    night(SqlUnderTest(engine), [bad], [ours(None)])
    reconcile(engine, CARRIER, FIELDS, CompanyRules(prices=Prices(currency="EUR", plans={}, default=Decimal(1))))
    assert found_of(engine) == {("quality", "iccid", "sim_id:7"): (None, "12AB")}
    (row,) = rows_of(engine, "sim_discrepancies")
    assert row["monthly_cost"] == 0


def test_a_card_that_our_list_does_not_say_differs_where_eids_are_compared(engine: sa.Engine) -> None:
    night(SqlUnderTest(engine), [theirs(STEM)], [ours(STEM, EIDS[1])])
    reconcile(engine, CARRIER, ["eid"])
    assert found_of(engine) == {("mismatch", "eid", STEM): (EIDS[1], EID)}


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_an_euicc_has_profiles_at_two_carriers_and_each_is_matched_with_its_own_row(
    engine: sa.Engine, order: Sequence[str]
) -> None:
    under_test = SqlUnderTest(engine)
    fleets = {"a": [theirs(STEM)], "b": [theirs(OTHER)]}
    for listed, expected in (
        ({"a": [ours(None, carrier="a")], "b": [ours(None, carrier="b")]}, {}),
        ({"a": [ours(None, carrier="a")], "b": []}, {("unknown_to_us", "", OTHER): (None, "active")}),
    ):
        for carrier in order:
            night(under_test, fleets[carrier], listed[carrier], carrier)
            reconcile(engine, carrier, FIELDS, CompanyRules(carriers=("a", "b")))
        assert (found_of(engine, "a"), found_of(engine, "b")) == ({}, expected)


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_an_iccid_at_another_carrier_goes_before_the_eid_whoever_is_compared_last(
    engine: sa.Engine, order: Sequence[str]
) -> None:
    under_test = SqlUnderTest(engine)
    listed = {"a": [ours(STEM, carrier="a")], "b": [ours(THIRD, None, carrier="b")]}
    swapped = {("mismatch", "iccid", STEM): (STEM, OTHER)}
    moved = {("unknown_to_us", "", OTHER): (None, "active")}
    for b_has, at_a, at_b in (
        ([THIRD], swapped, {}),
        ([THIRD, STEM], moved, {("wrong_carrier", "", STEM): ("a", "b")}),
    ):
        for carrier in order:
            fleet = [theirs(OTHER)] if carrier == "a" else [theirs(iccid, None) for iccid in b_has]
            night(under_test, fleet, listed[carrier], carrier)
            reconcile(engine, carrier, FIELDS, CompanyRules(carriers=("a", "b")))
        assert (found_of(engine, "a"), found_of(engine, "b")) == (at_a, at_b)


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_a_sim_without_an_iccid_stays_unknown_whoever_is_compared_last(engine: sa.Engine, order: Sequence[str]) -> None:
    under_test = SqlUnderTest(engine)
    fleets = {
        "a": [theirs(THIRD, None)],
        "b": [theirs(STEM), theirs(None, sim_id="bare"), theirs(THIRD + "7", EIDS[1])],
    }
    listed = {"a": [ours(STEM, carrier="a"), ours(THIRD, None, "a")], "b": [ours(OTHER, EIDS[1], "b")]}
    for _ in range(2):
        for carrier in order:
            night(under_test, fleets[carrier], listed[carrier], carrier)
            reconcile(engine, carrier, FIELDS, CompanyRules(carriers=("a", "b")))
        assert found_of(engine, "b")["unknown_to_us", "", "sim_id:bare"] == (None, "active")
    rows = [row for row in rows_of(engine, "sim_discrepancies") if row["iccid"] == "sim_id:bare"]
    assert [(row["resolved_at"], row["times_seen"]) for row in rows] == [(None, 2)]


def expected_of(listed: Sequence[InventorySim], fleet: Sequence[Sim]) -> Found:
    """Return what differs, from the documentation and in plain Python."""
    by_name = {sim.iccid or f"sim_id:{sim.sim_id}": sim for sim in fleet}
    rows = {row.iccid: row for row in listed}
    pairs = paired({name for name in rows if name.isdigit()}, {name for name in by_name if name.isdigit()})
    known = set(pairs.values())
    left, free = set(rows) - set(pairs), set(by_name) - known
    there = set[str]()
    untold = set[str]()
    for eid in {row.eid for row in listed} - {None}:
        mine = [name for name in left if rows[name].eid == eid]
        told = sorted(name for name in free if by_name[name].eid == eid)
        if (card := f"eid:{eid}") in mine:
            there |= {card for sim in fleet if sim.eid == eid}
            known |= set(told)
            best = list(_in_use(told, by_name))
            pairs |= {card: best[0]} if best else {}
            untold |= {card} if len(best) > 1 else set()
        elif len(mine) == len(told) == 1:
            pairs[mine[0]] = told[0]
            known.add(told[0])
    found: Found = {}
    for name in set(rows) - set(pairs) - there:
        found["missing_at_carrier", "", name] = (rows[name].status, None)
    for name in set(by_name) - known:
        found["unknown_to_us", "", name] = (None, by_name[name].status)
    for name, other in pairs.items():
        row, sim = rows[name], by_name[other]
        if name.isdigit() and other.isdigit() and name != other and not _are_forms(name, other):
            found["mismatch", "iccid", name] = (name, other)
        for field in FIELDS if name not in untold else ("status",):
            one, two = getattr(row, field), getattr(sim, field)
            if one and two and one != two:
                found["mismatch", field, name] = (one, two)
    return found


def _in_use(names: Sequence[str], by_name: Mapping[str, Sim]) -> Iterator[str]:
    for status in ("active", "suspended", "terminated"):
        if some := [name for name in names if by_name[name].status == status]:
            yield from some
            return


def _are_forms(one: str, other: str) -> bool:
    return len(one) != len(other) and one[:19] == other[:19]


_ICCIDS = st.sampled_from([None, STEM, STEM + "1", STEM + "2", OTHER, THIRD])
_CARDS = st.sampled_from([None, *EIDS])
_TOLD = st.fixed_dictionaries(
    {"status": st.sampled_from(["active", "suspended", "terminated"]), "msisdn": st.sampled_from([None, "+1", "+2"])}
)
_ROWS = st.builds(lambda iccid, eid, told: ours(iccid, eid, **told), _ICCIDS, _CARDS, _TOLD)
_LISTS = st.lists(
    _ROWS.filter(lambda row: row.iccid != "eid:None"), min_size=1, max_size=6, unique_by=lambda row: row.iccid
)
_FLEETS = st.lists(
    st.builds(
        lambda iccid, eid, sim_id, told: theirs(iccid, eid, sim_id=sim_id if iccid is None else None, **told),
        *(_ICCIDS, _CARDS, st.sampled_from(["7", "8"]), _TOLD),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda sim: sim.sim_id,
)
_ANY = settings(deadline=None, suppress_health_check=list(HealthCheck), report_multiple_bugs=False)


@given(listed=_LISTS, fleet=_FLEETS)
@settings(_ANY, max_examples=60)
def test_any_list_and_fleet_in_sqlite_are_matched_as_plain_python_does(
    sqlite_engine: sa.Engine, listed: Sequence[InventorySim], fleet: Sequence[Sim]
) -> None:
    empty_tables(sqlite_engine)
    assert compared(sqlite_engine, listed, fleet) == expected_of(listed, fleet)


@given(listed=_LISTS, fleet=_FLEETS)
@settings(_ANY, max_examples=15)
def test_any_list_and_fleet_in_postgresql_are_matched_as_plain_python_does(
    postgres_engine: sa.Engine, listed: Sequence[InventorySim], fleet: Sequence[Sim]
) -> None:
    empty_tables(postgres_engine)
    assert compared(postgres_engine, listed, fleet) == expected_of(listed, fleet)
