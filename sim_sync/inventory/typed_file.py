"""Lists whose cells have types, as Excel and Parquet have them: what a value is as text, and which have lost digits."""

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from importlib import import_module
from io import BufferedReader
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any, NamedTuple, TypeAlias

from sim_sync.core.errors import InventoryError, InventoryUnavailable
from sim_sync.core.inventory import Rounding
from sim_sync.core.storable import canonical_json, without_secrets
from sim_sync.inventory.layout import SheetRow
from sim_sync.inventory.reading import Reading, Terms, digest_with_terms
from sim_sync.inventory.values import rounding_of

# Cells that have a type, from a database, a workbook or a Parquet file, as the text that they are. Pure.
#
# A number that may have lost digits is written so that it is seen: `8.988303e+19`, which `parsing` refuses. One that
# has kept them all is its digits, whatever type it had.


#: Up to here a 64-bit float (IEEE 754 binary64) holds every whole number, a 32-bit and a 16-bit one up to there.
EXACT_DOUBLE = 2**53
EXACT_FLOAT = 2**24
EXACT_HALF = 2**11


def cell_text(value: Any) -> str:
    """Return a value as the text of a cell; a number that has lost digits looks like it, and is refused later."""
    if value is None:
        return ""
    return next((write(value) for kinds, write in _WRITTEN if isinstance(value, kinds)), str(value))


def float_text(value: float, exact_below: int = EXACT_DOUBLE) -> str:
    """Return a float's digits where it is whole and small enough to have kept them; else scientific, or a fraction."""
    if value.is_integer():
        return str(int(value)) if abs(value) < exact_below else f"{value!r}" if "e" in repr(value) else f"{value:.16e}"
    return repr(value)


def spreadsheet_number_text(value: float) -> str:
    """Return the number of a spreadsheet's cell, where every number is a float, however its digits were written.

    A whole number beyond what a float holds has lost digits if it is one that a float would be written as.
    """
    if isinstance(value, int) and (abs(value) < EXACT_DOUBLE or rounding_of(str(abs(value))) is Rounding.NONE):
        return str(value)
    return float_text(float(value))


def _decimal_text(value: Decimal) -> str:
    """Return a decimal's digits; of a whole number without the zeros of its scale: `89883070000000000139.00`."""
    if value.is_finite() and value == value.to_integral_value():
        return format(value.to_integral_value(), "f")
    return format(value, "f")


def _text_of_bytes(value: bytes | bytearray | memoryview) -> str:
    try:
        return bytes(value).decode()
    except UnicodeDecodeError:
        return bytes(value).hex()


#: How values of a kind are written where `str` is not the way.
_WRITTEN: tuple[tuple[tuple[type, ...], Callable[[Any], str]], ...] = (
    ((bool,), lambda value: "true" if value else "false"),
    ((Decimal,), _decimal_text),
    ((float,), float_text),
    ((datetime, date, time), lambda value: str(value.isoformat())),
    ((bytes, bytearray, memoryview), _text_of_bytes),
    ((list, tuple, dict), lambda value: canonical_json(without_secrets(value))),
)


# Our list in a file whose cells have types: an Excel workbook or a Parquet file. What all such files have in common.
#
# The file is opened once for its digest and once for its rows, and hashed again only if it has changed in between.


@dataclass(frozen=True, slots=True)
class FileForm:
    """What files of a kind are called, and which package reads them with which extra of ours."""

    called: str
    package: str
    extra: str


@dataclass(frozen=True, slots=True)
class TypedFileSettings:
    """Where the list is. `shown_path` is what messages call it, `sheet` and `header_row` are a workbook's."""

    path: Path = field(repr=False)
    shown_path: str | None = None
    sheet: str | int | None = None
    header_row: int | None = None

    @property
    def where(self) -> str:
        """What messages call the file."""
        return self.shown_path or str(self.path)


class TypedSheet(NamedTuple):
    """An open file as an `inventory.Sheet`."""

    where: str
    columns: Sequence[str]
    rows: Iterable[SheetRow]
    advice: str
    place: str = "row"


#: Opens the rows of an open file.
OpenSheet: TypeAlias = Callable[[BufferedReader, TypedFileSettings], AbstractContextManager[TypedSheet]]
#: What tells a file from one that was written since: its place, its length and when it was written.
_Look: TypeAlias = tuple[int, int, int, int]


class TypedFileList:
    """Our list in one such file."""

    def __init__(self, settings: TypedFileSettings, terms: Terms, form: FileForm, open_sheet: OpenSheet) -> None:
        self._settings = settings
        self._terms = terms
        self._form = form
        self._open_sheet = open_sheet
        self._digest: tuple[_Look, str] | None = None

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
        with self._opened_file() as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
            form = (str(self._settings.sheet), str(self._settings.header_row))
            self._digest = (_look(file), digest_with_terms(content, self._terms, form))
        return self._digest[1]

    @contextmanager
    def opened(self, only: Collection[str] | None = None) -> Iterator[Reading]:
        """Open the list for one reading, of the carriers in `only` or of all."""
        require_package(self._form, self._settings.where)
        with self._opened_file() as file, self._open_sheet(file, self._settings) as sheet:
            look = _look(file)
            told = sheet._replace(rows=self._while_unchanged(sheet.rows, file, look))
            yield Reading(told, self._terms, only, lambda: self._digest_of(look))

    def _digest_of(self, look: _Look) -> str | None:
        return self._digest[1] if self._digest is not None and self._digest[0] == look else None

    def _while_unchanged(self, rows: Iterable[SheetRow], file: BufferedReader, look: _Look) -> Iterator[SheetRow]:
        yield from rows
        if _look(file) != look:
            raise InventoryUnavailable(
                f"the inventory {self._settings.where} was written while it was read; nothing was written to the "
                "warehouse. Write a new list beside it and rename that, so that nobody reads half of it."
            )

    @contextmanager
    def _opened_file(self) -> Iterator[BufferedReader]:
        where, called = self._settings.where, self._form.called
        try:
            mode = self._settings.path.stat().st_mode
            if not (S_ISREG(mode) or S_ISDIR(mode)):  # a folder tells of itself when it is opened
                raise InventoryError(
                    f"the inventory {where} is not a file: expected {called}, not a pipe or a device. Correct the "
                    "inventory's `path`; nothing was written."
                )
            file = self._settings.path.open("rb")
        except (OSError, ValueError) as problem:
            told = problem.strerror if isinstance(problem, OSError) else problem
            raise InventoryError(
                f"the inventory {where} cannot be read ({told}): expected {called} that this user may read. "
                "Correct the inventory's `path`, or bring the file there; nothing was written."
            ) from None
        with file:
            yield file


def require_package(form: FileForm, where: str, load: Callable[[str], object] = import_module) -> None:
    """Raise `InventoryError` where the package that reads the file is not installed. `load` imports one."""
    try:
        load(form.package)
    except ImportError:
        raise InventoryError(
            f"the inventory {where} is {form.called}, and reading it needs {form.package}, which is not installed: "
            f"pip install 'sim-sync[{form.extra}]'"
        ) from None


def unreadable(settings: TypedFileSettings, form: FileForm, problem: BaseException) -> InventoryError:
    """Return what is raised where the file is there, and is none of its form."""
    told = " ".join(str(problem).split())[:200] or type(problem).__name__
    return InventoryError(
        f"the inventory {settings.where} cannot be read ({told}): expected {form.called}. Was the export cut off, or "
        "is it a file of another kind? Correct the inventory's `type` or `path`; nothing was written."
    )


def _look(file: BufferedReader) -> _Look:
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
