"""Lists as files for other programs: CSV, JSON, Excel and Parquet, row by row, so that a million fit into the memory.

Excel and Parquet hold texts alone: a number of 20 digits would lose its last five in a number cell.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeAlias

from sim_sync.cli.excel import write_xlsx
from sim_sync.cli.output import print_csv, print_json_list, write_json_list
from sim_sync.cli.replacing import replacing
from sim_sync.cli.spreadsheet import write_csv
from sim_sync.core.errors import InputError

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
        print_csv(header, rows) if form == "csv" else print_json_list(_objects(header, rows))
        return
    with replacing(output) as part:
        _WRITERS[form](part, header, rows)


def _write_csv(path: Path, header: Sequence[str], rows: Rows) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        write_csv(stream, header, rows)


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
        yield dict(zip(header, map(_plain, row), strict=True))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def as_text(value: Any) -> str | None:
    """Return a value as the text of a cell; None is an empty one."""
    return None if value is None else str(_plain(value))
