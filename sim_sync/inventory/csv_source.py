"""Our list of SIMs from a CSV file, every cell as the text that is there: an ICCID is not a number, `NA` is no gap.

What the cells mean is in `parsing`. The file is read once, row by row, and its digest is taken on the way.
"""

import io
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from sim_sync.core.errors import InventoryError, InventoryUnavailable
from sim_sync.core.inventory import FindingKind
from sim_sync.inventory.csv_file import (
    CsvInventorySettings,
    HashedFile,
    Lines,
    Records,
    opened_hashed,
    refuse_unknown_encoding,
    translate_inventory_errors,
)
from sim_sync.inventory.layout import Damage, SheetRow, header_name, places_of
from sim_sync.inventory.reading import Reading, Terms, digest_with_terms
from sim_sync.inventory.values import is_rounded, unmarked_number

_BLOCK_BYTES = 1 << 20
#: What separates cells, where the config does not say: the one that splits the header into the columns it names.
_DELIMITERS = (",", ";", "\t", "|")
_MARKS = ((b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"))
_BYTE_ORDER_MARKS = (*_MARKS, (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))
#: Digits from which on a cell at the ICCID's place makes a line a row of its own.
_DIGITS_OF_AN_ICCID = 15
#: Our columns of which half a value is another value.
_NUMBERS = frozenset({"iccid", "imsi", "msisdn", "imei", "eid"})
_CUT_OFF = "the file ends in the middle of this row: was the export cut off?"
_ADVICE = "format the column as text, and export the list again from where it is kept"


class CsvSheet:
    """An open CSV file as a `Sheet`."""

    place = "line"
    advice = _ADVICE

    def __init__(self, where: str, columns: Sequence[str], rows: Iterator[SheetRow], content: HashedFile) -> None:
        self.where = where
        self.columns = columns
        self.rows = rows
        self._content = content

    @property
    def digest(self) -> str:
        """The digest of what was read so far."""
        return self._content.hexdigest()


class CsvList:
    """Our list in a CSV file."""

    def __init__(self, settings: CsvInventorySettings, carriers: Sequence[str]) -> None:
        self._settings = settings
        self._terms = Terms(settings.columns, carriers, settings.statuses)

    @property
    def where(self) -> str:
        """See `OurList`."""
        return self._settings.where

    @property
    def carriers(self) -> Sequence[str]:
        """See `OurList`."""
        return self._terms.carriers

    def digest(self) -> str:
        """Return the digest of the file's content and of what gives it its meaning, without reading what it says.

        Raises:
            InventoryError: the file cannot be read.
        """
        with translate_inventory_errors(self._settings), opened_hashed(self._settings) as content:
            while content.read(_BLOCK_BYTES):
                pass
            return self._with_terms(content.hexdigest())

    @contextmanager
    def opened(self, only: Collection[str] | None = None) -> Iterator[Reading]:
        """Open the list for one reading, of the carriers in `only` or of all."""
        with open_csv(self._settings) as sheet:
            yield Reading(sheet, self._terms, only, lambda: self._with_terms(sheet.digest))

    def _with_terms(self, content_digest: str) -> str:
        form = (self._settings.delimiter, self._settings.encoding)
        return digest_with_terms(content_digest, self._terms, form)


@contextmanager
def open_csv(settings: CsvInventorySettings) -> Iterator[CsvSheet]:
    """Open the file and read its header; the rows are read as they are asked for, inside the `with`.

    Raises:
        InventoryError: the file as a whole cannot be used; it says what was expected and what to do.
        InventoryUnavailable: it was written while it was read.
    """
    refuse_unknown_encoding(settings)
    with ExitStack() as stack:
        with translate_inventory_errors(settings):
            content = stack.enter_context(opened_hashed(settings))
            mark = content.peek(4)
            encoding = next((name for start, name in _BYTE_ORDER_MARKS if mark.startswith(start)), settings.encoding)
            # What cannot be decoded becomes U+FFFD, and so a finding of its cell instead of the end of the reading.
            buffered = io.BufferedReader(content, _BLOCK_BYTES)
            lines = Lines(io.TextIOWrapper(buffered, encoding, errors="replace", newline=""))
            delimiter, columns = _header(lines, settings)
        yield CsvSheet(settings.where, columns, _rows(lines, delimiter, columns, settings, content), content)


def _header(lines: Lines, settings: CsvInventorySettings) -> tuple[str, list[str]]:
    """Pass over blank lines before the header, and return the delimiter with the header's names."""
    delimiters = _DELIMITERS if settings.delimiter is None else (settings.delimiter,)
    while True:
        lines.begin()
        first = next(lines, None)
        if first is None:
            raise InventoryError(
                f"the inventory {settings.where} is empty: expected a header line and one row a SIM. "
                "Was the export cut off? Nothing was written."
            )
        told = first.strip("\ufeff \r\n")
        if told.lower().startswith("sep=") and len(told) == 5:
            # A spreadsheet's own way to say what separates the cells.
            delimiters = (told[4],) if settings.delimiter is None else delimiters
        elif told.strip("".join(delimiters) + ' "'):
            lines.give_back()
            break
    found = {delimiter: _names(lines, delimiter) for delimiter in delimiters}
    chosen = max(found, key=lambda delimiter: _known(found[delimiter], settings.columns))
    next(iter(Records(lines, chosen)))
    return chosen, found[chosen]


def _names(lines: Lines, delimiter: str) -> list[str]:
    _, cells, _ = next(iter(Records(lines, delimiter)))
    lines.give_back()
    return [header_name(cell) for cell in cells]


def _known(found: Sequence[str], columns: Mapping[str, str]) -> int:
    return sum(bool(places_of(found, name)) for name in columns.values())


def _rows(
    lines: Lines, delimiter: str, columns: Sequence[str], settings: CsvInventorySettings, content: HashedFile
) -> Iterator[SheetRow]:
    width = len(columns)
    records = Records(lines, delimiter, width, _row_detector(columns, settings))
    end = _LastRow(width, ends_in_number=_ends_in_number(columns, settings))
    with translate_inventory_errors(settings):
        for number, cells, damage in records:
            is_cut = damage is None and cells and not lines.taken[-1].endswith(("\n", "\r"))
            yield number, cells, end.damage(cells) if is_cut else damage
            end.pass_over(cells)
    if not content.is_unchanged():
        raise InventoryUnavailable(
            f"the inventory {settings.where} was written while it was read; nothing was written to the warehouse. "
            "Write a new list beside it and rename that, so that nobody reads half of it."
        )


def _ends_in_number(columns: Sequence[str], settings: CsvInventorySettings) -> bool:
    last = len(columns) - 1
    numbers = [theirs for ours, theirs in settings.columns.items() if ours in _NUMBERS]
    return any(last in places_of(columns, theirs) for theirs in numbers)


class _LastRow:
    """Says whether a row without a line end is only the beginning of one."""

    def __init__(self, width: int, *, ends_in_number: bool) -> None:
        self._width = width
        self._ends_in_number = ends_in_number
        self._shortest = 0

    def pass_over(self, cells: Sequence[str]) -> None:
        """Remember how short the number at the end of a row may be."""
        if self._ends_in_number and len(cells) == self._width and cells[-1]:
            self._shortest = min(self._shortest or len(cells[-1]), len(cells[-1]))

    def damage(self, cells: Sequence[str]) -> Damage | None:
        """Return what is wrong with the last row: cells that it lacks, or a number that is shorter than all before."""
        if len(cells) < self._width:
            return Damage(FindingKind.RAGGED, _CUT_OFF)
        is_half = self._ends_in_number and 0 < len(cells[self._width - 1]) < self._shortest
        return Damage(FindingKind.RAGGED, _CUT_OFF, frozenset({self._width - 1})) if is_half else None


def _row_detector(columns: Sequence[str], settings: CsvInventorySettings) -> Callable[[Sequence[str]], bool]:
    """Return what says whether cells are a row of their own: something like an ICCID stands where it should."""
    named_by = settings.columns.get("iccid") or settings.columns.get("eid", "")
    place = next(iter(places_of(columns, named_by)), 0)
    is_wide = len(columns) > 1

    def is_row(cells: Sequence[str]) -> bool:
        return place < len(cells) and (len(cells) > 1 or not is_wide) and _looks_like_iccid(cells[place])

    return is_row


def _looks_like_iccid(cell: str) -> bool:
    text = unmarked_number(cell)
    return is_rounded(text) or sum(char.isdigit() for char in text) >= _DIGITS_OF_AN_ICCID
