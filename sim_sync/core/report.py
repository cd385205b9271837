"""What a report tells of a period, as figures, and the few sentences in which it begins. Pure.

The figures are counted in `warehouse.report`; how they look is in the package `report`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple

from sim_sync.core.discrepancies import Concentration, Kind, Severity, explained, from_units
from sim_sync.core.notes import CarrierOverview, concerns
from sim_sync.core.progress import PastWalk
from sim_sync.core.session import State
from sim_sync.core.text import counted

#: From the worst to the mildest.
SEVERITIES = tuple(severity.value for severity in Severity)
#: More names than that in a sentence are a list, which stands below.
_NAMES_IN_SENTENCE = 3

_KIND_TEXTS: Mapping[str, tuple[str, str]] = {
    Kind.UNKNOWN_TO_US: ("is a SIM that only a carrier has", "are SIMs that only a carrier has"),
    Kind.MISSING_AT_CARRIER: ("is a SIM that only our list has", "are SIMs that only our list has"),
    Kind.WRONG_CARRIER: (
        "is a SIM at another carrier than our list says",
        "are SIMs at another carrier than our list says",
    ),
    Kind.DUPLICATE_ICCID: ("is an ICCID that is there twice", "are ICCIDs that are there twice"),
    Kind.MISMATCH: ("is a field that both sides tell differently", "are fields that both sides tell differently"),
    Kind.QUALITY: ("is about data that cannot be compared", "are about data that cannot be compared"),
}


class Pile(NamedTuple):
    """Open discrepancies of one carrier that have kind, severity and acknowledgement in common."""

    carrier: str
    kind: str
    severity: str
    is_muted: bool
    found: int
    #: What they cost a month, in ten-thousandths of the currency; None where nothing is priced.
    cost: int | None = None


class Standing(NamedTuple):
    """What was open at a carrier after its last reconciliation of a day, and what that costs a month if it is priced.

    Amounts are whole ten-thousandths, so that they add up exactly.
    """

    carrier: str
    day: date
    high: int
    medium: int
    low: int
    cost: int | None
    currency: str | None


class Flow(NamedTuple):
    """How many discrepancies of a carrier a period has opened that are still open, and how many it has resolved."""

    opened: int = 0
    resolved: int = 0


class Night(NamedTuple):
    """One day (UTC) of the period: what its comparisons opened, also where it was resolved since, and resolved."""

    day: date
    opened: int
    resolved: int


class Pair(NamedTuple):
    """A kind of difference with what both sides say, and how many there are. Identifiers are left out."""

    kind: str
    field: str
    ours: str | None
    theirs: str | None
    found: int


class Todo(NamedTuple):
    """What to do about so many open discrepancies of one severity, and what they cost a month in ten-thousandths."""

    advice: str
    severity: str
    found: int
    cost: int | None


class Hotspot(NamedTuple):
    """A group of a carrier's SIMs, how many open discrepancies and how many SIMs at the carrier it has."""

    carrier: str
    group: str
    value: str
    found: int
    sims: int


class ReasonCount(NamedTuple):
    """How many records or rows cannot be used for one reason: of a carrier, or of a source of our list."""

    of: str
    reason: str
    found: int


class Reasons(NamedTuple):
    """How many cannot be used in all, and the most frequent reasons."""

    total: int = 0
    lines: Sequence[ReasonCount] = ()


_NO_REASONS = Reasons()


class FieldCount(NamedTuple):
    """How many changes of one field a period has seen at a carrier."""

    carrier: str
    field: str
    found: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFigures:
    """What SQL has counted. `since` is where the period begins; what is open is open now, whenever it began."""

    since: datetime
    as_of: datetime
    sims: Mapping[str, int] = field(default_factory=dict)
    listed: Mapping[str, int] = field(default_factory=dict)
    piles: Sequence[Pile] = ()
    flows: Mapping[str, Flow] = field(default_factory=dict)
    nights: Sequence[Night] = ()
    #: By carrier and day, the oldest first; the last one before the period too.
    standings: Sequence[Standing] = ()
    pairs: Sequence[Pair] = ()
    todos: Sequence[Todo] = ()
    hotspots: Sequence[Hotspot] = ()
    unread: Reasons = _NO_REASONS
    unusable: Reasons = _NO_REASONS
    changes: Sequence[FieldCount] = ()
    #: The worst open discrepancies, as `warehouse.discrepancies.DiscrepancyRow`; how many there are is in `piles`.
    worst: Sequence[Any] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierPart:
    """What is known of one carrier beside the figures.

    `has_list` says whether a list of ours may have SIMs of it: without one it is never compared.
    `compared_as_of` is of when the newest comparison speaks; None where nothing was ever compared. `waiting` names what
    is known since and not compared yet.
    """

    overview: CarrierOverview
    max_age_hours: float
    has_list: bool = True
    compared_as_of: datetime | None = None
    waiting: Sequence[str] = ()
    drift: Sequence[str] = ()

    @property
    def carrier(self) -> str:
        """The carrier's name."""
        return self.overview.carrier


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that a report tells, before it has a form."""

    figures: ReportFigures
    carriers: Sequence[CarrierPart]
    walks: Sequence[PastWalk] = ()

    def open_of(self, *, carrier: str | None = None, severity: str | None = None) -> int:
        """Count open discrepancies that nobody has acknowledged: all, or those of a carrier or severity."""
        return self._open[carrier, severity]

    def cost_of(self, *, carrier: str | None = None) -> Decimal | None:
        """Return what those that `open_of` counts cost a month; None where nothing is priced."""
        return from_units(self._costs[carrier]) if carrier in self._costs else None

    # Added up once: a page asks for each carrier. None stands for all carriers, or severities, together.

    @cached_property
    def _open(self) -> Counter[tuple[str | None, str | None]]:
        found = Counter[tuple[str | None, str | None]]()
        for pile in self.figures.piles:
            for key in product((None, pile.carrier), (None, pile.severity)):
                found[key] += 0 if pile.is_muted else pile.found
        return found

    @cached_property
    def _costs(self) -> Counter[str | None]:
        found = Counter[str | None]()
        for pile in self.figures.piles:
            if pile.cost is not None and not pile.is_muted:
                found[None] += pile.cost
                found[pile.carrier] += pile.cost
        return found

    @cached_property
    def _muted(self) -> Counter[str]:
        """By carrier; each that has anything open is in it, be it with zero."""
        found = Counter[str]()
        for pile in self.figures.piles:
            found[pile.carrier] += pile.found if pile.is_muted else 0
        return found

    @property
    def currency(self) -> str:
        """The currency of the newest reconciliation that has one."""
        return next((one.currency for one in reversed(self.figures.standings) if one.currency), "")

    @property
    def muted(self) -> int:
        """How many open discrepancies are acknowledged."""
        return self._muted.total()

    def muted_of(self, carrier: str) -> int:
        """Count a carrier's acknowledged ones."""
        return self._muted[carrier]

    @property
    def has_inventory(self) -> bool:
        """Whether any of the carriers is in a list of ours."""
        return any(part.has_list for part in self.carriers)

    @property
    def opened(self) -> int:
        """How many the period has opened that are still open."""
        return sum(flow.opened for flow in self.figures.flows.values())

    @property
    def resolved(self) -> int:
        """How many the period has resolved."""
        return sum(flow.resolved for flow in self.figures.flows.values())

    def is_compared(self, part: CarrierPart) -> bool:
        """Return whether a carrier was ever compared: otherwise that nothing is open says nothing."""
        return part.compared_as_of is not None or part.carrier in self._muted

    @property
    def compared(self) -> Sequence[CarrierPart]:
        """The carriers that were ever compared."""
        return [part for part in self.carriers if self.is_compared(part)]

    def concerns_of(self, part: CarrierPart) -> Sequence[str]:
        """Return what is unresolved at a carrier."""
        return concerns(part.overview, part.max_age_hours, self.figures.as_of)

    @property
    def concentrations(self) -> Mapping[str, Sequence[str]]:
        """Where the open discrepancies of a carrier concentrate, by carrier, where they do."""
        found = {part.carrier: self._concentrations_of(part.carrier) for part in self.carriers}
        return {carrier: told for carrier, told in found.items() if told}

    def _concentrations_of(self, carrier: str) -> Sequence[str]:
        total, sims = self.open_of(carrier=carrier), self.figures.sims.get(carrier, 0)
        found = [
            Concentration("open", one.group, one.value, one.found, total, one.sims, sims)
            for one in self.figures.hotspots
            if one.carrier == carrier
        ]
        return explained(found, noun="discrepancies")


def kind_text(kind: str, count: int) -> str:
    """Return what so many discrepancies of a kind mean, as the rest of a sentence."""
    told = _KIND_TEXTS.get(kind)
    if told is None:
        return f"{'is' if count == 1 else 'are'} of the kind {kind}"
    return told[0] if count == 1 else told[1]


def sentences(report: Report) -> Sequence[str]:
    """Return the few sentences that matter, the most important first."""
    return [*_on_what_differs(report), *_on_patterns(report), *_on_the_carriers(report), *_on_unusable(report)]


def _on_what_differs(report: Report) -> Iterator[str]:
    if not report.has_inventory:
        yield "Nothing is compared: no inventory is configured, so the carriers' word is all there is."
        return
    if not report.compared:
        yield "Nothing was compared yet: no carrier was walked to its end and compared with our list."
        return
    yield _open_sentence(report)
    yield from _kinds_sentence(report)
    yield from _cost_sentence(report)
    since = day_text(report.figures.since)
    if report.opened or report.resolved:
        gone = f"{report.resolved:,} {'was' if report.resolved == 1 else 'were'} resolved"
        yield f"Since {since}, {report.opened:,} of the open ones appeared and {gone}."
    else:
        yield f"Since {since}, nothing appeared and nothing was resolved."


def _open_sentence(report: Report) -> str:
    total = report.open_of()
    muted = f" {report.muted:,} more are acknowledged." if report.muted else ""
    if not total:
        return f"Nothing differs at {_carriers(len(report.compared))}." + muted
    by_severity = [f"{count:,} {name}" for name in SEVERITIES if (count := report.open_of(severity=name))]
    at = sum(1 for part in report.carriers if report.open_of(carrier=part.carrier))
    noun = counted(total, "discrepancy is", "discrepancies are")
    return f"{noun} open at {_carriers(at)}: {_joined(by_severity)}.{muted}"


def _kinds_sentence(report: Report) -> Iterator[str]:
    kinds = Counter[str]()
    for pile in report.figures.piles:
        kinds[pile.kind] += 0 if pile.is_muted else pile.found
    told = [f"{count:,} {kind_text(kind, count)}" for kind, count in kinds.most_common() if count]
    if told:
        yield f"Of these, {_joined(told)}."


def _cost_sentence(report: Report) -> Iterator[str]:
    cost = report.cost_of()
    if cost:
        yield f"What is open costs {money_text(cost, report.currency)} a month."


def money_text(amount: Decimal, currency: str) -> str:
    """Return an amount as people read it: `1,234.50 EUR`."""
    return f"{amount:,.2f} {currency}".rstrip()


def day_text(at: datetime) -> str:
    """Return a day as people read it: `2 March 2026`."""
    return f"{at:%-d %B %Y}"


def _on_the_carriers(report: Report) -> Iterator[str]:
    parts = report.carriers
    held = [part.carrier for part in parts if part.overview.sweeps.held is not None]
    if held:
        yield f"A person has to decide: the sweep of {_names(held)} is held, and nothing was marked as gone."
    failed = [part.carrier for part in parts if part.overview.newest and part.overview.newest.state is State.FAILED]
    if failed:
        yield f"The sync of {_names(failed)} has failed; the figures are those of the walk before."
    never = [part.carrier for part in parts if part.overview.last_completed is None]
    if never:
        yield f"Nothing is known yet of {_names(never)}: never walked to the end."
    unlisted = [part.carrier for part in parts if not part.has_list]
    if unlisted and report.has_inventory:
        yield f"Not compared, because no list of ours is configured for it: {_names(unlisted)}."
    waiting = [
        part.carrier for part in parts if part.waiting and part.has_list and part.overview.last_completed is not None
    ]
    if waiting and report.has_inventory:
        yield f"Not the newest state: what is known of {_names(waiting)} since the last comparison is not compared yet."


def _on_unusable(report: Report) -> Iterator[str]:
    rows = report.figures.unusable.total
    if rows:
        yield f"{counted(rows, 'finding')} in our own list: rows or values that could not be used."
    records = report.figures.unread.total
    if records:
        yield f"{counted(records, 'record')} of the carriers could not be read."


def _on_patterns(report: Report) -> Iterator[str]:
    several = len(report.carriers) > 1
    for carrier, told in report.concentrations.items():
        for sentence in told:
            yield f"{carrier}: {sentence}." if several else f"{sentence}."
    for part in report.carriers:
        for sentence in part.drift:
            yield f"{part.carrier}: {sentence}." if several else f"{sentence}."


def _carriers(number: int) -> str:
    return counted(number, "carrier")


def _names(names: Sequence[str]) -> str:
    if len(names) <= _NAMES_IN_SENTENCE:
        return _joined(names)
    rest = len(names) - _NAMES_IN_SENTENCE + 1
    return _joined([*names[: _NAMES_IN_SENTENCE - 1], f"{rest} others"])


def _joined(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
