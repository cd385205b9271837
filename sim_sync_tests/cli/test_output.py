"""Text from outside in what the command line prints: shown, and never acted on."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

import sim_sync.cli
from sim_sync.core.inventory import InventorySim
from sim_sync.core.session import Event, Release
from sim_sync.core.sweep import SweepPolicy
from sim_sync.core.text import printable
from sim_sync.terminal.output import complain, print_json, print_lines
from sim_sync.warehouse.inventory import load_inventory
from sim_sync.warehouse.reconcile import reconcile
from sim_sync.warehouse.tables import sync_sessions
from sim_sync_tests.cli.command_line import CommandLine
from sim_sync_tests.cli.terminal import shown_in_terminal
from sim_sync_tests.fakes.fleet import a_page, a_sim
from sim_sync_tests.fakes.hostile_texts import CONTROLS, ESC, FORMULAS, MARKUPS

#: Files that write to a stream themselves: the one through which all others do, and one that asks for its width.
_WRITERS = {"output.py"}
_STREAMS = {"stdout", "stderr", "__stdout__", "__stderr__"}


def writes_by_itself(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            found.append(f"line {node.lineno}: print")
        if isinstance(node, ast.Attribute) and node.attr in {"write", "echo", "secho"} and is_stream(node.value):
            found.append(f"line {node.lineno}: {node.attr}")
    return found


def is_stream(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in _STREAMS


def test_commands_print_only_through_the_one_module_that_makes_texts_printable() -> None:
    folder = Path(sim_sync.cli.__file__).parent
    found = {
        path.name: writes
        for path in sorted(folder.glob("*.py"))
        if path.name not in _WRITERS and (writes := writes_by_itself(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert found == {}


@pytest.mark.parametrize("text", [*CONTROLS, *MARKUPS], ids=ascii)
def test_a_line_is_one_line_and_is_printed_as_it_is(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_lines([text])
    complain(f"found {text}")
    out, err = capsys.readouterr()
    assert out == f"{printable(text)}\n"
    assert err.replace("\n", "").isprintable()


def test_lines_of_ours_stay_lines(capsys: pytest.CaptureFixture[str]) -> None:
    complain("two problems:\n  one\n  two")
    assert capsys.readouterr().err == "sim-sync: two problems:\n  one\n  two\n"


@pytest.mark.parametrize("text", [*CONTROLS, *FORMULAS, *MARKUPS], ids=ascii)
def test_json_holds_the_exact_text_in_printable_ascii(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_json([text])
    out = capsys.readouterr().out
    assert json.loads(out) == [text]
    assert out.replace("\n", "").isprintable()


def named(number: int, text: str) -> Any:
    sim = a_sim(number)
    assert sim.iccid is not None
    return InventorySim(carrier="acme", iccid=sim.iccid, iccid_raw=sim.iccid, status="active", label=text)


@pytest.fixture
def hostile(command_line: CommandLine) -> CommandLine:
    """A warehouse in which labels, plans and status words on both sides are such texts."""
    texts = [text.replace("\x00", "") for text in (*CONTROLS, *FORMULAS, *MARKUPS)]
    session = command_line.open_session()
    store = command_line.warehouse.sessions
    assert session.cursor is not None
    sims = [a_sim(i, label=text, rate_plan=text, carrier_status=text) for i, text in enumerate(texts)]
    session = store.commit_page(session.claim, session.cursor, a_page(sims))
    store.close_session(session.claim, SweepPolicy(), session.config_hash)
    load_inventory(command_line.warehouse.engine, "acme", [named(i, f"{text} of ours") for i, text in enumerate(texts)])
    reconcile(command_line.warehouse.engine, "acme", ("label",))
    return command_line


@pytest.mark.parametrize("options", [(), ("--format", "csv"), ("--json",)], ids=["table", "csv", "json"])
def test_no_discrepancy_writes_a_control_character(hostile: CommandLine, options: tuple[str, ...]) -> None:
    out = hostile.type_in("discrepancies", *options).out
    assert out.replace("\r\n", "\n").replace("\n", "").isprintable()
    assert r"\x1b[2J" in out or r"\u001b[2J" in out


def test_in_a_terminal_too_and_no_markup_is_taken_for_colours_or_pictures(hostile: CommandLine) -> None:
    shown = shown_in_terminal(hostile, "discrepancies", columns=200)
    assert ESC not in shown
    assert "[red]bold[/red]" in shown
    assert ":truck:" in shown


def test_no_error_of_a_carrier_that_is_kept_acts_in_a_terminal(command_line: CommandLine) -> None:
    """Also one that another program, or an earlier version of this one, has written into the table."""
    session = command_line.open_session()
    command_line.warehouse.sessions.release(session.claim, Release(Event.GAVE_UP, error="refused"))
    with command_line.warehouse.engine.begin() as connection:
        connection.execute(sync_sessions.update().values(last_error="".join(CONTROLS).replace("\x00", "")))
    said = command_line.type_in("status")
    assert said.out.replace("\n", "").isprintable()
    assert sum("acme" in line for line in said.out.splitlines()) == 2  # its row and its note, and no forged line
    assert command_line.type_in("status", "--json").document[0]["last_error"].startswith(ESC)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_an_output_that_cannot_take_a_name_shows_it_all_the_same(hostile: CommandLine, encoding: str) -> None:
    said = hostile.run("discrepancies", PYTHONIOENCODING=encoding)
    assert (said.code, said.err) == (0, "")
    assert r"\uff1d1+1" in said.out
    hostile.write_carriers(acme={"type": "北京"})
    said = hostile.run("check", PYTHONIOENCODING=encoding)
    assert said.code == 2
    assert r"'\u5317\u4eac'" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("text", [f"{ESC}[2Jnosuch", "nosuch\r\x08"], ids=ascii)
@pytest.mark.parametrize("command", [("status", "--carrier"), ("backfill",), ("discrepancies", "--kind"), ()])
def test_what_a_person_pastes_into_the_command_line_is_shown_too(
    command_line: CommandLine, command: tuple[str, ...], text: str
) -> None:
    said = command_line.type_in(*command, text)
    assert said.code == 2
    assert said.err.replace("\n", "").isprintable()


def test_a_key_of_the_config_cannot_act_in_a_terminal(command_line: CommandLine) -> None:
    (command_line.folder / "carriers.yaml").write_text('"\\e[2J": 1\ncarriers: {"\\e[2Ja\\nb": {"\\e[31m": 1}}\n')
    said = command_line.type_in("status")
    assert said.code == 2
    assert said.err.replace("\n", "").isprintable()
