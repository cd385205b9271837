"""Writes a page that was refused as a whole: what the database does not take goes to quarantine, the rest is kept.

Rows are written in halves under savepoints, until single ones are left. It is the net behind `core.storable`, which
keeps values away that are known to be refused. Runs inside the transaction that `store` opened and fenced.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, StatementError

from sim_sync.core.diff import PageDiff
from sim_sync.core.iccid_forms import may_come_again
from sim_sync.core.pages import Page, QuarantinedRecord
from sim_sync.core.quarantine import REFUSED_BY_DATABASE
from sim_sync.core.session import Session, SessionRecord
from sim_sync.core.sims import Sim
from sim_sync.core.storable import storable_json
from sim_sync.warehouse import pages
from sim_sync.warehouse.failures import is_about_values, kind_of

Item = TypeVar("Item")


def write_isolated(
    connection: sa.Connection, record: SessionRecord, page: Page, now: datetime
) -> tuple[Page, PageDiff]:
    """Write the SIMs, changes and quarantined records of a page, each that the database takes.

    Returns the page with the refused SIMs among its rejected records, and what was changed.

    Raises:
        DBAPIError: the database fails for another reason than the values.
    """
    session = record.session
    diffs: list[PageDiff] = []

    def write(sims: Sequence[Sim]) -> None:
        diff = pages.write_sims(connection, session, sims, now, may_come_again=may_come_again(record, page))
        pages.write_changes(connection, session, diff.changes, now)
        diffs.append(diff)

    refused = _refused(connection, list({sim.sim_id: sim for sim in page.sims}.values()), write)
    rejected = [*page.rejected, *_rejected(page, refused)]
    _quarantine(connection, session, rejected, now)
    return replace(page, rejected=rejected), _sum_of(diffs)


def _refused(
    connection: sa.Connection, items: Sequence[Item], write: Callable[[Sequence[Item]], object]
) -> list[tuple[Item, str]]:
    """Write items, and return those that the database refuses, each with the kind of its refusal."""
    if not items:
        return []
    try:
        with connection.begin_nested():
            write(items)
    except (StatementError, ValueError, OverflowError) as error:
        if isinstance(error, DBAPIError) and not is_about_values(error):
            raise
        if len(items) == 1:
            return [(items[0], kind_of(error))]
    else:
        return []
    middle = len(items) // 2
    return [*_refused(connection, items[:middle], write), *_refused(connection, items[middle:], write)]


def _rejected(page: Page, refused: Sequence[tuple[Sim, str]]) -> list[QuarantinedRecord]:
    """Return refused SIMs as records at their places in the page."""
    taken = {rejected.position for rejected in page.rejected}
    free = [position for position in range(len(page.sims) + len(taken)) if position not in taken]
    # A record may be several SIMs; then this is the place in the list of SIMs.
    places = {sim.sim_id: position for sim, position in zip(page.sims, free, strict=True)}
    return [
        QuarantinedRecord(places[sim.sim_id], f"{REFUSED_BY_DATABASE} ({kind})", _payload(sim)) for sim, kind in refused
    ]


def _payload(sim: Sim) -> str:
    return storable_json({name: str(value) for name, value in sim._asdict().items() if value is not None})


def _quarantine(
    connection: sa.Connection, session: Session, rejected: Sequence[QuarantinedRecord], now: datetime
) -> None:
    """Keep rejected records; one whose text is refused too is kept by its place and reason."""

    def write(some: Sequence[QuarantinedRecord]) -> None:
        pages.write_quarantined(connection, session, some, now)

    bare = [replace(one, payload="{}") for one, _ in _refused(connection, rejected, write)]
    pages.write_quarantined(connection, session, bare, now)


def _sum_of(diffs: Sequence[PageDiff]) -> PageDiff:
    found = PageDiff()
    for diff in diffs:
        found.upserts.extend(diff.upserts)
        found.unchanged.extend(diff.unchanged)
        found.changes.extend(diff.changes)
        found.added += diff.added
        found.changed += diff.changed
    return found
