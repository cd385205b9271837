"""From the cells of one row to a SIM of ours, or to what of them cannot be used. Pure.

One value never costs the list: an identifier or a word that a spreadsheet has changed is left out and told, a row whose
ICCID cannot be read is told. Nothing is repaired by guess.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from json.encoder import encode_basestring

from sim_sync.core.identifiers import NotAnIdentifier, normal_iccid
from sim_sync.core.inventory import (
    BY_EID,
    Finding,
    FindingKind,
    InventorySim,
    ListTally,
    Rounding,
    count_word,
    shortened,
)
from sim_sync.core.sims import Lifecycle, StatusMeaning, StatusWords
from sim_sync.core.storable import canonical_json, without_secrets
from sim_sync.inventory.layout import Damage, Layout, Sheet
from sim_sync.inventory.values import (
    REMEMBERED,
    RoundingCount,
    Value,
    is_nothing,
    is_rounded,
    read_eid,
    read_imei,
    read_imsi,
    read_label,
    read_msisdn,
    read_word,
    unmarked,
    unmarked_number,
)

# One row of a list while it is understood: its cells, and what of them cannot be used. Pure.


#: What no database takes, or what a decoder puts where it could not read.
UNREADABLE = re.compile("[\0\ufffd\ud800-\udfff]")
#: Characters of a cell that a finding keeps.
_PAYLOAD_CHARACTERS = 200
_HAS_NUL = "a cell contains a NUL character: the list is damaged here"
_UNDECODED = (
    "the cell has characters that could not be read: export the list as UTF-8, or set the inventory's `encoding`"
)


class UnusableRow(ValueError):
    """A row that cannot be used. `ours` names the column that is to blame, `hides_sim` is that of `Finding`."""

    def __init__(self, kind: FindingKind, reason: str, ours: str | None = None, *, hides_sim: bool = False) -> None:
        super().__init__(reason)
        self.kind = kind
        self.ours = ours
        self.hides_sim = hides_sim


class Row:
    """A row's stripped cells. `found` is what of it cannot be used, `carrier` whose it is once that is known."""

    __slots__ = ("_layout", "carrier", "cells", "found", "is_asked_for", "number")

    def __init__(self, number: int, cells: list[str], layout: Layout) -> None:
        self.number = number
        self.cells = cells
        self.carrier: str | None = None
        self.is_asked_for = True
        self.found: list[Finding] = []
        self._layout = layout

    def cell(self, ours: str) -> str:
        """Return a cell of ours; empty where the list does not say."""
        at = self._layout.ours.get(ours)
        return self.cells[at] if at is not None and at < len(self.cells) else ""

    def refuse(self, reason: UnusableRow) -> None:
        """Note that the row is not used at all; then nothing else about it matters."""
        self.found = [self._finding(reason.kind, str(reason), reason.ours, hides_sim=reason.hides_sim)]

    def leave_out(self, ours: str | None, kind: FindingKind, reason: str) -> None:
        """Note that a value of the row is not used."""
        self.found.append(self._finding(kind, reason, ours, uses_row=True))

    def take_out(self, place: int, kind: FindingKind, reason: str) -> None:
        """Empty a cell and note why. Without what names it, or without its carrier, the row is none."""
        ours = next((name for name, at in self._layout.ours.items() if at == place), None)
        if ours in {"iccid", "carrier"} or (ours == "eid" and _says_nothing(self.cell("iccid"))):
            raise UnusableRow(kind, reason, ours, hides_sim=True)
        name = next((name for name, at in self._layout.extra if at == place), None) if ours is None else ours
        self.leave_out(name, kind, reason)
        self.cells[place] = ""

    def take_out_unreadable(self) -> None:
        """Take out the cells with characters that cannot be read or stored."""
        for place, cell in enumerate(self.cells):
            if unreadable := UNREADABLE.search(cell):
                self.take_out(place, FindingKind.UNREADABLE, _HAS_NUL if unreadable.group() == "\0" else _UNDECODED)

    def fill_up(self) -> None:
        """Take cells that the row does not have for empty ones; tell it where one of ours is among them."""
        there = len(self.cells)
        self.cells.extend([""] * (self._layout.width - there))
        if any(at >= there for at in self._layout.ours.values()):
            told = f"the row has {there} cells, the header {self._layout.width}: what is not there counts as not said"
            self.leave_out(None, FindingKind.RAGGED, told)

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

    def _finding(
        self, kind: FindingKind, reason: str, ours: str | None, *, uses_row: bool = False, hides_sim: bool = False
    ) -> Finding:
        name = "" if ours is None else self._layout.names.get(ours, ours)
        return Finding(self.number, kind, reason, name, self._payload(), self.carrier, uses_row, hides_sim)

    def _payload(self) -> str:
        """Return what stands in our columns: the others may hold anything."""
        said = {self._layout.names[ours]: self.cell(ours)[:_PAYLOAD_CHARACTERS] for ours in self._layout.ours}
        return canonical_json({name: text.replace("\0", "\ufffd") for name, text in said.items() if text})


_LIFECYCLE = StatusWords({word.value: StatusMeaning(word) for word in Lifecycle})
#: The fields of a SIM whose cells are read one by one, in their order.
_FIELDS = ("imsi", "msisdn", "imei", "eid", "status", "rate_plan", "label")
_EID = _FIELDS.index("eid")
_NOTHING_SAID: tuple[str | None, ...] = (None,) * len(_FIELDS)
#: An ICCID cell with fewer digits is a note, a total or a heading rather than a SIM of ours.
_DIGITS_OF_A_SIM = 10
_ICCID_DIGITS = range(18, 23)
#: Configured carriers that a message names.
_NAMES = 5


class RowParser:
    """Takes a sheet's rows one after the other; what it met is in `found`, `tally` and `rounding`.

    `only` are the carriers whose rows are asked for.
    """

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
        self._only_carrier = "" if "carrier" in layout.ours else carriers[0]
        self._carriers = frozenset(carriers)
        self._others = self._carriers - only
        self._unknown_carrier = lru_cache(REMEMBERED)(self._told_unknown)
        self._meaning = lru_cache(REMEMBERED)(lambda word: (self._words[word].status.value, word in self._words))
        readers: Mapping[str, Callable[[str], Value]] = {
            "imsi": read_imsi,
            "msisdn": read_msisdn,
            "imei": read_imei,
            "eid": read_eid,
            "status": self._read_status,
            "rate_plan": read_word,
            "label": read_label,
        }
        self._readers = [
            (place, ours, layout.ours[ours], readers[ours]) for place, ours in enumerate(_FIELDS) if ours in layout.ours
        ]
        self._attributes = attribute_writer(layout.extra)
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
        row = Row(number, cells, self._layout)
        sim = None
        try:
            sim = self._understood(row, damaged)
        except UnusableRow as reason:
            row.refuse(reason)
        if sim is not None:
            self.tally.sims += 1
        if row.found and row.is_asked_for:
            self.found.extend(row.found)
            for finding in row.found:
                self.tally.add(finding)
        return sim

    def _understood(self, row: Row, damaged: Damage | None) -> InventorySim | None:
        _refuse_shapeless(row.cells, self._layout.width, damaged)
        carrier = self._carrier(row)
        if carrier in self._others:
            row.is_asked_for = False
            self.tally.rows_of_others += 1
            return None
        if carrier is not None and carrier not in self._carriers:
            count_word(self.tally.unknown_carriers, carrier)
            raise UnusableRow(FindingKind.UNKNOWN_CARRIER, self._unknown_carrier(carrier), "carrier")
        row.carrier = carrier
        self._take_out_damage(row, damaged)
        if carrier is None:
            told = "the row names no carrier"
            raise UnusableRow(FindingKind.NO_CARRIER, told, "carrier", hides_sim=_is_sim(row.cell("iccid")))
        return self._sim(row, carrier)

    def _carrier(self, row: Row) -> str | None:
        """Return the carrier that the row names, if it can be read."""
        name = self._only_carrier or row.cell("carrier")
        if name not in self._carriers:
            name = unmarked(name)
        return None if not name or UNREADABLE.search(name) else name

    def _told_unknown(self, carrier: str) -> str:
        known = sorted(self._carriers)
        near = get_close_matches(carrier.casefold(), {name.casefold(): name for name in known}, n=1)
        meant = f" (did you mean {next(name for name in known if name.casefold() == near[0])}?)" if near else ""
        some = ", ".join([*known[:_NAMES], "..."] if len(known) > _NAMES else known)
        return (
            f"carrier {shortened(carrier)!r} is not configured for this list: expected {some}{meant}. Correct the row, "
            "or add the carrier to carriers.yaml"
        )

    def _take_out_damage(self, row: Row, damaged: Damage | None) -> None:
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

    def _sim(self, row: Row, carrier: str) -> InventorySim:
        cells = row.cells
        said = list(_NOTHING_SAID)
        for place, ours, at, read in self._readers:
            if cells[at]:
                said[place], flaw = read(cells[at])
                if flaw is not None:
                    row.leave_out(ours, *flaw)
        name, looks = self._name(row, said[_EID])
        raw = None if name.startswith(BY_EID) else row.cell("iccid")
        return InventorySim._make((carrier, name, raw, *said, self._attributes(cells), row.number, looks))

    def _name(self, row: Row, eid: str | None) -> tuple[str, Rounding]:
        """Return what names a row: its ICCID, or where it has none its EID; and whether that looks rounded."""
        raw = row.cell("iccid")
        if eid is not None and _says_nothing(raw):
            return BY_EID + eid, Rounding.NONE
        if _says_nothing(raw) and (told := row.cell("eid")):
            reason = f"the row has no ICCID, and {shortened(told)!r} is no EID: expected the 32 digits of an eUICC"
            hides_sim = _is_sim(told) or is_rounded(unmarked_number(told))
            raise UnusableRow(FindingKind.NOT_AN_IDENTIFIER, reason, "eid", hides_sim=hides_sim)
        iccid = self._iccid(raw)
        return iccid, self.rounding.take(iccid)

    def _iccid(self, raw: str) -> str:
        if len(raw) in _ICCID_DIGITS and raw.isascii() and raw.isdigit():
            return raw
        if not raw:
            told = "the row has no ICCID and no EID" if "eid" in self._layout.ours else "the row has no ICCID"
            raise UnusableRow(FindingKind.NO_ICCID, told, "iccid" if "iccid" in self._layout.ours else "eid")
        text = unmarked_number(raw)
        if is_rounded(text):
            told = f"ICCID {shortened(raw)!r} was rounded by a spreadsheet, its last digits are lost: {self._advice}"
            raise UnusableRow(FindingKind.ROUNDED, told, "iccid", hides_sim=True)
        try:
            return normal_iccid(text)
        except NotAnIdentifier as reason:
            told = f"ICCID {shortened(raw)!r}: {reason}"
            raise UnusableRow(FindingKind.NOT_AN_ICCID, told, "iccid", hides_sim=_is_sim(raw)) from None

    def _read_status(self, raw: str) -> Value:
        word, flaw = read_word(raw)
        if word is None:
            return None, flaw
        status, is_known = self._meaning(word)
        if not is_known:
            count_word(self.tally.unknown_status_words, word)
        return status, None


def attribute_writer(columns: Sequence[tuple[str, int]]) -> Callable[[Sequence[str]], str]:
    """Return what writes the filled cells of some columns, names with places, as canonical JSON text.

    A cell that is JSON itself loses its members whose names say that they are secrets.
    """
    keys = [(f"{encode_basestring(name)}:", at) for name, at in sorted(columns)]

    def write(cells: Sequence[str]) -> str:
        return "{" + ",".join([key + encode_basestring(_shown(cells[at])) for key, at in keys if cells[at]]) + "}"

    return write


def _shown(cell: str) -> str:
    """Return what of a cell may be stored."""
    if cell[0] not in "{[":
        return cell
    try:
        value = json.loads(cell, parse_float=str, parse_constant=str)  # no digit of a number is lost
    except (ValueError, RecursionError):
        return cell
    plain = without_secrets(value)
    return cell if plain == value else canonical_json(plain)


def _refuse_shapeless(cells: Sequence[str], width: int, damaged: Damage | None) -> None:
    """Refuse a row of which nobody can say which cell belongs to which column."""
    if damaged is not None and damaged.columns is None:
        raise UnusableRow(damaged.kind, damaged.reason, hides_sim=True)
    if len(cells) > width and any(cells[width:]):
        told = "the row has more cells than the header: quote cells that contain the delimiter"
        raise UnusableRow(FindingKind.RAGGED, told, hides_sim=True)


def _says_nothing(raw: str) -> bool:
    return not raw or is_nothing(unmarked_number(raw))


def _is_sim(text: str) -> bool:
    return sum(char.isdigit() for char in text) >= _DIGITS_OF_A_SIM
