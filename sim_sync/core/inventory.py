"""Our own list of SIMs, as every package sees it: a row once understood, what of it could not be used, and its end.

Reading the list is the package `inventory`'s, bringing it into the tables the warehouse's. Both speak in these entries,
one after the other, so that a list of millions is never held as a whole.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import NamedTuple, TypeAlias

from sim_sync.core.storable import canonical_json
from sim_sync.core.text import printable

#: The columns that have a meaning to us; all others of a list go to `attributes`.
OUR_COLUMNS: tuple[str, ...] = ("iccid", "carrier", "imsi", "msisdn", "imei", "eid", "status", "rate_plan", "label")
#: What names a row without an ICCID: this before its EID, in the place of the ICCID.
BY_EID = "eid:"
#: A list with fewer SIMs of a carrier than so many per cent of the last one waits for a person.
MIN_PERCENT_OF_LAST = 50.0
#: How many findings of a kind are kept as examples; all of them are counted.
_EXAMPLES = 3
#: How many different words are counted apart: a wrongly mapped column has millions.
_WORDS = 100
#: What the words beyond those are counted under.
OTHER_WORDS = "(others)"


class Rounding(IntEnum):
    """Whether an ICCID looks like what a program leaves of one that it took for a number."""

    NONE = 0
    #: It is one of the few whole numbers that a 64-bit float can hold or is written as.
    FLOAT = 1
    #: All its digits after the 15th are zeros, as a spreadsheet writes them.
    ZEROS = 2


class InventorySim(NamedTuple):
    """One SIM as we think it is. `None` means "our list does not say"; `attributes` is canonical JSON text.

    A row that names an eUICC and none of its profiles has no ICCID: `BY_EID` and the EID stand in its place.

    `row_number` is where the list has it: the line of a file, whose header is line 1, or the row of a query from 1.
    """

    carrier: str
    iccid: str
    iccid_raw: str | None
    imsi: str | None = None
    msisdn: str | None = None
    imei: str | None = None
    eid: str | None = None
    status: str | None = None
    rate_plan: str | None = None
    label: str | None = None
    attributes: str = "{}"
    row_number: int = 0
    rounding: int = Rounding.NONE


class FindingKind(StrEnum):
    """What is wrong with a row, or with one value of it."""

    ROUNDED = "rounded"
    REPEATED = "repeated"
    NO_ICCID = "no_iccid"
    NOT_AN_ICCID = "not_an_iccid"
    NO_CARRIER = "no_carrier"
    UNKNOWN_CARRIER = "unknown_carrier"
    RAGGED = "ragged"
    QUOTE = "quote"
    UNREADABLE = "unreadable"
    CHANGED = "changed"
    NOT_AN_IDENTIFIER = "not_an_identifier"
    CONTRADICTION = "contradiction"


class Finding(NamedTuple):
    """What of a row could not be used, and why.

    `column` is the list's own name for it, empty where the row as a whole is meant. `uses_row` says that the row
    counts without this value. `hides_sim` says that the row is a SIM of ours of which we cannot say which. `payload`
    is canonical JSON text of what stood there.
    """

    row_number: int
    kind: FindingKind
    reason: str
    column: str = ""
    payload: str = "{}"
    carrier: str | None = None
    uses_row: bool = False
    hides_sim: bool = False


class ListWords(NamedTuple):
    """How messages about rows of a list are put: what the place of a row is called, and what a rounded list needs.

    `source` is what messages and tables call the list.
    """

    place: str = "line"
    iccid_column: str = ""
    advice: str = "export the list again from where it is kept"
    source: str = ""

    def rounded(self, number: int, iccid: str, carrier: str) -> Finding:
        """Return what is wrong with a row that is withdrawn because its list was rounded."""
        reason = (
            f"ICCID {iccid} was rounded by a spreadsheet, its last digits are lost: like too many of this list it is a "
            f"number that only rounding leaves; {self.advice}"
        )
        payload = self._payload(iccid)
        return Finding(number, FindingKind.ROUNDED, reason, self.iccid_column, payload, carrier, hides_sim=True)

    def repeated(
        self, number: int, iccid: str | None, carrier: str, first: int, elsewhere: "ListWords | None" = None
    ) -> Finding:
        """Return what is wrong with a row whose ICCID stood in an earlier one, of this list or of `elsewhere`."""
        place = f"{self.place} {first}" if elsewhere is None else f"{elsewhere.place} {first} of {elsewhere.source}"
        named_by = "EID" if iccid is not None and iccid.startswith(BY_EID) else "ICCID"
        reason = f"its {named_by} stands in {place} already, and that one counts"
        return Finding(number, FindingKind.REPEATED, reason, self.iccid_column, self._payload(iccid), carrier)

    def _payload(self, iccid: str | None) -> str:
        return canonical_json({self.iccid_column: iccid} if iccid else {})


class StartOfList(NamedTuple):
    """The first entry of a list, of which several may follow one another: whose rows come now, up to its end."""

    words: ListWords


class EndOfList(NamedTuple):
    """The last entry of a list that was read to its end; a list without it broke off.

    All rows with a `rounding` of `rounded_from` or more are withdrawn: the list as a whole shows that it was rounded.
    `refusal` says why nothing of it may be used. One that `is_empty` has not even a row; a person may take it for true.
    """

    rounded_from: Rounding | None = None
    refusal: str | None = None
    is_empty: bool = False


#: What reading a list yields, row by row.
Entry: TypeAlias = StartOfList | InventorySim | Finding | EndOfList


@dataclass(slots=True)
class ListTally:
    """What was read so far, in figures and a few examples; its size does not grow with the list."""

    #: What messages call the place of a row: `line` of a file, `row` of a query.
    place: str = "line"
    sims: int = 0
    unusable_rows: int = 0
    values_left_out: int = 0
    rows_of_others: int = 0
    unknown_status_words: Counter[str] = field(default_factory=Counter)
    unknown_carriers: Counter[str] = field(default_factory=Counter)
    _kinds: Counter[FindingKind] = field(default_factory=Counter)
    _examples: dict[FindingKind, list[Finding]] = field(default_factory=dict)

    def add(self, finding: Finding, times: int = 1) -> None:
        """Count a finding, or as many of its kind."""
        if finding.uses_row:
            self.values_left_out += times
        else:
            self.unusable_rows += times
        self._kinds[finding.kind] += times
        examples = self._examples.setdefault(finding.kind, [])
        if len(examples) < _EXAMPLES:
            examples.append(finding)

    def by_kind(self) -> Iterator[tuple[int, list[Finding]]]:
        """Yield each kind's number of findings and its first examples, lost rows first, the most frequent before."""
        order = sorted(self._kinds, key=lambda kind: (self._examples[kind][0].uses_row, -self._kinds[kind]))
        return ((self._kinds[kind], self._examples[kind]) for kind in order)

    def described(self, finding: Finding) -> str:
        """Return a finding as one line for people, with its place."""
        column = f", column {finding.column!r}" if finding.column else ""
        return f"{self.place} {finding.row_number}{column}: {finding.reason}"


def count_word(words: Counter[str], word: str) -> None:
    """Count a word of a list; beyond a hundred different ones they are counted together."""
    words[word if word in words or len(words) < _WORDS else OTHER_WORDS] += 1


def shown_words(words: Mapping[str, int], most: int = 20) -> str:
    """Return counted words for people: `ON (3), idle (1)`, the most frequent ones where there are many."""
    order = sorted(words, key=lambda word: (-words[word], word))
    told = [f"{shortened(word)} ({words[word]:,})" for word in sorted(order[:most])]
    return ", ".join([*told, "..."] if len(order) > most else told)


def shortened(text: str, longest: int = 40) -> str:
    """Return a text of somebody else's for a message: printable, not long, and only its first line."""
    start = text.split("\n", 1)[0][:longest]
    return printable(start if start == text else f"{start}...")
