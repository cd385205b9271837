"""Acknowledged discrepancies on both databases: hidden until their date, and back as soon as they change."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from sim_sync.core.errors import InputError
from sim_sync.core.inventory import InventorySim
from sim_sync.core.sweep import SweepPolicy
from sim_sync.warehouse.discrepancies import (
    DiscrepancyRow,
    KindCount,
    Wanted,
    acknowledge,
    count_discrepancies,
    count_muted,
    discrepancies,
)
from sim_sync.warehouse.inventory import load_inventory
from sim_sync.warehouse.knowledge import count_high_discrepancies
from sim_sync.warehouse.reconcile import reconcile
from sim_sync.warehouse.store import SqlSessionStore
from sim_sync.warehouse.tables import sim_discrepancies
from sim_sync_tests.fakes.fleet import a_page, a_request, a_sim

FAR = datetime(2100, 1, 1, tzinfo=UTC)
MISSING = a_sim(9).iccid or ""


def ours(number: int, **fields: Any) -> InventorySim:
    iccid = a_sim(number).iccid or ""
    return InventorySim(**{"carrier": "acme", "iccid": iccid, "iccid_raw": iccid, "status": "active", **fields})


class MutingHarness:
    """A carrier with SIM 1, compared with lists of ours."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        store = SqlSessionStore(engine)
        session = store.open_session(a_request()).session
        assert session.cursor is not None
        page = a_page([a_sim(1, label="theirs", rate_plan="P1"), a_sim(5, iccid=None, label="no ICCID")])
        session = store.commit_page(session.claim, session.cursor, page)
        store.close_session(session.claim, SweepPolicy(), session.config_hash)

    def compared(self, *rows: InventorySim) -> None:
        load_inventory(self.engine, "acme", rows)
        reconcile(self.engine, "acme", ("status",))

    def acknowledge(self, *iccids: str, **told: Any) -> int:
        return acknowledge(self.engine, ["acme"], iccids or [MISSING], **{"by": "eve", **told})

    def listed(self, **wanted: Any) -> list[DiscrepancyRow]:
        return list(discrepancies(self.engine, Wanted(carriers=["acme"], **wanted)))

    def iccids(self, **wanted: Any) -> set[str]:
        return {row.iccid for row in self.listed(**wanted)}

    def is_listed(self) -> bool:
        return MISSING in self.iccids()


@pytest.fixture
def harness(engine: sa.Engine) -> MutingHarness:
    """SIM 9 is on our list alone."""
    made = MutingHarness(engine)
    made.compared(ours(1), ours(9))
    return made


def test_an_acknowledged_one_leaves_lists_and_counts_and_stays_in_all(harness: MutingHarness) -> None:
    assert count_high_discrepancies(harness.engine, ["acme"]) == {"acme": 2}
    assert harness.acknowledge(until=FAR, reason="a test SIM") == 1
    assert not harness.is_listed()
    assert count_high_discrepancies(harness.engine, ["acme"]) == {"acme": 1}
    assert count_muted(harness.engine, Wanted(carriers=["acme"])) == 1
    assert count_discrepancies(harness.engine, Wanted(carriers=["acme"])) == [
        KindCount("unknown_to_us", "high", 1, without_price=1)
    ]
    (row,) = [row for row in harness.listed(include_hidden=True) if row.iccid == MISSING]
    assert (row.muted_by, row.muted_until, row.muted_reason) == ("eve", FAR, "a test SIM")
    assert row.muted_at is not None
    assert row.resolved_at is None


def test_it_stays_hidden_while_nothing_changes(harness: MutingHarness) -> None:
    harness.acknowledge()
    harness.compared(ours(1), ours(9))
    harness.compared(ours(1), ours(9), ours(8))
    assert not harness.is_listed()


def test_it_comes_back_when_its_date_passes(harness: MutingHarness) -> None:
    harness.acknowledge(until=FAR)
    with harness.engine.begin() as connection:
        connection.execute(sim_discrepancies.update().values(muted_until=datetime.now(UTC) - timedelta(days=1)))
    assert harness.is_listed()
    assert count_muted(harness.engine, Wanted(carriers=["acme"])) == 0
    assert count_high_discrepancies(harness.engine, ["acme"]) == {"acme": 2}


@pytest.mark.parametrize("is_new_comparison", [True, False])
def test_it_comes_back_with_another_value(harness: MutingHarness, is_new_comparison: bool) -> None:
    harness.acknowledge(until=FAR)
    changed = [ours(1), ours(9, status="suspended")]
    if is_new_comparison:
        harness.compared(*changed)
    else:  # what was compared is corrected, as after an upgrade
        with harness.engine.begin() as connection:
            connection.execute(sim_discrepancies.update().values(ours="another"))
        reconcile(harness.engine, "acme", ("status",))
    (row,) = [row for row in harness.listed() if row.iccid == MISSING]
    assert (row.muted_at, row.muted_until, row.muted_by, row.muted_reason) == (None, None, None, None)


def test_it_comes_back_when_it_was_resolved_and_opens_again(harness: MutingHarness) -> None:
    harness.acknowledge(until=FAR)
    harness.compared(ours(1))
    assert not harness.is_listed()
    harness.compared(ours(1), ours(9))
    assert harness.is_listed()


def test_another_severity_of_the_same_values_is_no_news(harness: MutingHarness) -> None:
    harness.acknowledge(until=FAR)
    with harness.engine.begin() as connection:
        connection.execute(sim_discrepancies.update().values(severity="low"))
    harness.compared(ours(1), ours(9), ours(8))
    assert not harness.is_listed()


def test_a_second_acknowledgement_replaces_the_first(harness: MutingHarness) -> None:
    harness.acknowledge(until=FAR, reason="first")
    harness.acknowledge(by="mallory")
    (row,) = [row for row in harness.listed(include_hidden=True) if row.iccid == MISSING]
    assert (row.muted_by, row.muted_until, row.muted_reason) == ("mallory", None, None)


@pytest.mark.parametrize("form", [f" {MISSING[:6]} {MISSING[6:]} ", f"{MISSING[:4]}-{MISSING[4:]}"])
def test_an_iccid_is_known_in_other_writings(harness: MutingHarness, form: str) -> None:
    assert harness.acknowledge(form) == 1


def test_a_sim_without_an_iccid_is_acknowledged_as_the_list_names_it(harness: MutingHarness) -> None:
    (name,) = harness.iccids(kinds=["unknown_to_us"])
    assert harness.acknowledge(name) == 1
    assert harness.iccids() == {MISSING}


def test_one_that_is_not_open_acknowledges_nothing(harness: MutingHarness) -> None:
    with pytest.raises(InputError, match="no open discrepancy of 8988"):
        harness.acknowledge(MISSING, a_sim(1).iccid or "")
    assert harness.is_listed()


def test_a_date_that_is_over_is_refused(harness: MutingHarness) -> None:
    with pytest.raises(InputError, match="which is over"):
        harness.acknowledge(until=datetime(2020, 1, 1, tzinfo=UTC))
    assert harness.is_listed()


def test_new_ones_are_those_of_the_newest_comparison(harness: MutingHarness) -> None:
    assert len(harness.iccids(only_new=True)) == 2
    harness.compared(ours(1), ours(9), ours(8))
    assert harness.iccids(only_new=True) == {a_sim(8).iccid}
    reconcile(harness.engine, "acme", ("status",))  # nothing new is known
    assert harness.iccids(only_new=True) == {a_sim(8).iccid}


def test_one_severity_alone_can_be_listed(harness: MutingHarness) -> None:
    harness.compared(ours(1, status="suspended"), ours(9, status="inventory"))
    severities = {row.severity for row in harness.listed()}
    assert len(severities) > 1
    for severity in severities:
        assert {row.severity for row in harness.listed(severities=[severity])} == {severity}


def test_our_list_names_a_sim_and_else_the_carrier(harness: MutingHarness) -> None:
    harness.compared(ours(1, status="suspended", label="ours", msisdn="+49151", rate_plan=""), ours(9, label="lost"))
    named = {row.iccid: (row.label, row.msisdn, row.rate_plan) for row in harness.listed()}
    (unnamed,) = [name for name in named if name.startswith("sim_id:")]
    assert named == {
        a_sim(1).iccid: ("ours", "+49151", "P1"),
        MISSING: ("lost", None, None),
        unnamed: ("no ICCID", None, None),
    }


def test_two_sims_of_one_iccid_double_no_row(harness: MutingHarness) -> None:
    store = SqlSessionStore(harness.engine)
    session = store.open_session(a_request()).session
    assert session.cursor is not None
    twins = [a_sim(1), a_sim(1, sim_id="twin")]
    session = store.commit_page(session.claim, session.cursor, a_page(twins))
    store.close_session(session.claim, SweepPolicy(), session.config_hash)
    harness.compared(ours(1, status="suspended"))
    kinds = [row.kind for row in harness.listed() if row.iccid == a_sim(1).iccid]
    assert kinds == ["duplicate_iccid", "mismatch"]
