"""One row of a list while it is understood: its cells, and what of them cannot be used. Pure."""

import re

from sim_sync.core.inventory import Finding, FindingKind
from sim_sync.core.pages import canonical_json
from sim_sync.inventory.layout import Layout

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
        """Empty a cell and note why. Without its ICCID or its carrier the row is none."""
        ours = next((name for name, at in self._layout.ours.items() if at == place), None)
        if ours in {"iccid", "carrier"}:
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
