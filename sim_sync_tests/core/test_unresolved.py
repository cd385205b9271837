"""What stays unresolved at a carrier, as sentences. That later sessions hide nothing is shown with the checks."""

from datetime import timedelta

import pytest

from sim_sync.core.held_sweep import CERTIFIED, SweepHistory
from sim_sync.core.notes import (
    CarrierOverview,
    concerns,
    failure_concern,
    freshness_concern,
    quarantine_concern,
    sweep_concern,
)
from sim_sync.core.session import Session, State, SweepState
from sim_sync_tests.fakes.clock import START
from sim_sync_tests.fakes.fleet import CARRIER

HOUR = timedelta(hours=1)


def a_session(state: State = State.COMPLETED, **fields: object) -> Session:
    values: dict[str, object] = {
        "session_id": "acme-1",
        "session_number": 1,
        "carrier": CARRIER,
        "state": state,
        "cursor": None,
        "fence": 1,
        "config_hash": "hash-1",
        "started_at": START - HOUR,
        "updated_at": START,
        "finished_at": START if state is State.COMPLETED else None,
    }
    return Session(**(values | fields))  # type: ignore[arg-type]


def completed(**fields: object) -> CarrierOverview:
    session = a_session(State.COMPLETED, **fields)
    sweeps = SweepHistory(session) if session.sweep_state in CERTIFIED else SweepHistory()
    return CarrierOverview(carrier=CARRIER, newest=session, last_completed=session, sweeps=sweeps)


def test_a_carrier_that_is_well_is_no_concern() -> None:
    assert concerns(completed(sweep_state=SweepState.DONE), 36, START + HOUR) == []


def test_a_carrier_that_was_never_synced_is_not_fresh() -> None:
    assert concerns(CarrierOverview(carrier=CARRIER), 36, START) == ["never walked to its end"]


@pytest.mark.parametrize(
    ("state", "is_concern"),
    [
        (SweepState.HELD, True),
        (SweepState.SKIPPED, True),
        (SweepState.DONE, False),
        (SweepState.APPROVED, False),
        (SweepState.REJECTED, False),
    ],
)
def test_a_sweep_that_waits_for_somebody_is_a_concern(state: SweepState, *, is_concern: bool) -> None:
    told = sweep_concern(completed(sweep_state=state, sweep_reason="50 of 100 are missing")) or ""
    assert told.startswith(f"sweep {state.value}: 50 of 100 are missing") == is_concern
    assert bool(told) == is_concern


def test_a_walk_that_is_not_certified_hides_no_held_sweep() -> None:
    held = a_session(sweep_state=SweepState.HELD, sweep_reason="50 of 100 are missing")
    skipped = a_session(session_id="acme-2", session_number=2, sweep_state=SweepState.SKIPPED, sweep_reason="no end")
    overview = CarrierOverview(carrier=CARRIER, newest=skipped, last_completed=skipped, sweeps=SweepHistory(held))
    assert sweep_concern(overview) == (
        "sweep skipped: no end; of an earlier walk: sweep held: 50 of 100 are missing; "
        "`sim-sync sweep show acme` lists the SIMs, then approve or reject it"
    )


@pytest.mark.parametrize("state", list(State))
def test_only_a_session_that_failed_has_failed(state: State) -> None:
    overview = CarrierOverview(carrier=CARRIER, newest=a_session(state, pages_done=7, last_error="HTTP 401"))
    assert failure_concern(overview) == ("failed after page 7: HTTP 401" if state is State.FAILED else None)


@pytest.mark.parametrize(("hours", "is_fresh"), [(0, True), (36, True), (36.1, False), (1000, False)])
def test_a_carrier_is_fresh_for_its_hours(hours: float, *, is_fresh: bool) -> None:
    told = freshness_concern(completed(), 36, START + timedelta(hours=hours))
    assert (told is None) == is_fresh
    if told is not None:
        assert told == f"its last complete walk ended 2026-03-02 02:00 UTC, {hours:.0f} h ago; max_age_hours is 36"


@pytest.mark.parametrize(("ahead", "is_fresh"), [(timedelta(minutes=4), True), (timedelta(days=3), False)])
def test_a_walk_that_is_dated_in_the_future_proves_no_freshness(ahead: timedelta, *, is_fresh: bool) -> None:
    told = freshness_concern(completed(), 36, START - ahead)
    assert (told is None) == is_fresh
    assert told is None or "2026-03-02 02:00 UTC, which is still to come: the clock was wrong" in told


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, None),
        (1, "1 record could not be read; `sim-sync quarantine list` shows them"),
        (1234, "1,234 records could not be read; `sim-sync quarantine list` shows them"),
    ],
)
def test_records_in_quarantine_are_counted(count: int, told: str | None) -> None:
    assert quarantine_concern(CarrierOverview(carrier=CARRIER, quarantined=count)) == told
