import pytest

from sim_sync.core.session import Event, Release, State
from sim_sync.core.sweep import SweepPolicy
from sim_sync_tests.cli.command_line import CommandLine, assert_one_message
from sim_sync_tests.cli.terminal import answered_in_terminal
from sim_sync_tests.fakes.fleet import a_page, a_sim


def state_of(command_line: CommandLine, carrier: str = "acme") -> State:
    session = command_line.warehouse.sessions.open_session_of(carrier)
    assert session is not None
    return session.state


def test_pause_stops_a_running_session_and_says_how_it_continues(command_line: CommandLine) -> None:
    command_line.open_session(pages=1)
    said = command_line.type_in("pause", "acme")
    assert (said.code, said.err) == (0, "")
    assert "acme: paused" in said.out
    assert "sim-sync resume acme" in said.out
    assert state_of(command_line) is State.PAUSED


def test_pausing_twice_is_no_error(command_line: CommandLine) -> None:
    command_line.open_session()
    command_line.type_in("pause", "acme")
    assert command_line.type_in("pause", "acme").code == 0


def test_pause_touches_no_other_carrier(command_line: CommandLine) -> None:
    command_line.open_session("acme")
    command_line.open_session("zeta")
    command_line.type_in("pause", "zeta")
    assert state_of(command_line, "acme") is State.RUNNING


def test_resume_releases_a_paused_session_and_names_who_continues(command_line: CommandLine) -> None:
    command_line.open_session(pages=1)
    command_line.type_in("pause", "acme")
    said = command_line.type_in("resume", "acme")
    assert said.code == 0
    assert "the sensor continues with it" in said.out
    assert "sim-sync backfill acme" in said.out
    assert state_of(command_line) is State.INTERRUPTED


@pytest.mark.parametrize(("event", "wait_seconds"), [(Event.GAVE_UP, None), (Event.WAIT_TOO_LONG, 3600.0)])
def test_resume_releases_what_failed_or_waits(
    command_line: CommandLine, event: Event, wait_seconds: float | None
) -> None:
    session = command_line.open_session(pages=1)
    command_line.warehouse.sessions.release(session.claim, Release(event, error="HTTP 500", wait_seconds=wait_seconds))
    assert command_line.type_in("resume", "acme").code == 0
    assert state_of(command_line) is State.INTERRUPTED


def test_resume_leaves_a_running_session_alone_and_promises_nothing(command_line: CommandLine) -> None:
    command_line.open_session(pages=1)
    said = command_line.type_in("resume", "acme")
    assert said.code == 0
    assert "the sensor continues" not in said.out
    assert state_of(command_line) is State.RUNNING


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_without_an_open_session_there_is_nothing_to_operate(command_line: CommandLine, command: str) -> None:
    assert_one_message(command_line.type_in(command, "acme"), 2, "acme has no open session", "sim-sync backfill acme")


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_a_completed_session_cannot_be_operated(command_line: CommandLine, command: str) -> None:
    session = command_line.open_session()
    assert session.cursor is not None
    session = command_line.warehouse.sessions.commit_page(session.claim, session.cursor, a_page([a_sim(1)]))
    command_line.warehouse.sessions.close_session(session.claim, SweepPolicy(), session.config_hash)
    assert_one_message(command_line.type_in(command, "acme"), 2, "no open session")


@pytest.mark.parametrize("command", ["pause", "resume", "restart"])
def test_an_unknown_carrier_is_refused_with_the_known_ones(command_line: CommandLine, command: str) -> None:
    assert_one_message(command_line.type_in(command, "acne"), 2, "'acne'", "acme, zeta")


def test_restart_asks_in_a_terminal_before_it_gives_pages_up(command_line: CommandLine) -> None:
    session = command_line.open_session(pages=3)
    shown, code = answered_in_terminal(command_line, "restart", "acme", answer="n\n")
    assert "acme: give up the 3 pages of the open session? [y/N]" in shown
    assert code == 1
    assert command_line.warehouse.sessions.session(session.session_id) == session


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "answer"), [(("restart", "acme"), "y\n"), (("restart", "acme", "--yes"), "")])
def test_restart_continues_where_the_person_is_sure(
    command_line: CommandLine, arguments: tuple[str, ...], answer: str
) -> None:
    session = command_line.open_session(pages=3)
    answered_in_terminal(command_line, *arguments, answer=answer)
    assert command_line.warehouse.sessions.session(session.session_id).state is State.SUPERSEDED
