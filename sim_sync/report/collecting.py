"""Brings together what a report tells: the figures, what is known of each carrier, and the past walks."""

from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import datetime

from sim_sync.core.report import CarrierPart, Report
from sim_sync.core.session import Session
from sim_sync.warehouse import Warehouse
from sim_sync.warehouse.changes import explain_drift
from sim_sync.warehouse.knowledge import Compared, compared_of
from sim_sync.warehouse.overviews import carrier_overviews, past_walks
from sim_sync.warehouse.report import report_figures

#: Tables of single SIMs and of walks have at most so many rows; what is left out is told as a number.
ROWS_SHOWN = 500
WALKS_SHOWN = 100


def collect(
    warehouse: Warehouse,
    max_age_hours: Mapping[str, float],
    since: datetime,
    *,
    with_list: Container[str],
    rows: int = ROWS_SHOWN,
) -> Report:
    """Read what a report tells of some carriers.

    Args:
        warehouse: where everything is.
        max_age_hours: for how long a walk keeps each of the carriers fresh, by its name.
        since: where the period begins.
        with_list: the carriers that a list of ours may have SIMs of.
        rows: how many discrepancies are listed at most.
    """
    carriers, engine = list(max_age_hours), warehouse.engine
    figures = report_figures(engine, carriers, since, rows=rows)
    compared = compared_of(engine, carriers)
    walks = past_walks(engine, carriers, WALKS_SHOWN)
    return Report(
        figures=figures,
        carriers=[
            CarrierPart(
                overview=overview,
                max_age_hours=max_age_hours[overview.carrier],
                has_list=overview.carrier in with_list,
                compared_as_of=compared[overview.carrier].as_of,
                waiting=list(_waiting(compared[overview.carrier])),
                drift=_drift(warehouse, overview.last_completed, since),
            )
            for overview in carrier_overviews(engine, carriers)
        ],
        walks=[walk for walk in walks if _is_of_period(walk.session, since)],
    )


def _waiting(compared: Compared) -> Iterator[str]:
    if compared.walk_is_newer:
        yield "its last complete walk"
    if compared.list_is_newer:
        yield "what our list says since"


def _drift(warehouse: Warehouse, walk: Session | None, since: datetime) -> Sequence[str]:
    """Return where the changes of the last complete walk concentrate, if it is of the period and changed anything."""
    if walk is None or not walk.records_changed or not _is_of_period(walk, since):
        return ()
    return explain_drift(warehouse.engine, walk.carrier, session_id=walk.session_id)


def _is_of_period(walk: Session, since: datetime) -> bool:
    return (walk.finished_at or walk.updated_at) >= since
