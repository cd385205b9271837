"""Parquet files in a folder or a bucket: `PATH/TABLE/CARRIER.parquet`, each replaced as a whole."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim_sync.config.export import Target
from sim_sync.export.places import as_our_errors, import_driver, make_private_folder
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
        self._target, self._carrier, self._run = target, carrier, run
        self._parts: dict[str, str] = {}
        with self._errors("opening it"):
            self._fs, self._root = self._opened()

    def write(self, rows: ExportedRows) -> int:
        """Write a table beside the carrier's file of it."""
        file = f"{self._root}/{rows.table}/{self._carrier}.parquet"
        part = f"{file}{_PART}{self._run}"
        with self._errors(f"writing {rows.table}"):
            self._fs.makedirs(f"{self._root}/{rows.table}", exist_ok=True)
            self._parts[part] = file
            with self._fs.open(part, "wb") as stream:
                return _write(rows, stream)

    def switch(self) -> None:
        """Let the new files take the place of the old ones, and remove what dead runs have left beside them."""
        for part, file in list(self._parts.items()):
            with self._errors("replacing the last export"):
                self._fs.mv(part, file)
                del self._parts[part]
                for left in self._fs.glob(f"{file}{_PART}*"):
                    self._fs.rm(left)

    def forget(self) -> None:
        """Remove what was written beside."""
        for part in self._parts:
            with suppress(Exception):
                self._fs.rm(part)

    def _opened(self) -> tuple[Any, str]:
        core = import_driver("fsspec.core")
        import_driver("pyarrow.parquet")
        if "://" not in self.place:
            make_private_folder(Path(self.place))
        fs, root = core.url_to_fs(self.place, **self._target.storage)
        return fs, str(root).rstrip("/")

    def _errors(self, doing: str) -> AbstractContextManager[None]:
        return as_our_errors(self._target, f"export of carrier {self._carrier} to {self.place}: {doing} failed")


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
