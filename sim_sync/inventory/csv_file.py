"""The file of our list: what the config says of it, its bytes with their digest, and what its troubles are called."""

import hashlib
import io
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from sim_sync.core.errors import InventoryError
from sim_sync.core.sims import Lifecycle


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
