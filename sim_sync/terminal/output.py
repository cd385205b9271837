"""What a command says, to whom, and with which exit code: the only way to a terminal, a file or a pipe."""

import csv
import json
import logging
import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from typing import Any, TextIO

from sim_sync.core.session import Session, State, SweepState
from sim_sync.core.text import printable, printable_lines
from sim_sync.logs import is_installed

# CSV that a spreadsheet program can open: no cell is taken for a formula, and no identifier for a number.
#
# The rule is OWASP's (https://owasp.org/www-community/attacks/CSV_Injection): an apostrophe before it. It is the same
# for numbers: 20 digits lose their last five there, and leading zeros and plus signs get lost. Whoever reads such a
# file with a program takes one apostrophe off the start of a cell: pandas with `.str.removeprefix("'")`.


_GUARD = "'"
#: How a formula begins. Their fullwidth and small forms count too: a Japanese spreadsheet program takes them for these.
_FORMULA_SIGNS = frozenset("=+-@|")
#: A number of another form than the one it would be given back in; with 12 digits it is shown as 8.98E+11.
_NUMBER = re.compile(r"\s*[0-9][0-9.,\s]*([eE][+-]?[0-9]+)?\s*")
_HARMLESS_NUMBER = re.compile(r"0|[1-9][0-9]{0,10}")
#: Where a comma is the decimal sign, files are split at semicolons, whatever is between quotes.
_OTHER_SEPARATOR = ";"


def write_csv(stream: TextIO, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table as CSV; texts are guarded, numbers, times and empty cells stay what they are."""
    writer = csv.writer(stream)
    writer.writerow([_cell(name) for name in header])
    writer.writerows([_cell(value) for value in row] for row in rows)


def guarded(text: str) -> str:
    """Return a text as a cell that every spreadsheet program takes for text, control characters written out."""
    shown = printable(text)
    first, *others = shown.split(_OTHER_SEPARATOR)
    needs_guard = shown.startswith(_GUARD) or _begins_formula(first) or _is_changed_as_number(shown)
    parts = [_GUARD + first if needs_guard else first]
    parts += [_GUARD + part if _begins_formula(part) else part for part in others]
    return _OTHER_SEPARATOR.join(parts)


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return guarded(value) if isinstance(value, str) else value


def _begins_formula(text: str) -> bool:
    start = text.lstrip(' "')[:1]
    return bool(start) and unicodedata.normalize("NFKC", start)[:1] in _FORMULA_SIGNS


def _is_changed_as_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None and _HARMLESS_NUMBER.fullmatch(text) is None


# What the exit codes mean, and which one a session's state stands for.


class ExitCode(IntEnum):
    """The exit codes of `sim-sync`, part of the public contract."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_FINISHED = 3


def exit_code_of(session: Session) -> ExitCode:
    """Return what a session that was worked on means to the caller's script."""
    match session.state:
        case State.COMPLETED:
            return ExitCode.NOT_FINISHED if session.sweep_state is SweepState.HELD else ExitCode.DONE
        case State.FAILED:
            return ExitCode.FAILED
        case _:
            return ExitCode.NOT_FINISHED


def worst_of(codes: Iterable[int]) -> ExitCode:
    """Return the one exit code for several carriers: a failure before an open end before done."""
    order = [ExitCode.FAILED, ExitCode.USAGE, ExitCode.NOT_FINISHED, ExitCode.DONE]
    found = set(codes)
    return next((code for code in order if code in found), ExitCode.FAILED if found else ExitCode.DONE)


# The only way from the command line to a terminal, a file or a pipe. What is shown here was made printable before.
#
# `sys.stdout` and `print` are used nowhere else in this package, which a test keeps: a text of a carrier that reaches
# a terminal by another way could write there what it likes.


_log = logging.getLogger("sim_sync.cli")


def say(line: str) -> None:
    """Write one line to standard output, now."""
    _write(sys.stdout, printable(line))


def write_line(line: str) -> None:
    """Write one line to standard output, now, with the colours that are ours in it; its texts are printable already."""
    _write(sys.stdout, line)


def print_lines(lines: Iterable[str]) -> None:
    """Write lines to standard output: nothing in them is taken for markup, and the terminal folds them."""
    for line in lines:
        say(line)


def complain(message: str, program: str = "sim-sync") -> None:
    """Write a message to standard error, with the program's name before it; it may have several lines of ours.

    Where logs are for machines, it is one line of them.
    """
    if is_installed():
        _log.error("%s", printable_lines(message))
        return
    sys.stdout.flush()  # where both go to one place, they keep their order
    _write(sys.stderr, f"{program}: {printable_lines(message)}")


def print_json(document: Any) -> None:
    """Write one JSON document to standard output; control characters are escaped in it, DEL too."""
    _write(sys.stdout, _json_text(document))


def print_json_list(items: Iterable[Any]) -> None:
    """Write a JSON list to standard output, item by item: `print_json` of it, without all of it in memory."""
    write_json_list(sys.stdout, items)


def write_json_list(stream: TextIO, items: Iterable[Any]) -> None:
    """Write a JSON list to a stream, item by item."""
    separator = "["
    for item in items:
        text = _json_text(item).replace("\n", "\n  ")
        stream.write(f"{separator}\n  {text}")
        separator = ","
    stream.write("[]\n" if separator == "[" else "\n]\n")
    stream.flush()


def _json_text(document: Any) -> str:
    return json.dumps(document, indent=2, default=_json_value).replace("\x7f", r"\u007f")


def _json_value(value: object) -> object:
    """Return what JSON has in the place of a value: a time is text, an amount a number of few digits."""
    match value:
        case datetime():
            return value.isoformat()
        case Decimal():
            return float(value)
        case _:
            raise TypeError(f"JSON has nothing for {type(value).__name__}")


def print_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table to standard output as CSV that a spreadsheet program can open."""
    write_csv(sys.stdout, header, rows)


def print_document(text: str) -> None:
    """Write a whole document to standard output, as it is: only one in which texts of others are escaped already."""
    sys.stdout.write(text)
    sys.stdout.flush()


def show_progress(line: str) -> None:
    """Write a line over the one before it, where there is a terminal to see it."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{printable(line)}")
        sys.stderr.flush()


def confirmed(question: str) -> bool:
    """Ask a person in a terminal; where nobody can be asked, whoever typed the command has said it."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    sys.stderr.write(f"{printable(question)} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def show_question(question: str, *, ends_line: bool) -> None:
    """Write a question to standard error; a person answers on its line, a script's answers are not shown."""
    sys.stderr.write(printable(question) + ("\n" if ends_line else ""))
    sys.stderr.flush()


def accept_any_text() -> None:
    """Let both outputs take every text, whatever encoding they have: what it lacks is written as an escape."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # what replaces them in a notebook or a test has none
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _write(stream: TextIO, text: str) -> None:
    stream.write(f"{text}\n")
    stream.flush()
