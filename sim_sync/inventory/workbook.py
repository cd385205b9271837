"""Our list of SIMs from an Excel workbook (`.xlsx`), by openpyxl, row by row: the sheet is never held.

Text cells are the text that is there. Number cells are floats in Excel, of which 15 digits are kept: what has lost
digits is written so that it is seen. Of formulas, the values count that Excel stored beside them.
"""

import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from typing import Any, TypeAlias
from xml.etree.ElementTree import ParseError

from sim_sync.core.errors import InventoryError
from sim_sync.inventory.layout import SheetRow, quoted
from sim_sync.inventory.typed_file import (
    FileForm,
    TypedFileSettings,
    TypedSheet,
    cell_text,
    spreadsheet_number_text,
    unreadable,
)

XLSX = FileForm("an Excel workbook (.xlsx)", "openpyxl", "xlsx")
_ADVICE = (
    "the cell holds a number, of which Excel keeps 15 digits: format the column as text, and enter or export the "
    "numbers again from where they are kept"
)
#: What openpyxl raises of a file that is damaged, or is no workbook.
_DAMAGED = (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError)
#: A row's number on the sheet, and its values.
_NumberedRow: TypeAlias = tuple[int, Sequence[Any]]
_BROKEN = (*_DAMAGED, zipfile.BadZipFile, zlib.error, ParseError, NotImplementedError)


@contextmanager
def open_workbook(file: BufferedReader, settings: TypedFileSettings) -> Iterator[TypedSheet]:
    """Open the configured sheet and read its header row; the rows are read as they are asked for, inside the `with`.

    Raises:
        InventoryError: it is no workbook, or has not the sheet or the header row.
    """
    import openpyxl

    warnings.filterwarnings("ignore", module=r"openpyxl\.")  # of styles and dates that nobody needs
    try:
        book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
    except _BROKEN as problem:
        raise unreadable(settings, XLSX, problem) from None
    try:
        sheet = _sheet(book, settings)
        rows = _rows(sheet, settings)
        columns = _header(rows, sheet.title, settings)
        yield TypedSheet(settings.where, columns, _below(rows, len(columns)), _ADVICE)
    finally:
        book.close()


def _sheet(book: Any, settings: TypedFileSettings) -> Any:
    """Return the sheet of that name, in any case, or of that number; the first where the config does not say."""
    sheets, wanted = list(book.worksheets), settings.sheet
    name = "" if wanted is None else str(wanted).strip()
    alike = [sheet for sheet in sheets if sheet.title.strip().casefold() == name.casefold()]
    named = [sheet for sheet in alike if sheet.title == name] or alike
    if name and len(named) == 1:
        return named[0]
    number = 1 if wanted is None else wanted
    if isinstance(number, int) and 1 <= number <= len(sheets):
        return sheets[number - 1]
    told = f"sheet {wanted!r}" if isinstance(wanted, str) else f"sheet number {number}"
    raise InventoryError(
        f"the inventory {settings.where} has no {told}: it has {quoted([sheet.title for sheet in sheets]) or 'none'}. "
        "Correct the inventory's `sheet`."
    )


def _header(rows: Iterator[_NumberedRow], title: str, settings: TypedFileSettings) -> Sequence[str]:
    """Read up to the header row, which is the first that is not empty where the config does not say, and return it."""
    wanted = settings.header_row
    for number, values in rows:
        names = _without_empty_end([cell_text(value).strip() for value in values])
        if number == wanted or (wanted is None and names):
            if names:
                return names
            break
    told = "is empty" if wanted is None else f"has no header in row {wanted}"
    raise InventoryError(
        f"the inventory {settings.where}: sheet {title!r} {told}: expected a row with the names of the columns, and "
        "one row a SIM below it. Correct the inventory's `sheet` or `header_row`. Was the export cut off?"
    )


def _rows(sheet: Any, settings: TypedFileSettings) -> Iterator[_NumberedRow]:
    """Yield each row's number and values; rows that the file leaves out are empty."""
    try:
        sheet.reset_dimensions()  # what the file says of its size may be wrong
        yield from enumerate(sheet.iter_rows(values_only=True), start=1)
    except _BROKEN as problem:
        raise unreadable(settings, XLSX, problem) from None


def _below(rows: Iterator[_NumberedRow], width: int) -> Iterator[SheetRow]:
    """Yield the rows below the header, each as wide as that: a cell that is not there is empty."""
    for number, values in rows:
        cells = [_text(value) for value in values[:width]]
        yield number, cells + [""] * (width - len(cells)), None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return spreadsheet_number_text(value) if is_number else cell_text(value)


def _without_empty_end(names: list[str]) -> list[str]:
    while names and not names[-1]:
        names.pop()
    return names
