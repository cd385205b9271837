"""The store's rules about a held sweep: what is shown is what is marked, once, by whoever decides. See `held_sweep`."""

from collections.abc import Sequence

import pytest

from sim_sync.core.errors import InputError
from sim_sync.core.held_sweep import GroupCount, Marked, OperatorDecision, SweepChoice, UnseenSim
from sim_sync.core.session import Session, State, SweepState
from sim_sync.core.sims import Sim
from sim_sync.core.sweep import SweepPolicy
from sim_sync.core.sync import DECISION_POINTS
from sim_sync_tests.fakes.crash_points import SimulatedCrash
from sim_sync_tests.fakes.fleet import CARRIER, a_fleet, a_page, a_sim
from sim_sync_tests.warehouse.store_under_test import (
    StoreUnderTest,
    committed,
    everything,
    night,
    opened,
    table,
    walked,
)

STRICT = SweepPolicy(max_vanished_percent=5.0, min_vanished_count=2)
LOOSE = SweepPolicy(max_vanished_percent=100.0)
APPROVED = OperatorDecision(SweepChoice.APPROVE, "ann", "they moved to another account")
REJECTED = OperatorDecision(SweepChoice.REJECT, "bob", "the carrier's list was cut off")
MARKS = ("sim_id", "absent_since", "vanished_at")


def held_night(under_test: StoreUnderTest, *pages: Sequence[Sim]) -> Session:
    """Walk over a list that lacks too many SIMs."""
    session = night(under_test, *pages, policy=STRICT)
    assert session.sweep_state is SweepState.HELD
    return session


def shown_digest(under_test: StoreUnderTest) -> str:
    return under_test.store.show_held_sweep(CARRIER, most=9).digest


def marked(under_test: StoreUnderTest) -> tuple[list[str], list[str]]:
    """Return the ids of the SIMs that are absent, and of those that have vanished."""
    rows = table(under_test, "carrier_sims", *MARKS)
    return [sim_id for sim_id, absent, _ in rows if absent], [sim_id for sim_id, _, vanished in rows if vanished]


class DecisionRules:
    """Mixed into `SessionStoreContract`."""

    def test_what_would_be_marked_is_shown_with_its_counts(self, under_test: StoreUnderTest) -> None:
        fleet = [a_sim(number, rate_plan="gold" if number < 3 else None, account="a-1") for number in range(8)]
        night(under_test, fleet)
        night(under_test, fleet[1:])  # SIM 0 is absent from now on
        held = held_night(under_test, fleet[5:])
        shown = under_test.store.show_held_sweep(CARRIER, most=2)
        assert (shown.session, shown.sims, shown.absent, shown.vanished) == (held, 5, 4, 1)
        assert shown.by_status == [GroupCount("active", 5)]
        assert shown.by_rate_plan == [GroupCount("gold", 3), GroupCount(None, 2)]
        assert shown.by_account == [GroupCount("a-1", 5)]
        iccid = fleet[0].iccid
        assert shown.listed[0] == UnseenSim("sim-0000", iccid, "active", "gold", "a-1", vanishes=True)
        assert [sim.sim_id for sim in shown.listed] == ["sim-0000", "sim-0001"]

    def test_showing_marks_nothing_and_is_the_same_again(self, under_test: StoreUnderTest) -> None:
        night(under_test, a_fleet(8))
        held_night(under_test, a_fleet(4))
        digest = shown_digest(under_test)
        before = everything(under_test)
        under_test.clock.advance(60)
        assert shown_digest(under_test) == digest
        assert everything(under_test) == before
        assert marked(under_test) == ([], [])

    def test_an_approved_sweep_leaves_the_sims_as_the_walk_would_have(self, under_test: StoreUnderTest) -> None:
        fleet = a_fleet(8)
        for policy in (LOOSE, STRICT):
            carrier_nights = ([fleet], [fleet[1:]], [fleet[4:]])
            for pages in carrier_nights:
                session = night(under_test, *pages, policy=policy)
            if session.sweep_state is SweepState.DONE:
                swept = marked(under_test)
        assert session.sweep_state is SweepState.HELD
        under_test.store.show_held_sweep(CARRIER, most=9)
        decided, counts = under_test.store.decide_held_sweep(CARRIER, APPROVED)
        assert counts == Marked(absent=3, vanished=1)
        assert marked(under_test) == swept == (["sim-0000", "sim-0001", "sim-0002", "sim-0003"], ["sim-0000"])
        assert {absent for sim_id, absent, _ in table(under_test, "carrier_sims", *MARKS)[1:4]} == {
            decided.sweep_decided_at
        }

    def test_who_decided_when_and_why_is_in_the_sessions_row(self, under_test: StoreUnderTest) -> None:
        night(under_test, a_fleet(8))
        held = held_night(under_test, a_fleet(4))
        under_test.store.show_held_sweep(CARRIER, most=9)
        now = under_test.clock.advance(600)
        decided, _ = under_test.store.decide_held_sweep(CARRIER, APPROVED)
        columns = ("session_id", "state", "sweep_state", "sweep_decided_by", "sweep_decided_at")
        rows = table(under_test, "sync_sessions", *columns, "sweep_decision_reason", "sweep_reason", "finished_at")
        assert rows[-1] == (
            *(held.session_id, State.COMPLETED, "approved", "ann", now),
            *("they moved to another account", held.sweep_reason, held.finished_at),
        )
        assert under_test.store.session(held.session_id) == decided

    def test_a_rejected_sweep_marks_nothing_and_needs_no_showing(self, under_test: StoreUnderTest) -> None:
        night(under_test, a_fleet(8))
        held_night(under_test, a_fleet(4))
        sims = under_test.rows("carrier_sims")
        decided, counts = under_test.store.decide_held_sweep(CARRIER, REJECTED)
        assert (decided.sweep_state, decided.sweep_decided_by, counts) == (SweepState.REJECTED, "bob", Marked())
        assert under_test.rows("carrier_sims") == sims

    @pytest.mark.parametrize("first", [APPROVED, REJECTED])
    @pytest.mark.parametrize("second", [APPROVED, REJECTED])
    def test_a_sweep_is_decided_once(
        self, under_test: StoreUnderTest, first: OperatorDecision, second: OperatorDecision
    ) -> None:
        night(under_test, a_fleet(8))
        held_night(under_test, a_fleet(4))
        under_test.store.show_held_sweep(CARRIER, most=9)
        decided, _ = under_test.store.decide_held_sweep(CARRIER, first)
        before = everything(under_test)
        with pytest.raises(InputError, match=f"{decided.sweep_state.value}, decided by {first.by} at 2"):
            under_test.store.decide_held_sweep(CARRIER, second)
        assert everything(under_test) == before

    def test_nothing_is_approved_that_was_not_shown(self, under_test: StoreUnderTest) -> None:
        night(under_test, a_fleet(8))
        held_night(under_test, a_fleet(4))
        before = everything(under_test)
        with pytest.raises(InputError, match="was not shown yet: `sim-sync sweep show acme`"):
            under_test.store.decide_held_sweep(CARRIER, APPROVED)
        assert everything(under_test) == before

    def test_a_sim_that_is_seen_again_meanwhile_is_asked_for_again(self, under_test: StoreUnderTest) -> None:
        night(under_test, a_fleet(8))
        held_night(under_test, a_fleet(4))
        first = shown_digest(under_test)
        committed(under_test, opened(under_test), a_page([a_sim(1), a_sim(5)], {"page": 1}))
        before = everything(under_test)
        with pytest.raises(InputError, match=f"has changed since it was shown .digest {first}"):
            under_test.store.decide_held_sweep(CARRIER, APPROVED)
        assert everything(under_test) == before
        assert shown_digest(under_test) != first
        _, counts = under_test.store.decide_held_sweep(CARRIER, APPROVED)
        assert (counts, marked(under_test)[0]) == (Marked(absent=3), ["sim-0004", "sim-0006", "sim-0007"])

    def test_a_walk_at_work_that_sees_none_of_them_changes_nothing(self, under_test: StoreUnderTest) -> None:
        night(under_test, a_fleet(8))
        held_night(under_test, a_fleet(4))
        shown_digest(under_test)
        session = committed(under_test, opened(under_test), a_page([a_sim(1), a_sim(9)], {"page": 1}))
        assert under_test.store.decide_held_sweep(CARRIER, APPROVED)[1] == Marked(absent=4)
        # What it sees later is there after all; what it misses too has vanished.
        committed(under_test, session, a_page([a_sim(0), a_sim(2), a_sim(3), a_sim(4)]))
        closed = under_test.store.close_session(session.claim, STRICT, session.config_hash)
        assert closed.sweep_state is SweepState.DONE
        assert marked(under_test) == (["sim-0005", "sim-0006", "sim-0007"],) * 2

    def test_a_list_is_approved_by_its_digest_where_one_is_named(self, under_test: StoreUnderTest) -> None:
        night(under_test, a_fleet(8))
        held_night(under_test, a_fleet(4))
        digest = shown_digest(under_test)
        with pytest.raises(InputError, match=f"has the digest {digest}, not 0123"):
            under_test.store.decide_held_sweep(CARRIER, OperatorDecision(SweepChoice.APPROVE, "ann", digest="0123"))
        named = OperatorDecision(SweepChoice.APPROVE, "ann", digest=digest)
        assert under_test.store.decide_held_sweep(CARRIER, named)[1] == Marked(absent=4)

    @pytest.mark.parametrize(("left", "state"), [(8, SweepState.DONE), (4, SweepState.HELD)])
    def test_a_later_certified_walk_makes_a_held_sweep_moot(
        self, under_test: StoreUnderTest, left: int, state: SweepState
    ) -> None:
        night(under_test, a_fleet(8))
        first = held_night(under_test, a_fleet(4))
        shown_digest(under_test)
        later = night(under_test, a_fleet(left), policy=STRICT)
        history = under_test.store.sweep_history(CARRIER)
        assert (later.sweep_state, history.moot, history.last) == (state, first, later)
        before = everything(under_test)
        with pytest.raises(InputError):
            under_test.store.decide_held_sweep(CARRIER, APPROVED)
        assert everything(under_test) == before

    def test_a_later_walk_that_is_not_certified_leaves_it_to_be_decided(self, under_test: StoreUnderTest) -> None:
        night(under_test, a_fleet(8))
        held = held_night(under_test, a_fleet(4))
        doubtful = walked(under_test, opened(under_test), a_fleet(5))
        closed = under_test.store.close_session(doubtful.claim, STRICT, "config-2")
        assert closed.sweep_state is SweepState.SKIPPED
        shown = under_test.store.show_held_sweep(CARRIER, most=9)
        assert (shown.session, shown.sims) == (held, 3)
        assert under_test.store.decide_held_sweep(CARRIER, APPROVED)[1] == Marked(absent=3)

    def test_another_carriers_sims_are_left_alone(self, under_test: StoreUnderTest) -> None:
        other = opened(under_test, carrier="zeta")
        under_test.store.close_session(walked(under_test, other, a_fleet(8)).claim, STRICT, other.config_hash)
        night(under_test, a_fleet(8))
        held_night(under_test, a_fleet(4))
        assert under_test.store.show_held_sweep(CARRIER, most=9).sims == 4
        under_test.store.decide_held_sweep(CARRIER, APPROVED)
        marks = table(under_test, "carrier_sims", "carrier", "absent_since")
        assert [carrier for carrier, absent in marks if absent] == [CARRIER] * 4
        with pytest.raises(InputError, match="carrier zeta has no held sweep"):
            under_test.store.show_held_sweep("zeta", most=9)

    def test_a_carrier_that_was_never_walked_has_none(self, under_test: StoreUnderTest) -> None:
        with pytest.raises(InputError, match="no walk was certified complete yet"):
            under_test.store.decide_held_sweep(CARRIER, REJECTED)

    @pytest.mark.parametrize("point", DECISION_POINTS)
    def test_a_decision_is_there_with_its_marks_or_not_at_all(self, under_test: StoreUnderTest, point: str) -> None:
        night(under_test, a_fleet(8))
        held = held_night(under_test, a_fleet(4))
        shown_digest(under_test)
        before = everything(under_test)
        under_test.crash_points.arm(point)
        with pytest.raises(SimulatedCrash):
            under_test.store.decide_held_sweep(CARRIER, APPROVED)
        if point.endswith(":committed"):
            assert under_test.store.session(held.session_id).sweep_state is SweepState.APPROVED
        else:
            assert everything(under_test) == before
            assert under_test.store.decide_held_sweep(CARRIER, APPROVED)[1] == Marked(absent=4)
        assert len(marked(under_test)[0]) == 4
