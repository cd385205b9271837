"""Parquet files in a folder or a bucket: `PATH/TABLE/CARRIER.parquet`, each replaced as a whole."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim_sync.config.export import Target
from sim_sync.export.places import (
    as_our_errors,
    import_driver,
    is_local,
    make_private_folder,
    whose_export,
)
from sim_sync.files import require_usable
from sim_sync.warehouse.exported import ExportedRows

if TYPE_CHECKING:
    import pyarrow as pa

#: So many batches are one group of rows: what a reader skips or takes.
_BATCHES_A_GROUP = 5
_PART = ".part-"


class ParquetFiles:
    """The files of one carrier. What a run writes beside them has a name that no reader of `*.parquet` takes."""

    def __init__(self, target: Target, folder: Path, carrier: str, run: str) -> None:
        self.place = target.place(folder)
        self._is_local = is_local(self.place)
        self._target, self._carrier, self._whose, self._run = target, carrier, whose_export(carrier), run
        self._parts: dict[str, str] = {}
        with self._errors("opening it"):
            self._fs, self._root = self._opened()

    def write(self, rows: ExportedRows) -> int:
        """Write a table beside the carrier's file of it."""
        file = f"{self._root}/{rows.table}/{self._carrier}.parquet"
        part = f"{file}{_PART}{self._run}"
        with self._errors(f"writing {rows.table}"):
            if self._is_local:
                make_private_folder(Path(self.place))
            self._fs.makedirs(f"{self._root}/{rows.table}", exist_ok=True)
            self._parts[part] = file
            with self._fs.open(part, "wb") as stream:
                count = _write(rows, stream)
                if self._is_local:  # after a power cut, a name may stand for a file whose content is not there yet
                    stream.flush()
                    os.fsync(stream.fileno())
            return count

    def switch(self) -> None:
        """Let the new files take the place of the old ones, and remove what dead runs have left beside them."""
        for part, file in list(self._parts.items()):
            with self._errors("replacing the last export"):
                self._replace(part, file)
                del self._parts[part]
                self._remove_parts_of(file)

    def forget(self) -> None:
        """Remove what was written beside."""
        for part in self._parts:
            with suppress(Exception):
                self._fs.rm_file(part)

    # Whatever takes patterns is avoided (`mv`, `rm`, `glob`): a path may have a `[` or a `*` in it.

    def _replace(self, part: str, file: str) -> None:
        if self._is_local:
            Path(part).replace(file)
        else:
            self._fs.cp_file(part, file)
            self._fs.rm_file(part)

    def _remove_parts_of(self, file: str) -> None:
        folder, _, name = file.rpartition("/")
        self._fs.invalidate_cache()
        for left in self._fs.ls(folder, detail=False):
            left_name = left.rpartition("/")[2]
            if left_name.startswith(f"{name}{_PART}"):
                self._fs.rm_file(f"{folder}/{left_name}")

    def _opened(self) -> tuple[Any, str]:
        core = import_driver("fsspec.core")
        import_driver("pyarrow.parquet")
        if self._is_local:  # never as a URL: a `::` in it would be a chain of them
            require_usable(Path(self.place))
            return import_driver("fsspec").filesystem("file", **self._target.storage), self.place.rstrip("/")
        fs, root = core.url_to_fs(self.place, **self._target.storage)
        return fs, str(root).rstrip("/")

    def look(self) -> None:
        """Look at a bucket, which shows whether it may be read.

        Raises:
            ExportRefused, ExportUnavailable: it cannot.
        """
        with self._errors("reading it"), suppress(FileNotFoundError):  # nothing was written there yet
            if not self._is_local:
                self._fs.ls(self._root, detail=False)

    def _errors(self, doing: str) -> AbstractContextManager[None]:
        return as_our_errors(self._target, f"{self._whose} to {self.place}: {doing} failed")


def _write(rows: ExportedRows, stream: Any) -> int:
    parquet = import_driver("pyarrow.parquet")
    count = 0
    with parquet.ParquetWriter(stream, rows.schema, compression="zstd") as writer:
        for group in _groups(rows):
            writer.write_table(group)
            count += group.num_rows
    return count


def _groups(rows: ExportedRows) -> Iterator["pa.Table"]:
    arrow = import_driver("pyarrow")
    batches = rows.batches()
    while some := list(islice(batches, _BATCHES_A_GROUP)):
        yield arrow.Table.from_batches(some)
