"""The store's rules about SIMs that a walk missed and that are asked for one by one; the loop is `core.looking_up`."""

from dataclasses import replace
from typing import Any

import pytest

from sim_sync.core.errors import Fenced
from sim_sync.core.lookups import AskedSim, LookedUp, LookupOutcome
from sim_sync.core.pages import Effort
from sim_sync.core.session import Event, Session, State, SweepState
from sim_sync.core.sims import Sim
from sim_sync.core.sweep import SweepPolicy
from sim_sync_tests.fakes.crash_points import SimulatedCrash
from sim_sync_tests.fakes.fleet import a_fleet, a_page, a_rejected, a_request, a_sim
from sim_sync_tests.warehouse.crash_rules import points_of
from sim_sync_tests.warehouse.store_under_test import (
    StoreUnderTest,
    committed,
    everything,
    night,
    opened,
    table,
    walked,
)

POLICY = SweepPolicy()
NOT_THERE = LookedUp(LookupOutcome.NOT_FOUND)
UNCLEAR = LookedUp(LookupOutcome.UNCLEAR, problem="HTTP 500")


def at_the_end(under_test: StoreUnderTest, before: list[Sim], seen: list[Sim]) -> Session:
    """Walk over some SIMs in one night, and in the next one up to the end over others."""
    night(under_test, before)
    under_test.clock.advance(3600)
    return walked(under_test, opened(under_test), seen)


def planned(under_test: StoreUnderTest, session: Session, policy: SweepPolicy = POLICY) -> list[str]:
    """Return whom the session has still to ask for."""
    plan = under_test.store.plan_lookups(session.claim, policy, session.config_hash)
    return [asked.sim_id for asked in plan.sims]


def answered(under_test: StoreUnderTest, session: Session, number: int, looked_up: LookedUp) -> Session:
    """Commit what was answered about a SIM."""
    return under_test.store.commit_lookup(session.claim, asked(number), looked_up)


def asked(number: int) -> AskedSim:
    """Return a SIM as it is asked for."""
    sim = a_sim(number)
    return AskedSim(sim.sim_id, sim.iccid, sim.iccid_raw)


def closed(under_test: StoreUnderTest, session: Session, policy: SweepPolicy = POLICY) -> Session:
    """Close the session."""
    return under_test.store.close_session(session.claim, policy, session.config_hash)


def marks(under_test: StoreUnderTest) -> dict[str, str]:
    """Return whether each SIM is there, absent or vanished."""
    rows = table(under_test, "carrier_sims", "sim_id", "absent_since", "vanished_at")
    return {row[0]: "vanished" if row[2] else "absent" if row[1] else "there" for row in rows}


class LookupRules:
    """Mixed into `SessionStoreContract`."""

    def test_the_sims_that_a_certified_walk_missed_are_asked_for(self, under_test: StoreUnderTest) -> None:
        session = at_the_end(under_test, a_fleet(4), [a_sim(1), a_sim(3)])
        plan = under_test.store.plan_lookups(session.claim, POLICY, session.config_hash)
        assert plan.sims == [asked(0), asked(2)]
        assert plan.witness in {asked(1), asked(3)}
        assert (plan.session.lookups_done, plan.session.lookups_expected) == (0, 2)
        assert plan.session == under_test.store.session(session.session_id)

    def test_first_come_those_that_the_sweep_would_mark_as_vanished(self, under_test: StoreUnderTest) -> None:
        night(under_test, a_fleet(5))
        session = at_the_end(under_test, [a_sim(0), a_sim(1), a_sim(2), a_sim(4)], [a_sim(2), a_sim(4)])
        assert planned(under_test, session) == ["sim-0003", "sim-0000", "sim-0001"]

    def test_no_more_are_asked_for_than_the_limit_says_in_however_many_runs(self, under_test: StoreUnderTest) -> None:
        policy = replace(POLICY, lookup_limit=2)
        session = at_the_end(under_test, a_fleet(5), [a_sim(0)])
        assert planned(under_test, session, policy) == ["sim-0001", "sim-0002"]
        session = answered(under_test, session, 1, NOT_THERE)
        assert planned(under_test, session, policy) == ["sim-0002"]
        session = answered(under_test, session, 2, UNCLEAR)
        assert planned(under_test, session, policy) == []
        assert (session.lookups_done, session.lookups_expected) == (2, 2)
        done = closed(under_test, session, policy)
        assert marks(under_test) == {
            "sim-0000": "there",
            "sim-0001": "vanished",
            **dict.fromkeys(("sim-0002", "sim-0003", "sim-0004"), "absent"),
        }
        assert done.sweep_reason == (
            "2 SIMs that the list lacks were looked up: 1 not there, vanished now, 1 without a clear answer; "
            "2 SIMs that the list lacks were not asked for: more than sweep.lookup_limit (2)"
        )

    def test_nobody_is_asked_for_where_no_sim_is_missed(self, under_test: StoreUnderTest) -> None:
        session = at_the_end(under_test, a_fleet(2), a_fleet(3))
        before = everything(under_test)
        assert planned(under_test, session) == []
        assert everything(under_test) == before

    def test_a_sim_that_has_vanished_is_not_asked_for_every_night(self, under_test: StoreUnderTest) -> None:
        night(under_test, a_fleet(2))
        night(under_test, a_fleet(1))
        night(under_test, a_fleet(1))
        assert planned(under_test, at_the_end(under_test, a_fleet(1), a_fleet(1))) == []

    @pytest.mark.parametrize(
        ("page", "policy", "config_hash", "sweep_state"),
        [
            (a_page(a_fleet(2)), SweepPolicy(min_vanished_count=3), "config-1", SweepState.HELD),
            (a_page([]), POLICY, "config-1", SweepState.HELD),
            (a_page(a_fleet(2), rejected=[a_rejected(2)]), POLICY, "config-1", SweepState.SKIPPED),
            (a_page(a_fleet(2), records_total=5), POLICY, "config-1", SweepState.SKIPPED),
            (a_page(a_fleet(2)), POLICY, "config-2", SweepState.SKIPPED),
        ],
    )
    def test_nobody_is_asked_for_before_a_sweep_that_will_not_be_done(
        self,
        under_test: StoreUnderTest,
        page: Any,
        policy: SweepPolicy,
        config_hash: str,
        sweep_state: SweepState,
    ) -> None:
        night(under_test, a_fleet(6))
        session = committed(under_test, opened(under_test), page)
        plan = under_test.store.plan_lookups(session.claim, policy, config_hash)
        assert plan.sims == ()
        done = under_test.store.close_session(session.claim, policy, config_hash)
        assert done.sweep_state is sweep_state
        assert set(marks(under_test).values()) == {"there"}

    def test_a_sim_that_is_not_there_has_vanished_tonight(self, under_test: StoreUnderTest) -> None:
        session = at_the_end(under_test, a_fleet(3), [a_sim(0)])
        planned(under_test, session)
        answered(under_test, session, 1, NOT_THERE)
        session = answered(under_test, session, 2, UNCLEAR)
        assert set(marks(under_test).values()) == {"there"}, "nothing is marked before the sweep"
        done = closed(under_test, session)
        assert marks(under_test) == {"sim-0000": "there", "sim-0001": "vanished", "sim-0002": "absent"}
        times = [row[1:] for row in table(under_test, "carrier_sims", "sim_id", "absent_since", "vanished_at")]
        assert times[1] == (done.finished_at, done.finished_at)

    def test_a_sim_that_was_absent_before_keeps_since_when(self, under_test: StoreUnderTest) -> None:
        night(under_test, a_fleet(2))
        missed_at = night(under_test, a_fleet(1)).finished_at
        under_test.clock.advance(3600)
        session = walked(under_test, opened(under_test), a_fleet(1))
        assert planned(under_test, session) == ["sim-0001"]
        done = closed(under_test, answered(under_test, session, 1, NOT_THERE))
        rows = table(under_test, "carrier_sims", "sim_id", "absent_since", "vanished_at")
        assert rows[1] == ("sim-0001", missed_at, done.finished_at)

    def test_a_sim_without_a_clear_answer_keeps_the_rule_of_two_walks(self, under_test: StoreUnderTest) -> None:
        night(under_test, a_fleet(2))
        for expected in ("absent", "vanished"):
            under_test.clock.advance(3600)
            session = walked(under_test, opened(under_test), a_fleet(1))
            assert planned(under_test, session) == ["sim-0001"]
            done = closed(under_test, answered(under_test, session, 1, UNCLEAR))
            assert marks(under_test)["sim-0001"] == expected
            assert (done.sweep_state, done.last_error) == (SweepState.DONE, "HTTP 500")
            assert done.sweep_reason == "1 SIM that the list lacks was looked up: 1 without a clear answer"

    def test_a_sim_that_is_found_is_written_as_its_page_would_have_done_it(self, under_test: StoreUnderTest) -> None:
        night(under_test, a_fleet(2))
        night(under_test, a_fleet(1))
        under_test.clock.advance(3600)
        session = walked(under_test, opened(under_test), a_fleet(1))
        assert planned(under_test, session) == ["sim-0001"]
        now = under_test.clock.advance(60)
        session = answered(under_test, session, 1, LookedUp(LookupOutcome.FOUND, a_sim(1, status="suspended")))
        columns = ("sim_id", "status", "last_changed_at", "last_seen_session", "absent_since", "vanished_at")
        row = ("sim-0001", "suspended", now, session.session_id, None, None)
        assert table(under_test, "carrier_sims", *columns)[1] == row
        changed = table(under_test, "sim_changes", "sim_id", "session_id", "field", "old_value", "new_value")
        assert changed == [("sim-0001", session.session_id, "status", "active", "suspended")]
        done = closed(under_test, session)
        assert (done.records_changed, done.records_added, done.records_seen) == (1, 0, 1)
        assert table(under_test, "carrier_sims", *columns)[1] == row
        assert done.sweep_reason == (
            "1 SIM that the list lacks was looked up: 1 still there, so the list was not whole"
        )

    def test_what_is_found_does_not_speak_for_or_against_the_walk(self, under_test: StoreUnderTest) -> None:
        fleet = a_fleet(300)
        night(under_test, fleet)
        under_test.clock.advance(3600)
        session = committed(under_test, opened(under_test), a_page(fleet[:290], records_total=290))
        assert len(planned(under_test, session)) == 10
        for sim in fleet[290:299]:
            session = under_test.store.commit_lookup(
                session.claim, AskedSim(sim.sim_id), LookedUp(LookupOutcome.FOUND, sim)
            )
        done = closed(under_test, session)
        assert done.sweep_state is SweepState.DONE
        assert list(marks(under_test).values()).count("absent") == 1
        night(under_test, fleet)
        assert set(marks(under_test).values()) == {"there"}

    def test_a_record_that_is_stored_as_another_sim_is_no_answer(self, under_test: StoreUnderTest) -> None:
        session = at_the_end(under_test, a_fleet(3), a_fleet(2))
        planned(under_test, session)
        before = table(under_test, "carrier_sims", "sim_id", "label", "last_seen_session")
        session = answered(under_test, session, 2, LookedUp(LookupOutcome.FOUND, a_sim(1, label="another")))
        assert table(under_test, "carrier_sims", "sim_id", "label", "last_seen_session") == before
        done = closed(under_test, session)
        assert marks(under_test)["sim-0002"] == "absent"
        assert "1 without a clear answer" in (done.sweep_reason or "")

    def test_an_answer_is_a_step_with_its_cost_and_its_lease(self, under_test: StoreUnderTest) -> None:
        session = at_the_end(under_test, a_fleet(6), a_fleet(1))
        planned(under_test, session)
        now = under_test.clock.advance(2)
        session = answered(under_test, session, 1, replace(NOT_THERE, effort=Effort(2, 1.5, "HTTP 503")))
        assert (session.state, session.lookups_done, session.pages_done) == (State.RUNNING, 1, 1)
        assert (session.retries, session.throttled_seconds, session.last_error) == (2, 1.5, "HTTP 503")
        assert session.lease_expires_at is not None
        assert (session.lease_expires_at - now).total_seconds() == 30
        for number in (2, 3):
            under_test.clock.advance(2)
            session = answered(under_test, session, number, NOT_THERE)
        assert session.eta_at is not None
        seconds = (session.eta_at - under_test.clock.now()).total_seconds()
        assert 0 < seconds <= 4, "two SIMs are left, and each has taken two seconds at most"

    def test_an_answer_whose_acknowledgement_was_lost_is_written_once(self, under_test: StoreUnderTest) -> None:
        session = at_the_end(under_test, a_fleet(2), a_fleet(1))
        planned(under_test, session)
        answered(under_test, session, 1, NOT_THERE)
        before = everything(under_test)
        assert answered(under_test, session, 1, UNCLEAR).lookups_done == 1
        assert everything(under_test) == before

    def test_who_was_taken_over_writes_no_answer(self, under_test: StoreUnderTest) -> None:
        session = at_the_end(under_test, a_fleet(2), a_fleet(1))
        planned(under_test, session)
        opened(under_test, "run-2", gone_owners=["run-1"])
        before = everything(under_test)
        with pytest.raises(Fenced):
            answered(under_test, session, 1, NOT_THERE)
        with pytest.raises(Fenced):
            planned(under_test, session)
        assert everything(under_test) == before

    def test_the_next_owner_goes_on_with_the_next_sim(self, under_test: StoreUnderTest) -> None:
        session = at_the_end(under_test, a_fleet(4), a_fleet(1))
        planned(under_test, session)
        answered(under_test, session, 1, NOT_THERE)
        resumed = opened(under_test, "run-2", gone_owners=["run-1"])
        assert planned(under_test, resumed) == ["sim-0002", "sim-0003"]
        done = closed(under_test, answered(under_test, resumed, 2, NOT_THERE))
        assert marks(under_test) == {
            "sim-0000": "there",
            "sim-0001": "vanished",
            "sim-0002": "vanished",
            "sim-0003": "absent",
        }
        assert (done.lookups_done, done.lookups_expected) == (2, 3)

    def test_under_a_pause_the_answer_in_hand_is_the_last(self, under_test: StoreUnderTest) -> None:
        session = at_the_end(under_test, a_fleet(3), a_fleet(1))
        planned(under_test, session)
        under_test.store.move_by_operator(session.carrier, Event.PAUSED_BY_OPERATOR)
        session = answered(under_test, session, 1, NOT_THERE)
        assert (session.state, session.lease_expires_at, session.eta_at) == (State.PAUSED, None, None)
        assert planned(under_test, session) == []

    def test_a_superseded_session_leaves_no_answers_to_the_next(self, under_test: StoreUnderTest) -> None:
        session = at_the_end(under_test, a_fleet(2), a_fleet(1))
        planned(under_test, session)
        answered(under_test, session, 1, NOT_THERE)
        session = opened(under_test, "run-2", restart=True, gone_owners=["run-1"])
        closed(under_test, walked(under_test, session, a_fleet(1)))
        assert marks(under_test)["sim-0001"] == "absent"

    @pytest.mark.parametrize("point", [*points_of("plan_lookups"), *points_of("commit_lookup")])
    def test_an_answer_is_there_with_its_sim_and_its_checkpoint_or_not_at_all(
        self, under_test: StoreUnderTest, point: str
    ) -> None:
        session = at_the_end(under_test, a_fleet(2), a_fleet(1))

        def do() -> None:
            if point.startswith("plan"):
                planned(under_test, session)
            else:
                answered(under_test, session, 1, LookedUp(LookupOutcome.FOUND, a_sim(1, label="new")))

        before = everything(under_test)
        under_test.crash_points.arm(point)
        with pytest.raises(SimulatedCrash):
            do()
        assert (everything(under_test) == before) is not point.endswith(":committed")
        do()
        assert under_test.store.session(session.session_id).lookups_done == (not point.startswith("plan"))

    def test_a_resumed_session_that_was_answered_is_not_stalled(self, under_test: StoreUnderTest) -> None:
        session = at_the_end(under_test, a_fleet(2), a_fleet(1))
        session = under_test.store.open_session(a_request("run-2", gone_owners=["run-1"])).session
        assert session.stalled_resumes == 1
        planned(under_test, session)
        assert answered(under_test, session, 1, NOT_THERE).stalled_resumes == 0
