"""The store's rules about the end of a walk: certifying, sweeping, completing. The decision is in `core.sweep`."""

from dataclasses import asdict, replace
from datetime import timedelta

import pytest

from sim_sync.core.errors import Fenced, InternalError
from sim_sync.core.session import Event, Release, State, SweepState
from sim_sync.core.sweep import SweepPolicy
from sim_sync_tests.fakes.crash_points import SimulatedCrash
from sim_sync_tests.fakes.fleet import CARRIER, a_fleet, a_page, a_rejected, a_sim
from sim_sync_tests.warehouse.store_under_test import (
    StoreUnderTest,
    committed,
    everything,
    night,
    opened,
    table,
    walked,
)

#: Two SIMs of ten may go at once; a third is too many.
STRICT = SweepPolicy(max_vanished_percent=5.0, min_vanished_count=2, total_tolerance_percent=0.5)


class EndRules:
    """Mixed into `SessionStoreContract`."""

    def test_a_session_is_completed_when_its_walk_has_reached_the_end(self, under_test: StoreUnderTest) -> None:
        session = walked(under_test, opened(under_test), [a_sim(1)], [a_sim(2)])
        now = under_test.clock.advance(5)
        completed = under_test.store.close_session(session.claim, STRICT, "config-1")
        assert completed == replace(
            session,
            state=State.COMPLETED,
            pages_expected=2,
            sweep_state=SweepState.DONE,
            lease_expires_at=None,
            eta_at=None,
            updated_at=now,
            finished_at=now,
        )
        assert under_test.rows("sync_sessions") == [asdict(completed)]

    @pytest.mark.parametrize("days_off", [3, -3])
    def test_a_clock_that_was_wrong_on_the_first_night_does_not_disarm_the_guard(
        self, under_test: StoreUnderTest, days_off: int
    ) -> None:
        under_test.clock.advance(days_off * 86400)
        first = night(under_test, a_fleet(300))
        under_test.clock.advance(-days_off * 86400)
        for _ in range(3):
            held = night(under_test, a_fleet(10))
            assert (held.sweep_state, held.session_number > first.session_number) == (SweepState.HELD, True)
            assert "290 of 300 known SIMs" in (held.sweep_reason or "")
        assert set(table(under_test, "carrier_sims", "absent_since", "vanished_at")) == {(None, None)}

    def test_a_clock_that_is_put_right_during_a_walk_changes_nothing_about_who_was_known(
        self, under_test: StoreUnderTest
    ) -> None:
        night(under_test, a_fleet(100))
        under_test.clock.advance(3 * 86400)
        session = committed(under_test, opened(under_test), a_page(a_fleet(40), {"page": 1}))
        under_test.clock.advance(-3 * 86400)
        session = committed(under_test, session, a_page([a_sim(1000 + number) for number in range(100)]))
        closed = under_test.store.close_session(session.claim, STRICT, session.config_hash)
        assert "60 of 100 known SIMs" in (closed.sweep_reason or "")

    def test_a_missing_sim_is_absent_first_and_vanished_after_a_second_walk(self, under_test: StoreUnderTest) -> None:
        night(under_test, [a_sim(1), a_sim(2)])
        first_miss = night(under_test, [a_sim(1)]).finished_at
        assert table(under_test, "carrier_sims", "sim_id", "absent_since", "vanished_at") == [
            ("sim-0001", None, None),
            ("sim-0002", first_miss, None),
        ]
        second_miss = night(under_test, [a_sim(1)]).finished_at
        night(under_test, [a_sim(1)])
        assert table(under_test, "carrier_sims", "sim_id", "absent_since", "vanished_at") == [
            ("sim-0001", None, None),
            ("sim-0002", first_miss, second_miss),
        ]

    def test_marking_is_no_change_of_the_sim(self, under_test: StoreUnderTest) -> None:
        first = night(under_test, [a_sim(1), a_sim(2)])
        night(under_test, [a_sim(1)])
        night(under_test, [a_sim(1)])
        assert table(under_test, "carrier_sims", "last_changed_at") == [(first.updated_at,)] * 2
        assert under_test.rows("sim_changes") == []

    @pytest.mark.parametrize("nights_away", [1, 2, 3])
    def test_a_sim_that_comes_back_is_neither_absent_nor_vanished(
        self, under_test: StoreUnderTest, nights_away: int
    ) -> None:
        first = night(under_test, [a_sim(1), a_sim(2)])
        first_seen_at = first.updated_at
        for _ in range(nights_away):
            night(under_test, [a_sim(1)])
        back = night(under_test, [a_sim(1), a_sim(2)])
        columns = ("sim_id", "first_seen_at", "last_seen_session", "absent_since", "vanished_at")
        assert table(under_test, "carrier_sims", *columns) == [
            ("sim-0001", first_seen_at, first.session_id, None, None),
            ("sim-0002", first_seen_at, back.session_id, None, None),
        ]
        assert (back.records_added, back.records_changed) == (0, 0)

    def test_a_sim_that_comes_back_changed_is_neither_absent_nor_vanished(self, under_test: StoreUnderTest) -> None:
        night(under_test, [a_sim(1), a_sim(2)])
        night(under_test, [a_sim(1)])
        night(under_test, [a_sim(1)])
        night(under_test, [a_sim(1), a_sim(2, label="back")])
        assert table(under_test, "carrier_sims", "label", "absent_since", "vanished_at") == [
            ("back", None, None),
            (None, None, None),
        ]

    def test_a_sim_that_comes_and_goes_has_to_be_missed_twice_again(self, under_test: StoreUnderTest) -> None:
        night(under_test, [a_sim(1), a_sim(2)])
        night(under_test, [a_sim(1)])
        night(under_test, [a_sim(1), a_sim(2)])
        last_miss = night(under_test, [a_sim(1)]).finished_at
        assert table(under_test, "carrier_sims", "sim_id", "absent_since", "vanished_at") == [
            ("sim-0001", None, None),
            ("sim-0002", last_miss, None),
        ]

    def test_only_this_carriers_sims_are_marked(self, under_test: StoreUnderTest) -> None:
        walked(under_test, opened(under_test, carrier="other"), [a_sim(1)])
        night(under_test, [a_sim(1), a_sim(2)])
        night(under_test, [a_sim(2)])
        columns = ("carrier", "sim_id", "absent_since")
        assert [row[:2] for row in table(under_test, "carrier_sims", *columns) if row[2]] == [(CARRIER, "sim-0001")]

    def test_a_walk_in_many_runs_sweeps_by_its_session(self, under_test: StoreUnderTest) -> None:
        night(under_test, [a_sim(1), a_sim(2), a_sim(3)])
        committed(under_test, opened(under_test, "run-1"), a_page([a_sim(1)], {"page": 1}))
        session = opened(under_test, "run-2", gone_owners=["run-1"])
        session = committed(under_test, session, a_page([a_sim(3)]))
        under_test.store.close_session(session.claim, STRICT, "config-1")
        absent = table(under_test, "carrier_sims", "sim_id", "absent_since")
        assert [sim_id for sim_id, absent_since in absent if absent_since] == ["sim-0002"]

    def test_too_many_missing_at_once_are_held_and_not_marked(self, under_test: StoreUnderTest) -> None:
        night(under_test, a_fleet(10))
        held = night(under_test, a_fleet(7), policy=STRICT)
        assert (held.state, held.sweep_state) == (State.COMPLETED, SweepState.HELD)
        assert "3 of 10" in (held.sweep_reason or "")
        assert table(under_test, "carrier_sims", "absent_since", "vanished_at") == [(None, None)] * 10

    def test_as_many_missing_as_may_be_are_marked(self, under_test: StoreUnderTest) -> None:
        night(under_test, a_fleet(10))
        done = night(under_test, a_fleet(8), policy=STRICT)
        assert (done.sweep_state, done.sweep_reason) == (SweepState.DONE, None)
        assert len([row for row in under_test.rows("carrier_sims") if row["absent_since"]]) == 2

    def test_sims_missed_before_do_not_count_as_missing_at_once(self, under_test: StoreUnderTest) -> None:
        night(under_test, a_fleet(10))
        night(under_test, a_fleet(8), policy=STRICT)
        done = night(under_test, a_fleet(6), policy=STRICT)
        assert done.sweep_state is SweepState.DONE
        marks = table(under_test, "carrier_sims", "absent_since", "vanished_at")
        assert [absent is not None for absent, _ in marks].count(True) == 4
        assert [vanished is not None for _, vanished in marks].count(True) == 2

    def test_new_sims_do_not_make_missing_ones_look_fewer(self, under_test: StoreUnderTest) -> None:
        night(under_test, a_fleet(10))
        fleet = [*a_fleet(7), *(a_sim(number) for number in range(100, 200))]
        assert night(under_test, fleet, policy=STRICT).sweep_state is SweepState.HELD

    def test_an_empty_answer_is_held(self, under_test: StoreUnderTest) -> None:
        night(under_test, [a_sim(1)])
        held = night(under_test, [], policy=STRICT)
        assert held.sweep_state is SweepState.HELD
        assert table(under_test, "carrier_sims", "absent_since") == [(None,)]

    def test_an_empty_answer_of_a_carrier_without_sims_is_done(self, under_test: StoreUnderTest) -> None:
        assert night(under_test, [], policy=STRICT).sweep_state is SweepState.DONE

    def test_a_changed_configuration_marks_nothing(self, under_test: StoreUnderTest) -> None:
        night(under_test, [a_sim(1), a_sim(2)])
        session = walked(under_test, opened(under_test), [a_sim(1)])
        skipped = under_test.store.close_session(session.claim, STRICT, "config-2")
        assert (skipped.state, skipped.sweep_state) == (State.COMPLETED, SweepState.SKIPPED)
        assert "configuration changed" in (skipped.sweep_reason or "")
        assert table(under_test, "carrier_sims", "absent_since") == [(None,), (None,)]

    def test_a_walk_with_unreadable_records_marks_nothing(self, under_test: StoreUnderTest) -> None:
        night(under_test, [a_sim(1), a_sim(2)])
        session = committed(under_test, opened(under_test), a_page([a_sim(1)], rejected=[a_rejected(1)]))
        skipped = under_test.store.close_session(session.claim, STRICT, "config-1")
        assert skipped.sweep_state is SweepState.SKIPPED
        assert table(under_test, "carrier_sims", "absent_since") == [(None,), (None,)]

    @pytest.mark.parametrize(
        ("carrier_total", "sweep_state"),
        [(3, SweepState.DONE), (4, SweepState.DONE), (5, SweepState.SKIPPED), (1, SweepState.SKIPPED)],
    )
    def test_a_walk_has_to_agree_with_the_carriers_total(
        self, under_test: StoreUnderTest, carrier_total: int, sweep_state: SweepState
    ) -> None:
        night(under_test, a_fleet(4))
        session = committed(under_test, opened(under_test), a_page(a_fleet(2), {"page": 1}, records_total=1))
        session = committed(under_test, session, a_page([a_sim(2)], records_total=carrier_total))
        closed = under_test.store.close_session(session.claim, STRICT, "config-1")
        assert closed.sweep_state is sweep_state

    @pytest.mark.parametrize(
        ("totals", "sweep_state"),
        [
            ((4, 4), SweepState.SKIPPED),  # as many records as the total says, and one SIM of them twice
            ((None, None), SweepState.SKIPPED),
            ((3, 3), SweepState.DONE),  # a SIM came to the front meanwhile: all that the total counts were seen
            ((4, 3), SweepState.SKIPPED),  # one left; nobody knows whether one that stayed has moved up
            ((3, None), SweepState.DONE),
        ],
    )
    def test_a_walk_in_which_a_sim_came_twice_has_to_have_seen_all_that_the_total_counts(
        self, under_test: StoreUnderTest, totals: tuple[int | None, int | None], sweep_state: SweepState
    ) -> None:
        night(under_test, a_fleet(3))
        session = committed(under_test, opened(under_test), a_page(a_fleet(2), {"page": 1}, records_total=totals[0]))
        session = committed(under_test, session, a_page([a_sim(1), a_sim(2)], records_total=totals[1]))
        closed = under_test.store.close_session(session.claim, STRICT, "config-1")
        assert closed.sweep_state is sweep_state
        if sweep_state is SweepState.SKIPPED:
            assert "4 records were 3 SIMs" in (closed.sweep_reason or "")

    def test_a_page_that_is_fetched_again_after_a_crash_is_no_repetition(self, under_test: StoreUnderTest) -> None:
        session = opened(under_test, "run-1")
        page = a_page(a_fleet(2), {"page": 1})
        under_test.crash_points.arm("commit_page:checkpoint_written", error=SimulatedCrash("here"))
        with pytest.raises(SimulatedCrash):
            committed(under_test, session, page)
        under_test.crash_points.disarm()
        session = opened(under_test, "run-2", gone_owners=["run-1"])
        session = committed(under_test, committed(under_test, session, page), a_page([a_sim(2)]))
        assert under_test.store.close_session(session.claim, STRICT, "config-1").sweep_state is SweepState.DONE

    def test_a_walk_that_had_to_start_again_is_certified_where_it_saw_all_that_were_known(
        self, under_test: StoreUnderTest
    ) -> None:
        night(under_test, a_fleet(3))
        session = committed(under_test, opened(under_test), a_page(a_fleet(2), {"page": 1}))
        session = under_test.store.commit_walk_restart(session.claim, {"page": 0}, "410")
        session = walked(under_test, session, a_fleet(2), [a_sim(2)])
        closed = under_test.store.close_session(session.claim, STRICT, "config-1")
        assert (closed.sweep_state, closed.sweep_reason) == (SweepState.DONE, None)

    def test_a_walk_that_had_to_start_again_marks_nothing(self, under_test: StoreUnderTest) -> None:
        night(under_test, a_fleet(4))
        session = committed(under_test, opened(under_test), a_page(a_fleet(2), {"page": 1}))
        session = under_test.store.commit_walk_restart(session.claim, {"page": 0}, "410")
        # One SIM twice and one never, and one that has left since: as many as are there.
        session = walked(under_test, session, [a_sim(1)], [a_sim(2)], [a_sim(2)])
        closed = under_test.store.close_session(session.claim, STRICT, "config-1")
        assert closed.sweep_reason == (
            "not certified complete: the walk had to start again, and 1 known SIM is not among those that it saw "
            "before and after that"
        )

    @pytest.mark.parametrize(
        ("hours", "moves_unseen", "sweep_state"),
        [(2, True, SweepState.SKIPPED), (2, False, SweepState.DONE), (0.5, True, SweepState.DONE)],
    )
    def test_a_list_that_tells_nothing_of_its_moves_is_not_trusted_after_a_long_break(
        self, under_test: StoreUnderTest, hours: float, moves_unseen: bool, sweep_state: SweepState
    ) -> None:
        night(under_test, a_fleet(4))
        page = a_page(a_fleet(2), {"page": 1}, moves_unseen=moves_unseen)
        session = committed(under_test, opened(under_test, "run-1"), page)
        under_test.clock.advance(hours * 3600)
        session = committed(under_test, opened(under_test, "run-2", gone_owners=["run-1"]), a_page([a_sim(2)]))
        closed = under_test.store.close_session(session.claim, STRICT, "config-1")
        assert closed.sweep_state is sweep_state

    def test_what_comes_twice_marks_nothing_even_where_the_total_is_reached(self, under_test: StoreUnderTest) -> None:
        night(under_test, a_fleet(4))
        session = committed(under_test, opened(under_test), a_page(a_fleet(2), {"page": 1}, records_total=3))
        session = committed(under_test, session, a_page([a_sim(1), a_sim(2)], records_total=3))
        closed = under_test.store.close_session(session.claim, STRICT, "config-1")
        assert "4 records were 3 SIMs, and 1 known SIM is not among them" in (closed.sweep_reason or "")

    def test_a_walk_whose_pages_overlap_by_design_may_see_sims_twice(self, under_test: StoreUnderTest) -> None:
        night(under_test, a_fleet(4))
        overlapping = replace(STRICT, repeats_by_design=True)
        closed = night(under_test, a_fleet(2), [a_sim(1), a_sim(2)], policy=overlapping)
        assert closed.sweep_state is SweepState.DONE

    def test_what_a_page_doubts_is_the_reason(self, under_test: StoreUnderTest) -> None:
        session = committed(under_test, opened(under_test), a_page([a_sim(1)], {"page": 1}, gap="a key came twice"))
        session = committed(under_test, session, a_page([a_sim(2)], end_doubt="it ended with HTTP 400"))
        closed = under_test.store.close_session(session.claim, STRICT, "config-1")
        assert closed.sweep_reason == "not certified complete: it ended with HTTP 400"

    def test_a_walk_that_is_not_over_is_not_closed(self, under_test: StoreUnderTest) -> None:
        session = committed(under_test, opened(under_test), a_page([a_sim(1)], {"page": 1}))
        before = everything(under_test)
        with pytest.raises(InternalError, match=session.session_id):
            under_test.store.close_session(session.claim, STRICT, "config-1")
        assert everything(under_test) == before

    def test_a_paused_session_is_not_closed(self, under_test: StoreUnderTest) -> None:
        night(under_test, [a_sim(1), a_sim(2)])
        session = walked(under_test, opened(under_test), [a_sim(1)])
        paused = under_test.store.release(session.claim, Release(Event.PAUSED_BY_OPERATOR))
        before = everything(under_test)
        assert under_test.store.close_session(session.claim, STRICT, "config-1") == paused
        assert everything(under_test) == before

    def test_a_session_is_closed_once_when_its_acknowledgement_was_lost(self, under_test: StoreUnderTest) -> None:
        night(under_test, [a_sim(1), a_sim(2)])
        session = walked(under_test, opened(under_test), [a_sim(1)])
        completed = under_test.store.close_session(session.claim, STRICT, "config-1")
        under_test.clock.advance(5)
        before = everything(under_test)
        assert under_test.store.close_session(session.claim, STRICT, "config-1") == completed
        assert everything(under_test) == before

    def test_a_superseded_session_is_not_closed(self, under_test: StoreUnderTest) -> None:
        session = walked(under_test, opened(under_test, "run-1"), [a_sim(1)])
        opened(under_test, "run-2", restart=True)
        before = everything(under_test)
        with pytest.raises(Fenced, match="superseded"):
            under_test.store.close_session(session.claim, STRICT, "config-1")
        assert everything(under_test) == before

    def test_an_overtaken_worker_closes_nothing(self, under_test: StoreUnderTest) -> None:
        night(under_test, [a_sim(1), a_sim(2)])
        zombie = walked(under_test, opened(under_test, "run-1"), [a_sim(1)])
        opened(under_test, "run-2", gone_owners=["run-1"])
        before = everything(under_test)
        with pytest.raises(Fenced, match="run-2"):
            under_test.store.close_session(zombie.claim, STRICT, "config-1")
        assert everything(under_test) == before

    @pytest.mark.parametrize("event", [Event.STOPPED_BY_MACHINE, Event.WAIT_TOO_LONG, Event.GAVE_UP])
    def test_a_released_session_is_not_closed(self, under_test: StoreUnderTest, event: Event) -> None:
        session = walked(under_test, opened(under_test), [a_sim(1)])
        under_test.store.release(session.claim, Release(event))
        with pytest.raises(Fenced):
            under_test.store.close_session(session.claim, STRICT, "config-1")

    def test_a_session_that_was_taken_over_at_its_end_only_has_to_be_closed(self, under_test: StoreUnderTest) -> None:
        walked(under_test, opened(under_test, "run-1"), [a_sim(1)])
        under_test.clock.advance(timedelta(hours=1).total_seconds())
        session = opened(under_test, "run-2")
        assert session.cursor is None
        closed = under_test.store.close_session(session.claim, STRICT, "config-1")
        assert (closed.state, closed.pages_done) == (State.COMPLETED, 1)
