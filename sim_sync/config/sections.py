"""The sections of `carriers.yaml` that are not about one carrier, as models."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, SecretStr

from sim_sync.carriers.settings import Settings
from sim_sync.config.cron import parse_cron
from sim_sync.core.discrepancies import COMPARABLE_FIELDS
from sim_sync.core.inventory import OUR_COLUMNS
from sim_sync.core.sims import Lifecycle


def _parse_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("a time zone such as Europe/Berlin or UTC") from None
    return name


def _parse_field(name: str) -> str:
    if name not in COMPARABLE_FIELDS:
        raise ValueError(f"one of {', '.join(COMPARABLE_FIELDS)}")
    return name


class WarehouseSection(Settings):
    """Where the tables are."""

    url: SecretStr | None = None


class Schedule(Settings):
    """When the nightly reconciliation runs."""

    cron: Annotated[str, AfterValidator(parse_cron)] = "0 2 * * *"
    timezone: Annotated[str, AfterValidator(_parse_timezone)] = "UTC"


def _parse_our_column(name: str) -> str:
    if name not in OUR_COLUMNS:
        raise ValueError(f"one of {', '.join(OUR_COLUMNS)}")
    return name


_OurColumn: TypeAlias = Annotated[str, AfterValidator(_parse_our_column)]


class _Inventory(Settings):
    #: Our names to the list's; `iccid` must be among them.
    columns: Mapping[_OurColumn, Annotated[str, Field(min_length=1)]]
    statuses: Mapping[str, Lifecycle] = Field(default_factory=dict)
    #: The carriers whose SIMs the list may have. None are all.
    carriers: Annotated[tuple[str, ...], Field(min_length=1)] | None = None


class CsvInventory(_Inventory):
    """Our list in a CSV file; `path` is relative to the config file."""

    type: Literal["csv"]
    path: Path
    #: None is the one that splits the header into the columns that `columns` names.
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    encoding: str = "utf-8-sig"


class XlsxInventory(_Inventory):
    """Our list on a sheet of an Excel workbook; `path` is relative to the config file."""

    type: Literal["xlsx"]
    path: Path
    #: Its name, or its number from 1. None is the first.
    sheet: Annotated[str, Field(min_length=1)] | Annotated[int, Field(ge=1)] | None = None
    #: The row of the sheet with the names of the columns. None is the first that is not empty.
    header_row: Annotated[int, Field(ge=1)] | None = None


class ParquetInventory(_Inventory):
    """Our list in a Parquet file; `path` is relative to the config file."""

    type: Literal["parquet"]
    path: Path


class SqlInventory(_Inventory):
    """Our list as the answer of a query."""

    type: Literal["sql"]
    url: SecretStr
    query: Annotated[str, Field(min_length=1)]


#: The forms in which a list may come.
INVENTORY_MODELS = (CsvInventory, XlsxInventory, ParquetInventory, SqlInventory)
Inventory: TypeAlias = CsvInventory | XlsxInventory | ParquetInventory | SqlInventory
InventorySection: TypeAlias = Annotated[Inventory, Field(discriminator="type")]
#: What `inventory:` may be: one list, or several.
InventorySections: TypeAlias = InventorySection | Annotated[list[InventorySection], Field(min_length=1)]


class Reconcile(Settings):
    """What is compared."""

    fields: tuple[Annotated[str, AfterValidator(_parse_field)], ...] = ("status", "msisdn", "imsi", "rate_plan")
