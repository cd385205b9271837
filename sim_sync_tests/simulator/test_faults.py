"""Faults and triggers as values."""

import pytest
from pydantic import TypeAdapter, ValidationError

from sim_sync.simulator.faults import (
    ArmedFault,
    ConnectionReset,
    CursorExpiry,
    EarlyEnd,
    ErrorInSuccess,
    ErrorStatus,
    Fault,
    FleetChange,
    ForeignLink,
    MalformedJson,
    MalformedRecord,
    Redirect,
    RepeatedLink,
    SlowDrip,
    SlowStart,
    Stall,
    Throttled,
    TokenExpiry,
    Trigger,
    TruncatedBody,
    WrongTotal,
)
from sim_sync.simulator.fleet import FleetEdit, SimChange
from sim_sync.simulator.simulated_carrier import FaultBoard
from sim_sync.simulator.vendor import ListCall

FAULT: TypeAdapter[Fault] = TypeAdapter(Fault)
EVERY_KIND: list[Fault] = [
    ErrorStatus(status=429, retry_after_seconds=2, retry_after_form="date"),
    ConnectionReset(),
    Stall(seconds=3, where="body"),
    SlowStart(seconds=0.5),
    TruncatedBody(),
    MalformedJson(),
    MalformedRecord(position=4, form="null_iccid"),
    EarlyEnd(records_kept="half"),
    RepeatedLink(),
    ForeignLink(origin="http://evil.example"),
    WrongTotal(records=-3, pages=1),
    ErrorInSuccess(reason="rate_limit"),
    Throttled(wait_seconds=9, quota_gone=True),
    TokenExpiry(which="session"),
    CursorExpiry(status=410),
    FleetChange(edit=FleetEdit(add=2, change=[SimChange([1], {"label": None})], remove=[3], restore=[4]), when="after"),
    Redirect(origin="http://evil.example", status=307),
    SlowDrip(seconds=2, pieces=5),
]


def fired(trigger: Trigger, calls: list[ListCall | None]) -> list[bool]:
    board = FaultBoard()
    board.arm(TruncatedBody(), trigger)
    return [board.next_fault(call) is not None for call in calls]


PAGES: list[ListCall | None] = [ListCall(None, 0), ListCall("t1", 1), ListCall("t2", 2), ListCall("t1", 1)]


class TestJsonForm:
    @pytest.mark.parametrize("fault", EVERY_KIND, ids=lambda fault: fault.kind)
    def test_every_kind_survives_json(self, fault: Fault) -> None:
        assert FAULT.validate_json(FAULT.dump_json(fault)) == fault

    @pytest.mark.parametrize(
        "text",
        [
            '{"kind": "meteor"}',
            "{}",
            '{"kind": "error_status", "status": 200}',
            '{"kind": "error_status"}',
            '{"kind": "stall", "seconds": 601}',
            '{"kind": "stall", "second": 1}',
            '{"kind": "malformed_record", "form": "odd"}',
        ],
    )
    def test_what_is_no_fault_is_refused(self, text: str) -> None:
        with pytest.raises(ValidationError):
            FAULT.validate_json(text)


class TestTriggers:
    def test_without_conditions_a_fault_happens_once_at_the_next_list_request(self) -> None:
        assert fired(Trigger(), [None, *PAGES]) == [False, True, False, False, False]

    def test_nth_counts_from_the_arming_and_times_how_often(self) -> None:
        assert fired(Trigger(nth=2, times=2), PAGES) == [False, True, True, False]

    def test_times_without_a_number_has_no_end(self) -> None:
        assert fired(Trigger(nth=2, times=None), PAGES * 3) == [False, *[True] * 11]

    def test_a_page_is_meant_by_its_token_or_its_number(self) -> None:
        assert fired(Trigger(page_token="t1", times=None), PAGES) == [False, True, False, True]
        assert fired(Trigger(page_number=2), PAGES) == [False, False, True, False]
        assert fired(Trigger(page_number=0), PAGES) == [True, False, False, False]

    def test_nth_counts_only_requests_for_the_page_that_is_meant(self) -> None:
        assert fired(Trigger(page_token="t1", nth=2), PAGES) == [False, False, False, True]

    def test_any_request_may_be_meant_and_not_only_lists(self) -> None:
        assert fired(Trigger(scope="any", times=2), [None, *PAGES]) == [True, True, False, False, False]

    def test_chance_is_the_same_for_the_same_seed(self) -> None:
        calls = PAGES * 500
        first, second = (fired(Trigger(probability=0.3, seed=seed, times=None), calls) for seed in (7, 8))
        assert first == fired(Trigger(probability=0.3, seed=7, times=None), calls)
        assert first != second
        assert sum(first) / len(calls) == pytest.approx(0.3, abs=0.04)

    def test_chances_of_none_and_of_all_are_what_they_say(self) -> None:
        assert not any(fired(Trigger(probability=0, times=None), PAGES * 50))
        assert all(fired(Trigger(probability=1, times=None), PAGES * 50))


class TestBoard:
    def test_the_first_armed_fault_wins_and_the_other_keeps_its_turn(self) -> None:
        board = FaultBoard()
        board.arm(TruncatedBody(), Trigger())
        board.arm(MalformedJson(), Trigger())
        assert [board.next_fault(call) for call in PAGES] == [TruncatedBody(), MalformedJson(), None, None]

    def test_the_board_tells_what_each_fault_has_seen_and_done(self) -> None:
        board = FaultBoard()
        board.arm(TruncatedBody(), Trigger(nth=3))
        for call in PAGES:
            board.next_fault(call)
        assert board.armed() == [ArmedFault(id=1, fault=TruncatedBody(), trigger=Trigger(nth=3), seen=4, applied=1)]

    def test_one_fault_or_all_are_disarmed(self) -> None:
        board = FaultBoard()
        ids = [board.arm(fault, Trigger()).id for fault in EVERY_KIND]
        assert (board.disarm(ids[3]), board.disarm(ids[3]), board.disarm()) == (1, 0, len(EVERY_KIND) - 1)
        assert board.armed() == []
