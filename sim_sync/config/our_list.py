"""From the section `inventory:` to our list of SIMs, to be read."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sim_sync.config.sections import CsvInventory, Inventory, ParquetInventory, SqlInventory, XlsxInventory
from sim_sync.inventory import CsvInventorySettings, CsvList, OurList, Terms
from sim_sync.inventory.typed_file import TypedFileList, TypedFileSettings


def list_of(
    section: Inventory, folder: Path, carriers: Sequence[str], variables: Mapping[str, str], *, suffix: str = ""
) -> OurList:
    """Return the list that a section describes.

    Args:
        section: the section.
        folder: where the config file is: paths are relative to it.
        carriers: all carriers of the config.
        variables: the environment variables that the section's keys came from; what they say is not shown.
        suffix: tells the list from another one of the same file or database.
    """
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
