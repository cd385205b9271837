"""What people and asset checks ask the tables: lists and counts. Read only."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from sim_sync.warehouse.engine import reading
from sim_sync.warehouse.severity import SEVERITIES
from sim_sync.warehouse.status_words import counted_by_carrier_and_word
from sim_sync.warehouse.tables import carrier_sims, sim_discrepancies

_FETCHED_AT_ONCE = 1000


class DiscrepancyRow(NamedTuple):
    """One row of `sim_discrepancies`; open while `resolved_at` is None."""

    carrier: str
    iccid: str
    kind: str
    field: str
    ours: str | None
    theirs: str | None
    severity: str
    first_seen_at: datetime
    last_seen_at: datetime
    times_seen: int
    resolved_at: datetime | None


def discrepancies(
    engine: sa.Engine, carriers: Sequence[str], *, kinds: Sequence[str] | None, include_resolved: bool
) -> Iterator[DiscrepancyRow]:
    """Yield discrepancies, by carrier and the worst first; `kinds` None means all."""
    found = sim_discrepancies.c
    worst_first = sa.case({word: place for place, word in enumerate(SEVERITIES)}, value=found.severity)
    query = (
        sa.select(*(found[name] for name in DiscrepancyRow._fields))
        .where(found.carrier.in_(carriers))
        .order_by(found.carrier, worst_first, found.kind, found.iccid, found.field)
    )
    if kinds is not None:
        query = query.where(found.kind.in_(kinds))
    if not include_resolved:
        query = query.where(found.resolved_at.is_(None))
    with reading(engine, "listing discrepancies") as connection:
        streamed = connection.execution_options(yield_per=_FETCHED_AT_ONCE)
        for row in streamed.execute(query):
            yield DiscrepancyRow(*row)


def present_sims(engine: sa.Engine, carrier: str) -> int:
    """Count the carrier's SIMs that are not marked vanished."""
    sims = carrier_sims.c
    query = sa.select(sa.func.count()).where(sims.carrier == carrier, sims.vanished_at.is_(None))
    with reading(engine, f"counting the SIMs of carrier {carrier}") as connection:
        return connection.execute(query).scalar_one()


def count_unknown_status_words(engine: sa.Engine, carriers: Sequence[str]) -> Mapping[str, Mapping[str, int]]:
    """Count present SIMs by carrier and by the status words that its connector does not know; none is left out."""
    query = counted_by_carrier_and_word()
    query = query.where(carrier_sims.c.carrier.in_(carriers)).order_by(*query.selected_columns[:2])
    counts: dict[str, dict[str, int]] = {}
    with reading(engine, "counting unknown status words") as connection:
        for carrier, word, count in connection.execute(query):
            counts.setdefault(carrier, {})[word] = count
    return counts


def count_high_discrepancies(engine: sa.Engine, carriers: Sequence[str]) -> Mapping[str, int]:
    """Count the open discrepancies of high severity by carrier; carriers without any are left out."""
    found = sim_discrepancies.c
    query = (
        sa.select(found.carrier, sa.func.count())
        .where(found.carrier.in_(carriers), found.severity == "high", found.resolved_at.is_(None))
        .group_by(found.carrier)
        .order_by(found.carrier)
    )
    with reading(engine, "counting severe discrepancies") as connection:
        return {row[0]: row[1] for row in connection.execute(query)}
