"""Reading a list from its first row to its last, entry by entry, to keep it or to look it through."""

import hashlib
import json
from array import array
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

from sim_sync import __version__
from sim_sync.core.errors import InventoryError
from sim_sync.core.inventory import EndOfList, Entry, InventorySim, ListTally, ListWords, Rounding, StartOfList
from sim_sync.core.sims import Lifecycle
from sim_sync.inventory.layout import Sheet, lay_out, quoted
from sim_sync.inventory.parsing import RowParser

# Reading a list from its first row to its last, entry by entry. One that nobody can understand as a whole is refused.
#
# A failed read is not an empty list: whoever takes entries believes them only after `EndOfList`.


#: How many examples a message names.
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Terms:
    """What the config says about a list.

    `columns` maps our names to the list's, `statuses` the company's words, in any case, to the lifecycle. `carriers`
    are the configured ones: without a mapped `carrier` column there must be exactly one.
    """

    columns: Mapping[str, str]
    carriers: Sequence[str]
    statuses: Mapping[str, Lifecycle]


class Entries(Protocol):
    """A list, or several, while it is read: iterate over it for its entries."""

    def __iter__(self) -> Iterator[Entry]:
        """Yield the entries, `StartOfList` first and `EndOfList` last; several lists one after the other."""

    @property
    def tallies(self) -> Mapping[str, ListTally]:
        """What was read so far, by what messages and tables call each list."""

    def digest(self) -> str | None:
        """Return the digest of everything that was read, for a list that has one."""


class OurList(Protocol):
    """Our list, to be read as often as needed."""

    @property
    def where(self) -> str:
        """What messages and tables call it; nothing secret."""

    @property
    def carriers(self) -> Sequence[str]:
        """The carriers whose SIMs it may have."""

    def digest(self) -> str | None:
        """Return a digest of what the list says, without reading what that is; None where that costs a reading."""

    def opened(self, only: Collection[str] | None = None) -> AbstractContextManager[Entries]:
        """Open the list for one reading, of the carriers in `only` or of all."""


class SeveralLists:
    """Our list where it is kept in several places, read one after the other."""

    def __init__(self, lists: Sequence[OurList]) -> None:
        self._lists = lists

    @property
    def where(self) -> str:
        """See `OurList`."""
        return " and ".join(one.where for one in self._lists)

    @property
    def carriers(self) -> Sequence[str]:
        """See `OurList`."""
        return [*dict.fromkeys(name for one in self._lists for name in one.carriers)]

    def digest(self) -> str | None:
        """Return the digest of all of them; None where one has none."""
        return _joined([one.digest() for one in self._lists])

    @contextmanager
    def opened(self, only: Collection[str] | None = None) -> Iterator["SeveralReadings"]:
        """Open all lists for one reading: what is wrong with one is told before any row is read."""
        with ExitStack() as stack:
            yield SeveralReadings([stack.enter_context(one.opened(only)) for one in self._lists])


def _joined(digests: Sequence[str | None]) -> str | None:
    told = [digest for digest in digests if digest is not None]
    if len(told) < len(digests):
        return None
    return told[0] if len(told) == 1 else hashlib.sha256("".join(told).encode()).hexdigest()


def digest_with_terms(content_digest: str, terms: Terms, form: tuple[str | None, ...]) -> str:
    """Return a digest of a list's content together with everything that gives it its meaning."""
    meaning = (__version__, content_digest, dict(terms.columns), list(terms.carriers), dict(terms.statuses), form)
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


class Reading:
    """A sheet read once: iterate over it for its entries; what it came to is in `tally`."""

    def __init__(
        self,
        sheet: Sheet,
        terms: Terms,
        only: Collection[str] | None = None,
        digest: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Raise `InventoryError` if the header does not have what the terms name.

        `only` are the carriers whose rows are asked for; by default all configured ones. `digest` says what the
        digest of everything that was read is, for a list that has one.
        """
        self.digest = digest
        layout = lay_out(sheet, terms.columns, terms.carriers)
        self._sheet = sheet
        self._carriers = terms.carriers
        #: How messages about its rows are put.
        self.words = ListWords(sheet.place, layout.names.get("iccid") or layout.names["eid"], sheet.advice, sheet.where)
        wanted = frozenset(terms.carriers if only is None else only)
        self._parser = RowParser(sheet, layout, terms.statuses, terms.carriers, wanted)
        self._examples: dict[int, InventorySim] = {}

    @property
    def where(self) -> str:
        """What messages and tables call the list."""
        return self._sheet.where

    @property
    def tally(self) -> ListTally:
        """What was read so far."""
        return self._parser.tally

    @property
    def tallies(self) -> Mapping[str, ListTally]:
        """What was read so far, under what messages and tables call the list."""
        return {self.where: self.tally}

    def __iter__(self) -> Iterator[Entry]:
        """Yield the entries, `StartOfList` first and `EndOfList` last.

        Raises:
            InventoryError: the list as a whole cannot be used; it says what was expected and what to do.
        """
        yield StartOfList(self.words)
        take, found, examples = self._parser.take, self._parser.found, self._examples
        for number, cells, damaged in self._sheet.rows:
            sim = take(number, cells, damaged)
            if sim is not None:
                if sim.rounding:
                    examples.setdefault(sim.rounding, sim)
                yield sim
            if found:
                yield from found
                found.clear()
        yield self._end()

    def _withdrawn(self) -> Rounding | None:
        rounded_from = self._parser.rounding.rounded_from
        if rounded_from is not None:
            withdrawn = self._parser.rounding.number_from(rounded_from)
            self.tally.sims -= withdrawn
            example = next(sim for look, sim in sorted(self._examples.items(), reverse=True) if look >= rounded_from)
            self.tally.add(self.words.rounded(example.row_number, example.iccid, example.carrier), withdrawn)
        return rounded_from

    def _end(self) -> EndOfList:
        rounded_from = self._withdrawn()
        refusal = self._refusal()
        tally = self.tally
        return EndOfList(rounded_from, refusal, is_empty=refusal is not None and not tally.unusable_rows)

    def _refusal(self) -> str | None:
        """Return why the list as a whole cannot be used, if it cannot."""
        tally, where = self.tally, self.where
        if tally.sims or tally.rows_of_others:
            return None
        if tally.unusable_rows > sum(tally.unknown_carriers.values()):
            examples = [finding for _, found in tally.by_kind() for finding in found if not finding.uses_row]
            told = "; ".join(tally.described(finding) for finding in examples[:_EXAMPLES])
            return (
                f"the inventory {where} has no row that could be used ({tally.unusable_rows} could not). "
                f"{told}. Correct the list and read it again; the one before it stays."
            )
        if tally.unknown_carriers:
            found = quoted([name for name, _ in tally.unknown_carriers.most_common(_EXAMPLES)])
            return (
                f"the inventory {where} has no row of a configured carrier: expected "
                f"{quoted(self._carriers)} in its carrier column, found {found}. The list before it stays."
            )
        return (
            f"the inventory {where} has a header, but no row: expected our SIMs, one a row. "
            "Was the export cut off? The list before it stays."
        )


class SeveralReadings:
    """Several sheets, read one after the other; see `Entries`."""

    def __init__(self, readings: Sequence[Entries]) -> None:
        self._readings = readings

    @property
    def tallies(self) -> Mapping[str, ListTally]:
        """What was read so far of each."""
        return {where: tally for reading in self._readings for where, tally in reading.tallies.items()}

    def __iter__(self) -> Iterator[Entry]:
        """Yield the entries of all, one list after the other."""
        for reading in self._readings:
            yield from reading

    def digest(self) -> str | None:
        """Return the digest of all of them; None where one has none."""
        return _joined([reading.digest() for reading in self._readings])


# Looking through a whole list without keeping it: how many SIMs it has, and what of it cannot be used.


#: Parts in which ICCIDs are looked through for repetitions, one at a time.
_PARTS = 64


def survey(reading: Entries) -> ListTally:
    """Read one list to its end and return what it comes to, repeated ICCIDs included.

    Raises:
        InventoryError: the list as a whole cannot be used.
    """
    seen = {look: _Seen() for look in Rounding}
    rounded_from: Rounding | None = None
    words = ListWords()
    for entry in reading:
        if isinstance(entry, InventorySim):
            seen[Rounding(entry.rounding)].take(entry)
        elif isinstance(entry, StartOfList):
            words = entry.words
        elif isinstance(entry, EndOfList):
            rounded_from = entry.rounded_from
            if entry.refusal is not None:
                raise InventoryError(entry.refusal)
    for look, sims in seen.items():
        if rounded_from is None or look < rounded_from:
            _add_repeated(reading.tallies[words.source], words, sims)
    return reading.tallies[words.source]


def _add_repeated(tally: ListTally, words: ListWords, sims: "_Seen") -> None:
    for number, first in sims.repeated():
        tally.sims -= 1
        tally.add(words.repeated(number, None, "", first))


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
