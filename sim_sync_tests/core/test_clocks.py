"""Clocks are put right: no wait lasts for days because of that, and none that is honest is cut short by it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.core.backoff import LONGEST_WAIT_SECONDS, is_due
from sim_sync.core.clocks import TOLERANCE, is_ahead, is_over
from sim_sync.core.liveness import Phase, RunSnapshot, is_waited_for
from sim_sync.core.notes import due_text
from sim_sync.core.opening import FailedOpening, Refuse, Trigger, decide_opening, lets_it_fail
from sim_sync.core.resuming import CarrierSnapshot, ResumeBackoff, ResumeNow, decide_resume
from sim_sync.core.session import Session, State
from sim_sync_tests.fakes.fleet import a_request

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
PARKED = Session(
    session_id="acme-1",
    session_number=1,
    carrier="acme",
    state=State.PARKED,
    cursor={"page": 7},
    fence=3,
    config_hash="config-1",
    started_at=NOW - timedelta(hours=1),
    updated_at=NOW,
    owner="run-1",
)
#: By how much a clock is put right: up to a year, to both sides.
jumps = st.floats(-3e7, 3e7).map(lambda seconds: timedelta(seconds=seconds))
waits = st.floats(0, LONGEST_WAIT_SECONDS).map(lambda seconds: timedelta(seconds=seconds))
LONGEST = timedelta(seconds=LONGEST_WAIT_SECONDS)


@given(wait=waits, passed=waits)
def test_a_wait_by_a_clock_that_is_right_is_over_when_it_is_over(wait: timedelta, passed: timedelta) -> None:
    assert is_over(NOW + wait, since=NOW, now=NOW + passed, longest=LONGEST) == (passed >= wait)


@given(wait=waits, jump=jumps)
def test_no_wait_lasts_longer_than_it_was_meant_to_whatever_the_clock_does(wait: timedelta, jump: timedelta) -> None:
    assert is_over(NOW + wait, since=NOW, now=NOW + jump + wait + TOLERANCE, longest=LONGEST) or jump < -TOLERANCE
    if jump < -TOLERANCE:
        assert is_over(NOW + wait, since=NOW, now=NOW + jump, longest=LONGEST)


@given(wait=waits, jump=jumps)
def test_every_decision_about_a_parked_session_says_the_same_of_its_wait(wait: timedelta, jump: timedelta) -> None:
    session, now = replace(PARKED, not_before=NOW + wait), NOW + jump
    due = is_due(session, now)
    assert isinstance(decide_resume(CarrierSnapshot(session=session), ResumeBackoff(), now, 0.0), ResumeNow) == due
    assert isinstance(decide_opening(session, a_request("run-2", Trigger.SENSOR), now), Refuse) != due
    assert lets_it_fail(session, FailedOpening(carrier="acme", owner="run-2", reason="no"), now) == due
    assert ("due now" in due_text(session, now)) == due


def test_a_time_that_no_wait_reaches_is_void_but_a_quota_may_be_gone_for_a_month() -> None:
    far = replace(PARKED, not_before=NOW + timedelta(days=5))
    assert is_due(far, NOW)
    assert not is_due(far, NOW, longest_wait_seconds=6 * 86_400.0)
    assert not is_due(replace(far, last_error="quota used up: HTTP 429"), NOW)
    assert is_due(replace(far, not_before=NOW + timedelta(days=50), last_error="quota used up: HTTP 429"), NOW)


def test_clocks_that_differ_by_a_little_say_nothing() -> None:
    soon = replace(PARKED, not_before=NOW + timedelta(minutes=30), updated_at=NOW + TOLERANCE)
    assert not is_due(soon, NOW)
    assert (is_ahead(NOW + TOLERANCE, NOW), is_ahead(NOW + 2 * TOLERANCE, NOW)) == (False, True)


@pytest.mark.parametrize("phase", [Phase.CREATED, Phase.STARTING])
@pytest.mark.parametrize(("minutes", "waited_for"), [(-3 * 1440, False), (-1, True), (0, True)])
def test_a_run_that_has_yet_to_begin_by_its_own_times_is_not_waited_for_until_then(
    phase: Phase, minutes: int, *, waited_for: bool
) -> None:
    run = RunSnapshot(phase=phase, phase_lasts=timedelta(minutes=minutes))
    assert is_waited_for(run, silent=()) is waited_for
