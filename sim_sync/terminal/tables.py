"""How tables are printed: readable at 80 columns, and the same text where there is no terminal.

A table that fits is written line by line; rich, which takes longer to import than a small warehouse to read, folds one
that is too wide for its terminal.
"""

import os
import shutil
import sys
import unicodedata
from collections.abc import Container, Mapping, Sequence
from types import MappingProxyType

from sim_sync.core.text import printable
from sim_sync.terminal.output import write_line

#: Colours by their names, as terminals have them since the 1970s (ECMA-48, 8.3.117).
_SGR: Mapping[str, str] = MappingProxyType({"bold": "1", "red": "31", "green": "32", "yellow": "33", "cyan": "36"})


class TextTable:
    """A table whose cells are texts: what stands in them is printed as it is, control characters written out."""

    def __init__(self, columns: Sequence[str], foldable: Container[str]) -> None:
        self.columns = tuple(columns)
        self.foldable = foldable
        self.rows: list[tuple[str, ...]] = []
        #: The colours of rows' cells, by row and column.
        self.colours: dict[tuple[int, int], str] = {}

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        return len(self.rows)

    def add_row(self, *cells: str | None, colours: Mapping[str, str] = MappingProxyType({})) -> None:
        """Add a row of texts; None is an empty cell. `colours` are those of its columns, for terminals alone."""
        self.rows.append(tuple("" if cell is None else printable(cell) for cell in cells))
        for column, colour in colours.items():
            self.colours[len(self.rows) - 1, self.columns.index(column)] = colour

    def widths(self) -> list[int]:
        """Return how many columns of a terminal the widest cell of each column takes."""
        return [max(map(cell_width, cells)) for cells in zip(self.columns, *self.rows, strict=True)]


def narrow_table(*columns: str, foldable: Container[str] = ()) -> TextTable:
    """Return a table without lines between its columns: they would take a quarter of a narrow terminal.

    Args:
        columns: the headers.
        foldable: those whose values may continue in a second line where the terminal is too narrow for all.
    """
    return TextTable(columns, foldable)


def print_table(table: TextTable) -> None:
    """Print a table, folded to the width of the terminal where there is one.

    Without a terminal a row is one line, however long, so that `grep` finds all of it.
    """
    is_terminal = sys.stdout.isatty()
    widths = table.widths()
    if is_terminal and sum(widths) + len(widths) - 1 > shutil.get_terminal_size().columns:
        _print_folded(table)
        return
    has_colours = is_terminal and wants_colours()
    for place, cells in enumerate([table.columns, *table.rows], start=-1):
        colours = {
            column: table.colours.get((place, column), "bold" if place < 0 else "") for column in range(len(cells))
        }
        padded = [
            _coloured(cell, colours[column] if has_colours else "") + " " * (width - cell_width(cell))
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        write_line(" ".join(padded).rstrip())


def wants_colours() -> bool:
    """Return whether a terminal is to show colours: `NO_COLOR` (no-color.org) and a terminal without them forbid it."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _coloured(text: str, colour: str) -> str:
    return f"\x1b[{_SGR[colour]}m{text}\x1b[0m" if colour else text


def cell_width(text: str) -> int:
    """Return how many columns of a terminal a printable text takes."""
    return len(text) if text.isascii() else sum(map(_char_width, text))


def _char_width(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def _print_folded(table: TextTable) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    folded = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for column in table.columns:
        folded.add_column(column, overflow="fold", no_wrap=column not in table.foldable)
    for place, cells in enumerate(table.rows):
        folded.add_row(*(Text(cell, table.colours.get((place, column), "")) for column, cell in enumerate(cells)))
    Console(width=shutil.get_terminal_size().columns, highlight=False, markup=False, emoji=False).print(folded)
