"""Our list of SIMs from a CSV file, read by pandas with every cell as text: an ICCID is no number, `NA` is no gap.

What the cells mean is in `parsing`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from sim_sync.core.errors import InventoryError
from sim_sync.core.sims import Lifecycle
from sim_sync.inventory.parsing import parse_sheet
from sim_sync.inventory.rows import Inventory

if TYPE_CHECKING:
    import pandas as pd

#: Rows that pandas holds at a time: a list of millions must not need gigabytes.
_CHUNK_ROWS = 20_000
#: Cells beyond the header that a line may have before the whole file is refused; one such cell makes it a finding.
_SURPLUS_CELLS = 50


@dataclass(frozen=True, slots=True)
class CsvInventorySettings:
    """The CSV form of `inventory:` in `carriers.yaml`.

    `columns` maps our names (`OUR_COLUMNS`) to the file's, `statuses` the company's words to the lifecycle.
    """

    path: Path
    columns: Mapping[str, str]
    statuses: Mapping[str, Lifecycle] = field(default_factory=dict)
    delimiter: str = ","
    encoding: str = "utf-8-sig"


def read_inventory(settings: CsvInventorySettings, carriers: Sequence[str], *, only: str | None = None) -> Inventory:
    """Read our list from its CSV file; `carriers` and `only` are those of `parse_sheet`.

    Raises:
        InventoryError: the file as a whole cannot be used; it says what was expected and what to do.
    """
    with open_csv(settings) as sheet:
        return parse_sheet(sheet, columns=settings.columns, statuses=settings.statuses, carriers=carriers, only=only)


class CsvSheet(NamedTuple):
    """An open CSV file as a `Sheet`."""

    where: str
    columns: Sequence[str]
    rows: Iterable[tuple[int, Sequence[str]]]


@contextmanager
def open_csv(settings: CsvInventorySettings) -> Iterator[CsvSheet]:
    """Open the file and read its header; the rows are read as they are asked for, inside the `with`."""
    _refuse_unknown_encoding(settings)
    with _told_as_inventory_error(settings), settings.path.open("rb") as file:
        header = _read_header(file, settings)
        file.seek(0)
        columns = [name.strip().removeprefix("\ufeff") for name in header]
        first_line = 2 + sum(name.count("\n") for name in header)
        yield CsvSheet(str(settings.path), columns, _lines(file, settings, len(columns), first_line))


def _read_header(file: IO[bytes], settings: CsvInventorySettings) -> list[str]:
    import pandas as pd

    frame = pd.read_csv(file, nrows=1, **_as_text(settings))
    return [str(name) for name in frame.iloc[0]]


def _lines(
    file: IO[bytes], settings: CsvInventorySettings, width: int, first_line: int
) -> Iterator[tuple[int, Sequence[str]]]:
    import pandas as pd

    # More names than columns: a line with a cell too many is then a row that we can name, not the end of the reading.
    names = range(width + _SURPLUS_CELLS)
    chunks = pd.read_csv(
        file, skiprows=1, names=list(names), index_col=False, chunksize=_CHUNK_ROWS, **_as_text(settings)
    )
    line = first_line
    with chunks:
        for chunk in chunks:
            columns = _filled_columns(chunk, width)
            # A quoted cell may go over several lines of the file.
            multiline = any("\n" in cell for column in columns for cell in column)
            for cells in zip(*columns, strict=True):
                yield line, cells
                line += 1 + (sum(cell.count("\n") for cell in cells) if multiline else 0)


def _filled_columns(chunk: "pd.DataFrame", width: int) -> list[list[str]]:
    """Return the header's columns, and those beyond it up to the last one with anything in it: usually none."""
    columns = [chunk[name].tolist() for name in chunk.columns]
    while len(columns) > width and not any(columns[-1]):
        columns.pop()
    return columns


def _as_text(settings: CsvInventorySettings) -> dict[str, Any]:
    return {
        "header": None,
        "sep": settings.delimiter,
        "encoding": settings.encoding,
        "dtype": str,
        "keep_default_na": False,
        "na_filter": False,
        # Blank lines count, so that line numbers are those of the file.
        "skip_blank_lines": False,
    }


def _refuse_unknown_encoding(settings: CsvInventorySettings) -> None:
    try:
        # Python knows encodings of other things than text too, such as base64; those refuse a text.
        _ = "".encode(settings.encoding)
    except LookupError:
        raise InventoryError(
            f"the inventory's `encoding` is {settings.encoding!r}: expected utf-8, cp1252 or another that Python knows"
        ) from None


@contextmanager
def _told_as_inventory_error(settings: CsvInventorySettings) -> Iterator[None]:
    from pandas.errors import EmptyDataError, ParserError

    where = f"the inventory {settings.path}"
    try:
        yield
    except OSError as problem:
        raise InventoryError(
            f"{where} cannot be read ({problem.strerror}): expected a CSV file that this user may read. "
            "Correct the inventory's `path`, or bring the file there; nothing was written."
        ) from None
    except UnicodeError as problem:
        raise InventoryError(
            f"{where} is not {settings.encoding} ({problem}): export it as UTF-8 (a spreadsheet calls it 'CSV UTF-8'), "
            "or set the inventory's `encoding`, for example to cp1252; nothing was written."
        ) from None
    except EmptyDataError:
        raise InventoryError(
            f"{where} is empty: expected a header line and one row a SIM. Was the export cut off? Nothing was written."
        ) from None
    except ParserError as problem:
        told = " ".join(str(problem).split())
        raise InventoryError(
            f"{where} is not the CSV that was expected ({told}): check its quotes and the inventory's `delimiter` "
            f"({settings.delimiter!r}); nothing was written."
        ) from None
