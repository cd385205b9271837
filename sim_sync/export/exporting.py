"""One carrier's export: everything is written beside first, and takes the place of the last export at the end."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sim_sync.config.export import Export
from sim_sync.core.errors import SimSyncError
from sim_sync.export.delta import DeltaTables
from sim_sync.export.parquet import ParquetFiles
from sim_sync.export.places import is_local
from sim_sync.files import is_full, no_room_text
from sim_sync.warehouse import Warehouse
from sim_sync.warehouse.exported import ExportedRows, exported_rows


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written to one place: so many rows of a table."""

    place: str
    table: str
    rows: int


class _Writer(Protocol):
    place: str

    def write(self, rows: ExportedRows) -> int:
        """Write the rows of a table beside what is there, or in its place at once; return how many there are."""

    def switch(self) -> None:
        """Put what was written beside in the place of what was there."""

    def forget(self) -> None:
        """Remove what was written beside and has not taken its place."""

    def look(self) -> None:
        """Look at the place, and write nothing."""


def export_carrier(warehouse: Warehouse, export: Export, folder: Path, carrier: str, run: str) -> Sequence[Exported]:
    """Write a carrier's tables to all places, and return what was written.

    Args:
        warehouse: where they are.
        export: where to.
        folder: what relative paths are relative to.
        carrier: its name.
        run: names what this run writes beside, so that another run does not touch it.

    Raises:
        ExportRefused: a place cannot be used; the last export is still there.
        ExportUnavailable, WarehouseUnavailable: likewise, and a later try may do.
    """
    writers = _writers(export, folder, carrier, run)
    with ExitStack() as stack:
        for writer in writers:
            stack.callback(writer.forget)
        with exported_rows(warehouse.engine, carrier) as tables:
            written = [Exported(writer.place, rows.table, writer.write(rows)) for writer in writers for rows in tables]
        for writer in writers:
            writer.switch()
    return written


def look_at_places(export: Export, folder: Path) -> Mapping[str, str | None]:
    """Return of each place why nothing can be written there; None where nothing speaks against it. Writes nothing."""
    found: dict[str, str | None] = {}
    for form, target in (("parquet", export.parquet), ("delta", export.delta)):
        if target is not None:
            one = Export.model_validate({form: target})
            found[f"{form} to {target.place(folder)}"] = _problem_of(one, folder, Path(target.place(folder)))
    return found


def _problem_of(export: Export, folder: Path, place: Path) -> str | None:
    try:
        for writer in _writers(export, folder, "", ""):
            writer.look()
            if is_local(writer.place) and is_full(place):
                return no_room_text([place])
    except SimSyncError as error:
        return str(error)
    return None


def _writers(export: Export, folder: Path, carrier: str, run: str) -> Sequence[_Writer]:
    writers: list[_Writer] = []
    if export.parquet is not None:
        writers.append(ParquetFiles(export.parquet, folder, carrier, run))
    if export.delta is not None:
        writers.append(DeltaTables(export.delta, folder, carrier))
    return writers
