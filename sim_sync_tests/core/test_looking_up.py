from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from sim_sync.core.errors import AuthenticationFailed, Fenced, ParkRequired, StopRequested, WaitCause
from sim_sync.core.looking_up import look_up_missing
from sim_sync.core.lookups import AskedSim, LookupCounts, LookupLimits, is_the_one, lookups_text
from sim_sync.core.opening import Trigger
from sim_sync.core.session import Event, Release, Session
from sim_sync.core.sims import Sim
from sim_sync.core.sweep import SweepPolicy
from sim_sync.core.sync import StepRules, StopReason, walk
from sim_sync_tests.fakes.carrier import ScriptedCarrier
from sim_sync_tests.fakes.fleet import a_fleet, a_request, a_sim
from sim_sync_tests.fakes.stopping import never_stop, stop_after
from sim_sync_tests.fakes.warehouse import InMemoryWarehouse

DOWN = ParkRequired("HTTP 500; no better after 8 attempts", wait_seconds=60, is_outage=True)
SLOWER = ParkRequired("HTTP 429", wait_seconds=900, cause=WaitCause.THROTTLED)
FULL = ParkRequired("no space left", wait_seconds=60, is_outage=True, cause=WaitCause.NO_ROOM_LEFT)
QUOTA = ParkRequired("the quota is used up", wait_seconds=900_000, cause=WaitCause.QUOTA_USED_UP)


@dataclass
class SecondNight:
    """A fleet of which the list of the second night shows some; the lookup finds those that are there."""

    before: list[Sim]
    listed: list[Sim]
    there: list[Sim]
    limits: LookupLimits = field(default_factory=lambda: LookupLimits(SweepPolicy()))
    warehouse: InMemoryWarehouse = field(default_factory=InMemoryWarehouse)
    checkpoints: list[Session] = field(default_factory=list)

    def __post_init__(self) -> None:
        first = ScriptedCarrier(pages=[self.before])
        session = self.opened("first")
        walk(session, first, self.warehouse, StepRules(should_stop=never_stop, on_checkpoint=lambda _session: None))
        self.closed()
        self.carrier = ScriptedCarrier(pages=[self.listed], there={sim.sim_id: sim for sim in self.there})
        self.session = self.opened("second")

    def opened(self, owner: str, **wish: Any) -> Session:
        opened = self.warehouse.open_session(a_request(owner, Trigger.NIGHTLY, **wish))
        assert opened.refusal is None
        return opened.session

    def run(self, session: Session | None = None, **rules: Any) -> StopReason | None:
        plain: dict[str, Any] = {
            "should_stop": never_stop,
            "on_checkpoint": self.checkpoints.append,
            "lookups": self.limits,
        }
        steps = StepRules(**(plain | rules))
        session = session or self.session
        return walk(session, self.carrier, self.warehouse, steps) or look_up_missing(
            session.claim, self.carrier, self.warehouse, steps
        )

    @property
    def stored(self) -> Session:
        (session,) = self.warehouse.latest_sessions(["acme"])
        return session

    def closed(self) -> Session:
        session = self.stored
        return self.warehouse.close_session(session.claim, self.limits.policy, session.config_hash)

    def marks(self) -> dict[str, str]:
        return {
            row["sim_id"]: "vanished" if row["vanished_at"] else "absent" if row["absent_since"] else "there"
            for row in self.warehouse.rows("carrier_sims")
        }


def missing(*numbers: int, size: int = 6, there: tuple[int, ...] = (), **fields: Any) -> SecondNight:
    """Return a night whose list lacks these SIMs; of them, the lookup finds those that are `there`."""
    fleet = a_fleet(size)
    listed = [sim for number, sim in enumerate(fleet) if number not in numbers]
    return SecondNight(fleet, listed, [*listed, *(fleet[number] for number in there)], **fields)


def test_the_sims_that_the_list_lacks_are_asked_for_one_by_one() -> None:
    night = missing(1, 3, 4, there=(3,))
    assert night.run() is None
    assert night.carrier.asked == ["sim-0001", "sim-0000", "sim-0003", "sim-0004"], "and one that the list has"
    assert [(session.lookups_done, session.lookups_expected) for session in night.checkpoints] == [
        (0, 0),
        (1, 3),
        (2, 3),
        (3, 3),
    ]
    night.closed()
    assert [night.marks()[f"sim-000{number}"] for number in (1, 3, 4)] == ["vanished", "there", "vanished"]


@pytest.mark.parametrize("limit", [0, 200])
def test_nothing_is_asked_where_it_is_switched_off_or_where_nothing_is_missing(limit: int) -> None:
    night = missing(*([1] if limit == 0 else []), limits=LookupLimits(SweepPolicy(lookup_limit=limit)))
    assert night.run() is None
    assert night.carrier.asked == []
    assert night.closed().sweep_reason is None


def test_a_carrier_without_a_lookup_is_swept_as_ever() -> None:
    night = missing(1)
    night.carrier.there = None
    assert night.run() is None
    assert night.closed().sweep_reason is None
    assert night.marks()["sim-0001"] == "absent"


def test_without_rules_for_lookups_nothing_is_asked() -> None:
    night = missing(1)
    assert night.run(lookups=None) is None
    assert night.carrier.asked == []


# --- absence has to be believed ----------------------------------------------------------------------------------


def test_a_lookup_that_finds_nothing_at_all_proves_nothing() -> None:
    night = missing(1, 2)
    night.carrier.there = {}
    assert night.run() is None
    assert night.carrier.asked == ["sim-0001", "sim-0000"]
    done = night.closed()
    assert {night.marks()["sim-0001"], night.marks()["sim-0002"]} == {"absent"}
    assert "its lookup does not find a SIM that its list has" in (done.last_error or "")
    assert done.sweep_reason == (
        "1 SIM that the list lacks was looked up: 1 without a clear answer; "
        "1 SIM that the list lacks was not asked for: the lookups before them failed"
    )


def test_a_sim_that_was_found_proves_that_the_lookup_works() -> None:
    night = missing(1, 2, there=(1,))
    night.run()
    assert night.carrier.asked == ["sim-0001", "sim-0002"]


def test_a_lookup_that_fails_for_the_sim_of_the_list_proves_nothing() -> None:
    night = missing(1)
    night.carrier.lookup_faults = {1: AuthenticationFailed("HTTP 403")}
    night.run()
    night.closed()
    assert night.marks()["sim-0001"] == "absent"


# --- errors never cost the walk its certificate ------------------------------------------------------------------


@pytest.mark.parametrize("fault", [AuthenticationFailed("HTTP 403"), DOWN])
def test_a_sim_whose_lookup_fails_keeps_the_rule_of_two_walks(fault: BaseException) -> None:
    night = missing(1, 2, 3)
    night.carrier.lookup_faults = {0: fault}
    assert night.run() is None
    done = night.closed()
    assert [night.marks()[f"sim-000{number}"] for number in (1, 2, 3)] == ["absent", "vanished", "vanished"]
    assert "2 not there, vanished now, 1 without a clear answer" in (done.sweep_reason or "")


def test_lookups_that_fail_in_a_row_are_given_up() -> None:
    night = missing(*range(1, 7), size=9)
    night.carrier.lookup_faults = dict.fromkeys(range(20), DOWN)
    assert night.run() is None
    assert len(night.carrier.asked) == 3
    done = night.closed()
    assert [night.marks()[f"sim-000{number}"] for number in range(1, 7)] == ["absent"] * 6
    assert "3 without a clear answer; 3 SIMs that the list lacks were not asked for: the lookups" in (
        done.sweep_reason or ""
    )


def test_an_answer_in_between_begins_the_count_of_failures_again() -> None:
    night = missing(*range(1, 7), size=9)
    night.carrier.lookup_faults = {0: DOWN, 1: DOWN, 4: DOWN, 5: DOWN}
    night.run()
    assert len(night.carrier.asked) == 7


@pytest.mark.parametrize("wait", [SLOWER, FULL])
def test_a_wait_that_a_page_would_park_for_parks_the_session(wait: ParkRequired) -> None:
    night = missing(1, 2)
    night.carrier.lookup_faults = {2: wait}
    with pytest.raises(ParkRequired):
        night.run()
    assert night.stored.lookups_done == 1
    resumed = night.opened("third", gone_owners=["second"])
    assert night.run(resumed) is None
    assert night.carrier.asked[3:] == ["sim-0002", "sim-0000"]
    night.closed()
    assert (night.marks()["sim-0001"], night.marks()["sim-0002"]) == ("vanished", "vanished")


def test_a_session_does_not_wait_for_lookups_again_and_again() -> None:
    night = missing(1, 2, limits=LookupLimits(SweepPolicy(), max_parks=1))
    night.carrier.lookup_faults = dict.fromkeys(range(20), SLOWER)
    with pytest.raises(ParkRequired):
        night.run()
    assert night.run(night.opened("third", gone_owners=["second"])) is None
    night.closed()
    assert (night.marks()["sim-0001"], night.marks()["sim-0002"]) == ("absent", "absent")


def test_a_quota_that_is_used_up_is_not_waited_for() -> None:
    night = missing(1, 2)
    night.carrier.lookup_faults = {0: QUOTA}
    assert night.run() is None
    assert night.carrier.asked == ["sim-0001"]
    assert night.closed().sweep_state.value == "done"


# --- stops ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", [StopReason.SHUTDOWN, StopReason.TIME_BUDGET])
def test_lookups_stop_between_two_sims_and_go_on_with_the_next(reason: StopReason) -> None:
    night = missing(1, 2, 3)
    assert night.run(should_stop=stop_after(2, reason)) is reason  # one page, one SIM
    night.warehouse.release(night.session.claim, Release(Event.STOPPED_BY_MACHINE))
    assert night.stored.lookups_done == 1
    night.carrier.asked.clear()
    assert night.run(night.opened("third")) is None
    assert [sim for sim in night.carrier.asked if sim != "sim-0000"] == ["sim-0002", "sim-0003"]
    assert night.carrier.fetched_pages == [0]


def test_a_pause_lets_the_answer_in_hand_through() -> None:
    night = missing(1, 2)

    def pause(session: Session) -> None:
        if session.lookups_done == 0:
            night.warehouse.move_by_operator("acme", Event.PAUSED_BY_OPERATOR)

    assert night.run(on_checkpoint=pause) is StopReason.PAUSED
    assert night.stored.lookups_done == 0


def test_a_wait_that_is_cut_short_is_passed_on() -> None:
    night = missing(1)
    night.carrier.lookup_faults = {0: StopRequested("the process was asked to end")}
    with pytest.raises(StopRequested):
        night.run()


def test_who_was_taken_over_asks_for_no_further_sim() -> None:
    night = missing(1, 2, 3)

    def take_over(session: Session) -> None:
        if session.lookups_done == 1:
            night.opened("third", gone_owners=["second"])

    with pytest.raises(Fenced):
        night.run(on_checkpoint=take_over)
    assert night.stored.lookups_done == 1


def test_the_moment_between_an_answer_and_its_commit_can_be_crashed_at() -> None:
    night = missing(1, 2)
    passed: list[tuple[str, int]] = []
    night.run(at=lambda point: passed.append((point, night.stored.lookups_done)))
    assert passed == [("fetch_page:fetched", 0), ("look_up_sim:answered", 0), ("look_up_sim:answered", 1)]


# --- whose record it is --------------------------------------------------------------------------------------------


NAMED = a_sim(1, sim_id="8988303000000000001", iccid="8988303000000000001")


@pytest.mark.parametrize(
    ("asked", "came", "is_it"),
    [
        (a_sim(1), a_sim(1, iccid="8988303000000000099"), True),  # its own id is the one, the profile is new
        (a_sim(1), a_sim(2), False),
        (a_sim(1), a_sim(2, iccid=a_sim(1).iccid), False),  # another id with the same ICCID is another SIM
        (NAMED, NAMED._replace(sim_id="89883030000000000015", iccid="89883030000000000015"), True),
        (NAMED, NAMED._replace(sim_id="8988303000000000002", iccid="8988303000000000002"), False),
        (NAMED, a_sim(3, iccid=None), False),
    ],
)
def test_a_record_is_the_one_by_its_id_or_by_a_form_of_the_iccid_that_is_its_id(
    asked: Sim, came: Sim, is_it: bool
) -> None:
    assert is_the_one(AskedSim(asked.sim_id, asked.iccid, asked.iccid_raw), came) is is_it


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        (LookupCounts(), None),
        (LookupCounts(not_found=1), "1 SIM that the list lacks was looked up: 1 not there, vanished now"),
        (
            LookupCounts(found=2, left_out=1500),
            (
                "2 SIMs that the list lacks were looked up: 2 still there, so the list was not whole; "
                "1,500 SIMs that the list lacks were not asked for: more than sweep.lookup_limit (200)"
            ),
        ),
    ],
)
def test_what_the_lookups_have_told_is_said_in_one_sentence(counts: LookupCounts, told: str | None) -> None:
    assert lookups_text(counts, 200) == told


def test_a_walk_behind_its_end_knows_that_it_is_looking_up() -> None:
    session = missing(1).session
    assert not session.is_looking_up
    at_the_end = replace(session, cursor=None, lookups_expected=2)
    assert at_the_end.is_looking_up
    assert not replace(at_the_end, lookups_done=2).is_looking_up
