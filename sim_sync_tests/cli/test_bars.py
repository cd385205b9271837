"""What a person sees live in a terminal, and which carrier comes first."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from sim_sync.cli.bars import bar_line, bar_text
from sim_sync.core.pages import Effort
from sim_sync.core.session import Event, Release
from sim_sync.core.sweep import SweepPolicy
from sim_sync.simulator.messages import MountOptions
from sim_sync.simulator.server import SimulatorServer
from sim_sync.warehouse.overviews import carrier_overviews
from sim_sync_tests.cli.command_line import CommandLine, an_account
from sim_sync_tests.cli.terminal import bare_in_terminal, shown_in_terminal, watched_in_terminal
from sim_sync_tests.fakes.fleet import a_page, a_sim

FULL, EMPTY = "\u2588", "\u2591"


@pytest.mark.parametrize(
    ("percent", "bar"),
    [
        (0.0, EMPTY * 24),
        (50.0, FULL * 12 + EMPTY * 12),
        (99.9, FULL * 23 + EMPTY),
        (100.0, FULL * 24),
        (None, EMPTY * 24),
    ],
)
def test_a_bar_is_full_only_at_the_end_and_reads_without_colours(percent: float | None, bar: str) -> None:
    assert bar_text(percent) == bar
    assert bar_text(percent, is_utf8=False) == bar.replace(FULL, "#").replace(EMPTY, "-")


def test_beside_a_bar_stand_percent_pages_pace_end_and_waits(command_line: CommandLine) -> None:
    session = command_line.open_session(pages=4)
    assert session.cursor is not None
    page = a_page([a_sim(9)], {"page": 5}, records_total=100, effort=Effort(retries=1, throttled_seconds=65))
    warehouse = command_line.warehouse
    session = warehouse.sessions.commit_page(session.claim, session.cursor, page)
    (overview,) = carrier_overviews(warehouse.engine, ["acme"])
    line = bar_line(overview, session.updated_at + timedelta(seconds=1))
    assert (line.carrier, line.state, line.percent) == ("acme", "running", 8.9)
    percent, pages, pace, end, waited = line.text.split("  ")
    assert (percent, pages, waited) == ("8.9 %", "5/56 pages", "waited 1:05")
    assert pace.endswith("/min")
    assert end.startswith("ends in ")


def test_a_parked_carriers_line_says_why_and_until_when(command_line: CommandLine) -> None:
    session = command_line.open_session(pages=1)
    warehouse = command_line.warehouse
    release = Release(Event.WAIT_TOO_LONG, error="quota used up: HTTP 429", wait_seconds=7200)
    session = warehouse.sessions.release(session.claim, release)
    shown = command_line.type_in("status").out
    assert "nothing: quota used up, tries again at" in shown


def rows_of(command_line: CommandLine) -> list[tuple[str, str]]:
    """Return the carriers and what to do about each, as `status` lists them."""
    header, *lines = command_line.type_in("status").out.splitlines()
    table = [line for line in lines if not line.split()[0].endswith(":")]
    return [(line.split()[0], line[header.index("what to do") :]) for line in table]


def test_the_carrier_that_wants_a_person_most_comes_first_with_what_to_do(command_line: CommandLine) -> None:
    names = ("fine", "running", "parked", "interrupted", "paused", "held", "failed", "never")
    command_line.write_carriers(**{name: an_account("http://127.0.0.1:9") for name in names})
    store = command_line.warehouse.sessions
    command_line.walk(a_sim(1), carrier="fine")
    strict = SweepPolicy(max_vanished_percent=0, min_vanished_count=0)
    command_line.walk(*(a_sim(number) for number in range(4)), carrier="held", policy=strict)
    command_line.walk(a_sim(0), carrier="held", policy=strict)
    command_line.open_session("running", pages=1)
    wait = Release(Event.WAIT_TOO_LONG, error="carrier down: HTTP 503", wait_seconds=86_000)
    store.release(command_line.open_session("parked").claim, wait)
    store.release(command_line.open_session("interrupted").claim, Release(Event.STOPPED_BY_MACHINE))
    store.release(command_line.open_session("failed").claim, Release(Event.GAVE_UP, error="HTTP 401"))
    command_line.open_session("paused")
    command_line.type_in("pause", "paused")

    rows = rows_of(command_line)
    assert [name for name, _ in rows] == [
        "failed",
        "held",
        "paused",
        "never",
        "parked",
        "interrupted",
        "running",
        "fine",
    ]
    todos = dict(rows)
    assert todos["failed"] == "mend it, then sim-sync resume failed"
    assert todos["held"] == "sim-sync sweep show held"
    assert todos["paused"] == "sim-sync resume paused"
    assert todos["never"] == "sim-sync backfill never"
    assert todos["parked"].startswith("nothing: carrier down, tries again at")
    assert todos["interrupted"] == "nothing: continues by itself"
    assert (todos["running"], todos["fine"]) == ("nothing", "nothing")


def test_colours_are_for_terminals_that_want_them(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    command_line.open_session(pages=1)
    assert "\x1b" not in command_line.type_in("status").out
    assert "\x1b[36mrunning" in bare_in_terminal(command_line, "status", columns=120)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in bare_in_terminal(command_line, "status", columns=120)


@pytest.fixture
def served(command_line: CommandLine) -> Iterator[CommandLine]:
    """Two carriers that answer."""
    with SimulatorServer((MountOptions(sims=30),)) as server:
        account = an_account(server.url, lease_seconds=30)
        command_line.write_carriers(acme=account, zeta=account)
        yield command_line


@pytest.mark.slow
def test_a_backfill_draws_a_bar_in_a_terminal_and_ends_with_its_outcome(served: CommandLine) -> None:
    shown = shown_in_terminal(served, "backfill", "acme", columns=120)
    assert f"acme completed {FULL * 24} 100.0 %  3/3 pages" in shown
    assert "acme: completed, page 3/3 (100.0 %), 30 records" in shown


@pytest.mark.slow
def test_a_backfill_of_several_draws_all_bars_at_once(served: CommandLine) -> None:
    shown = shown_in_terminal(served, "backfill", "--all", columns=120)
    for name in ("acme", "zeta"):
        assert f"{name} completed {FULL * 24} 100.0 %  3/3 pages" in shown
        assert f"{name}: completed, page 3/3 (100.0 %), 30 records" in shown


def test_watching_in_a_terminal_draws_bars_until_control_c(command_line: CommandLine) -> None:
    command_line.open_session(pages=2)
    shown, code = watched_in_terminal(command_line, "status", "--watch", until="40.0 %  2/5 pages")
    assert f"acme running      {FULL * 9}{EMPTY * 15} 40.0 %" in shown
    assert code == 0
