import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from sim_sync import __version__
from sim_sync.cli.app import app
from sim_sync.cli.options import EXAMPLES
from sim_sync_tests.cli.command_line import CommandLine

COMMANDS = (
    "check",
    "status",
    "sessions",
    "backfill",
    "pause",
    "resume",
    "restart",
    "sweep",
    "discrepancies",
    "changes",
    "metrics",
    "simulate",
    "selftest",
)


def test_version_is_one_line(command_line: CommandLine) -> None:
    said = command_line.type_in("--version")
    assert (said.code, said.out, said.err) == (0, f"{__version__}\n", "")


def test_help_lists_every_command_and_hides_those_of_make(command_line: CommandLine) -> None:
    said = command_line.type_in("--help")
    assert said.code == 0
    listed = {line.split()[0] for line in said.out.splitlines() if line.startswith("  ") and line.split()}
    assert set(COMMANDS) <= listed
    assert not {"demo", "dev"} & listed


_IN_BASH = """
eval "$(sim-sync --show-completion bash)"
COMP_WORDS=({words}) COMP_CWORD={at}
_sim_sync_completion sim-sync
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["sim-sync", "stat"], ["status"]),
        (["sim-sync", "sweep", ""], ["show", "approve", "reject"]),
        (["sim-sync", "sweep", "show", "z"], ["zeta"]),
        (["sim-sync", "backfill", ""], ["acme", "zeta"]),
    ],
)
def test_bash_completes_commands_and_the_names_of_carriers(
    command_line: CommandLine, words: list[str], completed: list[str]
) -> None:
    script = _IN_BASH.format(words=" ".join(word or "''" for word in words), at=len(words) - 1)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    answer = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert (answer.stdout.split(), answer.stderr) == (completed, "")


def test_without_a_config_no_carrier_is_completed_and_nothing_is_said(command_line: CommandLine) -> None:
    (command_line.folder / "carriers.yaml").write_text("carriers: [", encoding="utf-8")
    said = command_line.run(
        "backfill", _SIM_SYNC_COMPLETE="complete_bash", COMP_WORDS="sim-sync backfill ", COMP_CWORD="2"
    )
    assert (said.out.strip(), said.err) == ("", "")


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command_line: CommandLine, command: str, option: str) -> None:
    said = command_line.type_in(command, option)
    assert said.code == 0
    assert command in said.out


@pytest.mark.parametrize(
    ("command", "usage"),
    [("backfill", "[CARRIER]..."), ("check", "[CARRIER]..."), ("pause", "CARRIER"), ("discrepancies ack", "ICCID...")],
)
def test_arguments_are_written_in_one_way(command_line: CommandLine, command: str, usage: str) -> None:
    first = command_line.type_in(*command.split(), "-h").out.strip().splitlines()[0]
    assert first == f"Usage: sim-sync {command} [OPTIONS] {usage}"


def test_the_list_of_commands_cuts_no_sentence(command_line: CommandLine) -> None:
    out = command_line.type_in("--help").out
    assert "..." not in out.partition("Commands:")[2]
    assert "Stop a carrier's sync until somebody resumes it.\n" in out


@pytest.mark.parametrize("command", [*COMMANDS, "sweep approve"])
def test_no_help_shows_a_type_of_python(command_line: CommandLine, command: str) -> None:
    out = command_line.type_in(*command.split(), "--help").out
    assert not re.search(r"<(str|int|list)", out)


def all_commands(command: Any, called: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each command that a person sees, by all its words; a group that does something by itself too."""
    if not hasattr(command, "commands") or (called and command.invoke_without_command):
        yield called, command
    for name, member in getattr(command, "commands", {}).items():
        if not member.hidden:
            yield from all_commands(member, f"{called} {name}".strip())


SHOWN = dict(all_commands(typer.main.get_command(app)))


@pytest.mark.parametrize("name", SHOWN)
def test_the_help_of_every_command_ends_with_an_example_that_it_takes(command_line: CommandLine, name: str) -> None:
    example = command_line.type_in(*name.split(), "--help").out.rpartition("Example: ")[2].splitlines()[0]
    words = shlex.split(example.partition(" > ")[0])
    assert words[: 1 + len(name.split())] == ["sim-sync", *name.split()]
    SHOWN[name].make_context(name, words[1 + len(name.split()) :])  # it raises for an option that there is not


def test_there_is_no_example_of_a_command_that_is_gone() -> None:
    assert set(EXAMPLES) <= set(SHOWN)


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("sim-sync sta", ["status"]),
        ("sim-sync sweep re", ["reject"]),
        ("sim-sync pause ", ["acme", "zeta"]),
        ("sim-sync backfill acme z", ["zeta"]),
        ("sim-sync status --carrier a", ["acme"]),
    ],
)
def test_a_shell_completes_commands_and_the_names_of_carriers(
    command_line: CommandLine, typed: str, completed: list[str]
) -> None:
    place = str(len(typed.split(" ")) - 1)
    said = command_line.run(_SIM_SYNC_COMPLETE="complete_bash", COMP_WORDS=typed, COMP_CWORD=place)
    assert (said.code, said.out.split(), said.err) == (0, completed, "")


def test_a_shell_completes_no_carrier_where_there_is_no_config(command_line: CommandLine) -> None:
    (command_line.folder / "carriers.yaml").unlink()
    said = command_line.run(_SIM_SYNC_COMPLETE="complete_bash", COMP_WORDS="sim-sync pause a", COMP_CWORD="2")
    assert (said.out.strip(), said.err) == ("", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("fly",),
        ("status", "--loudly"),
        ("status", "--carrier"),
        ("pause",),
        ("pause", "acme", "zeta"),
        ("backfill", "acme", "--max-pages", "0"),
        ("backfill", "acme", "--max-pages", "many"),
        ("discrepancies", "--format", "xml"),
        ("sessions", "--last", "0"),
        ("selftest", "--kills", "0"),
        ("selftest", "--freezes", "-1"),
        ("simulate", "--sims", "many"),
        ("simulate", "--loudly"),
        ("simulate", "--vendor", "pigeon_post"),
        ("simulate", "--sims", "-1"),
        ("simulate", "--port", "99999"),
        ("dev", "--port", "99999"),
        ("dev", "--port", "0"),
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_exits_with_2_and_says_why(command_line: CommandLine, arguments: tuple[str, ...]) -> None:
    said = command_line.type_in(*arguments)
    assert (said.code, said.out) == (2, "")
    assert said.err
    assert "Traceback" not in said.err


def test_without_a_command_the_help_is_shown_and_nothing_is_done(command_line: CommandLine) -> None:
    said = command_line.type_in()
    assert said.code == 2
    assert "Usage:" in said.out + said.err


def test_the_module_is_the_command(command_line: CommandLine) -> None:
    said = command_line.run("--version")
    assert (said.code, said.out, said.err) == (0, f"{__version__}\n", "")


def test_quick_commands_import_neither_dagster_nor_pandas(command_line: CommandLine) -> None:
    """`status` is what a person watches and a script polls: it must not take seconds to start."""
    command_line.open_session(pages=1)
    code = """
import sys
from sim_sync.cli import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    assert ended.code == 0, ended.code
print([name for name in ("dagster", "pandas", "numpy") if name in sys.modules], file=sys.stderr)
"""
    for arguments in (["status"], ["status", "--json"], ["pause", "acme"], ["resume", "acme"], ["discrepancies"]):
        said = command_line.python("-c", code, *arguments)
        assert (said.code, said.err) == (0, "[]\n"), arguments
