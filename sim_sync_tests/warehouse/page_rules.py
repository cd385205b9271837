"""The store's rules about what a page writes: SIMs, their history, quarantine; and which pages write nothing."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sim_sync.core.errors import CursorRepeated, EndlessList, Fenced
from sim_sync.core.opening import Trigger
from sim_sync.core.pages import Effort
from sim_sync.core.session import Claim, Event, Release, Session, State
from sim_sync.core.sims import Sim
from sim_sync_tests.fakes.fleet import CARRIER, LEASE_SECONDS, a_page, a_rejected, a_sim
from sim_sync_tests.warehouse.store_under_test import (
    StoreUnderTest,
    committed,
    everything,
    night,
    opened,
    table,
    walked,
)

#: A SIM that says something in every field.
FULL = a_sim(
    7,
    iccid="89883030000080139311",
    iccid_raw="8988303000008013931-1",
    msisdn="+491511234567",
    imei="0009575200740240",
    eid="89049032123451234512345678901235",
    pending=True,
    rate_plan="plan „größer“ \U0001f4f6",
    ip_address="2001:db8::1",
    label="",
    account="0001",
    activated_at=datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC),
    carrier_updated_at=datetime(2026, 1, 1, tzinfo=UTC),
    attributes='{"quota":"1.50","tags":["ä",null]}',
    quality_flags='["luhn","unknown_status"]',
)


def sim_row(sim: Sim, session: Session, first_seen_at: datetime, **fields: Any) -> dict[str, Any]:
    """Return the row of a SIM as a reader sees it."""
    return {
        "carrier": CARRIER,
        **sim._asdict(),
        "attributes": json.loads(sim.attributes),
        "quality_flags": json.loads(sim.quality_flags),
        "first_seen_at": first_seen_at,
        "last_changed_at": first_seen_at,
        "last_seen_session": session.session_id,
        "absent_since": None,
        "vanished_at": None,
        "first_session_number": 1,
    } | fields


class PageRules:
    """Mixed into `SessionStoreContract`."""

    # --- what a page writes ------------------------------------------------------------------------------------

    def test_a_page_writes_its_sims_and_its_checkpoint_together(self, under_test: StoreUnderTest) -> None:
        session = opened(under_test)
        now = under_test.clock.advance(5)
        after = committed(under_test, session, a_page([a_sim(1), FULL], {"page": 1, "token": "ä"}))
        assert after == replace(
            session,
            cursor={"page": 1, "token": "ä"},
            pages_done=1,
            records_seen=2,
            records_added=2,
            lease_expires_at=now + timedelta(seconds=LEASE_SECONDS),
            updated_at=now,
        )
        assert under_test.rows("sync_sessions") == [asdict(after)]
        assert sorted(under_test.rows("carrier_sims"), key=repr) == [
            sim_row(a_sim(1), session, now),
            sim_row(FULL, session, now),
        ]
        assert under_test.rows("sim_changes") == []

    def test_the_last_page_leaves_only_closing_to_be_done(self, under_test: StoreUnderTest) -> None:
        session = walked(under_test, opened(under_test), [a_sim(1)], [a_sim(2)])
        assert (session.state, session.cursor, session.pages_done) == (State.RUNNING, None, 2)
        assert under_test.store.session(session.session_id) == session

    def test_an_empty_page_is_a_step_and_not_the_end(self, under_test: StoreUnderTest) -> None:
        session = committed(under_test, opened(under_test), a_page([], {"page": 1}))
        assert (session.cursor, session.pages_done, session.records_seen) == ({"page": 1}, 1, 0)

    def test_a_sim_that_is_only_seen_again_changes_nothing(self, under_test: StoreUnderTest) -> None:
        first_night = night(under_test, [FULL])
        first_seen_at = first_night.updated_at
        second_night = night(under_test, [FULL])
        assert under_test.rows("carrier_sims") == [sim_row(FULL, first_night, first_seen_at)]
        assert under_test.rows("sim_changes") == []
        assert (second_night.records_added, second_night.records_changed) == (0, 0)

    def test_changed_facts_go_into_the_history_and_count_once_a_sim(self, under_test: StoreUnderTest) -> None:
        first_night = night(under_test, [FULL, a_sim(1)])
        first_seen_at = first_night.updated_at
        changed = FULL._replace(
            status="suspended", pending=False, msisdn=None, activated_at=datetime(2026, 2, 1, tzinfo=UTC)
        )
        session = night(under_test, [changed, a_sim(1)])
        now = session.updated_at
        assert session.records_changed == 1
        assert sorted(under_test.rows("carrier_sims"), key=repr) == [
            sim_row(a_sim(1), first_night, first_seen_at),
            sim_row(changed, session, first_seen_at, last_changed_at=now),
        ]
        key = (CARRIER, FULL.sim_id, session.session_id)
        columns = ("carrier", "sim_id", "session_id", "field", "old_value", "new_value", "changed_at")
        assert table(under_test, "sim_changes", *columns) == [
            (*key, "activated_at", "2025-12-31T23:59:59+00:00", "2026-02-01T00:00:00+00:00", now),
            (*key, "msisdn", "+491511234567", None, now),
            (*key, "pending", "true", "false", now),
            (*key, "status", "active", "suspended", now),
        ]

    def test_untracked_fields_are_brought_up_to_date_without_a_history(self, under_test: StoreUnderTest) -> None:
        first_seen_at = night(under_test, [FULL]).updated_at
        newer = FULL._replace(
            attributes='{"quota":"0.75"}',
            carrier_updated_at=datetime(2026, 3, 2, tzinfo=UTC),
            quality_flags="[]",
            iccid_raw="89883030000080139311",
        )
        session = night(under_test, [newer])
        assert under_test.rows("carrier_sims") == [sim_row(newer, session, first_seen_at)]
        assert under_test.rows("sim_changes") == []
        assert session.records_changed == 0

    def test_two_changes_in_one_walk_are_one_from_the_oldest_to_the_newest_value(
        self, under_test: StoreUnderTest
    ) -> None:
        night(under_test, [a_sim(1, label="old")])
        session = opened(under_test)
        session = committed(under_test, session, a_page([a_sim(1, label="between")], {"page": 1}))
        now = under_test.clock.advance(5)
        committed(under_test, session, a_page([a_sim(1, label="new")]))
        assert table(under_test, "sim_changes", "field", "old_value", "new_value", "changed_at") == [
            ("label", "old", "new", now)
        ]

    def test_each_walk_has_its_own_line_in_the_history(self, under_test: StoreUnderTest) -> None:
        for label in ("first", "second", "third"):
            night(under_test, [a_sim(1, label=label)])
        assert table(under_test, "sim_changes", "old_value", "new_value") == [
            ("first", "second"),
            ("second", "third"),
        ]

    def test_of_a_sim_that_appears_twice_in_a_page_the_last_record_counts(self, under_test: StoreUnderTest) -> None:
        session = opened(under_test)
        session = committed(under_test, session, a_page([a_sim(1, label="first"), a_sim(1, label="last")]))
        assert table(under_test, "carrier_sims", "sim_id", "label") == [("sim-0001", "last")]
        assert (session.records_seen, session.records_added, session.records_changed) == (2, 1, 0)

    def test_a_sim_that_moves_between_pages_is_added_once(self, under_test: StoreUnderTest) -> None:
        session = walked(under_test, opened(under_test), [a_sim(1), a_sim(2)], [a_sim(2), a_sim(3)])
        assert (session.records_seen, session.records_added, session.records_changed) == (4, 3, 0)

    def test_unreadable_records_are_kept_with_their_place_and_reason(self, under_test: StoreUnderTest) -> None:
        session = committed(under_test, opened(under_test), a_page([a_sim(1)], {"page": 1}))
        now = under_test.clock.advance(5)
        page = a_page([a_sim(2)], rejected=[a_rejected(1, "no sim_id"), a_rejected(3, "iccid is a float")])
        session = committed(under_test, session, page)
        columns = ("carrier", "session_id", "page_number", "position", "reason", "payload", "quarantined_at")
        key = (CARRIER, session.session_id, 2)
        assert table(under_test, "quarantined_records", *columns, "resolved_at", "resolution") == [
            (*key, 1, "no sim_id", {"iccid": None}, now, None, None),
            (*key, 3, "iccid is a float", {"iccid": None}, now, None, None),
        ]
        assert (session.records_seen, session.records_quarantined) == (4, 2)

    def test_an_unreadable_record_is_kept_once_a_session(self, under_test: StoreUnderTest) -> None:
        page = a_page([a_sim(1)], {"page": 1}, rejected=[a_rejected(1)])
        session = committed(under_test, opened(under_test), page)
        session = under_test.store.commit_walk_restart(session.claim, {"page": 0}, "HTTP 410")
        committed(under_test, session, page)
        assert table(under_test, "quarantined_records", "page_number", "position") == [(1, 1)]

    def test_the_effort_of_a_page_is_added_up_and_its_error_kept(self, under_test: StoreUnderTest) -> None:
        session = opened(under_test)
        now = under_test.clock.advance(5)
        hard = Effort(retries=2, throttled_seconds=1.5, last_error="HTTP 503")
        session = committed(under_test, session, a_page([], {"page": 1}, effort=hard))
        under_test.clock.advance(5)
        session = committed(under_test, session, a_page([], effort=Effort(retries=1, throttled_seconds=2.0)))
        assert (session.retries, session.throttled_seconds) == (3, 3.5)
        assert (session.last_error, session.last_error_at) == ("HTTP 503", now)

    def test_one_committed_page_ends_the_count_of_stalled_resumes(self, under_test: StoreUnderTest) -> None:
        opened(under_test, "run-1")
        session = opened(under_test, "run-2", Trigger.SENSOR, gone_owners=["run-1"])
        assert session.stalled_resumes == 1
        assert committed(under_test, session, a_page([], {"page": 1})).stalled_resumes == 0

    # --- pages that write nothing ------------------------------------------------------------------------------

    def test_a_page_is_committed_once_when_its_acknowledgement_was_lost(self, under_test: StoreUnderTest) -> None:
        session = committed(under_test, opened(under_test), a_page([a_sim(1)], {"page": 1}))
        for page in (a_page([a_sim(2)], {"page": 2}), a_page([a_sim(3)])):
            after = committed(under_test, session, page)
            under_test.clock.advance(1)
            before = everything(under_test)
            assert committed(under_test, session, page) == after
            assert everything(under_test) == before
            session = after

    @pytest.mark.parametrize("behind", [{"page": 0}, {"page": 7}], ids=["an earlier page", "a page never fetched"])
    def test_another_page_that_leads_to_the_same_place_is_not_taken_for_the_one_committed_last(
        self, under_test: StoreUnderTest, behind: dict[str, int]
    ) -> None:
        session = opened(under_test)
        for number in (1, 2):
            session = committed(under_test, session, a_page([a_sim(number)], {"page": number}))
        before = everything(under_test)
        with pytest.raises(Fenced, match=session.session_id):
            under_test.store.commit_page(session.claim, behind, a_page([a_sim(9)], {"page": 2}))
        assert everything(under_test) == before

    def test_of_the_same_page_committed_at_once_by_many_threads_one_counts(self, under_test: StoreUnderTest) -> None:
        session = opened(under_test)
        page = a_page([a_sim(1)], {"page": 1})
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: committed(under_test, session, page), range(8)))
        assert {(answer.pages_done, answer.records_added) for answer in answers} == {(1, 1)}

    def test_a_worker_that_was_overtaken_is_told_by_whom_and_writes_nothing(self, under_test: StoreUnderTest) -> None:
        zombie = opened(under_test, "run-1")
        under_test.clock.advance(LEASE_SECONDS)
        opened(under_test, "run-2")
        self.assert_fenced(under_test, zombie.claim, "run-2")

    def test_an_unknown_session_is_fenced(self, under_test: StoreUnderTest) -> None:
        session = opened(under_test)
        self.assert_fenced(under_test, Claim("never-opened", CARRIER, session.fence), "never-opened")

    @pytest.mark.parametrize("event", [Event.STOPPED_BY_MACHINE, Event.WAIT_TOO_LONG, Event.GAVE_UP])
    def test_a_worker_that_gave_its_lease_back_writes_nothing_more(
        self, under_test: StoreUnderTest, event: Event
    ) -> None:
        session = under_test.store.release(opened(under_test).claim, Release(event))
        self.assert_fenced(under_test, session.claim, session.state.value)

    def test_a_completed_session_takes_no_page(self, under_test: StoreUnderTest) -> None:
        self.assert_fenced(under_test, night(under_test, [a_sim(1)]).claim, "completed")

    def assert_fenced(self, under_test: StoreUnderTest, claim: Claim, why: str) -> None:
        """Try to commit a page and to restart the walk under a claim that is lost."""
        before = everything(under_test)
        attempts: list[Callable[[], Session]] = [
            lambda: under_test.store.commit_page(claim, {"page": 0}, a_page([a_sim(9)], {"page": 1})),
            lambda: under_test.store.commit_walk_restart(claim, {"page": 0}, "HTTP 410"),
        ]
        for attempt in attempts:
            with pytest.raises(Fenced, match=why):
                attempt()
        assert everything(under_test) == before

    @pytest.mark.parametrize("expected", [{"page": 0}, {"page": 3}])
    def test_a_page_for_another_place_is_fenced(self, under_test: StoreUnderTest, expected: dict[str, int]) -> None:
        session = opened(under_test)
        for number in (1, 2):
            session = committed(under_test, session, a_page([a_sim(number)], {"page": number}))
        before = everything(under_test)
        with pytest.raises(Fenced, match=session.session_id):
            under_test.store.commit_page(session.claim, expected, a_page([a_sim(9)], {"page": expected["page"] + 1}))
        assert everything(under_test) == before

    def test_a_pause_lets_the_page_in_hand_through_and_stays(self, under_test: StoreUnderTest) -> None:
        session = opened(under_test)
        under_test.store.release(session.claim, Release(Event.PAUSED_BY_OPERATOR))
        after = committed(under_test, session, a_page([a_sim(1)], {"page": 1}, pages_total=2))
        assert (after.state, after.cursor, after.pages_done) == (State.PAUSED, {"page": 1}, 1)
        assert (after.lease_expires_at, after.eta_at) == (None, None)
        assert table(under_test, "carrier_sims", "sim_id") == [("sim-0001",)]

    @pytest.mark.parametrize("used", [0, 1, 2], ids=["first", "earlier", "present"])
    def test_a_page_that_leads_back_into_its_walk_is_refused(self, under_test: StoreUnderTest, used: int) -> None:
        session = opened(under_test)
        for number in (1, 2):
            session = committed(under_test, session, a_page([a_sim(number)], {"page": number}))
        before = everything(under_test)
        with pytest.raises(CursorRepeated, match=CARRIER):
            committed(under_test, session, a_page([a_sim(9)], {"page": used}))
        assert everything(under_test) == before

    @pytest.mark.parametrize(
        ("suspect", "told"),
        [
            ("the key `to_body`", "never end. Most likely the key `to_body`: compare that with the carrier's"),
            (None, "never end. Is `base_url` in carriers.yaml that of this API?"),
        ],
    )
    def test_a_page_that_leads_back_is_first_told_by_what_may_be_wrong_with_us(
        self, under_test: StoreUnderTest, suspect: str | None, told: str
    ) -> None:
        session = committed(under_test, opened(under_test), a_page([a_sim(1)], {"page": 1}))
        with pytest.raises(CursorRepeated) as refused:
            committed(under_test, session, a_page([a_sim(2)], {"page": 1}, suspect=suspect))
        assert told in str(refused.value)
        assert str(refused.value).endswith(f"report this to the carrier; then run `sim-sync restart {CARRIER}`")

    def test_used_cursors_are_remembered_over_a_change_of_owners(self, under_test: StoreUnderTest) -> None:
        session = opened(under_test, "run-1")
        for number in (1, 2):
            session = committed(under_test, session, a_page([], {"page": number}))
        resumed = opened(under_test, "run-2", gone_owners=["run-1"])
        with pytest.raises(CursorRepeated):
            committed(under_test, resumed, a_page([], {"page": 1}))

    def test_a_refused_page_does_not_use_up_its_cursor(self, under_test: StoreUnderTest) -> None:
        zombie = opened(under_test, "run-1")
        session = opened(under_test, "run-2", gone_owners=["run-1"])
        with pytest.raises(Fenced):
            committed(under_test, zombie, a_page([], {"page": 1}))
        assert committed(under_test, session, a_page([], {"page": 1})).cursor == {"page": 1}

    @pytest.mark.parametrize(
        "idle", [[], [a_sim(1)], [a_sim(1), a_sim(1, label="changed")]], ids=["empty", "same", "changed"]
    )
    def test_a_walk_stops_where_page_after_page_brings_no_sim_that_it_has_not_seen(
        self, under_test: StoreUnderTest, idle: list[Sim]
    ) -> None:
        session = committed(under_test, opened(under_test, max_idle_pages=2), a_page([a_sim(1)], {"page": 1}))
        session = committed(under_test, session, a_page(idle, {"page": 2}))
        session = committed(under_test, session, a_page(idle, {"page": 3}))
        before = everything(under_test)
        with pytest.raises(EndlessList, match="page 4: 2 pages in a row brought no SIM that this walk had not seen"):
            committed(under_test, session, a_page(idle, {"page": 4}))
        assert everything(under_test) == before
        assert committed(under_test, session, a_page(idle)).walked_to_the_end

    def test_a_list_that_grows_while_it_is_walked_is_not_endless(self, under_test: StoreUnderTest) -> None:
        session = opened(under_test, max_idle_pages=2)
        for number in range(1, 13):
            sims = [a_sim(number)] if number % 3 == 0 else []
            session = committed(under_test, session, a_page(sims, {"page": number}))
        assert session.pages_done == 12

    def test_pages_that_need_not_bring_anything_new_do_not_count(self, under_test: StoreUnderTest) -> None:
        session = committed(under_test, opened(under_test, max_idle_pages=1), a_page([a_sim(1)], {"page": 1}))
        for number in range(2, 9):
            session = committed(under_test, session, a_page([a_sim(1)], {"page": number}, is_reread=True))
        session = committed(under_test, session, a_page([], {"page": 9}))
        with pytest.raises(EndlessList):
            committed(under_test, session, a_page([], {"page": 10}))

    def test_idle_pages_are_counted_over_a_change_of_owners_by_the_limit_of_the_last(
        self, under_test: StoreUnderTest
    ) -> None:
        session = committed(under_test, opened(under_test, "run-1", max_idle_pages=9), a_page([], {"page": 1}))
        session = committed(under_test, session, a_page([], {"page": 2}))
        session = opened(under_test, "run-2", gone_owners=["run-1"], max_idle_pages=2)
        with pytest.raises(EndlessList, match="page 3: 2 pages in a row"):
            committed(under_test, session, a_page([], {"page": 3}))

    def test_a_walk_that_starts_again_may_pass_the_pages_that_it_has_seen(self, under_test: StoreUnderTest) -> None:
        session = opened(under_test, max_idle_pages=1)
        for number in (1, 2, 3):
            session = committed(under_test, session, a_page([a_sim(number)], {"page": number}))
        session = under_test.store.commit_walk_restart(session.claim, {"page": 0}, "410")
        for number in (1, 2, 3, 4):
            session = committed(under_test, session, a_page([a_sim(min(number, 3))], {"page": number}))
        with pytest.raises(EndlessList):
            committed(under_test, session, a_page([a_sim(3)], {"page": 5}))

    def test_a_walk_is_no_longer_than_its_bound(self, under_test: StoreUnderTest) -> None:
        session = opened(under_test, max_pages=2)
        for number in (1, 2):
            session = committed(under_test, session, a_page([a_sim(number)], {"page": number}))
        with pytest.raises(EndlessList, match=r"page 3: the walk is longer than `max_pages_per_walk` \(2\) allows"):
            committed(under_test, session, a_page([a_sim(3)]))
