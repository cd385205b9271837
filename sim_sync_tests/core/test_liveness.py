from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.core.liveness import (
    Phase,
    RunLease,
    RunSnapshot,
    is_lost,
    is_owed_a_lease,
    is_waited_for,
    presumed_alive_until,
    silent_runs,
)
from sim_sync.core.session import Process, Session, State

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=10)
LEASE = RunLease("run-1", Process("host", 1, "1.00"), NOW)
SILENT = frozenset({"run-1"})

phases = st.sampled_from(Phase)
durations = st.integers(0, 100_000).map(lambda seconds: timedelta(seconds=seconds))


def a_run(
    phase: Phase, *, minutes: float = 0, lease: RunLease | None = None, is_known_dead: bool = False
) -> RunSnapshot:
    return RunSnapshot(phase=phase, phase_lasts=timedelta(minutes=minutes), lease=lease, is_known_dead=is_known_dead)


def a_session(**fields: object) -> Session:
    plain = Session(
        session_id="acme-1",
        session_number=1,
        carrier="acme",
        state=State.RUNNING,
        cursor={},
        fence=1,
        config_hash="config-1",
        started_at=NOW,
        updated_at=NOW,
        owner="run-1",
        lease_expires_at=LATER,
    )
    return replace(plain, **fields)  # type: ignore[arg-type]


@given(phases, durations)
def test_a_run_whose_lease_holds_is_never_lost_however_long_it_takes(phase: Phase, lasts: timedelta) -> None:
    run = RunSnapshot(phase=phase, phase_lasts=lasts, lease=LEASE)
    assert not is_lost(run, silent=())
    assert is_waited_for(run, silent=())


@given(phases, durations)
def test_a_run_that_is_dead_or_silent_is_lost_at_once_and_not_waited_for(phase: Phase, lasts: timedelta) -> None:
    run = RunSnapshot(phase=phase, phase_lasts=lasts, lease=LEASE)
    assert is_lost(run, SILENT)
    assert is_lost(replace(run, is_known_dead=True), silent=())
    assert not is_waited_for(run, SILENT)


@pytest.mark.parametrize(
    ("phase", "minutes", "waited_for"),
    [
        (Phase.CREATED, 0.9, True),
        (Phase.CREATED, 1.1, False),
        (Phase.STARTING, 14, True),
        (Phase.STARTING, 16, False),
        (Phase.QUEUED, 10_000, True),
        (Phase.ENDING, 10_000, True),
        (Phase.STARTED, 14, True),
        (Phase.STARTED, 16, False),
    ],
)
def test_a_run_that_says_nothing_is_not_waited_for_for_ever(phase: Phase, minutes: float, *, waited_for: bool) -> None:
    assert is_waited_for(a_run(phase, minutes=minutes), silent=()) is waited_for


@given(phases, durations)
def test_a_run_without_a_lease_is_never_lost_whatever_a_clock_says(phase: Phase, lasts: timedelta) -> None:
    """It may be about to take its lease, or have given it back at its end a moment ago."""
    assert not is_lost(RunSnapshot(phase=phase, phase_lasts=lasts), SILENT)


@given(phases, durations)
def test_a_run_that_has_begun_and_takes_a_lease_is_granted_one_until_it_does(phase: Phase, lasts: timedelta) -> None:
    run = RunSnapshot(phase=phase, phase_lasts=lasts)
    assert is_owed_a_lease(run) is (phase is Phase.STARTED)
    assert not is_owed_a_lease(replace(run, lease=LEASE))
    assert not is_owed_a_lease(replace(run, takes_a_lease=False))


def test_a_run_is_presumed_alive_by_its_own_lease_or_by_that_of_its_session_whichever_is_longer() -> None:
    session, lease = a_session(), replace(LEASE, expires_at=NOW)
    assert presumed_alive_until([session], []) == {"run-1": LATER}
    assert presumed_alive_until([session], [lease]) == {"run-1": LATER}
    assert presumed_alive_until([a_session(lease_expires_at=NOW)], [replace(lease, expires_at=LATER)]) == {
        "run-1": LATER
    }
    assert presumed_alive_until([], [lease]) == {"run-1": NOW}


@pytest.mark.parametrize("fields", [{"state": State.INTERRUPTED}, {"owner": None}, {"lease_expires_at": None}])
def test_a_session_without_an_owner_at_work_tells_of_no_life(fields: dict[str, object]) -> None:
    assert presumed_alive_until([a_session(**fields)], []) == {}


def test_a_lease_that_ran_out_is_silence_only_if_nobody_renewed_it_between_two_looks() -> None:
    before = {"silent": NOW, "renewed": NOW, "ran out just now": NOW, "new": LATER}
    after = {"silent": NOW, "renewed": LATER, "ran out just now": NOW + timedelta(seconds=1), "unknown before": NOW}
    assert silent_runs(before, after, NOW + timedelta(seconds=3)) == {"silent"}
