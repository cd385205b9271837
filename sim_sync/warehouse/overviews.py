"""What is known of every carrier's walks, in one consistent reading. What it means is decided in `core.unresolved`."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

import sqlalchemy as sa

from sim_sync.core.progress import is_estimate
from sim_sync.core.session import Session, SessionInternals, State
from sim_sync.core.unresolved import CarrierOverview
from sim_sync.warehouse import sessions
from sim_sync.warehouse.engine import reading
from sim_sync.warehouse.tables import quarantined_records, sync_sessions


def carrier_overviews(engine: sa.Engine, carriers: Sequence[str]) -> Sequence[CarrierOverview]:
    """Return an overview of each of the carriers, in their order; one that was never synced has no sessions.

    The number of queries does not grow with the number of carriers.
    """
    with reading(engine, "reading the sessions") as connection:
        newest = {session.carrier: session for session in sessions.read_latest_sessions(connection, carriers)}
        completed = {session.carrier: session for session in sessions.read_last_completed(connection, carriers)}
        sweeps = sessions.read_sweep_histories(connection, carriers)
        known = sessions.read_all_internals(connection, [session.session_id for session in newest.values()])
        quarantined = _quarantined(connection, carriers)
    return [
        CarrierOverview(
            carrier=carrier,
            newest=newest.get(carrier),
            **_progress_of(newest.get(carrier), known),
            last_completed=completed.get(carrier),
            sweeps=sweeps[carrier],
            quarantined=quarantined.get(carrier, 0),
        )
        for carrier in carriers
    ]


class _Progress(TypedDict, total=False):
    """What is known of a session's progress beside its row."""

    recent_page_seconds: Sequence[float]
    expects_estimate: bool


def _progress_of(newest: Session | None, known: Mapping[str, SessionInternals]) -> _Progress:
    if newest is None or newest.session_id not in known:
        return {}
    internals = known[newest.session_id]
    return {
        "recent_page_seconds": internals.recent_page_seconds,
        "expects_estimate": is_estimate(newest, internals.carrier_total),
    }


def _quarantined(connection: sa.Connection, carriers: Sequence[str]) -> Mapping[str, int]:
    """Count unresolved records of each carrier's last completed walk and of any later one."""
    records, walks = quarantined_records.c, sync_sessions.c
    last = (
        sa.select(walks.carrier, sa.func.max(walks.session_number).label("number"))
        .where(walks.carrier.in_(carriers), walks.state == State.COMPLETED.value)
        .group_by(walks.carrier)
        .subquery()
    )
    query = (
        sa.select(records.carrier, sa.func.count())
        .join(sync_sessions, walks.session_id == records.session_id)
        .outerjoin(last, last.c.carrier == records.carrier)
        .where(records.carrier.in_(carriers), records.resolved_at.is_(None))
        .where(walks.session_number >= sa.func.coalesce(last.c.number, 0))
        .group_by(records.carrier)
    )
    return {row[0]: row[1] for row in connection.execute(query)}
