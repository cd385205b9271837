"""What our list of SIMs is made of: the sheet as it came, its rows once understood, and what could not be used."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

#: The columns that have a meaning to us; all others of a sheet go to `attributes`.
OUR_COLUMNS: tuple[str, ...] = ("iccid", "carrier", "imsi", "msisdn", "imei", "status", "rate_plan", "label")


class Sheet(Protocol):
    """A list as it came: text cells under named columns, from a file or a query.

    `where` is what messages call it. `rows` yields line numbers with cells in the order of `columns`; cells beyond the
    columns are there only where the line has more of them than the header.
    """

    @property
    def where(self) -> str:
        """What messages call the list."""

    @property
    def columns(self) -> Sequence[str]:
        """The names in the header."""

    @property
    def rows(self) -> Iterable[tuple[int, Sequence[str]]]:
        """The lines with their cells."""


class InventorySim(NamedTuple):
    """One SIM as we think it is. `None` means "our list does not say"; `attributes` is canonical JSON text."""

    carrier: str
    iccid: str
    iccid_raw: str
    imsi: str | None = None
    msisdn: str | None = None
    imei: str | None = None
    status: str | None = None
    rate_plan: str | None = None
    label: str | None = None
    attributes: str = "{}"


class Finding(NamedTuple):
    """A row that could not be used, by its line (the header is line 1) and the reason."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """Our list once understood. Every row of the sheet is in `rows`, in `findings` or in `unknown_carriers`.

    `unknown_status_words` counts the words that are neither in `statuses` nor of the lifecycle; `unknown_carriers`
    counts the rows of carriers that are not configured.
    """

    rows: list[InventorySim]
    findings: list[Finding]
    unknown_status_words: Mapping[str, int]
    unknown_carriers: Mapping[str, int]
