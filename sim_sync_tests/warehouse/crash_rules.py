"""The store's rules about dying: at every named point there is either all of a transaction or nothing of it."""

from dataclasses import replace

import pytest

from sim_sync.core.lookups import AskedSim, LookedUp, LookupOutcome
from sim_sync.core.session import State
from sim_sync.core.sweep import SweepPolicy
from sim_sync.core.sync import CRASH_POINTS
from sim_sync_tests.fakes.crash_points import SimulatedCrash
from sim_sync_tests.fakes.fleet import a_page, a_rejected, a_request, a_sim
from sim_sync_tests.warehouse.store_under_test import (
    StoreUnderTest,
    committed,
    everything,
    night,
    opened,
    walked,
)


def points_of(method: str) -> tuple[str, ...]:
    """Return the points that a method passes."""
    return tuple(point for point in CRASH_POINTS if point.startswith(f"{method}:"))


class CrashRules:
    """Mixed into `SessionStoreContract`."""

    @pytest.mark.parametrize("point", points_of("commit_page"))
    def test_a_page_is_there_with_its_checkpoint_or_not_at_all(self, under_test: StoreUnderTest, point: str) -> None:
        night(under_test, [a_sim(1), a_sim(2)])
        session = opened(under_test)
        page = a_page([a_sim(1, label="new"), a_sim(3)], {"page": 1}, rejected=[a_rejected(2)])
        before = everything(under_test)
        under_test.crash_points.arm(point)
        with pytest.raises(SimulatedCrash):
            committed(under_test, session, page)
        crashed = everything(under_test)
        if not point.endswith(":committed"):
            assert crashed == before
        after = committed(under_test, session, page)
        assert (after.pages_done, after.records_added, after.records_changed) == (1, 1, 1)
        if point.endswith(":committed"):
            assert everything(under_test) == crashed

    @pytest.mark.parametrize("point", points_of("close_session"))
    def test_a_session_is_closed_with_its_sweep_or_not_at_all(self, under_test: StoreUnderTest, point: str) -> None:
        night(under_test, [a_sim(1), a_sim(2)])
        session = walked(under_test, opened(under_test), [a_sim(1)])
        before = everything(under_test)
        under_test.crash_points.arm(point)
        with pytest.raises(SimulatedCrash):
            under_test.store.close_session(session.claim, SweepPolicy(), "config-1")
        if point.endswith(":committed"):
            assert under_test.store.session(session.session_id).state is State.COMPLETED
        else:
            assert everything(under_test) == before
            under_test.store.close_session(session.claim, SweepPolicy(), "config-1")
        marked = [row["sim_id"] for row in under_test.rows("carrier_sims") if row["absent_since"]]
        assert marked == ["sim-0002"]

    @pytest.mark.parametrize("point", points_of("open_session"))
    def test_a_session_is_taken_over_wholly_or_not_at_all(self, under_test: StoreUnderTest, point: str) -> None:
        session = opened(under_test, "run-1")
        before = everything(under_test)
        under_test.crash_points.arm(point)
        with pytest.raises(SimulatedCrash):
            under_test.store.open_session(a_request("run-2", gone_owners=["run-1"]))
        if point.endswith(":committed"):
            crashed = under_test.store.session(session.session_id)
            assert (crashed.owner, crashed.fence) == ("run-2", 2)
        else:
            assert everything(under_test) == before

    @pytest.mark.parametrize("point", points_of("open_session"))
    def test_a_superseded_session_is_followed_by_its_new_one_or_stays_open(
        self, under_test: StoreUnderTest, point: str
    ) -> None:
        session = opened(under_test, "run-1")
        before = everything(under_test)
        under_test.crash_points.arm(point)
        with pytest.raises(SimulatedCrash):
            under_test.store.open_session(a_request("run-2", restart=True))
        if point.endswith(":committed"):
            new = under_test.store.open_session_of(session.carrier)
            assert new is not None
            assert (new.owner, under_test.store.session(session.session_id).state) == ("run-2", State.SUPERSEDED)
        else:
            assert everything(under_test) == before

    def test_a_complete_walk_passes_every_point_of_the_store_in_order(self, under_test: StoreUnderTest) -> None:
        night(under_test, [a_sim(1), a_sim(2)])
        under_test.crash_points.passed.clear()
        session = walked(under_test, opened(under_test), [a_sim(1)])
        under_test.store.plan_lookups(session.claim, SweepPolicy(), session.config_hash)
        under_test.store.commit_lookup(session.claim, AskedSim("sim-0002"), LookedUp(LookupOutcome.NOT_FOUND))
        under_test.store.close_session(session.claim, SweepPolicy(), session.config_hash)
        of_the_store = [point for point in CRASH_POINTS if not point.endswith((":fetched", ":answered"))]
        assert under_test.crash_points.passed == of_the_store

    def test_a_dead_owners_session_continues_where_it_was_committed(self, under_test: StoreUnderTest) -> None:
        session = committed(under_test, opened(under_test, "run-1"), a_page([a_sim(1)], {"page": 1}))
        under_test.crash_points.arm("commit_page:checkpoint_written")
        with pytest.raises(SimulatedCrash):
            committed(under_test, session, a_page([a_sim(2)], {"page": 2}))
        resumed = opened(under_test, "run-2", gone_owners=["run-1"])
        now = under_test.clock.now()
        assert resumed == replace(
            session,
            fence=2,
            owner="run-2",
            last_error="its run run-1 died",
            last_error_at=now,
            stalled_resumes=1,
            updated_at=now,
        )
