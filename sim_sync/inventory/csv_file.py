"""The file of our list: its bytes with their digest, its lines with their numbers, and the rows they make."""

import csv
import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TextIO

from sim_sync.core.errors import InventoryError
from sim_sync.core.inventory import FindingKind
from sim_sync.core.sims import Lifecycle
from sim_sync.inventory.layout import Damage, SheetRow

# The file of our list: what the config says of it, its bytes with their digest, and what its troubles are called.


@dataclass(frozen=True, slots=True)
class CsvInventorySettings:
    """The CSV form of `inventory:` in `carriers.yaml`.

    `columns` maps our names (`OUR_COLUMNS`) to the file's, `statuses` the company's words to the lifecycle.
    `shown_path` is what messages call the file, by default its path. Without a delimiter, the header says what it is.
    """

    path: Path = field(repr=False)
    columns: Mapping[str, str]
    statuses: Mapping[str, Lifecycle] = field(default_factory=dict)
    delimiter: str | None = None
    encoding: str = "utf-8-sig"
    shown_path: str | None = None

    @property
    def where(self) -> str:
        """What messages call the file."""
        return self.shown_path or str(self.path)


class HashedFile(io.RawIOBase):
    """A file whose digest is taken of what is read from it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._opened_as = self._look()
        self._digest = hashlib.sha256()

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer and return how many bytes."""
        count: int = self._file.readinto(buffer)  # type: ignore[attr-defined]  # every raw file has it
        self._digest.update(memoryview(buffer)[:count])
        return count

    def peek(self, count: int) -> bytes:
        """Return the first bytes without taking them for read."""
        start = self._file.read(count)
        self._file.seek(0)
        return start

    def hexdigest(self) -> str:
        """Return the digest of all that was read so far."""
        return self._digest.hexdigest()

    def is_unchanged(self) -> bool:
        """Return whether the file is as long and as old as when it was opened."""
        return self._look() == self._opened_as

    def _look(self) -> tuple[int, int]:
        found = os.fstat(self._file.fileno())
        return found.st_size, found.st_mtime_ns


@contextmanager
def opened_hashed(settings: CsvInventorySettings) -> Iterator[HashedFile]:
    """Open the file for reading; a pipe or a device is refused, for it cannot be read twice."""
    mode = settings.path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # a folder tells of itself when it is opened
        raise InventoryError(
            f"the inventory {settings.where} is not a file: expected a CSV file, not a pipe or a device. Correct the "
            "inventory's `path`; nothing was written."
        )
    with settings.path.open("rb", buffering=0) as file:
        yield HashedFile(file)


def refuse_unknown_encoding(settings: CsvInventorySettings) -> None:
    """Raise `InventoryError` unless the encoding is one of text that Python knows."""
    try:
        # Python knows encodings of other things than text too, such as base64; those refuse a text.
        _ = "".encode(settings.encoding)
    except LookupError:
        raise InventoryError(
            f"the inventory's `encoding` is {settings.encoding!r}: expected utf-8, cp1252 or another that Python knows"
        ) from None


@contextmanager
def translate_inventory_errors(settings: CsvInventorySettings) -> Iterator[None]:
    """Turn what goes wrong with the file into an `InventoryError` that says what to do."""
    where = f"the inventory {settings.where}"
    try:
        yield
    except OSError as problem:
        raise InventoryError(
            f"{where} cannot be read ({problem.strerror}): expected a CSV file that this user may read. "
            "Correct the inventory's `path`, or bring the file there; nothing was written."
        ) from None
    except ValueError as problem:  # an encoding that cannot replace, or a path that can be none
        raise InventoryError(
            f"{where} cannot be read ({problem}): export it as UTF-8 (a spreadsheet calls it 'CSV UTF-8'), or set the "
            "inventory's `encoding`; nothing was written."
        ) from None


# The lines of a text file with their numbers, of which some may be given back and read again.


#: Characters of one line that are kept. What stands behind them is passed over: a row of SIM data has hundreds.
LONGEST_LINE = 100_000
#: Lines that may be taken since the last `begin`: more than a cell with line ends in it has.
_MOST_TAKEN = 500


class Lines:
    """An iterator over the lines, line ends included.

    `taken` are the lines given out since the last `begin`. After too many of them it stops as if the file were at its
    end, until they are given back or `begin` is called: a quote that is never closed must not swallow the file.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._given_back: list[str] = []
        self.taken: list[str] = []
        self.first = 1
        #: Whether a line since the last `begin` was longer than what is kept of it.
        self.is_cut = False

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        if len(self.taken) >= _MOST_TAKEN:
            raise StopIteration
        line = self._given_back.pop() if self._given_back else self._read()
        if not line:
            raise StopIteration
        self.taken.append(line)
        return line

    def begin(self) -> None:
        """Start with the next row: its first line has the number `first`."""
        self.first += len(self.taken)
        self.taken.clear()
        self.is_cut = False

    def give_back(self, keep: int = 0) -> None:
        """Give back the lines that were taken, but for the first `keep`."""
        self._given_back.extend(reversed(self.taken[keep:]))
        del self.taken[keep:]

    def _read(self) -> str:
        line = self._file.readline(LONGEST_LINE)
        if len(line) == LONGEST_LINE and not line.endswith("\n"):
            self.is_cut = True
            while (rest := self._file.readline(LONGEST_LINE)) and not rest.endswith(("\n", "\r")):
                pass
        return line


# From lines to rows of cells (RFC 4180), where a quote in the wrong place costs its own cell and no other row.
#
# A stray quote at the start of a cell makes every CSV reader take the lines after it for one long cell, up to the
# next quote: rows vanish without a word. Here such a line is read without the meaning of its quotes, and the next
# ones afresh.


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
