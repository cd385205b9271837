"""Writes docs/commands.md from the program itself: `python -m sim_sync_tests.docs.commands` renews it."""

from collections.abc import Iterator
from typing import Any

import typer

from sim_sync.cli.app import app
from sim_sync_tests.docs.documents import PROJECT

_PROGRAM = "sim-sync"
PAGE = PROJECT / "docs" / "commands.md"
_HEAD = """# Commands

Generated from the program by `python -m sim_sync_tests.docs.commands`; a test compares.
`python -m sim_sync` is the same as `sim-sync`.
Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 not finished yet.

`sim-sync --install-completion` lets your shell complete commands, options and the names of your carriers.
"""


def commands_page() -> str:
    """Return the page as it should be."""
    return "\n".join([_HEAD, *_sections(typer.main.get_command(app), _PROGRAM)]).rstrip("\n") + "\n"


def _sections(command: Any, called: str) -> Iterator[str]:
    if not hasattr(command, "commands"):
        yield from _section(command, called)
        return
    if command.invoke_without_command and called != _PROGRAM:  # it does something without a subcommand too
        yield from _section(command, called)
    for name, member in command.commands.items():
        if not member.hidden:
            yield from _sections(member, f"{called} {name}")


def _section(command: Any, called: str) -> Iterator[str]:
    context = typer.Context(command, info_name=called)
    usage = " ".join([called, *command.collect_usage_pieces(context)])
    yield f"## `{usage}`\n"
    yield (command.help or "").strip() + "\n"
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    records = [option.get_help_record(context) for option in options]
    if any(records):
        yield "| option | meaning |\n|---|---|"
        yield from (f"| `{_cell(names)}` | {_cell(meaning)} |" for names, meaning in filter(None, records))
        yield ""
    if command.epilog:
        yield f"{command.epilog.replace('Example: ', 'Example: `')}`\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(commands_page(), encoding="utf-8")
