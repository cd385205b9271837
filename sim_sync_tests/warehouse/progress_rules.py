"""The store's rules about progress: what is expected, at what pace, and until when. The formulas are in core."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from sim_sync.core.pages import Effort, Page
from sim_sync.core.session import Event, Release, Session
from sim_sync_tests.fakes.fleet import CARRIER, LEASE_SECONDS, a_fleet, a_page, a_sim
from sim_sync_tests.warehouse.store_under_test import StoreUnderTest, committed, night, opened, table


def page_to(number: int, **fields: Any) -> Page:
    """Return a page of two SIMs that leads on to page `number`."""
    return a_page([a_sim(2 * number), a_sim(2 * number + 1)], {"page": number}, **fields)


class ProgressRules:
    """Mixed into `SessionStoreContract`."""

    def test_a_carriers_total_of_records_becomes_expected_pages(self, under_test: StoreUnderTest) -> None:
        session = committed(under_test, opened(under_test), page_to(1, records_total=9))
        assert (session.records_expected, session.pages_expected) == (9, 5)

    def test_a_carriers_total_of_pages_is_believed(self, under_test: StoreUnderTest) -> None:
        session = committed(under_test, opened(under_test), page_to(1, records_total=9, pages_total=6))
        assert (session.records_expected, session.pages_expected) == (9, 6)

    def test_the_newest_total_counts_and_is_kept_where_a_page_gives_none(self, under_test: StoreUnderTest) -> None:
        session = committed(under_test, opened(under_test), page_to(1, records_total=9))
        session = committed(under_test, session, page_to(2, records_total=12))
        session = committed(under_test, session, page_to(3))
        assert (session.records_expected, session.pages_expected) == (12, 6)

    def test_without_a_total_the_last_completed_walk_says_what_to_expect(self, under_test: StoreUnderTest) -> None:
        night(under_test, a_fleet(7))
        session = committed(under_test, opened(under_test), page_to(1))
        assert (session.records_expected, session.pages_expected) == (7, 4)

    def test_a_first_walk_expects_as_many_sims_as_our_list_has_and_the_next_as_many_as_it_saw(
        self, under_test: StoreUnderTest
    ) -> None:
        under_test.load_our_list(CARRIER, 7)
        assert opened(under_test).records_expected == 7
        night(under_test, [a_sim(1), a_sim(2)])
        assert opened(under_test).records_expected == 2

    def test_a_list_of_another_carrier_is_no_expectation(self, under_test: StoreUnderTest) -> None:
        under_test.load_our_list("other", 7)
        assert opened(under_test).records_expected is None

    def test_a_walk_that_saw_nothing_is_no_expectation(self, under_test: StoreUnderTest) -> None:
        night(under_test, [])
        under_test.clock.advance(1)
        assert opened(under_test).records_expected is None

    def test_without_any_total_nothing_is_expected(self, under_test: StoreUnderTest) -> None:
        session = opened(under_test)
        under_test.clock.advance(10)
        session = committed(under_test, session, page_to(1))
        assert (session.records_expected, session.pages_expected, session.eta_at) == (None, None, None)

    def test_the_eta_follows_from_the_pace_of_the_pages(self, under_test: StoreUnderTest) -> None:
        session = self.pages_every(under_test, opened(under_test), [600, 20, 20, 20])
        assert table(under_test, "session_internals", "pace_seconds") == [(pytest.approx(20),)]
        assert session.eta_at == under_test.clock.now() + timedelta(seconds=6 * 20)

    def test_the_first_pages_of_a_run_promise_no_end(self, under_test: StoreUnderTest) -> None:
        """What a run does before its first page, such as loading our list, is no page's time; one page is no pace."""
        session = opened(under_test)
        etas = []
        for seconds in (600, 10, 10, 10):
            session = self.pages_every(under_test, session, [seconds])
            etas.append(session.eta_at)
        assert etas == [None, None, None, under_test.clock.now() + timedelta(seconds=60)]

    def test_waiting_for_a_throttle_is_not_the_pace_of_a_page(self, under_test: StoreUnderTest) -> None:
        session = self.pages_every(under_test, opened(under_test), [1])
        throttled = Effort(retries=1, throttled_seconds=60.0)
        session = self.pages_every(under_test, session, [70, 70, 70], effort=throttled)
        assert session.eta_at == under_test.clock.now() + timedelta(seconds=60)

    def test_one_slow_page_hardly_moves_the_eta(self, under_test: StoreUnderTest) -> None:
        session = self.pages_every(under_test, opened(under_test), [1] * 7, pages_total=100)
        before = session.eta_at
        session = self.pages_every(under_test, session, [300], pages_total=100)
        assert session.eta_at is not None
        assert before is not None
        assert session.eta_at - before < timedelta(seconds=300 + 40)

    def test_a_new_run_starts_with_no_promise_and_its_own_pace(self, under_test: StoreUnderTest) -> None:
        session = self.pages_every(under_test, opened(under_test, "run-1"), [1, 1, 1, 1, 1])
        assert session.eta_at is not None
        under_test.clock.advance(86_000)
        session = opened(under_test, "run-2")
        assert session.eta_at is None
        for seconds in (400, 20, 20):
            session = self.pages_every(under_test, session, [seconds])
            assert session.eta_at is None
        session = self.pages_every(under_test, session, [20])
        assert session.eta_at == under_test.clock.now() + timedelta(seconds=20)

    def test_a_run_that_claims_its_own_session_again_takes_its_promise_back(self, under_test: StoreUnderTest) -> None:
        session = self.pages_every(under_test, opened(under_test, "run-1"), [1, 1, 1, 1, 1])
        assert session.eta_at is not None
        assert opened(under_test, "run-1").eta_at is None

    def test_renewing_a_lease_does_not_quicken_the_pace(self, under_test: StoreUnderTest) -> None:
        session = self.pages_every(under_test, opened(under_test), [1])
        for _ in range(3):
            under_test.clock.advance(9)
            under_test.store.renew_lease(session.claim)
            session = self.pages_every(under_test, session, [1])
        assert session.eta_at == under_test.clock.now() + timedelta(seconds=60)

    @pytest.mark.parametrize("days", [3, -3])
    def test_a_clock_that_is_put_right_in_the_middle_hardly_moves_the_pace(
        self, under_test: StoreUnderTest, days: int
    ) -> None:
        session = self.pages_every(under_test, opened(under_test), [10] * 7, pages_total=20)
        session = self.pages_every(under_test, session, [days * 86_400], pages_total=20)
        assert session.eta_at is not None
        remaining = (session.eta_at - under_test.clock.now()).total_seconds()
        assert 12 * 8 < remaining < 12 * 14

    @staticmethod
    def pages_every(under_test: StoreUnderTest, session: Session, seconds: Sequence[float], **fields: Any) -> Session:
        """Commit a page after each of these times; the walk has ten pages unless told otherwise."""
        for wait in seconds:
            under_test.clock.advance(wait)
            page = page_to(session.pages_done + 1, **{"pages_total": 10, **fields})
            session = committed(under_test, session, page)
        return session

    def test_a_walk_that_starts_again_expects_the_pages_that_it_has(self, under_test: StoreUnderTest) -> None:
        session = committed(under_test, opened(under_test), page_to(1, records_total=8))
        session = committed(under_test, session, page_to(2, records_total=8))
        session = under_test.store.commit_walk_restart(session.claim, {"page": 0}, "HTTP 410")
        session = committed(under_test, session, page_to(1, records_total=8))
        assert (session.pages_done, session.pages_expected, session.records_seen) == (1, 4, 2)

    @pytest.mark.parametrize("event", [Event.STOPPED_BY_MACHINE, Event.WAIT_TOO_LONG, Event.GAVE_UP])
    def test_a_session_that_nobody_works_on_promises_no_end(self, under_test: StoreUnderTest, event: Event) -> None:
        session = self.pages_every(under_test, opened(under_test), [10, 10, 10, 10])
        assert session.eta_at is not None
        assert under_test.store.release(session.claim, Release(event)).eta_at is None

    def test_a_lost_owners_session_continues_from_what_it_expected(self, under_test: StoreUnderTest) -> None:
        session = committed(under_test, opened(under_test, "run-1"), page_to(1, records_total=9))
        under_test.clock.advance(LEASE_SECONDS)
        resumed = opened(under_test, "run-2")
        assert (resumed.pages_done, resumed.pages_expected, resumed.records_expected) == (1, 5, 9)
        assert resumed.records_seen == session.records_seen
