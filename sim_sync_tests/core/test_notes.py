from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from sim_sync.core.errors import WaitCause
from sim_sync.core.notes import due_text, session_note, time_text, wait_text, without_name
from sim_sync.core.session import Session, State, SweepState
from sim_sync_tests.fakes.clock import START as NOW

EARLIER = NOW - timedelta(minutes=7)
TEXT = "page 3: carrier acme: GET http://127.0.0.1/sims: HTTP 503; no better after 3 attempts"


def a_session(state: State | str, **fields: Any) -> Session:
    plain: dict[str, Any] = {"session_id": "acme-1", "carrier": "acme", "cursor": {"page": 3}, "fence": 2}
    plain |= {"session_number": 1}
    times: dict[str, Any] = {"started_at": EARLIER, "updated_at": NOW, "lease_expires_at": NOW + timedelta(seconds=30)}
    return Session(**(plain | times | {"state": State(state), "config_hash": "c", "pages_done": 2} | fields))


def at(hours: float) -> datetime:
    return NOW + timedelta(hours=hours)


@pytest.mark.parametrize("cause", ["carrier down", "throttled", "quota used up"])
def test_a_parked_session_says_what_it_waits_for_until_when_and_never_more_than_one_of_them(cause: str) -> None:
    assert WaitCause(cause)
    note = session_note(a_session("parked", not_before=at(1 / 60), last_error=f"{cause}: {TEXT}"), NOW)
    assert note == (
        f"{cause}, tries again at 02:01:00 UTC (in 1 min); `sim-sync resume acme` tries now: "
        "page 3: GET http://127.0.0.1/sims: HTTP 503; no better after 3 attempts"
    )
    others = {other.value for other in WaitCause} - {cause}
    assert not any(other in note for other in others)


def test_a_parked_session_of_an_earlier_version_is_just_waiting() -> None:
    parked = a_session("parked", not_before=at(2), last_error="HTTP 429: slower")
    assert session_note(parked, NOW) == (
        "waiting, tries again at 04:00:00 UTC (in 2 h); `sim-sync resume acme` tries now: HTTP 429: slower"
    )
    assert session_note(replace(parked, last_error=None), NOW) == due_text(parked, NOW)


def test_a_wait_that_is_over_is_due() -> None:
    parked = a_session("parked", not_before=NOW, last_error="throttled: HTTP 429")
    assert session_note(parked, NOW) == (
        "throttled, and due now; the sensor or `sim-sync backfill acme` continues: HTTP 429"
    )


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        ({}, ""),
        (
            {"last_error": "its run run-1 died", "last_error_at": EARLIER},
            "earlier, at 01:53:00 UTC: its run run-1 died",
        ),
        (
            {"lease_expires_at": NOW, "owner": "run-2"},
            "its run run-2 is silent; the sensor or `sim-sync backfill acme` takes over",
        ),
    ],
)
def test_a_session_at_work_tells_an_old_error_as_an_old_one(fields: dict[str, Any], note: str) -> None:
    assert session_note(a_session("running", **fields), NOW) == note


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        ({}, "the sensor or `sim-sync backfill acme` continues after page 2"),
        (
            {"last_error": "HTTP 500", "last_error_at": NOW},
            "HTTP 500; the sensor or `sim-sync backfill acme` continues after page 2",
        ),
        (
            {"last_error": "HTTP 401", "last_error_at": EARLIER},
            "the sensor or `sim-sync backfill acme` continues after page 2; earlier, at 01:53:00 UTC: HTTP 401",
        ),
    ],
)
def test_an_interrupted_session_says_who_continues_and_tells_an_old_error_as_an_old_one(
    fields: dict[str, Any], note: str
) -> None:
    assert session_note(a_session("interrupted", **fields), NOW) == note


@pytest.mark.parametrize(("pages", "when"), [(2, "after page 2"), (0, "before its first page")])
def test_a_paused_session_says_where_and_how_it_continues(pages: int, when: str) -> None:
    paused = a_session("paused", pages_done=pages, last_error="HTTP 401", last_error_at=EARLIER)
    assert session_note(paused, NOW) == f"paused {when}; `sim-sync resume acme` continues it"


@pytest.mark.parametrize("state", ["failed", "superseded"])
def test_what_was_given_up_says_why_with_the_carriers_name_left_to_the_place(state: str) -> None:
    given_up = a_session(state, last_error="page 3: carrier acme: GET http://x/: HTTP 401")
    assert session_note(given_up, NOW) == "page 3: GET http://x/: HTTP 401"


def test_a_completed_session_says_when_and_what_became_of_the_sweep() -> None:
    held = a_session("completed", finished_at=NOW, sweep_state=SweepState.HELD, sweep_reason="3 of 4 are missing")
    assert session_note(held, NOW) == (
        "finished 2026-03-02 02:00:00 UTC; sweep held: 3 of 4 are missing; "
        "`sim-sync sweep show acme` lists the SIMs, then approve or reject it"
    )
    decided = replace(held, sweep_state=SweepState.APPROVED, sweep_decided_by="ann", sweep_decided_at=NOW)
    assert session_note(decided, NOW) == (
        "finished 2026-03-02 02:00:00 UTC; sweep approved, decided by ann at 2026-03-02 02:00:00 UTC"
    )


def test_every_state_has_a_note_and_one_of_another_version_has_one_too() -> None:
    for state in State:
        session_note(a_session(state), NOW)
    assert "upgrade sim_sync here" in session_note(a_session("hibernating"), NOW)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-5, "in 0 s"),
        (0.2, "in 1 s"),
        (59.2, "in 60 s"),
        (60, "in 1 min"),
        (61, "in 2 min"),
        (3599, "in 1 h"),
        (3600, "in 1 h"),
        (3601, "in 1 h 1 min"),
        (7200, "in 2 h"),
    ],
)
def test_a_wait_is_told_in_words_and_never_too_short(seconds: float, told: str) -> None:
    assert wait_text(seconds) == told


def test_a_time_of_another_day_has_its_date() -> None:
    assert time_text(NOW, NOW) == "02:00:00 UTC"
    assert time_text(at(24), NOW) == "2026-03-03 02:00:00 UTC"
    assert time_text(NOW, None) == "2026-03-02 02:00:00 UTC"
    assert time_text(None, NOW) == "an unknown time"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("carrier acme: page 1: x", "page 1: x"),
        ("page 1: carrier acme: GET u", "page 1: GET u"),
        ("acme: paused", "paused"),
        ("carrier acme-2: page 1", "carrier acme-2: page 1"),
        ("the list of acme", "the list of acme"),
    ],
)
def test_the_name_of_a_carrier_is_told_once(text: str, told: str) -> None:
    assert without_name(text, "acme") == told
