"""From lines to rows of cells (RFC 4180), where a quote in the wrong place costs its own cell and no other row.

A stray quote at the start of a cell makes every CSV reader take the lines after it for one long cell, up to the next
quote: rows vanish without a word. Here such a line is read without the meaning of its quotes, and the next ones afresh.
"""

import csv
from collections.abc import Callable, Iterator, Sequence

from sim_sync.core.inventory import FindingKind
from sim_sync.inventory.lines import Lines
from sim_sync.inventory.sheets import Damage, SheetRow

_QUOTE = '"'
_STRAY = (
    "a quote opens here and is not closed in this cell: double the quotes inside of a quoted cell, or leave them out; "
    "the lines after it are read as rows of their own"
)
_STRAY_ROW = (
    "its quotes make no cells that fit the header: double the quotes inside of a quoted cell, or leave them out; the "
    "lines after it are read as rows of their own"
)
_TOO_LONG = "the row is longer than any row of SIM data: is a line end missing?"


class Records:
    """Iterates over the rows of a file from where `lines` stands.

    Args:
        lines: where the rows come from.
        delimiter: what separates cells.
        width: how many cells the header has; 0 while it is read itself.
        is_row: whether cells look like a row of the list; a cell over several lines of which one does is none.
    """

    def __init__(
        self, lines: Lines, delimiter: str, width: int = 0, is_row: Callable[[Sequence[str]], bool] = lambda _: False
    ) -> None:
        self._lines = lines
        self._delimiter = delimiter
        self._width = width
        self._is_row = is_row

    def __iter__(self) -> Iterator[SheetRow]:
        lines = self._lines
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        while True:
            lines.begin()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:
                yield self._without_quotes()
                continue
            if lines.is_cut:
                yield lines.first, cells[: self._width], Damage(FindingKind.RAGGED, _TOO_LONG)
            elif len(lines.taken) > 1 and self._swallows_rows():
                yield self._without_quotes()
            else:
                yield lines.first, cells, None

    def _swallows_rows(self) -> bool:
        inner = csv.reader(self._lines.taken[1:], delimiter=self._delimiter, quoting=csv.QUOTE_NONE)
        return any(self._is_row([_unquoted(cell) for cell in cells]) for cells in inner)

    def _without_quotes(self) -> SheetRow:
        """Read the first line that was taken as if its quotes were letters, and give the others back."""
        lines = self._lines
        lines.give_back(keep=1)
        if lines.is_cut or not lines.taken:
            return lines.first, [], Damage(FindingKind.RAGGED, _TOO_LONG)
        (raw,) = csv.reader(lines.taken, delimiter=self._delimiter, quoting=csv.QUOTE_NONE)
        cells = [_unquoted(cell) for cell in raw]
        stray = frozenset(place for place, cell in enumerate(cells) if cell.lstrip().startswith(_QUOTE))
        fits = bool(stray) and len(cells) == self._width
        return lines.first, cells, Damage(FindingKind.QUOTE, _STRAY if fits else _STRAY_ROW, stray if fits else None)


def _unquoted(cell: str) -> str:
    """Return what a soundly quoted cell means, and any other one as it stands."""
    inner = cell[1:-1]
    is_quoted = len(cell) > 1 and cell[0] == cell[-1] == _QUOTE
    return inner.replace('""', _QUOTE) if is_quoted and _QUOTE not in inner.replace('""', "") else cell
