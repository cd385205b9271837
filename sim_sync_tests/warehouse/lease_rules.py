"""The store's rules about keeping a session and giving it back: restarts, leases, releases."""

from dataclasses import asdict, replace
from datetime import timedelta

import pytest

from sim_sync.core.errors import CursorRepeated, Fenced, IllegalTransition
from sim_sync.core.pages import Effort
from sim_sync.core.session import Claim, Event, Release, State
from sim_sync_tests.fakes.fleet import CARRIER, FIRST_CURSOR, LEASE_SECONDS, a_page, a_rejected, a_sim
from sim_sync_tests.warehouse.store_under_test import (
    StoreUnderTest,
    committed,
    everything,
    night,
    opened,
    table,
)


class LeaseRules:
    """Mixed into `SessionStoreContract`."""

    # --- restarts of a walk ------------------------------------------------------------------------------------

    def test_a_walk_starts_again_within_its_session_and_is_counted(self, under_test: StoreUnderTest) -> None:
        session = committed(under_test, opened(under_test), a_page([a_sim(1)], {"page": 1}))
        now = under_test.clock.advance(5)
        again = under_test.store.commit_walk_restart(session.claim, FIRST_CURSOR, "HTTP 410: token expired")
        assert (again.session_id, again.state, again.fence) == (session.session_id, State.RUNNING, 1)
        assert (again.cursor, again.pages_done, again.updated_at) == (FIRST_CURSOR, 0, now)
        assert "HTTP 410: token expired" in (again.last_error or "")
        assert again.last_error_at == now
        assert under_test.store.session(session.session_id) == again
        assert table(under_test, "session_internals", "walk_restarts") == [(1,)]
        assert table(under_test, "carrier_sims", "sim_id") == [("sim-0001",)]

    def test_a_walk_that_starts_again_counts_its_records_from_the_start(self, under_test: StoreUnderTest) -> None:
        page = a_page([a_sim(1)], {"page": 1}, rejected=[a_rejected(1)])
        session = committed(under_test, opened(under_test), page)
        again = under_test.store.commit_walk_restart(session.claim, FIRST_CURSOR, "HTTP 410")
        # Pages and records are judged together: the share of unreadable ones, the pages expected for a total.
        assert (again.records_seen, again.records_quarantined) == (0, 0)
        assert (again.records_added, again.retries) == (session.records_added, session.retries)

    def test_pages_and_records_from_before_a_walk_started_again_are_not_forgotten(
        self, under_test: StoreUnderTest
    ) -> None:
        session = opened(under_test)
        for _ in range(2):
            page = a_page([a_sim(1)], {"page": 1}, rejected=[a_rejected(1)])
            session = committed(under_test, session, page)
            session = under_test.store.commit_walk_restart(session.claim, FIRST_CURSOR, "HTTP 410")
        assert table(under_test, "session_internals", "earlier_pages", "earlier_records") == [(2, 4)]

    def test_a_walk_that_starts_again_may_use_its_cursors_again(self, under_test: StoreUnderTest) -> None:
        for _ in range(2):
            session = opened(under_test)
            for number in (1, 2):
                session = committed(under_test, session, a_page([a_sim(number)], {"page": number}))
            under_test.store.commit_walk_restart(session.claim, FIRST_CURSOR, "HTTP 410")
        assert table(under_test, "session_internals", "walk_restarts") == [(2,)]

    def test_a_walk_that_started_again_is_not_led_back_to_its_first_page(self, under_test: StoreUnderTest) -> None:
        session = committed(under_test, opened(under_test), a_page([a_sim(1)], {"page": 1}))
        session = under_test.store.commit_walk_restart(session.claim, FIRST_CURSOR, "HTTP 410")
        session = committed(under_test, session, a_page([a_sim(1)], {"page": 1}))
        before = everything(under_test)
        with pytest.raises(CursorRepeated):
            committed(under_test, session, a_page([a_sim(2)], FIRST_CURSOR))
        assert everything(under_test) == before

    # --- leases ------------------------------------------------------------------------------------------------

    def test_a_lease_is_renewed_without_looking_like_progress(self, under_test: StoreUnderTest) -> None:
        session = opened(under_test)
        now = under_test.clock.advance(20)
        renewed = under_test.store.renew_lease(session.claim)
        assert renewed == replace(session, lease_expires_at=now + timedelta(seconds=LEASE_SECONDS))
        assert under_test.rows("sync_sessions") == [asdict(renewed)]

    def test_a_renewal_tells_of_a_pause_and_renews_nothing(self, under_test: StoreUnderTest) -> None:
        session = opened(under_test)
        paused = under_test.store.release(session.claim, Release(Event.PAUSED_BY_OPERATOR))
        under_test.clock.advance(20)
        assert under_test.store.renew_lease(session.claim) == paused
        assert under_test.rows("sync_sessions") == [asdict(paused)]

    def test_a_lease_that_ran_out_unnoticed_can_still_be_renewed(self, under_test: StoreUnderTest) -> None:
        session = opened(under_test)
        now = under_test.clock.advance(10 * LEASE_SECONDS)
        renewed = under_test.store.renew_lease(session.claim)
        assert renewed.lease_expires_at == now + timedelta(seconds=LEASE_SECONDS)

    def test_an_overtaken_worker_cannot_renew(self, under_test: StoreUnderTest) -> None:
        zombie = opened(under_test, "run-1")
        opened(under_test, "run-2", gone_owners=["run-1"])
        before = everything(under_test)
        with pytest.raises(Fenced, match="run-2"):
            under_test.store.renew_lease(zombie.claim)
        assert everything(under_test) == before

    @pytest.mark.parametrize("event", [Event.STOPPED_BY_MACHINE, Event.WAIT_TOO_LONG, Event.GAVE_UP])
    def test_a_worker_that_gave_its_lease_back_cannot_renew_it(self, under_test: StoreUnderTest, event: Event) -> None:
        session = under_test.store.release(opened(under_test).claim, Release(event))
        with pytest.raises(Fenced, match=session.state.value):
            under_test.store.renew_lease(session.claim)

    def test_the_lease_of_an_unknown_session_cannot_be_renewed(self, under_test: StoreUnderTest) -> None:
        with pytest.raises(Fenced, match="never-opened"):
            under_test.store.renew_lease(Claim("never-opened", CARRIER, 1))

    # --- releases ----------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("event", "state"),
        [
            (Event.STOPPED_BY_MACHINE, State.INTERRUPTED),
            (Event.WAIT_TOO_LONG, State.PARKED),
            (Event.PAUSED_BY_OPERATOR, State.PAUSED),
            (Event.GAVE_UP, State.FAILED),
        ],
    )
    def test_a_release_gives_the_lease_back_and_keeps_the_place(
        self, under_test: StoreUnderTest, event: Event, state: State
    ) -> None:
        session = committed(under_test, opened(under_test), a_page([a_sim(1)], {"page": 1}))
        now = under_test.clock.advance(5)
        released = under_test.store.release(session.claim, Release(event))
        assert released == replace(session, state=state, lease_expires_at=None, updated_at=now)
        assert under_test.rows("sync_sessions") == [asdict(released)]

    def test_a_release_keeps_its_error_with_the_time(self, under_test: StoreUnderTest) -> None:
        session = opened(under_test)
        now = under_test.clock.advance(5)
        released = under_test.store.release(session.claim, Release(Event.GAVE_UP, error="HTTP 401"))
        assert (released.last_error, released.last_error_at, released.finished_at) == ("HTTP 401", now, None)

    def test_a_parked_session_knows_when_it_is_due(self, under_test: StoreUnderTest) -> None:
        session = opened(under_test)
        now = under_test.clock.advance(5)
        released = under_test.store.release(session.claim, Release(Event.WAIT_TOO_LONG, wait_seconds=7200.5))
        assert released.not_before == now + timedelta(seconds=7200.5)

    def test_a_release_adds_what_was_spent_in_vain(self, under_test: StoreUnderTest) -> None:
        session = committed(under_test, opened(under_test), a_page([a_sim()], {"page": 1}, effort=Effort(2, 1.5)))
        released = under_test.store.release(
            session.claim, Release(Event.WAIT_TOO_LONG, wait_seconds=60, effort=Effort(7, 0.25))
        )
        assert (released.retries, released.throttled_seconds) == (9, 1.75)

    def test_a_lost_claim_releases_nothing(self, under_test: StoreUnderTest) -> None:
        zombie = opened(under_test, "run-1")
        owner = opened(under_test, "run-2", gone_owners=["run-1"])
        assert under_test.store.release(zombie.claim, Release(Event.GAVE_UP, error="too late")) == owner
        assert under_test.rows("sync_sessions") == [asdict(owner)]

    def test_a_session_is_released_once(self, under_test: StoreUnderTest) -> None:
        session = opened(under_test)
        paused = under_test.store.release(session.claim, Release(Event.PAUSED_BY_OPERATOR))
        assert under_test.store.release(session.claim, Release(Event.STOPPED_BY_MACHINE, error="SIGTERM")) == paused
        assert under_test.rows("sync_sessions") == [asdict(paused)]

    def test_a_completed_session_is_not_released(self, under_test: StoreUnderTest) -> None:
        completed = night(under_test, [a_sim(1)])
        assert under_test.store.release(completed.claim, Release(Event.STOPPED_BY_MACHINE)) == completed

    def test_an_event_that_the_table_does_not_have_changes_nothing(self, under_test: StoreUnderTest) -> None:
        session = opened(under_test)
        with pytest.raises(IllegalTransition):
            under_test.store.release(session.claim, Release(Event.RELEASED_BY_OPERATOR))
        assert under_test.rows("sync_sessions") == [asdict(session)]
