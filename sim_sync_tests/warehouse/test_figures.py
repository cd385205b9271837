"""The figures of every carrier, as both databases count them."""

import itertools

import pytest
import sqlalchemy as sa

from sim_sync.core.inventory import InventorySim
from sim_sync.core.pages import Effort
from sim_sync.core.progress import CarrierFigures, Problem, Totals
from sim_sync.core.session import Event, Release, SweepState
from sim_sync.core.sweep import SweepPolicy
from sim_sync.warehouse.discrepancies import acknowledge
from sim_sync.warehouse.inventory import load_inventory
from sim_sync.warehouse.overviews import carrier_figures
from sim_sync.warehouse.reconcile import reconcile
from sim_sync.warehouse.store import SqlSessionStore
from sim_sync_tests.fakes.clock import START
from sim_sync_tests.fakes.fleet import FIRST_CURSOR, a_page, a_rejected, a_request, a_sim


class FiguresHarness:
    """Walks over a few SIMs, and the figures after each event."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.store = SqlSessionStore(engine)

    def figures(self, carrier: str = "acme") -> CarrierFigures:
        (found,) = carrier_figures(self.engine, {carrier: 36.0}, START)
        return found

    def walk(self, *, status: str = "active", rejected: int = 0) -> None:
        session = self.store.open_session(a_request()).session
        assert session.cursor is not None
        page = a_page([a_sim(1, status=status), a_sim(2)], rejected=[a_rejected(place) for place in range(rejected)])
        session = self.store.commit_page(session.claim, session.cursor, page)
        self.store.close_session(session.claim, SweepPolicy(), session.config_hash)


def ours(number: int) -> InventorySim:
    iccid = a_sim(number).iccid
    assert iccid is not None
    return InventorySim(carrier="acme", iccid=iccid, iccid_raw=iccid, status="active")


@pytest.fixture
def harness(engine: sa.Engine) -> FiguresHarness:
    return FiguresHarness(engine)


def test_a_carrier_without_a_walk_has_counted_nothing(harness: FiguresHarness) -> None:
    found = harness.figures()
    assert (found.carrier, found.totals, found.last_certified, found.discrepancies) == ("acme", Totals(), None, None)


def test_the_totals_are_those_of_all_walks_of_the_carrier_alone(harness: FiguresHarness) -> None:
    harness.walk()
    harness.walk(status="suspended")
    other = harness.store.open_session(a_request(carrier="zeta")).session
    harness.store.commit_page(other.claim, FIRST_CURSOR, a_page([a_sim(7)], {"page": 1}))
    assert harness.figures().totals == Totals(
        pages=2, records=4, sims_added=2, sims_changed=1, completed_walks=2, superseded_walks=0
    )


def test_retries_waits_and_resumes_are_counted_with_an_open_walk(harness: FiguresHarness) -> None:
    effort = Effort(retries=2, throttled_seconds=1.5, last_error="HTTP 429")
    session = harness.store.open_session(a_request()).session
    harness.store.commit_page(session.claim, FIRST_CURSOR, a_page([a_sim(1)], {"page": 1}, effort=effort))
    harness.store.release(session.claim, Release(Event.WAIT_TOO_LONG, wait_seconds=0, effort=effort))
    harness.store.open_session(a_request())
    totals = harness.figures().totals
    assert (totals.retries, totals.throttled_seconds, totals.resumes) == (4, 3.0, 1)


def test_no_total_falls_when_a_walk_starts_again(harness: FiguresHarness) -> None:
    harness.walk()
    seen = [harness.figures().totals]
    session = harness.store.open_session(a_request()).session
    for start in range(3):
        assert session.cursor is not None
        session = harness.store.commit_page(session.claim, session.cursor, a_page([a_sim(start)], {"page": start + 1}))
        seen.append(harness.figures().totals)
        session = harness.store.commit_walk_restart(session.claim, FIRST_CURSOR, "HTTP 410")
        seen.append(harness.figures().totals)
    assert all(
        later >= earlier
        for before, after in itertools.pairwise(seen)
        for earlier, later in zip(before, after, strict=True)
    )
    assert (seen[-1].pages, seen[-1].records) == (4, 5)


def test_a_walk_that_was_not_certified_leaves_the_last_one_that_was(harness: FiguresHarness) -> None:
    harness.walk()
    certified = harness.figures().last_certified
    assert certified is not None
    assert certified.sweep_state is SweepState.DONE
    harness.walk(rejected=1)
    found = harness.figures()
    assert found.overview.last_completed is not None
    assert found.overview.last_completed.sweep_state is SweepState.SKIPPED
    assert found.last_certified == certified
    assert found.overview.quarantined == 1


def test_open_discrepancies_are_counted_by_kind_and_severity(harness: FiguresHarness) -> None:
    harness.walk()
    assert harness.figures().discrepancies is None
    load_inventory(harness.engine, "acme", [ours(9)])
    reconcile(harness.engine, "acme", ("status",))
    assert harness.figures().discrepancies == {
        Problem("missing_at_carrier", "high"): 1,
        Problem("unknown_to_us", "high"): 2,
    }
    load_inventory(harness.engine, "acme", [ours(1), ours(2)])
    reconcile(harness.engine, "acme", ("status",))
    assert harness.figures().discrepancies == {}


def test_what_somebody_has_acknowledged_is_not_open(harness: FiguresHarness) -> None:
    harness.walk()
    reconcile(harness.engine, "acme", ("status",))
    iccid = a_sim(1).iccid
    assert iccid is not None
    acknowledge(harness.engine, ["acme"], [iccid], by="jo")
    assert harness.figures().discrepancies == {Problem("unknown_to_us", "high"): 1}
