"""A demonstration that lies about its figures would be worse than none: each wrong one turns it red."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sim_sync.core.session import Session, State, SweepState
from sim_sync.defs.launch import RunOfSession
from sim_sync.demo.run import Killed, Outcome, figure_checks, report_lines
from sim_sync.simulator.delivery import LogEntry

NOW = datetime(2026, 3, 2, tzinfo=UTC)
DIED_NS = 1_000
PAGES = 100
KILLED_AFTER = 40
SENSOR = "resume_interrupted_syncs"


def a_session(**fields: Any) -> Session:
    plain: dict[str, Any] = {
        "session_id": "s-1",
        "session_number": 1,
        "carrier": "simulated-eu",
        "state": State.COMPLETED,
        "cursor": None,
        "fence": 2,
        "config_hash": "h",
        "started_at": NOW,
        "updated_at": NOW,
        "pages_done": PAGES,
        "retries": 3,
        "owner": "run-2",
        "sweep_state": SweepState.DONE,
    }
    return Session(**(plain | fields))


def a_request(page: int, *, fault: str | None = None, again: bool = False) -> LogEntry:
    """Return the request for a page; pages after the kill, and a page asked for again, come after the death."""
    arrived_ns = DIED_NS + page if page >= KILLED_AFTER or again else page
    token = None if page == 0 else f"PA{page:03}"
    return LogEntry(
        page,
        "",
        "GET",
        "/v1/Sims",
        "",
        200,
        True,
        token,
        page,
        "accepted",
        fault,
        "127.0.0.1:5",
        1,
        arrived_ns,
        arrived_ns,
    )


def an_outcome(**fields: Any) -> Outcome:
    """Return the outcome of a demonstration that went as it should."""
    killed = a_session(
        state=State.RUNNING,
        cursor={"next": "/v1/Sims?PageToken=PA040"},
        fence=1,
        pages_done=KILLED_AFTER,
        owner="run-1",
    )
    plain: dict[str, Any] = {
        "killed": Killed(killed, DIED_NS),
        "completed": a_session(),
        "runs": [RunOfSession("run-1", "FAILURE", True, None), RunOfSession("run-2", "SUCCESS", True, SENSOR)],
        "requests": [a_request(page) for page in range(PAGES)],
        "sims": 20_000,
        "open_kinds": ["missing_at_carrier"] * 12 + ["unknown_to_us"] * 8 + ["mismatch"] * 25,
    }
    return Outcome(**(plain | fields))


def wrong_lines(outcome: Outcome) -> list[str]:
    return [line for line, is_right in figure_checks(outcome) if not is_right]


def test_the_known_figures_are_all_right() -> None:
    assert wrong_lines(an_outcome()) == []


def test_the_page_in_flight_at_the_kill_may_be_fetched_twice() -> None:
    requests = [a_request(page) for page in range(PAGES)]
    requests.insert(KILLED_AFTER, replace(a_request(KILLED_AFTER), arrived_ns=DIED_NS - 1))
    assert wrong_lines(an_outcome(requests=requests)) == []


def test_a_request_that_met_an_injected_fault_is_no_page() -> None:
    requests = [a_request(10, fault="error"), *(a_request(page) for page in range(PAGES))]
    assert wrong_lines(an_outcome(requests=requests)) == []


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"sims": 19_999}, "SIMs in carrier_sims"),
        ({"requests": [a_request(page) for page in range(PAGES - 1)]}, "pages walked"),
        ({"requests": [a_request(page) for page in [0, 1, 2, 0, 1, 2, *range(3, PAGES)]]}, "pages walked"),
        ({"completed": a_session(retries=2)}, "retries"),
        ({"completed": a_session(fence=3)}, "resumed by"),
        ({"completed": a_session(sweep_state=SweepState.HELD)}, "sweep"),
        ({"open_kinds": ["missing_at_carrier"] * 12 + ["unknown_to_us"] * 8 + ["mismatch"] * 24}, "mismatch"),
        ({"open_kinds": ["missing_at_carrier"] * 12 + ["unknown_to_us"] * 8}, "mismatch"),
        ({"open_kinds": [*an_outcome().open_kinds, "quality"]}, "quality"),
        ({"runs": an_outcome().runs[:1]}, "resumed by"),
        ({"runs": [*an_outcome().runs, RunOfSession("run-3", "SUCCESS", True, SENSOR)]}, "resumed by"),
        (
            {"runs": [an_outcome().runs[0], RunOfSession("run-2", "SUCCESS", True, None)]},
            "resumed by",
        ),
        (
            {"runs": [RunOfSession("run-1", "STARTED", False, None), an_outcome().runs[1]]},
            "resumed by",
        ),
    ],
)
def test_every_other_figure_is_told_as_wrong(fields: dict[str, Any], word: str) -> None:
    (line,) = wrong_lines(an_outcome(**fields))
    assert word in line


def test_a_walk_that_began_again_is_no_resume() -> None:
    """All pages once more: too many are fetched twice, and the first request after the kill is not the next page."""
    requests = [
        *(a_request(page) for page in range(KILLED_AFTER)),
        *(a_request(page, again=True) for page in range(PAGES)),
    ]
    lines = wrong_lines(an_outcome(requests=requests))
    assert any("gone on from page 41" in line for line in lines)
    assert any("fetched twice" in line for line in lines)


def test_the_report_marks_what_is_wrong_and_says_where_it_all_lies(tmp_path: Path) -> None:
    text = "\n".join(report_lines(tmp_path, [("this is so", True), ("this is not", False)]))
    assert "ok    this is so" in text
    assert "WRONG this is not" in text
    assert str(tmp_path / ".sim_sync" / "warehouse.db") in text
    assert "make dev" in text
