"""Lists as a test wrote them down, read as the program reads them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim_sync.core.errors import InventoryError
from sim_sync.core.inventory import EndOfList, Entry, Finding, InventorySim, ListTally, StartOfList
from sim_sync.inventory import CsvInventorySettings, CsvList, Reading, Terms
from sim_sync.inventory.layout import SheetRow
from sim_sync.inventory.reading import Entries

ICCID = "89883030000080139311"
OTHER = "8988303000008013932"
COLUMNS = {"iccid": "ICCID", "carrier": "Carrier", "status": "State"}
HEADER = "ICCID,Carrier,State,Note\n"


@dataclass
class GivenSheet:
    """A sheet as the test wrote it down."""

    columns: Sequence[str]
    rows: Iterable[SheetRow]
    where: str = "our.csv"
    place: str = "line"
    advice: str = "export it again"


@dataclass
class Read:
    """A list that was read to its end."""

    rows: list[InventorySim]
    findings: list[Finding]
    end: EndOfList
    tally: ListTally

    @property
    def sims(self) -> list[InventorySim]:
        """Its SIMs without the place at which they stand."""
        return [row._replace(row_number=0) for row in self.rows]

    @property
    def reasons(self) -> list[tuple[int, str]]:
        """The rows with findings, and why."""
        return [(finding.row_number, finding.reason) for finding in self.findings]

    @property
    def places(self) -> list[tuple[int, str]]:
        """The rows and columns with findings."""
        return [(finding.row_number, finding.column) for finding in self.findings]


def gathered(reading: Entries) -> Read:
    """Read a list to its end and keep all of it."""
    entries: list[Entry] = list(reading)
    end = entries.pop()
    assert isinstance(entries[0], StartOfList)
    assert isinstance(end, EndOfList)
    if end.refusal is not None:
        raise InventoryError(end.refusal)
    rows = [entry for entry in entries if isinstance(entry, InventorySim)]
    (tally,) = reading.tallies.values()
    return Read(rows, [entry for entry in entries if isinstance(entry, Finding)], end, tally)


def parsed(
    *rows: Sequence[str],
    header: Sequence[str] = ("ICCID", "Carrier", "State"),
    columns: Mapping[str, str] = COLUMNS,
    carriers: Sequence[str] = ("acme", "other"),
    only: str | None = None,
    statuses: Mapping[str, Any] | None = None,
) -> Read:
    """Return what rows under a header come to."""
    sheet = GivenSheet(header, [(number, row, None) for number, row in enumerate(rows, start=2)])
    return gathered(Reading(sheet, Terms(columns, carriers, statuses or {}), None if only is None else {only}))


def written(folder: Path, content: str | bytes) -> Path:
    """Write a list into a folder."""
    path = folder / "inventory.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read_csv(
    folder: Path,
    content: str | bytes,
    columns: Mapping[str, str] = COLUMNS,
    carriers: Sequence[str] = ("acme",),
    **form: Any,
) -> Read:
    """Return what a file comes to."""
    our_list = CsvList(CsvInventorySettings(path=written(folder, content), columns=columns, **form), carriers)
    with our_list.opened() as reading:
        return gathered(reading)
