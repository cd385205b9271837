"""From the section `inventory:` to our list of SIMs, to be read.

Its messages name the variables of the environment and not what they hold.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sim_sync.config.environment import KeyPath, Resolved
from sim_sync.config.sections import CsvInventory, Inventory, ParquetInventory, SqlInventory, XlsxInventory
from sim_sync.core.errors import InventoryError

if TYPE_CHECKING:  # what reads a list is loaded where one is read
    from sim_sync.inventory import OurList
    from sim_sync.inventory.reading import Entries


def list_of(
    section: Inventory, folder: Path, carriers: Sequence[str], variables: Mapping[str, str], *, suffix: str = ""
) -> "OurList":
    """Return the list that a section describes.

    Args:
        section: the section.
        folder: where the config file is: paths are relative to it.
        carriers: all carriers of the config.
        variables: the environment variables that the section's keys came from; what they say is not shown.
        suffix: tells the list from another one of the same file or database.
    """
    from sim_sync.inventory import CsvInventorySettings, CsvList, Terms
    from sim_sync.inventory.typed_file import TypedFileList, TypedFileSettings

    carriers = section.carriers or carriers
    terms = Terms(section.columns, carriers, section.statuses)
    match section:
        case SqlInventory():
            # Here, because SQLAlchemy is needed by those only whose list is in a database.
            from sim_sync.inventory.sql_source import SqlList

            return SqlList(section.url.get_secret_value(), section.query, terms, variables.get("url"), suffix=suffix)
        case CsvInventory():
            settings = CsvInventorySettings(
                path=folder / section.path,
                columns=section.columns,
                statuses=section.statuses,
                delimiter=section.delimiter,
                encoding=section.encoding,
                shown_path=_shown(folder / section.path, variables, suffix),
            )
            return CsvList(settings, carriers)
        case XlsxInventory():
            from sim_sync.inventory.workbook import XLSX, open_workbook

            path = folder / section.path
            place = TypedFileSettings(path, _shown(path, variables, suffix), section.sheet, section.header_row)
            return TypedFileList(place, terms, XLSX, open_workbook)
        case ParquetInventory():
            from sim_sync.inventory.parquet_file import PARQUET, open_parquet

            path = folder / section.path
            place = TypedFileSettings(path, _shown(path, variables, suffix))
            return TypedFileList(place, terms, PARQUET, open_parquet)


def place_of(section: Inventory) -> str:
    """Return what two sections have in common that read the same file or database."""
    return section.url.get_secret_value() if isinstance(section, SqlInventory) else str(section.path)


def _shown(path: Path, variables: Mapping[str, str], suffix: str) -> str:
    variable = variables.get("path")
    return (str(path) if variable is None else f"of {{env: {variable}}}") + suffix


class QuietList:
    """`OurList` by way of another one; `part` is the section of the file that describes it, and stands at `at`."""

    def __init__(self, our_list: "OurList", part: Resolved, at: KeyPath) -> None:
        self._list = our_list
        self._part = part
        self._at = at

    @property
    def where(self) -> str:
        """See `OurList`."""
        with self._told_quietly():
            return self._list.where

    @property
    def carriers(self) -> Sequence[str]:
        """See `OurList`."""
        return self._list.carriers

    def digest(self) -> str | None:
        """See `OurList`."""
        with self._told_quietly():
            return self._list.digest()

    @contextmanager
    def opened(self, only: Collection[str] | None = None) -> Iterator["Entries"]:
        """See `OurList`."""
        with self._told_quietly(), self._list.opened(only) as reading:
            yield reading

    @contextmanager
    def _told_quietly(self) -> Iterator[None]:
        try:
            yield
        except InventoryError as error:
            raise error.saying(self._part.without_values(str(error), self._at)) from None
