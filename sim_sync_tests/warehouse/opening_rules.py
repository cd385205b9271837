"""The store's rules about opening, resuming, refusing and superseding sessions. What to do is decided in core."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

import pytest

from sim_sync.core.errors import Fenced
from sim_sync.core.opening import FailedOpening, Trigger
from sim_sync.core.session import Event, Release, Session, State
from sim_sync.core.sweep import SweepPolicy
from sim_sync_tests.fakes.fleet import CARRIER, FIRST_CURSOR, LEASE_SECONDS, a_page, a_request, a_sim
from sim_sync_tests.warehouse.store_under_test import (
    StoreUnderTest,
    committed,
    everything,
    night,
    opened,
    refusal,
    table,
    walked,
)

LEASE = timedelta(seconds=LEASE_SECONDS)


def a_failure(reason: str, **fields: Any) -> FailedOpening:
    """Return the failure of a run that could not open the session."""
    return FailedOpening(carrier=CARRIER, owner="run-2", reason=reason, **fields)


class OpeningRules:
    """Mixed into `SessionStoreContract`."""

    def test_a_first_session_stands_at_the_first_page_and_its_run_holds_the_lease(
        self, under_test: StoreUnderTest
    ) -> None:
        now = under_test.clock.now()
        session = opened(under_test, "run-1")
        assert session == Session(
            session_id=session.session_id,
            session_number=1,
            carrier=CARRIER,
            state=State.RUNNING,
            cursor=FIRST_CURSOR,
            fence=1,
            config_hash="config-1",
            owner="run-1",
            lease_expires_at=now + LEASE,
            started_at=now,
            updated_at=now,
        )
        assert under_test.rows("sync_sessions") == [asdict(session)]
        assert under_test.store.session(session.session_id) == session

    def test_session_ids_are_unique_and_sort_by_time(self, under_test: StoreUnderTest) -> None:
        session_ids = []
        for _ in range(5):
            session_ids.append(opened(under_test, restart=True).session_id)
            under_test.clock.advance(1)
        assert session_ids == sorted(set(session_ids))

    def test_the_sessions_of_a_carrier_are_numbered_in_the_order_of_their_opening(
        self, under_test: StoreUnderTest
    ) -> None:
        numbers = [night(under_test, [a_sim(1)]).session_number, night(under_test, [a_sim(1)]).session_number]
        numbers += [opened(under_test).session_number, opened(under_test, restart=True).session_number]
        assert numbers == [1, 2, 3, 4]
        assert opened(under_test, carrier="other").session_number == 1

    def test_the_newest_session_is_the_one_that_was_opened_last_whatever_the_clock_said(
        self, under_test: StoreUnderTest
    ) -> None:
        under_test.clock.advance(3 * 86400)
        night(under_test, [a_sim(1)])
        under_test.clock.advance(-3 * 86400)
        newest = night(under_test, [a_sim(1), a_sim(2), a_sim(3)])
        assert under_test.store.latest_sessions([CARRIER]) == [newest]
        assert opened(under_test).records_expected == 3

    def test_a_walk_expects_as_many_sims_as_the_last_completed_one_saw(self, under_test: StoreUnderTest) -> None:
        night(under_test, [a_sim(1), a_sim(2)], [a_sim(2), a_sim(3)])
        assert opened(under_test).records_expected == 3

    def test_a_superseded_walk_is_no_expectation(self, under_test: StoreUnderTest) -> None:
        night(under_test, [a_sim(1), a_sim(2), a_sim(3)])
        committed(under_test, opened(under_test), a_page([a_sim(1)], {"page": 1}))
        assert opened(under_test, restart=True).records_expected == 3

    def test_another_run_is_refused_while_the_lease_lasts_and_nothing_changes(self, under_test: StoreUnderTest) -> None:
        opened(under_test, "run-1")
        under_test.clock.advance(LEASE_SECONDS - 1)
        before = everything(under_test)
        assert "run-1" in refusal(under_test, "run-2")
        assert everything(under_test) == before

    def test_a_refusal_shows_the_session_as_it_stands(self, under_test: StoreUnderTest) -> None:
        session = opened(under_test, "run-1")
        assert under_test.store.open_session(a_request("run-2")).session == session

    @pytest.mark.parametrize("trigger", list(Trigger))
    def test_a_paused_session_is_refused_to_everybody(self, under_test: StoreUnderTest, trigger: Trigger) -> None:
        under_test.store.release(opened(under_test).claim, Release(Event.PAUSED_BY_OPERATOR))
        under_test.clock.advance(LEASE_SECONDS + 1)
        before = everything(under_test)
        assert "paused" in refusal(under_test, "run-2", trigger)
        assert everything(under_test) == before

    def test_the_sensor_resumes_an_interrupted_session_with_a_higher_fence(self, under_test: StoreUnderTest) -> None:
        session = committed(under_test, opened(under_test, "run-1"), a_page([a_sim()], {"page": 1}))
        interrupted = under_test.store.release(session.claim, Release(Event.STOPPED_BY_MACHINE))
        now = under_test.clock.advance(5)
        resumed = opened(under_test, "run-2", Trigger.SENSOR, lease_seconds=60.0)
        assert resumed == replace(
            interrupted,
            state=State.RUNNING,
            fence=2,
            owner="run-2",
            lease_expires_at=now + timedelta(seconds=60),
            stalled_resumes=1,
            updated_at=now,
        )
        assert under_test.rows("sync_sessions") == [asdict(resumed)]

    def test_the_new_owners_lease_is_the_one_that_it_asked_for(self, under_test: StoreUnderTest) -> None:
        session = opened(under_test, "run-1", lease_seconds=30.0)
        under_test.store.release(session.claim, Release(Event.STOPPED_BY_MACHINE))
        session = opened(under_test, "run-2", lease_seconds=60.0)
        now = under_test.clock.advance(5)
        assert under_test.store.renew_lease(session.claim).lease_expires_at == now + timedelta(seconds=60)

    @pytest.mark.parametrize("trigger", list(Trigger))
    def test_a_resume_counts_as_stalled_until_it_commits_a_page_whoever_asked_for_it(
        self, under_test: StoreUnderTest, trigger: Trigger
    ) -> None:
        for number in range(3):
            session = opened(under_test, f"run-{number}", trigger)
            assert session.stalled_resumes == number
            under_test.store.release(session.claim, Release(Event.STOPPED_BY_MACHINE))

    @pytest.mark.parametrize("trigger", [Trigger.NIGHTLY, Trigger.OPERATOR])
    def test_who_tries_again_what_was_given_up_begins_to_count_again(
        self, under_test: StoreUnderTest, trigger: Trigger
    ) -> None:
        session = opened(under_test, "run-0", trigger)
        under_test.store.release(session.claim, Release(Event.STOPPED_BY_MACHINE))
        session = opened(under_test, "run-1", trigger)
        under_test.store.release(session.claim, Release(Event.GAVE_UP, error="HTTP 500"))
        assert opened(under_test, "run-2", trigger).stalled_resumes == 0

    def test_after_the_lease_the_session_is_taken_over_and_says_how_its_owner_was_lost(
        self, under_test: StoreUnderTest
    ) -> None:
        session = opened(under_test, "run-1")
        now = under_test.clock.advance(LEASE_SECONDS)
        assert opened(under_test, "run-2", Trigger.SENSOR) == replace(
            session,
            fence=2,
            owner="run-2",
            lease_expires_at=now + LEASE,
            stalled_resumes=1,
            updated_at=now,
            last_error="the lease of its run run-1 ran out",
            last_error_at=now,
        )

    def test_an_owner_known_to_be_gone_is_not_waited_for(self, under_test: StoreUnderTest) -> None:
        opened(under_test, "run-1")
        session = opened(under_test, "run-2", gone_owners=["run-1"])
        assert (session.fence, session.owner, session.last_error) == (2, "run-2", "its run run-1 died")

    def test_an_ops_retry_claims_its_own_running_session_again(self, under_test: StoreUnderTest) -> None:
        first = opened(under_test, "run-1")
        now = under_test.clock.advance(5)
        second = opened(under_test, "run-1")
        assert second == replace(first, fence=2, lease_expires_at=now + LEASE, updated_at=now)
        with pytest.raises(Fenced, match="run-1"):
            committed(under_test, first, a_page([a_sim()]))

    def test_after_too_many_stalled_resumes_the_session_fails(self, under_test: StoreUnderTest) -> None:
        session = opened(under_test, "run-0", max_stalled_resumes=2)
        for number in (1, 2):
            under_test.store.release(session.claim, Release(Event.STOPPED_BY_MACHINE, error="page 7: HTTP 500"))
            session = opened(under_test, f"run-{number}", Trigger.SENSOR, max_stalled_resumes=2)
        under_test.store.release(session.claim, Release(Event.STOPPED_BY_MACHINE))
        now = under_test.clock.advance(5)
        answer = under_test.store.open_session(a_request("run-3", Trigger.SENSOR, max_stalled_resumes=2))
        failed = answer.session
        assert (failed.state, failed.fence, failed.owner) == (State.FAILED, 3, "run-2")
        assert failed.last_error == answer.refusal
        assert failed.last_error_at == now
        assert "page 7: HTTP 500" in (failed.last_error or "")
        assert failed.finished_at is None
        assert under_test.rows("sync_sessions") == [asdict(failed)]

    def test_a_lost_owner_does_not_hide_that_resuming_has_not_helped(self, under_test: StoreUnderTest) -> None:
        opened(under_test, "run-1", max_stalled_resumes=0)
        under_test.clock.advance(LEASE_SECONDS)
        answer = under_test.store.open_session(a_request("run-2", Trigger.SENSOR, max_stalled_resumes=0))
        assert (answer.session.state, answer.session.lease_expires_at) == (State.FAILED, None)
        assert answer.refusal is not None

    @pytest.mark.parametrize(
        ("wish", "reason", "seconds"),
        [
            ({"restart": True}, "restart", 1),
            ({"config_hash": "config-2"}, "configuration changed", LEASE_SECONDS),
            ({"max_session_age_hours": 1.0}, "older than 1 hours", 3601),
        ],
        ids=["an operator's restart", "a changed configuration", "old age"],
    )
    def test_a_new_session_supersedes_the_open_one_and_says_why(
        self, under_test: StoreUnderTest, wish: dict[str, Any], reason: str, seconds: float
    ) -> None:
        old = committed(under_test, opened(under_test, "run-1"), a_page([a_sim()], {"page": 1}))
        now = under_test.clock.advance(seconds)
        new = opened(under_test, "run-2", **wish)
        superseded = under_test.store.session(old.session_id)
        assert (superseded.state, superseded.finished_at, superseded.cursor) == (State.SUPERSEDED, now, {"page": 1})
        assert superseded.last_error_at == now
        assert reason in (superseded.last_error or "")
        assert new == Session(
            session_id=new.session_id,
            session_number=2,
            carrier=CARRIER,
            state=State.RUNNING,
            cursor=FIRST_CURSOR,
            fence=1,
            config_hash=wish.get("config_hash", "config-1"),
            owner="run-2",
            lease_expires_at=now + LEASE,
            started_at=now,
            updated_at=now,
        )
        assert sorted(row["session_id"] for row in under_test.rows("sync_sessions")) == sorted(
            [old.session_id, new.session_id]
        )

    def test_a_session_that_was_opened_while_the_clock_was_ahead_grows_old_like_any_other(
        self, under_test: StoreUnderTest
    ) -> None:
        under_test.clock.advance(3 * 86_400)
        session = opened(under_test, "run-1")
        now = under_test.clock.advance(-3 * 86_400)
        resumed = opened(under_test, "run-2", gone_owners=["run-1"])
        assert (resumed.session_id, resumed.started_at) == (session.session_id, now)
        under_test.clock.advance(25 * 3600)
        new = opened(under_test, "run-3", gone_owners=["run-2"])
        superseded = under_test.store.session(session.session_id)
        assert new.session_id != session.session_id
        assert superseded.last_error == "the session is older than 24 hours"

    @pytest.mark.parametrize(
        "release",
        [
            Release(Event.STOPPED_BY_MACHINE),
            Release(Event.WAIT_TOO_LONG, wait_seconds=10),
            Release(Event.GAVE_UP, error="HTTP 401"),
            None,
        ],
    )
    def test_a_session_that_no_run_can_open_fails_with_the_reason_and_continues_later(
        self, under_test: StoreUnderTest, release: Release | None
    ) -> None:
        session = committed(under_test, opened(under_test), a_page([a_sim(1)], {"page": 1}))
        if release is not None:
            under_test.store.release(session.claim, release)
        under_test.clock.advance(LEASE_SECONDS)

        failed = under_test.store.fail_opening(a_failure("the secret is not set"))

        assert failed is not None
        assert (failed.session_id, failed.state, failed.last_error) == (
            session.session_id,
            State.FAILED,
            "the secret is not set",
        )
        assert (failed.lease_expires_at, failed.not_before, failed.eta_at) == (None, None, None)
        assert "the secret is not set" in refusal(under_test, trigger=Trigger.SENSOR)
        resumed = opened(under_test, "run-3")
        assert (resumed.session_id, resumed.cursor, resumed.pages_done) == (session.session_id, {"page": 1}, 1)

    def test_a_session_that_somebody_works_on_or_that_waits_does_not_fail_for_it(
        self, under_test: StoreUnderTest
    ) -> None:
        session = opened(under_test)
        for event, wait_seconds in ((None, None), (Event.WAIT_TOO_LONG, 60), (Event.PAUSED_BY_OPERATOR, None)):
            if event is not None:
                session = under_test.store.release(session.claim, Release(event, wait_seconds=wait_seconds))
            before = everything(under_test)
            assert under_test.store.fail_opening(a_failure("the secret is not set")) == session
            assert everything(under_test) == before
            if event is Event.WAIT_TOO_LONG:
                under_test.clock.advance(60)
                session = opened(under_test, "run-2")

    def test_an_owner_that_is_gone_does_not_keep_it_from_failing(self, under_test: StoreUnderTest) -> None:
        opened(under_test, "run-1")
        failed = under_test.store.fail_opening(a_failure("the secret is not set", gone_owners=["run-1"]))
        assert failed is not None
        assert failed.state is State.FAILED

    def test_without_an_open_session_the_reason_makes_one_which_the_next_run_supersedes(
        self, under_test: StoreUnderTest
    ) -> None:
        night(under_test, [a_sim(1)])
        under_test.clock.advance(3600)

        failed = under_test.store.fail_opening(a_failure("the secret is not set"))

        assert failed is not None
        assert under_test.store.latest_sessions([CARRIER]) == [failed]
        assert (failed.state, failed.last_error, failed.pages_done) == (State.FAILED, "the secret is not set", 0)
        again = under_test.store.fail_opening(a_failure("the disk is full"))
        assert again == replace(failed, last_error="the disk is full")
        session = opened(under_test, "run-3")
        assert session.session_id != failed.session_id
        assert session.session_number == failed.session_number + 1
        superseded = under_test.store.session(failed.session_id)
        assert (superseded.state, superseded.last_error) == (
            State.SUPERSEDED,
            "no run could open it: the disk is full",
        )
        done = under_test.store.close_session(
            walked(under_test, session, [a_sim(1)]).claim, SweepPolicy(), session.config_hash
        )
        assert done.state is State.COMPLETED

    def test_a_run_that_was_to_open_one_session_fails_no_other(self, under_test: StoreUnderTest) -> None:
        done = night(under_test, [a_sim(1)])
        assert under_test.store.fail_opening(a_failure("x", session_id=done.session_id)) is None
        session = under_test.store.release(opened(under_test).claim, Release(Event.STOPPED_BY_MACHINE))
        assert under_test.store.fail_opening(a_failure("x", session_id=done.session_id)) == session
        assert under_test.store.open_session_of(CARRIER) == session

    def test_a_superseded_sessions_worker_is_fenced(self, under_test: StoreUnderTest) -> None:
        old = opened(under_test, "run-1")
        opened(under_test, "run-2", restart=True)
        before = everything(under_test)
        with pytest.raises(Fenced, match="superseded"):
            committed(under_test, old, a_page([a_sim()]))
        assert everything(under_test) == before

    def test_a_new_session_may_use_the_cursors_of_an_old_one(self, under_test: StoreUnderTest) -> None:
        committed(under_test, opened(under_test), a_page([a_sim()], {"page": 1}))
        again = committed(under_test, opened(under_test, restart=True), a_page([a_sim()], {"page": 1}))
        assert again.cursor == {"page": 1}

    def test_a_parked_session_is_refused_until_it_is_due(self, under_test: StoreUnderTest) -> None:
        session = opened(under_test, "run-1")
        under_test.store.release(session.claim, Release(Event.WAIT_TOO_LONG, error="HTTP 429", wait_seconds=7200))
        under_test.clock.advance(7199)
        assert "HTTP 429" in refusal(under_test, "run-2", Trigger.SENSOR)
        under_test.clock.advance(1)
        resumed = opened(under_test, "run-2", Trigger.SENSOR)
        assert (resumed.state, resumed.not_before) == (State.RUNNING, None)

    def test_a_completed_session_is_followed_by_a_new_one(self, under_test: StoreUnderTest) -> None:
        completed = night(under_test, [a_sim()])
        new = opened(under_test)
        assert new.session_id != completed.session_id
        assert under_test.store.session(completed.session_id) == completed

    def test_carriers_do_not_know_of_each_other(self, under_test: StoreUnderTest) -> None:
        acme, other = opened(under_test), opened(under_test, "run-2", carrier="other")
        walked(under_test, acme, [a_sim(1)])
        walked(under_test, other, [a_sim(1, label="theirs")])
        assert table(under_test, "carrier_sims", "carrier", "sim_id", "label") == [
            ("acme", "sim-0001", None),
            ("other", "sim-0001", "theirs"),
        ]
        assert table(under_test, "sim_changes", "carrier") == []

    def test_of_many_runs_that_ask_at_once_one_is_let_in(self, under_test: StoreUnderTest) -> None:
        with ThreadPoolExecutor(4) as pool:
            wishes = [a_request(f"run-{number}") for number in range(8)]
            answers = list(pool.map(under_test.store.open_session, wishes))
        assert len([answer for answer in answers if answer.refusal is None]) == 1
        assert table(under_test, "sync_sessions", "fence") == [(1,)]

    def test_the_open_session_is_found_until_it_is_final(self, under_test: StoreUnderTest) -> None:
        assert under_test.store.open_session_of(CARRIER) is None
        session = opened(under_test)
        assert under_test.store.open_session_of(CARRIER) == session
        session = walked(under_test, session, [])
        under_test.store.close_session(session.claim, SweepPolicy(), "config-1")
        assert under_test.store.open_session_of(CARRIER) is None

    def test_the_latest_session_is_the_open_or_else_the_newest_one(self, under_test: StoreUnderTest) -> None:
        night(under_test, [a_sim()])
        newest = night(under_test, [a_sim()])
        other = opened(under_test, carrier="other")
        latest = under_test.store.latest_sessions(["other", "unheard-of", CARRIER])
        assert list(latest) == [other, newest]
        under_test.clock.advance(1)
        session = opened(under_test)
        assert list(under_test.store.latest_sessions([CARRIER])) == [session]

    def test_the_store_goes_by_its_own_clock(self, under_test: StoreUnderTest) -> None:
        under_test.clock.advance(7)
        assert under_test.store.now() == under_test.clock.now()
