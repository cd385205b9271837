"""The figures of every carrier for machines: totals of all walks, what is open, what differs. Read only."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from sim_sync.core.figures import CarrierFigures, Problem, Totals
from sim_sync.core.session import State
from sim_sync.warehouse.engine import reading
from sim_sync.warehouse.knowledge import compared_of
from sim_sync.warehouse.overviews import carrier_overviews
from sim_sync.warehouse.tables import session_internals, sim_discrepancies, sync_sessions


def carrier_figures(engine: sa.Engine, max_age_hours: Mapping[str, float], now: datetime) -> Sequence[CarrierFigures]:
    """Return the figures of each of the carriers that are named with their `max_age_hours`, in their order."""
    carriers = list(max_age_hours)
    overviews = carrier_overviews(engine, carriers)
    compared = compared_of(engine, carriers)
    with reading(engine, "counting what the walks did") as connection:
        totals = _totals(connection, carriers)
        problems = _open_problems(connection, carriers)
    return [
        CarrierFigures(
            overview=overview,
            now=now,
            max_age_hours=max_age_hours[overview.carrier],
            totals=totals.get(overview.carrier, Totals()),
            discrepancies=None if compared[overview.carrier].as_of is None else problems[overview.carrier],
        )
        for overview in overviews
    ]


def _totals(connection: sa.Connection, carriers: Sequence[str]) -> Mapping[str, Totals]:
    walks, known = sync_sessions.c, session_internals.c
    sums = {
        "pages": walks.pages_done + sa.func.coalesce(known.earlier_pages, 0),
        "records": walks.records_seen + sa.func.coalesce(known.earlier_records, 0),
        "sims_added": walks.records_added,
        "sims_changed": walks.records_changed,
        "retries": walks.retries,
        "throttled_seconds": walks.throttled_seconds,
        "resumes": walks.fence - 1,
        "completed_walks": _one_if(State.COMPLETED),
        "superseded_walks": _one_if(State.SUPERSEDED),
    }
    query = (
        sa.select(walks.carrier, *(sa.func.sum(sums[name]) for name in Totals._fields))
        .outerjoin(session_internals, known.session_id == walks.session_id)
        .where(walks.carrier.in_(carriers))
        .group_by(walks.carrier)
    )
    return {carrier: Totals(*counts) for carrier, *counts in connection.execute(query)}


def _one_if(state: State) -> sa.ColumnElement[int]:
    return sa.case((sync_sessions.c.state == state.value, 1), else_=0)


def _open_problems(connection: sa.Connection, carriers: Sequence[str]) -> Mapping[str, Mapping[Problem, int]]:
    found = sim_discrepancies.c
    query = (
        sa.select(found.carrier, found.kind, found.severity, sa.func.count())
        .where(found.carrier.in_(carriers), found.resolved_at.is_(None))
        .group_by(found.carrier, found.kind, found.severity)
    )
    counts: dict[str, dict[Problem, int]] = defaultdict(dict)
    for carrier, kind, severity, count in connection.execute(query):
        counts[carrier][Problem(kind, severity)] = count
    return counts
