"""From the section `inventory:` to our list of SIMs, to be read."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sim_sync.config.sections import CsvInventory, Inventory, ParquetInventory, SqlInventory, XlsxInventory
from sim_sync.inventory import CsvInventorySettings, CsvList, OurList, Terms
from sim_sync.inventory.typed_file import TypedFileList, TypedFileSettings


def list_of(section: Inventory, folder: Path, carriers: Sequence[str], variables: Mapping[str, str]) -> OurList:
    """Return the list that a section describes.

    Args:
        section: the section.
        folder: where the config file is: paths are relative to it.
        carriers: the carriers whose SIMs the list may have.
        variables: the environment variables that the section's keys came from; what they say is not shown.
    """
    terms = Terms(section.columns, carriers, section.statuses)
    match section:
        case SqlInventory():
            # Here, because SQLAlchemy is needed by those only whose list is in a database.
            from sim_sync.inventory.sql_source import SqlList

            return SqlList(section.url.get_secret_value(), section.query, terms, variables.get("url"))
        case CsvInventory():
            settings = CsvInventorySettings(
                path=folder / section.path,
                columns=section.columns,
                statuses=section.statuses,
                delimiter=section.delimiter,
                encoding=section.encoding,
                shown_path=_shown(variables),
            )
            return CsvList(settings, carriers)
        case XlsxInventory():
            from sim_sync.inventory.workbook import XLSX, open_workbook

            place = TypedFileSettings(folder / section.path, _shown(variables), section.sheet, section.header_row)
            return TypedFileList(place, terms, XLSX, open_workbook)
        case ParquetInventory():
            from sim_sync.inventory.parquet_file import PARQUET, open_parquet

            place = TypedFileSettings(folder / section.path, _shown(variables))
            return TypedFileList(place, terms, PARQUET, open_parquet)


def _shown(variables: Mapping[str, str]) -> str | None:
    variable = variables.get("path")
    return None if variable is None else f"of {{env: {variable}}}"
