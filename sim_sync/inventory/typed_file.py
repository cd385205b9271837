"""Our list in a file whose cells have types: an Excel workbook or a Parquet file. What all such files have in common.

The file is opened once for its digest and once for its rows, and hashed again only if it has changed in between.
"""

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from io import BufferedReader
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import NamedTuple, TypeAlias

from sim_sync.core.errors import InventoryError, InventoryUnavailable
from sim_sync.inventory.layout import SheetRow
from sim_sync.inventory.reading import Reading, Terms, digest_with_terms


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
