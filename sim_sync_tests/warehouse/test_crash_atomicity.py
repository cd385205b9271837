"""A crash at any point of a transaction, on real databases: to the last bit all of it is there, or nothing."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from sim_sync.core.lookups import AskedSim, LookedUp, LookupOutcome
from sim_sync.core.session import Session
from sim_sync.core.sweep import SweepPolicy
from sim_sync.core.sync import CRASH_POINTS
from sim_sync.warehouse.scratch import exact_digests
from sim_sync_tests.fakes.crash_points import SimulatedCrash
from sim_sync_tests.fakes.fleet import a_page, a_rejected, a_request, a_sim
from sim_sync_tests.warehouse.crash_rules import points_of
from sim_sync_tests.warehouse.databases import SqlUnderTest
from sim_sync_tests.warehouse.store_under_test import committed, night, opened, walked

INSIDE = [point for point in CRASH_POINTS if not point.endswith((":fetched", ":answered", ":committed"))]
AFTER = [point for point in CRASH_POINTS if point.endswith(":committed")]
PAGE = a_page([a_sim(1, label="new"), a_sim(3)], {"page": 1}, rejected=[a_rejected(2)], records_total=3)


def prepared(under_test: SqlUnderTest, point: str) -> Callable[[], object]:
    """Bring the warehouse to the moment before the transaction with this point, and return what does it."""
    night(under_test, [a_sim(1), a_sim(2)])
    under_test.clock.advance(3600)
    if point.startswith("open_session"):
        opened(under_test, "run-1")
        return lambda: under_test.store.open_session(a_request("run-2", restart=True))
    if point.startswith("commit_page"):
        session = opened(under_test, "run-1")
        return lambda: committed(under_test, session, PAGE)
    session = walked(under_test, opened(under_test, "run-1"), [a_sim(1)])
    if point.startswith("plan_lookups"):
        return lambda: under_test.store.plan_lookups(session.claim, SweepPolicy(), session.config_hash)
    if point.startswith("commit_lookup"):
        found = LookedUp(LookupOutcome.FOUND, a_sim(2, label="new"))
        return lambda: under_test.store.commit_lookup(session.claim, AskedSim("sim-0002"), found)
    return lambda: closed(under_test, session)


def closed(under_test: SqlUnderTest, session: Session) -> Session:
    return under_test.store.close_session(session.claim, SweepPolicy(), session.config_hash)


def test_every_point_of_the_store_is_crashed_at_in_here() -> None:
    methods = ("open_session", "commit_page", "plan_lookups", "commit_lookup", "close_session")
    assert {*INSIDE, *AFTER} == {point for method in methods for point in points_of(method)}


@pytest.mark.parametrize("point", INSIDE)
def test_a_crash_inside_of_a_transaction_leaves_no_trace_of_it(engine: sa.Engine, point: str) -> None:
    under_test = SqlUnderTest(engine)
    do = prepared(under_test, point)
    before = exact_digests(engine)
    under_test.crash_points.arm(point)
    with pytest.raises(SimulatedCrash):
        do()
    assert exact_digests(engine) == before
    do()
    assert exact_digests(engine) != before


@pytest.mark.parametrize("point", AFTER)
def test_a_crash_after_a_transaction_leaves_all_of_it(engine: sa.Engine, point: str) -> None:
    under_test = SqlUnderTest(engine)
    do = prepared(under_test, point)
    before = exact_digests(engine)
    under_test.crash_points.arm(point)
    with pytest.raises(SimulatedCrash):
        do()
    crashed = exact_digests(engine)
    assert crashed != before
    if not point.startswith("open_session"):  # a run that opens again takes its own session over
        do()
        assert exact_digests(engine) == crashed, "an acknowledgement that was lost is only said again"
