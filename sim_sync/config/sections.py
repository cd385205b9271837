"""The sections of `carriers.yaml` that are not about one carrier, as models."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, WithJsonSchema, model_validator

from sim_sync.carriers.settings import Settings, Shaped, with_a_type
from sim_sync.core.discrepancies import COMPARABLE_FIELDS, CompanyRules, Kind, Prices, Severity, SeverityRule
from sim_sync.core.inventory import MIN_PERCENT_OF_LAST, OUR_COLUMNS
from sim_sync.core.sims import Lifecycle

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
#: Lowest and highest number of each field, and its names: minute, hour, day of the month, month, day of the week.
_FIELDS: tuple[tuple[int, int, list[str]], ...] = (
    (0, 59, []),
    (0, 23, []),
    (1, 31, []),
    (1, 12, _MONTHS),
    (0, 7, _DAYS),
)
_PART = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[1-9]\d*))?")
_ALIASES = frozenset({"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"})


def parse_cron(text: str) -> str:
    """Return a cron expression of five fields as it is, so that `sim-sync check` refuses others.

    Raises:
        ValueError: it is none.
    """
    fields = text.split()
    if text in _ALIASES:
        return text
    if len(fields) != 5 or not all(map(_is_field, fields, _FIELDS)):
        raise ValueError('a cron expression of five fields, such as "0 2 * * *" for every night at two')
    return text


def _is_field(field: str, limits: tuple[int, int, list[str]]) -> bool:
    return all(_is_part(part, *limits) for part in field.split(","))


def _is_part(part: str, lowest: int, highest: int, names: list[str]) -> bool:
    match = _PART.fullmatch(part)
    if match is None:
        return False
    ends = [end for end in (match["first"], match["last"]) if end is not None]
    numbers = [_number(end, lowest, names) for end in ends]
    return all(number is not None and lowest <= number <= highest for number in numbers)


def _number(text: str, lowest: int, names: list[str]) -> int | None:
    if text.lower() in names:
        return names.index(text.lower()) + lowest
    return int(text) if text.isascii() and text.isdigit() else None


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


class Retention(Settings):
    """After how many days what is over is deleted, and when. Without the section, nothing is."""

    days: Annotated[int, Field(ge=1, le=36_500)]
    #: Of Dagster's runs; None is the same.
    runs_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    cron: Annotated[str, AfterValidator(parse_cron)] = "0 12 * * *"
    timezone: Annotated[str, AfterValidator(_parse_timezone)] = "UTC"


def _parse_our_column(name: str) -> str:
    if name not in OUR_COLUMNS:
        raise ValueError(f"one of {', '.join(OUR_COLUMNS)}")
    return name


_OurColumn: TypeAlias = Annotated[str, AfterValidator(_parse_our_column)]


class _Inventory(Settings):
    #: Our names to the list's; `iccid` or `eid` must be among them.
    columns: Mapping[_OurColumn, Annotated[str, Field(min_length=1)]]
    statuses: Mapping[str, Lifecycle] = Field(default_factory=dict)
    #: The carriers whose SIMs the list may have. None are all.
    carriers: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    #: A list with fewer SIMs of a carrier than so many per cent of the last one is held for a person; 0 takes any.
    min_percent_of_last: Annotated[float, Field(ge=0, le=100)] = MIN_PERCENT_OF_LAST


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
InventorySection: TypeAlias = Annotated[
    Inventory, Field(discriminator="type"), with_a_type("csv", "xlsx", "parquet", "sql")
]
#: What `inventory:` may be: one list, or several.
InventorySections: TypeAlias = InventorySection | Annotated[list[InventorySection], Field(min_length=1)]


#: The most that a month of a plan may cost: nothing does, so it is a slip.
_MOST = Decimal(1_000_000)
_DECIMALS = Decimal("0.0001")


def _parse_amount(value: Any) -> Decimal:
    try:
        amount = None if isinstance(value, bool) else Decimal(str(value))
    except InvalidOperation:
        amount = None
    if amount is None or not amount.is_finite() or not 0 <= amount <= _MOST or amount != amount.quantize(_DECIMALS):
        raise ValueError("an amount such as 1.20, not below 0 and with four decimals at most")
    return amount


_Amount: TypeAlias = Annotated[
    Decimal, BeforeValidator(_parse_amount), WithJsonSchema({"type": "number", "minimum": 0, "maximum": int(_MOST)})
]
_Text: TypeAlias = Annotated[str, Field(min_length=1)]


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


#: One word, or a list of them.
_Kinds: TypeAlias = Annotated[tuple[Kind, ...], BeforeValidator(_as_list, json_schema_input_type=Kind | list[Kind])]
_Words: TypeAlias = Annotated[tuple[_Text, ...], BeforeValidator(_as_list, json_schema_input_type=_Text | list[_Text])]


class OwnSeverity(Settings):
    """One rule: the severity of discrepancies that fit all that it names, as `sim-sync discrepancies` shows them."""

    severity: Severity
    kind: _Kinds = ()
    field: _Words = ()
    ours: _Words = ()
    theirs: _Words = ()

    @model_validator(mode="after")
    def _check_statuses(self) -> Self:
        """Refuse a status that no SIM can have, where only statuses are compared."""
        are_statuses = self.field == ("status",) or (
            self.kind and set(self.kind) <= {Kind.MISSING_AT_CARRIER, Kind.UNKNOWN_TO_US}
        )
        known = {status.value for status in Lifecycle}
        if are_statuses and (strange := sorted({*self.ours, *self.theirs} - known)):
            raise ValueError(f"statuses of the lifecycle ({', '.join(sorted(known))}), not {', '.join(strange)}")
        return self

    def rule(self) -> SeverityRule:
        """Return it as the comparison applies it."""
        return SeverityRule(self.severity, tuple(kind.value for kind in self.kind), self.field, self.ours, self.theirs)


class PriceList(Settings):
    """What a SIM costs a month, by its plan."""

    currency: Annotated[str, Shaped("^[A-Z]{3}$", "the three capital letters of a currency, such as EUR")]
    plans: Mapping[_Text, _Amount] = Field(default_factory=dict)
    #: Of every other plan; None is "not known".
    default: _Amount | None = None
    #: In which statuses a SIM is on the bill.
    billed_statuses: tuple[Lifecycle, ...] = (Lifecycle.ACTIVE,)

    def prices(self) -> Prices:
        """Return them as the comparison applies them."""
        return Prices(currency=self.currency, plans=self.plans, default=self.default, billed=self.billed_statuses)


class Reconcile(Settings):
    """What is compared, how bad what differs is, and what it costs."""

    fields: tuple[Annotated[str, AfterValidator(_parse_field)], ...] = ("status", "msisdn", "imsi", "rate_plan")
    #: The first that fits decides; where none does, the built-in rules.
    severity: tuple[OwnSeverity, ...] = ()
    prices: PriceList | None = None
    #: More open discrepancies than this of a carrier are worth a warning.
    max_discrepancies: Annotated[int, Field(ge=0)] | None = None

    def rules(self, carriers: Sequence[str]) -> CompanyRules:
        """Return what the company says beside the fields; `carriers` are all of the configuration."""
        return CompanyRules(
            carriers=tuple(carriers),
            severity=tuple(own.rule() for own in self.severity),
            prices=None if self.prices is None else self.prices.prices(),
        )
