import math
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from sim_sync.core.session import Session, State, SweepState
from sim_sync.defs.progress import CheckpointReporter, progress_line, session_metadata
from sim_sync_tests.fakes.clock import START

WALKING = Session(
    session_id="acme-1",
    session_number=1,
    carrier="acme",
    state=State.RUNNING,
    cursor={"page": 3},
    fence=2,
    config_hash="config-1",
    started_at=START,
    updated_at=START,
    pages_done=3,
    pages_expected=12,
    records_seen=30,
    records_expected=120,
    records_added=30,
    retries=1,
    throttled_seconds=4.26,
    eta_at=START + timedelta(minutes=9),
)


def test_metadata_are_plain_numbers_and_texts() -> None:
    assert {name: value.value for name, value in session_metadata(WALKING).items()} == {
        "state": "running",
        "session": "acme-1",
        "pages_done": 3,
        "pages_expected": 12,
        "percent": 25.0,
        "records_seen": 30,
        "records_expected": 120,
        "records_added": 30,
        "records_changed": 0,
        "records_quarantined": 0,
        "retries": 1,
        "throttled_seconds": 4.3,
        "fence": 2,
        "eta": (START + timedelta(minutes=9)).timestamp(),
        "last_error": "none",
        "waiting": "throttled 0:04 of 0:00",
    }


def test_what_is_looked_for_first_stands_first() -> None:
    assert list(session_metadata(WALKING))[:5] == ["state", "pages_done", "percent", "eta", "last_error"]


def test_what_is_not_known_is_left_out() -> None:
    unknown = replace(WALKING, pages_expected=None, records_expected=None, eta_at=None)

    assert {"pages_expected", "records_expected", "percent", "eta", "not_before"}.isdisjoint(session_metadata(unknown))


def test_a_parked_session_tells_until_when_and_a_completed_one_what_became_of_the_sweep() -> None:
    parked = replace(WALKING, state=State.PARKED, not_before=START, last_error="status 429")
    completed = replace(WALKING, state=State.COMPLETED, sweep_state=SweepState.HELD, sweep_reason="too many")

    assert session_metadata(parked)["not_before"].value == START.timestamp()
    assert session_metadata(parked)["last_error"].value == "status 429"
    assert str(session_metadata(completed)["sweep"].value).startswith("held: too many; `sim-sync sweep show acme`")
    assert session_metadata(completed)["percent"].value == 100.0


def test_one_line_tells_it_all() -> None:
    assert progress_line(WALKING) == (
        "acme: running, page 3/12, 30 records, 1 retry, 4 s waited, ends about 02:09:00 UTC"
    )
    assert progress_line(replace(WALKING, pages_expected=None, eta_at=None, throttled_seconds=0.0)) == (
        "acme: running, page 3, 30 records, 1 retry"
    )


def test_the_line_in_a_runs_log_ends_with_the_last_error_and_its_time() -> None:
    failed_once = replace(WALKING, last_error="carrier acme: page 3: HTTP 503", last_error_at=START)
    assert progress_line(failed_once).endswith("; last error, at 02:00:00 UTC: page 3: HTTP 503")


def test_a_reporter_tells_the_first_checkpoint_then_one_each_interval_and_each_new_error_at_once() -> None:
    seconds = 0.0
    told: list[tuple[float, int]] = []
    reporter = CheckpointReporter(
        lambda session: told.append((seconds, session.pages_done)), every_seconds=15, monotonic=lambda: seconds
    )

    for page in range(1, 41):
        seconds = float(page)
        reporter(replace(WALKING, pages_done=page, last_error="status 503" if page >= 20 else None))

    assert told == [(1.0, 1), (16.0, 16), (20.0, 20), (35.0, 35)]


def checkpoints_of(pages: int, *, seconds_a_page: float, errors: Callable[[int], str | None]) -> list[int]:
    """Return the pages that a reporter tells of, of a walk of so many pages."""
    now = 0.0
    told: list[int] = []
    reporter = CheckpointReporter(lambda session: told.append(session.pages_done), monotonic=lambda: now)
    for page in range(1, pages + 1):
        now += seconds_a_page
        reporter(replace(WALKING, pages_done=page, last_error=errors(page)))
    return told


@pytest.mark.parametrize("seconds_a_page", [0.05, 1.0, 10.0])
def test_a_walk_of_twenty_thousand_pages_is_told_in_a_bounded_number_of_events(seconds_a_page: float) -> None:
    told = checkpoints_of(20_000, seconds_a_page=seconds_a_page, errors=lambda _page: None)
    assert 60 <= len(told) <= 100 + 100 * math.log(max(20_000 * seconds_a_page / 1500, 1)) + 2


def test_an_error_that_differs_in_its_numbers_alone_is_no_new_one() -> None:
    told = checkpoints_of(10, seconds_a_page=0.1, errors=lambda page: f"page {page}: HTTP 503 after {page * 7} ms")
    assert told == [1]


def test_a_carrier_that_says_something_else_on_every_page_fills_no_log() -> None:
    told = checkpoints_of(5000, seconds_a_page=0.001, errors=lambda page: "x" * page)
    assert len(told) <= 21


def test_a_session_at_work_tells_its_pace_and_between_when_it_ends() -> None:
    at_work = replace(WALKING, started_at=START - timedelta(minutes=3), lease_expires_at=START + timedelta(seconds=30))
    told = {name: value.value for name, value in session_metadata(at_work, [60.0] * 5).items()}
    assert told["pages_per_minute"] == 1.0
    assert str(told["eta_range"]).startswith("between 02:0")


def test_an_error_is_told_with_its_time_and_whether_it_is_over() -> None:
    running = replace(WALKING, last_error="carrier down: HTTP 503", last_error_at=START)
    parked = replace(running, state=State.PARKED)
    assert session_metadata(running)["last_error_at"].value == START.timestamp()
    assert session_metadata(running)["last_error_is_over"].value is True
    assert session_metadata(parked)["last_error_is_over"].value is False
    assert session_metadata(parked)["waits_for"].value == "carrier down"
