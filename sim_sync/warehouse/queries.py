"""What people and asset checks ask the tables: counts. Read only."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from sim_sync.warehouse.engine import read_clock, reading
from sim_sync.warehouse.muting import is_muted
from sim_sync.warehouse.status_words import counted_by_carrier_and_word
from sim_sync.warehouse.tables import carrier_sims, sim_discrepancies


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
    """Count the open discrepancies of high severity by carrier that nobody has acknowledged; none is left out."""
    found = sim_discrepancies.c
    is_severe = sa.and_(found.carrier.in_(carriers), found.severity == "high", found.resolved_at.is_(None))
    with reading(engine, "counting severe discrepancies") as connection:
        query = (
            sa.select(found.carrier, sa.func.count())
            .where(is_severe, ~is_muted(read_clock(connection)))
            .group_by(found.carrier)
            .order_by(found.carrier)
        )
        return {row[0]: row[1] for row in connection.execute(query)}
