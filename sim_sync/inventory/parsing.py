"""From text cells to our SIMs: which column means what, which row can be used, which status word means what.

Pure: where the cells come from is the sheet's business. A list that cannot be understood as a whole is refused, because
a failed read is not an empty list; a single row that cannot be used is a finding.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from sim_sync.core.errors import InventoryError
from sim_sync.core.identifiers import Identifier, NotAnIdentifier, normal_iccid, normal_imei, normal_imsi, normal_msisdn
from sim_sync.core.pages import canonical_json
from sim_sync.core.sims import Lifecycle, StatusMeaning, StatusWords
from sim_sync.inventory.rows import OUR_COLUMNS, Finding, Inventory, InventorySim, Sheet

_LIFECYCLE = StatusWords({word.value: StatusMeaning(word) for word in Lifecycle})
#: What a spreadsheet makes of 20 digits: 8.98831E+19, or 89883100000000000000.0. The digits after the 15th are gone.
_ROUNDED_NUMBER = re.compile(r"\d+([.,]\d+)?[eE]\+?\d+|\d{15,}[.,]0+")
#: How many examples a message names.
_EXAMPLES = 3


class _UnusableRow(ValueError):
    """A row that cannot be used; the text says why."""


def parse_sheet(
    sheet: Sheet,
    *,
    columns: Mapping[str, str],
    statuses: Mapping[str, Lifecycle],
    carriers: Sequence[str],
    only: str | None = None,
) -> Inventory:
    """Read a sheet to its end and return what it says.

    Args:
        sheet: the cells.
        columns: our column names to the sheet's; `iccid` is required.
        statuses: the company's status words, in any case, to the lifecycle.
        carriers: the configured carriers. Without a mapped `carrier` column there must be exactly one.
        only: keep the rows of this carrier; by default those of all configured ones.

    Raises:
        InventoryError: the sheet as a whole cannot be used.
    """
    parser = _Parser(sheet.where, _layout(sheet, columns, carriers), statuses, carriers, only)
    for line, cells in sheet.rows:
        parser.take(line, cells)
    return parser.inventory()


class _Layout(NamedTuple):
    """Where in a row our columns stand; those without a meaning to us are `extra`."""

    width: int
    ours: Mapping[str, int]
    extra: Sequence[tuple[str, int]]


def _layout(sheet: Sheet, columns: Mapping[str, str], carriers: Sequence[str]) -> _Layout:
    if "iccid" not in columns:
        raise InventoryError("the inventory's `columns` do not say which column holds the ICCID: add `iccid: <column>`")
    if strange := [name for name in columns if name not in OUR_COLUMNS]:
        raise InventoryError(f"the inventory's `columns` may map {', '.join(OUR_COLUMNS)}; found {', '.join(strange)}")
    if "carrier" not in columns and len(carriers) != 1:
        raise InventoryError(
            f"the inventory {sheet.where} has no column mapped to `carrier`, and {len(carriers)} carriers are "
            "configured: add `carrier: <column>` to the inventory's `columns`"
        )
    places = {name: [at for at, found in enumerate(sheet.columns) if found == name] for name in columns.values()}
    _refuse_missing(sheet, {ours: theirs for ours, theirs in columns.items() if not places[theirs]})
    if twice := [name for name, found in places.items() if len(found) > 1]:
        raise InventoryError(
            f"the inventory {sheet.where} has more than one column called {_quoted(twice)}: rename one"
        )
    ours = {name: places[theirs][0] for name, theirs in columns.items()}
    return _Layout(len(sheet.columns), ours, _extra_columns(sheet.columns, set(ours.values())))


def _refuse_missing(sheet: Sheet, missing: Mapping[str, str]) -> None:
    if not missing:
        return
    found = {name.casefold(): name for name in sheet.columns}
    told = []
    for ours, theirs in missing.items():
        near = get_close_matches(theirs.casefold(), found, n=1, cutoff=0.6)
        told.append(f"{theirs!r} (our {ours}" + (f"; did you mean {found[near[0]]!r}?)" if near else ")"))
    message = (
        f"the inventory {sheet.where} lacks the column{'s' if len(told) > 1 else ''} {', '.join(told)}. "
        f"Columns found: {_quoted(sheet.columns)}. Correct the inventory's `columns` or the list's header."
    )
    if len(sheet.columns) == 1 and (other := next((mark for mark in ";\t|," if mark in sheet.columns[0]), None)):
        message += f" The header looks as if cells were separated by {other!r}: set the inventory's `delimiter`."
    raise InventoryError(message)


def _extra_columns(columns: Sequence[str], taken: set[int]) -> list[tuple[str, int]]:
    """Name the columns without a meaning to us; one without a name, or with another's, gets its place for a name."""
    named: dict[str, int] = {}
    for at, name in enumerate(columns):
        if at not in taken:
            named[name if name and name not in named else f"column {at + 1}"] = at
    return list(named.items())


class _Parser:
    """Takes a sheet's rows one after the other."""

    def __init__(
        self,
        where: str,
        layout: _Layout,
        statuses: Mapping[str, Lifecycle],
        carriers: Sequence[str],
        only: str | None,
    ) -> None:
        self._where = where
        self._layout = layout
        self._words = _LIFECYCLE.overridden_by({word: StatusMeaning(status) for word, status in statuses.items()})
        self._carriers = {name: name for name in carriers}
        self._only = only
        self._lines_by_iccid: dict[str, dict[str, int]] = {name: {} for name in carriers}
        self._statuses: dict[str, str] = {}
        self._shared: dict[str, str] = {}
        self._rows: list[InventorySim] = []
        self._findings: list[Finding] = []
        self._unknown_words: Counter[str] = Counter()
        self._unknown_carriers: Counter[str] = Counter()
        self._of_others = 0

    def take(self, line: int, raw_cells: Sequence[str]) -> None:
        """Take one row; a line without any filled cell is none."""
        cells = [cell.strip() for cell in raw_cells]
        if not any(cells):
            return
        try:
            self._refuse_malformed(cells)
            carrier = self._carrier(cells)
            if carrier is not None:
                self._rows.append(self._sim(line, carrier, cells))
        except _UnusableRow as reason:
            self._findings.append(Finding(line, str(reason)))

    def inventory(self) -> Inventory:
        """Return what was taken, or refuse a list without a single row of ours."""
        self._refuse_unusable()
        return Inventory(self._rows, self._findings, dict(self._unknown_words), dict(self._unknown_carriers))

    def _refuse_malformed(self, cells: Sequence[str]) -> None:
        if any(cells[self._layout.width :]):
            raise _UnusableRow("the row has more cells than the header: quote cells that contain the delimiter")
        # PostgreSQL cannot store it, and no identifier has one: the file is damaged here.
        if "\0" in "".join(cells):
            raise _UnusableRow("a cell contains a NUL character")

    def _carrier(self, cells: Sequence[str]) -> str | None:
        """Return the row's carrier if its rows are asked for; a row of another carrier is only counted."""
        name = next(iter(self._carriers)) if "carrier" not in self._layout.ours else self._cell(cells, "carrier")
        if name is None:
            raise _UnusableRow("the row names no carrier")
        if name not in self._carriers:
            self._unknown_carriers[name] += 1
            return None
        if self._only is not None and name != self._only:
            self._of_others += 1
            return None
        return self._carriers[name]

    def _sim(self, line: int, carrier: str, cells: Sequence[str]) -> InventorySim:
        iccid_raw = self._cell(cells, "iccid")
        iccid = _parse_iccid(iccid_raw)
        first_line = self._lines_by_iccid[carrier].setdefault(iccid, line)
        if first_line != line:
            raise _UnusableRow(f"ICCID {iccid} stands in line {first_line} already, and that one counts")
        return InventorySim(
            carrier=carrier,
            iccid=iccid,
            iccid_raw=iccid if iccid_raw is None or iccid_raw == iccid else iccid_raw,
            imsi=_normal(normal_imsi, self._cell(cells, "imsi")),
            msisdn=_normal(normal_msisdn, self._cell(cells, "msisdn")),
            imei=_normal(normal_imei, self._cell(cells, "imei")),
            status=self._status(self._cell(cells, "status")),
            rate_plan=self._shared_text(self._cell(cells, "rate_plan")),
            label=self._cell(cells, "label"),
            attributes=self._attributes(cells),
        )

    def _cell(self, cells: Sequence[str], name: str) -> str | None:
        at = self._layout.ours.get(name)
        return None if at is None else cells[at] or None

    def _status(self, word: str | None) -> str | None:
        if word is None:
            return None
        status = self._statuses.get(word)
        if status is None:
            status = self._statuses[word] = self._words[word].status.value
            if word not in self._words:
                self._unknown_words[word] = 0
        if word in self._unknown_words:
            self._unknown_words[word] += 1
        return status

    def _attributes(self, cells: Sequence[str]) -> str:
        filled = {name: cells[at] for name, at in self._layout.extra if cells[at]}
        return canonical_json(filled) if filled else "{}"

    def _shared_text(self, text: str | None) -> str | None:
        """Return one object for equal texts: a million rows know a handful of rate plans."""
        return None if text is None else self._shared.setdefault(text, text)

    def _refuse_unusable(self) -> None:
        if self._rows or self._of_others:
            return
        if self._findings:
            examples = "; ".join(f"line {line}: {reason}" for line, reason in self._findings[:_EXAMPLES])
            raise InventoryError(
                f"the inventory {self._where} has no row that could be used ({len(self._findings)} could not). "
                f"{examples}. Correct the list and read it again; nothing was written."
            )
        if self._unknown_carriers:
            found = _quoted([name for name, _ in self._unknown_carriers.most_common(_EXAMPLES)])
            raise InventoryError(
                f"the inventory {self._where} has no row of a configured carrier: expected "
                f"{_quoted(list(self._carriers))} in its carrier column, found {found}. Nothing was written."
            )
        raise InventoryError(
            f"the inventory {self._where} has a header, but no row: expected our SIMs, one a row. "
            "Was the export cut off? Nothing was written."
        )


def _parse_iccid(raw: str | None) -> str:
    if raw is None:
        raise _UnusableRow("the row has no ICCID")
    if _ROUNDED_NUMBER.fullmatch(raw):
        raise _UnusableRow(
            f"ICCID {raw!r} was rounded by a spreadsheet, its last digits are lost: "
            "format the column as text, and export the list again from where it is kept"
        )
    try:
        return normal_iccid(raw)
    except NotAnIdentifier as reason:
        raise _UnusableRow(f"ICCID {raw!r}: {reason}") from None


def _normal(form: Callable[[str], Identifier], text: str | None) -> str | None:
    """Return an identifier in the form in which the carrier's are stored: they are compared as text."""
    return None if text is None else form(text).normal


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
