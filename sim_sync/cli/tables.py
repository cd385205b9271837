"""How tables are printed: readable at 80 columns, and the same text where there is no terminal."""

import shutil
import sys
from collections.abc import Container

from rich.console import Console
from rich.table import Table

from sim_sync.core.printable import printable

#: Without a terminal a row is one line, however long, so that `grep` finds all of it.
_WIDTH_WITHOUT_TERMINAL = 1000


class TextTable(Table):
    """A table whose cells are texts: what stands in them is printed as it is, control characters written out."""

    def add_row(self, *cells: str | None) -> None:  # type: ignore[override]  # rich takes markup and renderables too
        """Add a row of texts; None is an empty cell."""
        super().add_row(*(None if cell is None else printable(cell) for cell in cells))


def narrow_table(*columns: str, foldable: Container[str] = ()) -> TextTable:
    """Return a table without lines between its columns: they would take a quarter of a narrow terminal.

    Args:
        columns: the headers.
        foldable: those whose values may continue in a second line where the terminal is too narrow for all.
    """
    table = TextTable(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column not in foldable)
    return table


def print_table(table: TextTable) -> None:
    """Print a table, folded to the width of the terminal where there is one."""
    is_terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if is_terminal else _WIDTH_WITHOUT_TERMINAL
    Console(width=width, highlight=False, markup=False, emoji=False).print(table)
