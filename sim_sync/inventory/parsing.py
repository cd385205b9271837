"""From the cells of one row to a SIM of ours, or to what of them cannot be used. Pure.

One value never costs the list: an identifier or a word that a spreadsheet has changed is left out and told, a row whose
ICCID cannot be read is told. Nothing is repaired by guess.
"""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from sim_sync.core.identifiers import Identifier, NotAnIdentifier, normal_iccid, normal_imei, normal_imsi, normal_msisdn
from sim_sync.core.inventory import Finding, FindingKind, InventorySim, ListTally, count_word, shortened
from sim_sync.core.pages import canonical_json
from sim_sync.core.sims import Lifecycle, StatusMeaning, StatusWords
from sim_sync.inventory import cells as damage
from sim_sync.inventory.layout import Layout
from sim_sync.inventory.rounding import RoundingCount
from sim_sync.inventory.sheets import Damage, Sheet

_LIFECYCLE = StatusWords({word.value: StatusMeaning(word) for word in Lifecycle})
#: What no database takes, or what a decoder puts where it could not read.
_UNREADABLE = re.compile("[\0\ufffd\ud800-\udfff]")
#: Different plans and words that are remembered: a list of millions knows a handful.
_REMEMBERED = 4096
#: Characters of a cell that a finding keeps.
_PAYLOAD_CHARACTERS = 200
#: An ICCID cell with fewer digits is a note, a total or a heading rather than a SIM of ours.
_DIGITS_OF_A_SIM = 10

_NOWHERE = sys.maxsize
#: Plain digits of these lengths are what they look like, and need no second look; 3GPP TS 23.003, ITU-T E.164.
_IMSI_DIGITS = range(14, 16)
_IMEI_DIGITS = range(14, 17)
_MSISDN_CHARACTERS = range(8, 16)

_FLAG_REASONS = {
    "length": "has not as many digits as it should: were leading zeros lost in a spreadsheet?",
    "malformed": "holds something else than digits",
}


class _UnusableRow(ValueError):
    """A row that cannot be used."""

    def __init__(self, kind: FindingKind, reason: str, ours: str | None = None, *, hides_sim: bool = False) -> None:
        super().__init__(reason)
        self.kind = kind
        self.ours = ours
        self.hides_sim = hides_sim


class RowParser:
    """Takes a sheet's rows one after the other; what it met is in `tally` and `rounding`."""

    def __init__(
        self,
        sheet: Sheet,
        layout: Layout,
        statuses: Mapping[str, Lifecycle],
        carriers: Sequence[str],
        only: frozenset[str],
    ) -> None:
        self._layout = layout
        self._advice = sheet.advice
        self._words = _LIFECYCLE.overridden_by({word: StatusMeaning(status) for word, status in statuses.items()})
        self._only_carrier = None if "carrier" in layout.ours else carriers[0]
        self._carriers = {name: name for name in carriers}
        self._only = only
        self._plan = lru_cache(_REMEMBERED)(lambda text: (text, damage.damage_of_word(text)))
        self._status = lru_cache(_REMEMBERED)(self._status_of)
        self.found: list[Finding] = []
        self.tally = ListTally(sheet.place)
        self.rounding = RoundingCount()

    def take(self, number: int, raw_cells: Sequence[str], damaged: Damage | None) -> InventorySim | None:
        """Return the SIM that a row is; None for a row that cannot be used, is empty, or is not asked for.

        What of it could not be used is appended to `found`.
        """
        cells = [cell.strip() for cell in raw_cells]
        if damaged is None and not any(cells):
            return None
        row = _Row(number, cells, self._layout)
        sim = None
        try:
            sim = self._understood(row, damaged)
        except _UnusableRow as reason:
            row.found = [row.finding(reason.kind, str(reason), reason.ours, hides_sim=reason.hides_sim)]
        if sim is not None:
            self.tally.sims += 1
        if row.found and row.is_asked_for:
            self._tell(row.found)
        return sim

    def _tell(self, found: Sequence[Finding]) -> None:
        self.found.extend(found)
        for finding in found:
            self.tally.add(finding)

    def _understood(self, row: "_Row", damaged: Damage | None) -> InventorySim | None:
        self._refuse_shapeless(row, damaged)
        carrier = self._carrier(row)
        if carrier is not None:
            row.is_asked_for = carrier in self._only
            if not row.is_asked_for:
                self._count_other(carrier)
                return None
            row.carrier = carrier
        self._take_out_damage(row, damaged)
        if carrier is None:
            told = "the row names no carrier"
            raise _UnusableRow(FindingKind.NO_CARRIER, told, "carrier", hides_sim=_is_sim(row.cell("iccid")))
        return self._sim(row, carrier)

    def _refuse_shapeless(self, row: "_Row", damaged: Damage | None) -> None:
        """Refuse a row of which nobody can say which cell belongs to which column."""
        if damaged is not None and damaged.columns is None:
            raise _UnusableRow(damaged.kind, damaged.reason, hides_sim=True)
        if any(row.cells[self._layout.width :]):
            told = "the row has more cells than the header: quote cells that contain the delimiter"
            raise _UnusableRow(FindingKind.RAGGED, told, hides_sim=True)

    def _carrier(self, row: "_Row") -> str | None:
        """Return the carrier that the row names, if it can be read."""
        name = self._only_carrier or damage.unmarked(row.cell("carrier") or "")
        return None if not name or _UNREADABLE.search(name) else self._carriers.get(name, name)

    def _count_other(self, carrier: str) -> None:
        """Count a row of a carrier that is not asked for; a configured one's is read at another time."""
        if carrier in self._carriers:
            self.tally.rows_of_others += 1
        else:
            count_word(self.tally.unknown_carriers, carrier)

    def _take_out_damage(self, row: "_Row", damaged: Damage | None) -> None:
        """Take out the cells that cannot be read."""
        if damaged is not None:
            for place in damaged.columns or ():
                row.take_out(place, damaged.kind, damaged.reason)
        text = "".join(row.cells)
        if not text.isascii() or "\0" in text:
            row.take_out_unreadable()
        if len(row.cells) < self._layout.width:
            row.fill_up()
        if self._layout.twins:
            row.compare_twins()

    def _sim(self, row: "_Row", carrier: str) -> InventorySim:
        raw = row.cell("iccid")
        iccid = self._iccid(raw)
        return InventorySim(
            carrier=carrier,
            iccid=iccid,
            iccid_raw=iccid if raw is None or raw == iccid else raw,
            imsi=_identifier(row, "imsi", normal_imsi, _IMSI_DIGITS),
            msisdn=_msisdn(row),
            imei=_identifier(row, "imei", normal_imei, _IMEI_DIGITS),
            status=self._status_word(row),
            rate_plan=_undamaged(row, "rate_plan", self._plan),
            label=_label(row),
            attributes=self._attributes(row.cells),
            row_number=row.number,
            rounding=self.rounding.take(iccid),
        )

    def _iccid(self, raw: str | None) -> str:
        if raw is None:
            raise _UnusableRow(FindingKind.NO_ICCID, "the row has no ICCID", "iccid")
        text = raw if raw.isdigit() else damage.unmarked_number(raw)
        if damage.is_rounded(text):
            told = f"ICCID {shortened(raw)!r} was rounded by a spreadsheet, its last digits are lost: {self._advice}"
            raise _UnusableRow(FindingKind.ROUNDED, told, "iccid", hides_sim=True)
        try:
            return normal_iccid(text)
        except NotAnIdentifier as reason:
            told = f"ICCID {shortened(raw)!r}: {reason}"
            raise _UnusableRow(FindingKind.NOT_AN_ICCID, told, "iccid", hides_sim=_is_sim(raw)) from None

    def _status_word(self, row: "_Row") -> str | None:
        word = _undamaged(row, "status", self._plan)
        if word is None:
            return None
        status, is_known = self._status(word)
        if not is_known:
            count_word(self.tally.unknown_status_words, word)
        return status

    def _status_of(self, word: str) -> tuple[str, bool]:
        return self._words[word].status.value, word in self._words

    def _attributes(self, cells: Sequence[str]) -> str:
        filled = {name: cells[at] for name, at in self._layout.extra if cells[at]}
        return canonical_json(filled) if filled else "{}"


class _Row:
    """One row while it is understood."""

    __slots__ = ("_layout", "carrier", "cells", "found", "is_asked_for", "number")

    def __init__(self, number: int, cells: list[str], layout: Layout) -> None:
        self.number = number
        self.cells = cells
        self.carrier: str | None = None
        self.is_asked_for = True
        self.found: list[Finding] = []
        self._layout = layout

    def cell(self, ours: str) -> str | None:
        """Return a cell of ours; None where the list does not say."""
        at = self._layout.ours.get(ours, _NOWHERE)
        return (self.cells[at] or None) if at < len(self.cells) else None

    def finding(
        self, kind: FindingKind, reason: str, ours: str | None, *, uses_row: bool = False, hides_sim: bool = False
    ) -> Finding:
        """Return a finding about one of our columns, or about the whole row."""
        name = "" if ours is None else self._layout.names.get(ours, ours)
        return Finding(self.number, kind, reason, name, self._payload(), self.carrier, uses_row, hides_sim)

    def leave_out(self, ours: str, kind: FindingKind, reason: str) -> None:
        """Note that a value of the row is not used."""
        self.found.append(self.finding(kind, reason, ours, uses_row=True))

    def take_out(self, place: int, kind: FindingKind, reason: str) -> None:
        """Empty a cell and note why. Without its ICCID or its carrier the row is none."""
        ours = next((name for name, at in self._layout.ours.items() if at == place), None)
        if ours in {"iccid", "carrier"}:
            raise _UnusableRow(kind, reason, ours, hides_sim=True)
        name = next((name for name, at in self._layout.extra if at == place), "") if ours is None else ours
        self.leave_out(name, kind, reason)
        self.cells[place] = ""

    def take_out_unreadable(self) -> None:
        """Take out the cells with characters that cannot be read or stored."""
        for place, cell in enumerate(self.cells):
            if unreadable := _UNREADABLE.search(cell):
                told = (
                    "a cell contains a NUL character: the list is damaged here"
                    if unreadable.group() == "\0"
                    else "the cell has characters that could not be read: export the list as UTF-8, or set the "
                    "inventory's `encoding`"
                )
                self.take_out(place, FindingKind.UNREADABLE, told)

    def fill_up(self) -> None:
        """Take cells that the row does not have for empty ones; tell it where one of ours is among them."""
        there = len(self.cells)
        self.cells.extend([""] * (self._layout.width - there))
        if any(at >= there for at in self._layout.ours.values()):
            told = f"the row has {there} cells, the header {self._layout.width}: what is not there counts as not said"
            self.found.append(self.finding(FindingKind.RAGGED, told, None, uses_row=True))

    def compare_twins(self) -> None:
        """Where a column stands more than once, its cells have to agree."""
        for ours, places in self._layout.twins.items():
            first = self._layout.ours[ours]
            said = {self.cells[at] for at in (first, *places)} - {""}
            if len(said) > 1:
                name = self._layout.names[ours]
                told = f"the list has {1 + len(places)} columns called {name!r}, and they differ here: rename one"
                self.take_out(first, FindingKind.CONTRADICTION, told)
            elif said:
                self.cells[first] = said.pop()

    def _payload(self) -> str:
        said = {
            name: self.cells[at][:_PAYLOAD_CHARACTERS].replace("\0", "\ufffd")
            for name, at in ((self._layout.names[ours], at) for ours, at in self._layout.ours.items())
            if at < len(self.cells) and self.cells[at]
        }
        return canonical_json(said)


def _identifier(row: _Row, ours: str, normal: Callable[[str], Identifier], lengths: range) -> str | None:
    """Return an identifier in the form in which the carrier's are stored: they are compared as text."""
    raw = row.cell(ours)
    if raw is None or (len(raw) in lengths and raw.isascii() and raw.isdigit()):
        return raw
    found = _sound_identifier(row, ours, raw, normal)
    return None if found is None else found.normal


def _msisdn(row: _Row) -> str | None:
    raw = row.cell("msisdn")
    if raw is None or (raw[0] == "+" and len(raw) in _MSISDN_CHARACTERS and raw.isascii() and raw[1:].isdigit()):
        return raw
    found = _sound_identifier(row, "msisdn", raw, normal_msisdn)
    return None if found is None else found.normal


def _sound_identifier(row: _Row, ours: str, raw: str, normal: Callable[[str], Identifier]) -> Identifier | None:
    text = damage.unmarked_number(raw)
    if not text or damage.is_nothing(text):
        return None
    if changed := damage.damage_of_number(text):
        row.leave_out(ours, FindingKind.CHANGED, f"{shortened(raw)!r} {changed}, and is left out")
        return None
    found = normal(text)
    flaw = (found.flag or "").rpartition("_")[2]
    if flaw in _FLAG_REASONS:
        told = f"{shortened(raw)!r} {_FLAG_REASONS[flaw]}; it is left out"
        row.leave_out(ours, FindingKind.NOT_AN_IDENTIFIER, told)
        return None
    return found


def _label(row: _Row) -> str | None:
    raw = row.cell("label")
    return raw if raw is None or (raw.isascii() and raw[0] not in "#=") else _undamaged(row, "label", _look_at_label)


def _look_at_label(text: str) -> tuple[str, str | None]:
    return text, damage.damage_of_label(text)


def _undamaged(row: _Row, ours: str, look: Callable[[str], tuple[str, str | None]]) -> str | None:
    raw = row.cell(ours)
    if raw is None:
        return None
    text, changed = look(damage.unmarked(raw))
    if changed:
        row.leave_out(ours, FindingKind.CHANGED, f"{shortened(raw)!r} {changed}, and is left out")
        return None
    return text or None


def _is_sim(text: str | None) -> bool:
    return sum(char.isdigit() for char in text or "") >= _DIGITS_OF_A_SIM
