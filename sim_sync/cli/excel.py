"""Excel files of text cells, written row by row. openpyxl is imported by whoever writes one."""

from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from sim_sync.core.printable import printable

#: What Excel takes on a sheet, and in a cell (https://support.microsoft.com, "Excel specifications and limits").
_SHEET_ROWS, _CELL_CHARACTERS = 1_048_576, 32_767


def write_xlsx(
    path: Path, header: Sequence[str], rows: Iterable[Iterable[str | None]], *, sheet_rows: int = _SHEET_ROWS
) -> None:
    """Write a table as text cells: no formula, no rounded number. Further sheets follow one of `sheet_rows` rows."""
    book = import_module("openpyxl").Workbook(write_only=True)
    try:
        _fill(book, header, iter(rows), sheet_rows)
    except BaseException:
        for sheet in book.worksheets:  # what it has begun is closed by saving otherwise
            sheet.close()
        raise
    book.save(path)


def _fill(book: Any, header: Sequence[str], rows: Iterator[Iterable[str | None]], sheet_rows: int) -> None:
    """Fill as many sheets as the rows need, at least one."""
    is_full = True
    while is_full:
        sheet = book.create_sheet()
        sheet.append([_text_cell(sheet, name) for name in header])
        count = 0
        for row in islice(rows, sheet_rows - 1):
            sheet.append([_text_cell(sheet, text) for text in row])
            count += 1
        is_full = count == sheet_rows - 1


def _text_cell(sheet: Any, text: str | None) -> Any:
    cell = import_module("openpyxl.cell").WriteOnlyCell(sheet)
    if text is not None:
        cell.value = printable(text)[:_CELL_CHARACTERS]
        cell.data_type = "s"  # never a formula, whatever it begins with
        cell.number_format = "@"
    return cell
