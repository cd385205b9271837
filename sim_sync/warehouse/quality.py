"""Counts for the asset checks: what the data of the carriers says about its own quality."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from sim_sync.warehouse.engine import reading
from sim_sync.warehouse.status_words import counted_by_carrier_and_word
from sim_sync.warehouse.tables import carrier_sims, sim_discrepancies


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
