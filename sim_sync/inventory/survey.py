"""Looking through a whole list without keeping it: how many SIMs it has, and what of it cannot be used."""

from array import array
from collections.abc import Iterator

from sim_sync.core.inventory import EndOfList, InventorySim, ListTally, Rounding
from sim_sync.inventory.reading import Reading

#: Parts in which ICCIDs are looked through for repetitions, one at a time.
_PARTS = 64


def survey(reading: Reading) -> ListTally:
    """Read a list to its end and return what it comes to, repeated ICCIDs included.

    Raises:
        InventoryError: the list as a whole cannot be used.
    """
    seen = {look: _Seen() for look in Rounding}
    rounded_from: Rounding | None = None
    for entry in reading:
        if isinstance(entry, InventorySim):
            seen[Rounding(entry.rounding)].take(entry)
        elif isinstance(entry, EndOfList):
            rounded_from = entry.rounded_from
    for look, sims in seen.items():
        if rounded_from is None or look < rounded_from:
            _add_repeated(reading, sims)
    return reading.tally


def _add_repeated(reading: Reading, sims: "_Seen") -> None:
    for number, first in sims.repeated():
        reading.tally.sims -= 1
        reading.tally.add(reading.words.repeated(number, None, "", first))


class _Seen:
    """The ICCIDs of a list, as 16 bytes each."""

    def __init__(self) -> None:
        self._parts = [array("q") for _ in range(_PARTS)]

    def take(self, sim: InventorySim) -> None:
        """Remember a SIM and its row."""
        key = hash((sim.carrier, sim.iccid))
        self._parts[key % _PARTS].extend((key, sim.row_number))

    def repeated(self) -> Iterator[tuple[int, int]]:
        """Yield the rows whose ICCID stood in an earlier row of the same carrier, with that row."""
        for part in self._parts:
            first: dict[int, int] = {}
            for key, number in zip(part[::2], part[1::2], strict=True):
                if first.setdefault(key, number) != number:
                    yield number, first[key]
