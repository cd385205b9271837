"""Counts for the asset checks: what the data of a carrier says about its own quality."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from sim_sync.core.sims import UNKNOWN_STATUS_FLAG
from sim_sync.warehouse.engine import reading
from sim_sync.warehouse.tables import carrier_sims, sim_discrepancies


@dataclass(frozen=True, slots=True)
class QualityCounts:
    """How many SIMs carry which unknown status word."""

    unknown_status_words: Mapping[str, int]


def count_quality_flags(engine: sa.Engine, carrier: str) -> QualityCounts:
    """Count the carrier's present SIMs by the status words that its connector does not know."""
    sims = carrier_sims.c
    flagged = sa.cast(sims.quality_flags, sa.Text()).like(f'%"{UNKNOWN_STATUS_FLAG}"%')
    query = (
        sa.select(sa.func.coalesce(sims.carrier_status, ""), sa.func.count())
        .where(sims.carrier == carrier, sims.vanished_at.is_(None), flagged)
        .group_by(sims.carrier_status)
        .order_by(sims.carrier_status)
    )
    with reading(engine, f"counting quality flags of carrier {carrier}") as connection:
        return QualityCounts({row[0]: row[1] for row in connection.execute(query)})


def count_high_discrepancies(engine: sa.Engine, carrier: str) -> int:
    """Count the carrier's open discrepancies of high severity."""
    found = sim_discrepancies.c
    query = sa.select(sa.func.count()).where(
        found.carrier == carrier, found.severity == "high", found.resolved_at.is_(None)
    )
    with reading(engine, f"counting discrepancies of carrier {carrier}") as connection:
        return connection.execute(query).scalar_one()
