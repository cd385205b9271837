"""Nights in a row on any fleet and any list: every table is what plain Python makes of them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim_sync.core.discrepancies import Kind
from sim_sync.core.inventory import InventorySim
from sim_sync.core.sims import Sim
from sim_sync.warehouse.inventory import load_inventory
from sim_sync.warehouse.reconcile import reconcile
from sim_sync.warehouse.scratch import exact_digests
from sim_sync_tests.fakes.fleet import CARRIER
from sim_sync_tests.warehouse.databases import SqlUnderTest, empty_tables, rows_of
from sim_sync_tests.warehouse.nights_model import FIELDS, ModelOfNights
from sim_sync_tests.warehouse.store_under_test import night

_STATUSES = st.sampled_from([None, "active", "suspended", "terminated", "unknown"])
_MSISDNS = st.sampled_from([None, "", "+49151234", "0049151234", "49 151-234", "49151235", "151234"])
_PLANS = st.sampled_from([None, "", "iot-5", "iot-50"])
#: Four stems with check digits of their own, or without: so that forms meet, and crowd.
_ICCIDS = st.builds(
    lambda stem, check: f"898830300000801393{stem}{check}", st.integers(0, 3), st.sampled_from(["", "1", "2"])
)


class Night(NamedTuple):
    """What the carrier says in a night, and what our list says."""

    fleet: Sequence[Sim]
    listed: Sequence[InventorySim]


def _sim(iccid: str, status: str | None, pending: bool, msisdn: str | None, plan: str | None) -> Sim:
    return Sim(
        sim_id=f"id-{iccid}",
        iccid=iccid,
        iccid_raw=iccid,
        status=status or "unknown",
        pending=pending,
        msisdn=msisdn,
        rate_plan=plan,
    )


def _listed(iccid: str, status: str | None, msisdn: str | None, plan: str | None) -> InventorySim:
    return InventorySim(CARRIER, iccid, iccid, status=status, msisdn=msisdn, rate_plan=plan)


_FLEETS = st.lists(
    st.builds(_sim, _ICCIDS, _STATUSES, st.booleans(), _MSISDNS, _PLANS), max_size=9, unique_by=lambda sim: sim.iccid
)
_LISTS = st.lists(
    st.builds(_listed, _ICCIDS, _STATUSES, _MSISDNS, _PLANS), min_size=1, max_size=9, unique_by=lambda row: row.iccid
)
_NIGHTS = st.lists(st.builds(Night, _FLEETS, _LISTS), min_size=2, max_size=5)
_ANY = settings(deadline=None, suppress_health_check=list(HealthCheck), report_multiple_bugs=False)


@given(nights=_NIGHTS)
@settings(_ANY, max_examples=15)
def test_nights_in_sqlite_come_to_what_plain_python_makes_of_them(
    sqlite_engine: sa.Engine, nights: Sequence[Night]
) -> None:
    live_through(sqlite_engine, nights)


@given(nights=_NIGHTS)
@settings(_ANY, max_examples=6)
def test_nights_in_postgresql_come_to_what_plain_python_makes_of_them(
    postgres_engine: sa.Engine, nights: Sequence[Night]
) -> None:
    live_through(postgres_engine, nights)


def live_through(engine: sa.Engine, nights: Sequence[Night]) -> None:
    """Live through the nights, and compare every table after each of them."""
    empty_tables(engine)
    under_test, model = SqlUnderTest(engine), ModelOfNights()
    for fleet, listed in nights:
        loaded_at = under_test.clock.advance(60)
        load_inventory(engine, CARRIER, listed, now=loaded_at, min_percent=0)
        session = night(under_test, fleet[:4], fleet[4:])
        assert session.finished_at is not None
        counts = reconcile(engine, CARRIER, FIELDS)
        assert counts.as_of == session.finished_at

        model.load(listed)
        assert session.sweep_state == model.walk(fleet, session.finished_at)
        model.compare(session.finished_at)
        assert_tables(engine, model)
        assert counts.by_kind() == model.counts(session.finished_at)

        before = exact_digests(engine)
        load_inventory(engine, CARRIER, listed, now=under_test.clock.advance(60), min_percent=0)
        reconcile(engine, CARRIER, FIELDS)
        assert exact_digests(engine) == before, "a re-run with nothing changed"


def assert_tables(engine: sa.Engine, model: ModelOfNights) -> None:
    marks = {row["sim_id"]: (row["absent_since"], row["vanished_at"]) for row in rows_of(engine, "carrier_sims")}
    assert marks == {sim_id: (model.absent_since.get(sim_id), model.vanished_at.get(sim_id)) for sim_id in model.fleet}
    kept = {(row["kind"], row["field"], row["iccid"]): row for row in rows_of(engine, "sim_discrepancies")}
    assert {key: _without_severity(row) for key, row in kept.items()} == {
        key: vars(one) for key, one in model.discrepancies.items()
    }
    ours = {row["iccid"] for row in rows_of(engine, "inventory_sims") if row["removed_at"] is None}
    assert ours == set(model.list)


def _without_severity(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: row[name] for name in ("ours", "theirs", "first_seen_at", "last_seen_at", "times_seen", "resolved_at")
    }


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_night_on_which_the_carrier_returns_nothing_or_half_marks_nothing_and_reports_nothing_missing(
    engine: sa.Engine, share: float
) -> None:
    under_test = SqlUnderTest(engine)
    fleet = [_sim(f"8988303{number:012d}", "active", False, None, None) for number in range(100)]
    listed = [_listed(str(sim.iccid), "active", None, None) for sim in fleet]
    load_inventory(engine, CARRIER, listed, now=under_test.clock.now(), min_percent=0)
    night(under_test, fleet)
    reconcile(engine, CARRIER, FIELDS)
    before = exact_digests(engine)
    for _ in range(3):
        session = night(under_test, fleet[: int(len(fleet) * share)])
        assert session.sweep_state == "held"
        counts = reconcile(engine, CARRIER, FIELDS)
        assert {kind: tuple(each) for kind, each in counts.kinds.items()} == dict.fromkeys(Kind, (0, 0, 0, 0))
    marks = {(row["absent_since"], row["vanished_at"]) for row in rows_of(engine, "carrier_sims")}
    assert marks == {(None, None)}
    after = exact_digests(engine)
    assert (after["sim_discrepancies"], after["inventory_sims"]) == (
        before["sim_discrepancies"],
        before["inventory_sims"],
    )
