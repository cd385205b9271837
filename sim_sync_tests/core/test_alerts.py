"""When an alert opens, when it is over, and what is said: whatever happens, once each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.core.alerts import DEFAULT_THRESHOLDS, TITLES, AlertKind, CarrierFacts, OpenAlert, decide_alerts
from sim_sync.core.held_sweep import SweepHistory
from sim_sync.core.notes import CarrierOverview
from sim_sync.core.session import Session, SessionInternals, State, SweepState
from sim_sync_tests.fakes.clock import START
from sim_sync_tests.fakes.figures import a_session

NOW = START + timedelta(hours=1)
WATCHED = {kind: DEFAULT_THRESHOLDS.get(kind, 0.0) for kind in AlertKind}
_CERTIFIED = a_session(session_id="acme-0")


def facts(
    newest: Session | None = None,
    *,
    last: Session | None = _CERTIFIED,
    internals: dict[str, Any] | None = None,
    quarantined: int = 0,
    **known: Any,
) -> CarrierFacts:
    """Return facts of a carrier whose last certified walk ended an hour ago."""
    overview = CarrierOverview(
        carrier="acme",
        newest=newest,
        internals=SessionInternals(lease_seconds=30, **(internals or {})),
        last_completed=last,
        sweeps=SweepHistory(last),
        quarantined=quarantined,
    )
    values: dict[str, Any] = {"overview": overview, "now": NOW, "max_age_hours": 36.0}
    return CarrierFacts(**values | known)


def opened(found: CarrierFacts, *standing: AlertKind) -> list[str]:
    """Return the kinds that open, the messages being of the carrier."""
    changes = decide_alerts([found], WATCHED, alerts_of(standing))
    assert all(new.message.startswith("acme: ") for new in changes.opened)
    return [new.kind for new in changes.opened]


def ended(found: CarrierFacts, *standing: AlertKind) -> list[str]:
    """Return the kinds that are over."""
    return [end.alert.kind for end in decide_alerts([found], WATCHED, alerts_of(standing)).ended]


def alerts_of(kinds: Sequence[AlertKind]) -> list[OpenAlert]:
    return [OpenAlert(number, "acme", kind) for number, kind in enumerate(kinds)]


def message(found: CarrierFacts) -> str:
    (new,) = decide_alerts([found], WATCHED, []).opened
    return new.message


def an_open_session(state: State, **fields: Any) -> Session:
    return a_session(state, **{"session_id": "acme-1", "last_error": None, "last_error_at": None} | fields)


FAILED = an_open_session(State.FAILED, last_error="acme: HTTP 401: no such user", last_error_at=START)
PARKED = an_open_session(State.PARKED, last_error="throttled: HTTP 429", not_before=NOW + timedelta(hours=1))


# --- a failed session ------------------------------------------------------------------------------------------------


def test_a_failed_session_is_told_with_what_happened_since_when_and_what_to_do() -> None:
    assert message(facts(FAILED)) == (
        "acme: session acme-1 failed after page 7, 2026-03-02 02:00 UTC: HTTP 401: no such user. Nothing resumes it "
        "before the next nightly run; when the cause is mended: `sim-sync resume acme`"
    )


def test_a_failed_session_that_is_tried_again_is_neither_over_nor_new_before_its_next_page() -> None:
    resumed = facts(replace(FAILED, state=State.RUNNING))
    assert ended(resumed, AlertKind.SESSION_FAILED) == opened(resumed) == []
    committed = facts(resumed.overview.newest, internals={"page_committed_at": START + timedelta(minutes=1)})
    assert ended(committed, AlertKind.SESSION_FAILED) == ["session_failed"]


def test_a_page_from_before_the_failure_is_no_progress() -> None:
    earlier = {"page_committed_at": START - timedelta(seconds=1)}
    resumed = facts(replace(FAILED, state=State.INTERRUPTED), internals=earlier)
    assert ended(resumed, AlertKind.SESSION_FAILED) == []


@pytest.mark.parametrize("state", [State.COMPLETED, State.PAUSED])
def test_a_failure_is_over_when_the_walk_ends_or_a_person_takes_it_in_hand(state: State) -> None:
    assert ended(facts(an_open_session(state)), AlertKind.SESSION_FAILED) == ["session_failed"]


def test_a_long_error_is_cut() -> None:
    assert len(message(facts(replace(FAILED, last_error="x" * 10_000)))) < 1000


# --- parked for long -------------------------------------------------------------------------------------------------


def parked_for(minutes: float, session: Session = PARKED, **internals: Any) -> CarrierFacts:
    since = NOW - timedelta(minutes=minutes)
    return facts(replace(session, updated_at=NOW), internals={"parked_since": since, **internals})


def test_a_session_that_waits_longer_than_it_may_is_told() -> None:
    assert opened(parked_for(119)) == []
    assert opened(parked_for(121)) == ["parked_over_minutes"]
    told = message(parked_for(180))
    assert told.startswith("acme: session acme-1 waits since 2026-03-02 00:00 UTC without one page: throttled, tries")
    assert "`sim-sync resume acme` tries now" in told


def test_a_session_that_an_earlier_version_has_parked_waits_since_its_last_change() -> None:
    assert opened(facts(replace(PARKED, updated_at=NOW - timedelta(hours=3)))) == ["parked_over_minutes"]


def test_a_try_in_between_without_a_page_does_not_end_the_wait() -> None:
    running = parked_for(180, replace(PARKED, state=State.RUNNING))
    assert ended(running, AlertKind.PARKED_OVER_MINUTES) == []


def test_a_wait_is_over_when_the_session_worked_for_as_long_as_it_may_wait() -> None:
    running = an_open_session(State.RUNNING)
    just_now = facts(running, internals={"unparked_at": NOW - timedelta(minutes=119)})
    assert ended(just_now, AlertKind.PARKED_OVER_MINUTES) == []
    long_ago = facts(running, internals={"unparked_at": NOW - timedelta(minutes=120)})
    assert ended(long_ago, AlertKind.PARKED_OVER_MINUTES) == ["parked_over_minutes"]


@pytest.mark.parametrize("state", [State.COMPLETED, State.PAUSED, State.FAILED])
def test_a_wait_is_over_when_the_session_ends_or_a_person_pauses_it(state: State) -> None:
    assert ended(facts(an_open_session(state)), AlertKind.PARKED_OVER_MINUTES) == ["parked_over_minutes"]


# --- a held sweep ----------------------------------------------------------------------------------------------------


def test_a_held_sweep_is_told_until_somebody_decides_on_it() -> None:
    held = a_session(sweep_state=SweepState.HELD, sweep_reason="50 of 100 SIMs are missing")
    assert opened(facts(held, last=held)) == ["sweep_held"]
    assert "50 of 100 SIMs are missing; `sim-sync sweep show acme`" in message(facts(held, last=held))
    decided = replace(held, sweep_state=SweepState.REJECTED, sweep_decided_by="jo", sweep_decided_at=NOW)
    (end,) = decide_alerts([facts(decided, last=decided)], WATCHED, alerts_of([AlertKind.SWEEP_HELD])).ended
    assert "is rejected, decided by jo" in end.message


# --- not fresh -------------------------------------------------------------------------------------------------------


def test_a_carrier_without_a_certified_walk_for_too_long_is_told() -> None:
    assert opened(facts()) == []
    assert opened(facts(max_age_hours=0.5)) == ["not_fresh"]
    assert "ended 2026-03-02 02:00 UTC, 1 h ago; max_age_hours is 0.5" in message(facts(max_age_hours=0.5))
    assert opened(facts(last=None)) == ["not_fresh"]
    assert "no walk was ever certified complete" in message(facts(last=None))


def test_a_complete_walk_that_was_not_certified_keeps_nothing_fresh_and_says_why() -> None:
    skipped = a_session(sweep_state=SweepState.SKIPPED, sweep_reason="the total was 12 and 10 SIMs came")
    found = facts(skipped, last=None)
    found = replace(found, overview=replace(found.overview, last_completed=skipped))
    assert "was not certified: the total was 12 and 10 SIMs came" in message(found)


def test_a_paused_carrier_is_not_told_to_grow_old_and_what_was_told_stays_open() -> None:
    paused = facts(an_open_session(State.PAUSED), max_age_hours=0.5)
    assert opened(paused) == ended(paused, AlertKind.NOT_FRESH) == []


def test_a_walk_that_is_dated_ahead_keeps_nothing_fresh() -> None:
    ahead = a_session(finished_at=NOW + timedelta(days=3))
    assert "the clock was wrong" in message(facts(ahead, last=ahead))


# --- too many --------------------------------------------------------------------------------------------------------


def counted(kind: AlertKind, count: int) -> CarrierFacts:
    return facts(findings=count) if kind is AlertKind.FINDINGS_OVER else facts(quarantined=count)


@pytest.mark.parametrize("kind", [AlertKind.FINDINGS_OVER, AlertKind.QUARANTINE_OVER])
def test_a_threshold_is_passed_by_more_than_it(kind: AlertKind) -> None:
    assert opened(counted(kind, 100)) == []
    assert opened(counted(kind, 101)) == [kind]
    assert ended(counted(kind, 101), kind) == []
    assert ended(counted(kind, 100), kind) == [kind]


def test_what_was_never_compared_has_no_findings() -> None:
    assert opened(facts(findings=None)) == []


# --- who is watched --------------------------------------------------------------------------------------------------


def test_a_kind_that_nobody_watches_any_more_is_over() -> None:
    standing = alerts_of([AlertKind.SESSION_FAILED])
    (end,) = decide_alerts([facts(FAILED)], {}, standing).ended
    assert "`alerts.on` no longer names it" in end.message
    assert not decide_alerts([facts(FAILED)], {}, []).opened


def test_alerts_of_other_carriers_and_of_another_version_are_left_alone() -> None:
    others = [OpenAlert(1, "zeta", "session_failed"), OpenAlert(2, "acme", "a kind of next year")]
    assert not decide_alerts([facts()], WATCHED, others)


def test_every_kind_has_a_title() -> None:
    assert set(TITLES) == set(AlertKind)


# --- whatever happens ------------------------------------------------------------------------------------------------

#: What a tick may see, and what is certain of each kind then: the model, written down apart from the rules.
_SEEN: Mapping[str, tuple[CarrierFacts, Mapping[str, bool]]] = {
    "nothing yet": (facts(last=None), {"not_fresh": True}),
    "fresh": (facts(a_session()), {"session_failed": False, "parked_over_minutes": False, "not_fresh": False}),
    "old": (
        facts(a_session(), max_age_hours=0.1),
        {"session_failed": False, "parked_over_minutes": False, "not_fresh": True},
    ),
    "failed": (facts(FAILED), {"session_failed": True, "parked_over_minutes": False, "not_fresh": False}),
    "failed, resumed": (
        facts(replace(FAILED, state=State.RUNNING)),
        {"parked_over_minutes": False, "not_fresh": False},
    ),
    "parked just now": (parked_for(1), {"not_fresh": False}),
    "parked for long": (parked_for(500), {"parked_over_minutes": True, "not_fresh": False}),
    "parked, tried": (
        parked_for(500, replace(PARKED, state=State.RUNNING)),
        {"not_fresh": False},
    ),
    "at work": (
        facts(an_open_session(State.RUNNING), internals={"page_committed_at": NOW}),
        {"session_failed": False, "parked_over_minutes": False, "not_fresh": False},
    ),
    "paused and old": (
        facts(an_open_session(State.PAUSED), max_age_hours=0.1),
        {"session_failed": False, "parked_over_minutes": False},
    ),
    "many findings": (facts(findings=500), {"findings_over": True, "not_fresh": False}),
    "many unreadable": (facts(quarantined=500), {"quarantine_over": True, "not_fresh": False}),
}
_COUNTED = {"findings_over", "quarantine_over"}


def certain(name: str) -> dict[str, bool]:
    """Return what is certain at a tick; counts always are, and so is that nothing is held after a certified walk."""
    held = {} if name == "nothing yet" else {"sweep_held": False}
    return dict.fromkeys(_COUNTED, False) | held | dict(_SEEN[name][1])


@given(st.lists(st.sampled_from(sorted(_SEEN)), max_size=40))
def test_whatever_the_ticks_see_each_event_is_told_once_and_once_when_it_is_over(names: list[str]) -> None:
    standing: list[OpenAlert] = []
    told: list[tuple[str, str]] = []
    expected: list[tuple[str, str]] = []
    model: dict[str, bool] = {}
    for number, name in enumerate(names):
        changes = decide_alerts([_SEEN[name][0]], WATCHED, standing)
        told += [(new.kind, "opened") for new in changes.opened] + [(end.alert.kind, "closed") for end in changes.ended]
        over = {end.alert.id for end in changes.ended}
        standing = [alert for alert in standing if alert.id not in over]
        standing += [OpenAlert(100 * number + place, "acme", new.kind) for place, new in enumerate(changes.opened)]
        known = certain(name)
        expected += [(kind, "opened") for kind in AlertKind if known.get(kind) and not model.get(kind)]
        expected += [(kind, "closed") for kind in AlertKind if known.get(kind) is False and model.get(kind)]
        model |= known
    assert told == expected


@given(st.lists(st.sampled_from(["failed", "failed, resumed"]), min_size=1, max_size=60))
def test_a_carrier_that_fails_again_and_again_is_told_once(names: list[str]) -> None:
    standing: list[OpenAlert] = []
    messages = 0
    for name in names:
        changes = decide_alerts([_SEEN[name][0]], WATCHED, standing)
        messages += len(changes.opened) + len(changes.ended)
        standing = standing or [OpenAlert(1, "acme", new.kind) for new in changes.opened]
    assert messages == ("failed" in names)
