"""Lists as files for other programs: CSV, JSON, Excel and Parquet, row by row, each written as a whole."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from decimal import Decimal
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeAlias

from sim_sync.core.discrepancies import shown_amount
from sim_sync.core.errors import InputError
from sim_sync.core.text import printable
from sim_sync.files import is_about_room
from sim_sync.terminal.output import print_csv, print_json_list, write_csv, write_json_list

# Files that are written as a whole: whoever reads one sees what it was, or all of what it is now.


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Lend the name of a file to write, which takes the place of `path` at the end, and goes away on any error.

    Its mode is that of the umask.

    Raises:
        InputError: it cannot be written there.
        OSError: there is no room for it.
    """
    target = Path(os.path.realpath(path))  # a link stays a link
    if target.exists() and not target.is_file():
        raise InputError(f"--output: expected the name of a file, found {path}, which is none")
    # Its name ends in no `.prom`: node_exporter reads whatever does.
    beside = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        yield beside
        beside.replace(target)
    except OSError as error:
        if is_about_room(error):
            raise
        raise InputError(f"--output: {path} cannot be written: {error.strerror or type(error).__name__}") from None
    finally:
        with suppress(OSError):
            beside.unlink()


# Excel files of text cells, written row by row. openpyxl is imported by whoever writes one.


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


# Lists as files for other programs: CSV, JSON, Excel and Parquet, row by row, so that a million fit into the memory.
#
# Excel and Parquet hold texts alone: a number of 20 digits would lose its last five in a number cell.


Rows: TypeAlias = Iterable[Sequence[Any]]
ListFormat = Literal["table", "csv", "json", "xlsx", "parquet"]

_ROWS_AT_ONCE = 10_000
#: The package that writes a format, and the extra of ours that brings it.
_NEEDED = {"xlsx": ("openpyxl", "xlsx"), "parquet": ("pyarrow", "parquet")}


def require_exportable(form: ListFormat, output: Path | None, *, load: Callable[[str], object] = import_module) -> None:
    """Raise `InputError` where a list cannot be written in a format to that place. `load` imports a package."""
    if form == "table" and output is not None:
        raise InputError("--output: a table is for eyes; choose --format csv, json, xlsx or parquet")
    if form in _NEEDED:
        if output is None:
            raise InputError(f"--format {form}: expected a file to write to, found none: add --output FILE")
        package, extra = _NEEDED[form]
        try:
            load(package)
        except ImportError:
            raise InputError(
                f"--format {form} needs {package}, which is not installed: pip install 'sim-sync[{extra}]'"
            ) from None


def export(form: ListFormat, header: Sequence[str], rows: Rows, output: Path | None) -> None:
    """Write a list to standard output, or as a whole into a file that is not there before it is complete."""
    if output is None:
        print_csv(header, _with_amounts(rows)) if form == "csv" else print_json_list(_objects(header, rows))
        return
    with replacing(output) as part:
        _WRITERS[form](part, header, rows)


def _write_csv(path: Path, header: Sequence[str], rows: Rows) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        write_csv(stream, header, _with_amounts(rows))


def _with_amounts(rows: Rows) -> Rows:
    """Return rows with amounts as people write them; they stay numbers, which a spreadsheet program adds up."""
    return ([Decimal(shown_amount(value)) if isinstance(value, Decimal) else value for value in row] for row in rows)


def _write_json(path: Path, header: Sequence[str], rows: Rows) -> None:
    with path.open("w", encoding="utf-8") as stream:
        write_json_list(stream, _objects(header, rows))


def _write_parquet(path: Path, header: Sequence[str], rows: Rows) -> None:
    arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    schema = arrow.schema([(name, arrow.string()) for name in header])
    left = iter(rows)
    with parquet.ParquetWriter(path, schema) as writer:
        while some := list(islice(left, _ROWS_AT_ONCE)):
            columns = [list(map(as_text, column)) for column in zip(*some, strict=True)]
            writer.write_table(arrow.table(columns, schema=schema))


_WRITERS: Mapping[str, Callable[[Path, Sequence[str], Rows], None]] = {
    "csv": _write_csv,
    "json": _write_json,
    "xlsx": lambda path, header, rows: write_xlsx(path, header, (map(as_text, row) for row in rows)),
    "parquet": _write_parquet,
}


def _objects(header: Sequence[str], rows: Rows) -> Iterator[Mapping[str, Any]]:
    for row in rows:
        yield dict(zip(header, row, strict=True))


def as_text(value: Any) -> str | None:
    """Return a value as the text of a cell; None is an empty one."""
    match value:
        case None:
            return None
        case Decimal():
            return shown_amount(value)
        case datetime():
            return value.isoformat()
        case _:
            return str(value)
