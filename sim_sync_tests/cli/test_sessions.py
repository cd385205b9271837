from datetime import timedelta

import pytest

from sim_sync.core.session import Event, Release, Session
from sim_sync.core.sweep import SweepPolicy
from sim_sync.warehouse.tables import sync_sessions
from sim_sync_tests.cli.command_line import CommandLine, assert_one_message
from sim_sync_tests.cli.terminal import shown_in_terminal
from sim_sync_tests.fakes.fleet import a_page, a_sim


def walked(command_line: CommandLine, minutes: float, carrier: str = "acme") -> Session:
    """Walk over two SIMs in that many minutes."""
    session = command_line.open_session(carrier)
    store = command_line.warehouse.sessions
    assert session.cursor is not None
    session = store.commit_page(session.claim, session.cursor, a_page([a_sim(1), a_sim(2)]))
    session = store.close_session(session.claim, SweepPolicy(), session.config_hash)
    began(command_line, session, minutes)
    return session


def began(command_line: CommandLine, session: Session, minutes: float) -> None:
    """Let a session have begun that many minutes before its last change."""
    started_at = session.updated_at - timedelta(minutes=minutes)
    with command_line.warehouse.engine.begin() as connection:
        is_it = sync_sessions.c.session_id == session.session_id
        connection.execute(sync_sessions.update().where(is_it).values(started_at=started_at))


def test_without_a_walk_it_says_how_to_start_one(command_line: CommandLine) -> None:
    said = command_line.type_in("sessions")
    assert (said.code, said.out) == (0, "no walk yet; `sim-sync backfill --all` starts one of each carrier\n")
    assert command_line.type_in("sessions", "--json").document == []


def test_a_walk_is_one_row_with_its_duration_and_what_it_cost(command_line: CommandLine) -> None:
    walked(command_line, 31)
    header, row = command_line.type_in("sessions").out.splitlines()
    assert header.split() == [
        *("carrier", "started", "took", "pages", "SIMs", "changes", "retries", "waited", "resumes", "outcome")
    ]
    carrier, _date, _time, took, *counts = row.split()
    assert (carrier, took) == ("acme", "31:00")
    assert counts == ["1", "2", "+2", "~0", "0", "0:00", "0", "completed,", "sweep", "done"]


def test_json_has_the_columns_of_the_session_and_what_the_history_tells(command_line: CommandLine) -> None:
    older, newer = walked(command_line, 20), walked(command_line, 30)
    said = command_line.type_in("sessions", "--json")
    assert (said.code, said.err) == (0, "")
    newest, oldest = said.document
    extra = {"sims_seen", "resumes", "duration_seconds", "usual_seconds"}
    assert set(newest) == {column.name for column in sync_sessions.columns} | extra
    assert [newest["session_id"], oldest["session_id"]] == [newer.session_id, older.session_id]
    assert (newest["duration_seconds"], newest["usual_seconds"]) == (1800, 1200)
    assert (oldest["duration_seconds"], oldest["usual_seconds"]) == (1200, None)
    assert (newest["state"], newest["sweep_state"], newest["sims_seen"]) == ("completed", "done", 2)
    assert newest["started_at"].endswith("+00:00")


def test_a_slow_night_is_told_beside_what_is_usual(command_line: CommandLine) -> None:
    for minutes in (20, 22, 200):
        walked(command_line, minutes)
    walked(command_line, 44)
    *_, line = command_line.type_in("sessions").out.splitlines()
    assert line == "acme: took 44:00, 2.0 times the usual 22:00 (median of 3 completed walks before it)"


def test_a_walk_at_work_is_compared_by_the_time_that_it_will_have_taken(command_line: CommandLine) -> None:
    walked(command_line, 10)
    session = command_line.open_session(pages=4, owner="run-2")
    began(command_line, session, 5)
    line = next(line for line in command_line.type_in("sessions").out.splitlines() if line.startswith("acme: "))
    assert line.startswith("acme: running, 5:0")
    assert " in all, 0.5 times the usual 10:00 (one completed walk before it)" in line


@pytest.mark.parametrize(
    ("minutes", "told"),
    [(5, "acme: failed, 5:00 so far, of the usual 10:00"), (15, "acme: failed, 15:00 so far, 1.5 times the usual")],
)
def test_a_walk_whose_end_nobody_knows_is_compared_once_it_is_longer(
    command_line: CommandLine, minutes: float, told: str
) -> None:
    walked(command_line, 10)
    session = command_line.open_session(pages=1, owner="run-2")
    command_line.warehouse.sessions.release(session.claim, Release(Event.GAVE_UP, error="HTTP 401 for the account"))
    began(command_line, command_line.warehouse.sessions.latest_sessions(["acme"])[0], minutes)
    out = command_line.type_in("sessions").out
    assert told in out
    assert f"{session.session_id}: last error at " in out
    assert out.rstrip().endswith(" UTC: HTTP 401 for the account")


def test_the_last_n_are_those_of_all_carriers_together(command_line: CommandLine) -> None:
    for carrier in ("acme", "zeta", "acme"):
        walked(command_line, 0, carrier)
    listed = [walk["carrier"] for walk in command_line.type_in("sessions", "--last", "2", "--json").document]
    assert len(listed) == 2
    listed = [walk["carrier"] for walk in command_line.type_in("sessions", "--carrier", "zeta", "--json").document]
    assert listed == ["zeta"]


def test_an_unknown_carrier_is_refused_with_the_known_ones(command_line: CommandLine) -> None:
    assert_one_message(command_line.type_in("sessions", "--carrier", "acne"), 2, "'acne'", "acme, zeta")


def test_in_a_terminal_of_80_columns_no_line_is_longer(command_line: CommandLine) -> None:
    walked(command_line, 3000)
    walked(command_line, 3, "zeta")
    shown = shown_in_terminal(command_line, "sessions", columns=80)
    assert max(map(len, shown.splitlines())) <= 80
    assert "resumes" in shown
