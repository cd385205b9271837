"""How tables and lines are printed: readable at 80 columns, and the same text where there is no terminal."""

import shutil
import sys
from collections.abc import Container, Iterable

from rich.console import Console
from rich.table import Table

#: Without a terminal a row is one line, however long, so that `grep` finds all of it.
_WIDTH_WITHOUT_TERMINAL = 1000


def narrow_table(*columns: str, foldable: Container[str] = ()) -> Table:
    """Return a table without lines between its columns: they would take a quarter of a narrow terminal.

    Args:
        columns: the headers.
        foldable: those whose values may go on in a second line where the terminal is too narrow for all.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column not in foldable)
    return table


def print_table(table: Table) -> None:
    """Print a table, folded to the width of the terminal where there is one."""
    is_terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if is_terminal else _WIDTH_WITHOUT_TERMINAL
    Console(width=width, highlight=False, markup=False).print(table)


def print_lines(lines: Iterable[str]) -> None:
    """Print lines as they are: nothing in them is taken for markup, and the terminal folds them."""
    for line in lines:
        print(line)
