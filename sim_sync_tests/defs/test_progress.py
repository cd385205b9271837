from dataclasses import replace
from datetime import timedelta

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
    }


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
