"""Delta tables `PATH/TABLE`, one for all carriers: the rows of one carrier are replaced in one commit."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from sim_sync.config.export import DeltaTarget
from sim_sync.core.errors import ExportRefused
from sim_sync.export.places import (
    as_our_errors,
    import_driver,
    is_local,
    make_private_folder,
    whose_export,
)
from sim_sync.files import require_usable
from sim_sync.warehouse.exported import ExportedRows

_PARTITION = "carrier"
#: delta-rs makes URLs of paths, and breaks off at these, or reads another path than it has written.
_ODD = "[]|^\\%"
#: delta-rs holds a group in memory until it is full.
_ROWS_A_GROUP = 50_000


class DeltaTables:
    """The rows of one carrier in the tables. A reader has the last commit or the next one, never a part of one."""

    def __init__(self, target: DeltaTarget, folder: Path, carrier: str) -> None:
        self.place = target.place(folder)
        self._target, self._carrier, self._whose = target, carrier, whose_export(carrier)
        self._options = {name: str(value) for name, value in target.storage.items()}
        self._written: list[str] = []
        with self._errors("opening it"):
            import_driver("deltalake")
            _require_plain(self.place)
            if is_local(self.place):
                require_usable(Path(self.place))

    def write(self, rows: ExportedRows) -> int:
        """Replace the carrier's rows of a table, which is made where it is missing."""
        delta, arrow = import_driver("deltalake"), import_driver("pyarrow")
        uri = f"{self.place.rstrip('/')}/{rows.table}"
        counter = _Counter()
        with self._errors(f"writing {rows.table}"):
            if is_local(self.place):
                make_private_folder(Path(self.place))
            # Declared and not found: a column without values would be of no type, and refuse its first value.
            table = delta.DeltaTable.create(
                uri, rows.schema, mode="ignore", partition_by=[_PARTITION], storage_options=self._options
            )
            delta.write_deltalake(
                table,
                arrow.RecordBatchReader.from_batches(rows.schema, counter.counted(rows.batches())),
                mode="overwrite",
                predicate=f"{_PARTITION} = '{self._carrier}'",
                schema_mode="merge",
                writer_properties=delta.WriterProperties(max_row_group_size=_ROWS_A_GROUP),
            )
        self._written.append(uri)
        return counter.rows

    def switch(self) -> None:
        """Remove the files that only versions from long ago have; the commits have taken their place already."""
        delta = import_driver("deltalake")
        for uri in self._written:
            with self._errors("removing old files"):
                delta.DeltaTable(uri, storage_options=self._options).vacuum(
                    retention_hours=24 * self._target.keep_days, dry_run=False, enforce_retention_duration=False
                )

    def forget(self) -> None:
        """Leave files that no commit names: `vacuum` removes them."""

    def look(self) -> None:
        """Look for a table there, which shows whether the place may be read.

        Raises:
            ExportRefused, ExportUnavailable: it cannot.
        """
        with self._errors("reading it"):
            uri = f"{self.place.rstrip('/')}/carrier_sims"
            import_driver("deltalake").DeltaTable.is_deltatable(uri, storage_options=self._options)

    def _errors(self, doing: str) -> AbstractContextManager[None]:
        failed = f"{self._whose} to {self.place}: {doing} failed"
        done = [uri.rpartition("/")[2] for uri in self._written]
        if not done:
            return as_our_errors(self._target, failed)
        return as_our_errors(self._target, failed, f"{', '.join(done)} of this export is there, the rest is the last")


def _require_plain(place: str) -> None:
    if odd := sorted({character for character in place if character in _ODD or not character.isprintable()}):
        shown = " ".join(character if character.isprintable() else repr(character)[1:-1] for character in odd)
        raise ExportRefused(f"export to {place!r}: Delta takes no path with {shown} in it; choose another folder")


class _Counter:
    def __init__(self) -> None:
        self.rows = 0

    def counted(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Yield the batches, counting their rows."""
        for batch in batches:
            self.rows += batch.num_rows
            yield batch
