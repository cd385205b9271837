"""Bringing our own list of SIMs into the warehouse for one carrier: read once, and not at all where it is unchanged."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from sim_sync.core.inventory import MIN_PERCENT_OF_LAST, ListTally, shown_words
from sim_sync.inventory import OurList
from sim_sync.warehouse import Warehouse
from sim_sync.warehouse.inventory import LoadCounts, LoadNote, load_inventory, unchanged_load


class ToldFinding(NamedTuple):
    """An example of what could not be used. `times` is how many there are of its kind in the list `source`."""

    row_number: int
    column: str
    reason: str
    times: int
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What a load came to, for people. `unchanged_since` says that the list was not read, for it is what it was then.

    `rows` are the SIMs of the list. `kept` are SIMs that it no longer names, and that unreadable rows of it may be.
    """

    rows: int
    added: int = 0
    changed: int = 0
    removed: int = 0
    kept: int = 0
    unusable_rows: int = 0
    values_left_out: int = 0
    unknown_status_words: str = ""
    findings: list[ToldFinding] = field(default_factory=list)
    unchanged_since: datetime | None = None


def load_our_list(
    our_list: OurList,
    warehouse: Warehouse,
    carrier: str,
    *,
    dry_run: bool = False,
    min_percent: float = MIN_PERCENT_OF_LAST,
    all_sources: Collection[str] | None = None,
    on_rows: Callable[[int], None] = lambda _rows: None,
) -> LoadReport:
    """Make the warehouse say of a carrier's SIMs what our list says.

    `dry_run` counts what would be done and writes nothing. `min_percent` is how many of the last list's SIMs it must
    have. `all_sources` are the lists of all carriers. `on_rows` hears how many rows were read so far.

    Raises:
        InventoryHeld: the list has fewer SIMs than that; see `load_inventory`.
        InventoryError: the list cannot be used; the one before it stays.
        InventoryUnavailable, WarehouseUnavailable: nothing was written, and it may go better in a while.
    """
    digest = our_list.digest()
    last = None if digest is None else unchanged_load(warehouse.engine, carrier, digest)
    if last is not None:
        return replace(_remembered(last.report), unchanged_since=last.loaded_at)
    with our_list.opened({carrier}) as reading:
        counts = load_inventory(
            warehouse.engine,
            carrier,
            reading,
            dry_run=dry_run,
            min_percent=min_percent,
            note=lambda counts: LoadNote(reading.digest(), asdict(_report(reading.tallies, counts))),
            on_rows=on_rows,
            on_finding=lambda source, finding: reading.tallies[source].add(finding),
            all_sources=all_sources,
        )
        return _report(reading.tallies, counts)


def _report(tallies: Mapping[str, ListTally], counts: LoadCounts) -> LoadReport:
    words: Counter[str] = sum((tally.unknown_status_words for tally in tallies.values()), Counter())
    return LoadReport(
        rows=counts.added + counts.changed + counts.unchanged,
        added=counts.added,
        changed=counts.changed,
        removed=counts.removed,
        kept=counts.kept,
        unusable_rows=sum(tally.unusable_rows for tally in tallies.values()),
        values_left_out=sum(tally.values_left_out for tally in tallies.values()),
        unknown_status_words=shown_words(words),
        findings=[finding for source, tally in tallies.items() for finding in _told(source, tally)],
    )


def _told(source: str, tally: ListTally) -> Iterator[ToldFinding]:
    for times, examples in tally.by_kind():
        for finding in examples:
            yield ToldFinding(finding.row_number, finding.column, finding.reason, times, source)


def _remembered(report: Mapping[str, Any]) -> LoadReport:
    """Return what an unchanged list comes to: all its rows are what they were."""
    return LoadReport(
        rows=report["rows"],
        kept=report["kept"],
        unusable_rows=report["unusable_rows"],
        values_left_out=report["values_left_out"],
        unknown_status_words=report["unknown_status_words"],
        findings=[ToldFinding(*finding) for finding in report["findings"]],
    )
