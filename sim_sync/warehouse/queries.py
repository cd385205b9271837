"""What people ask the tables: lists and counts for the command line. Read only."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from sim_sync.warehouse.engine import reading
from sim_sync.warehouse.severity import SEVERITIES
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
