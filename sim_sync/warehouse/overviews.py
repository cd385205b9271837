"""What is known of every carrier's walks, in one consistent reading. What it means is decided in `core.unresolved`."""

from collections.abc import Sequence
from typing import TypedDict

import sqlalchemy as sa

from sim_sync.core.progress import is_estimate
from sim_sync.core.session import Session
from sim_sync.core.unresolved import CarrierOverview
from sim_sync.warehouse import sessions
from sim_sync.warehouse.engine import reading
from sim_sync.warehouse.tables import quarantined_records, sync_sessions


def carrier_overviews(engine: sa.Engine, carriers: Sequence[str]) -> Sequence[CarrierOverview]:
    """Return an overview of each of the carriers, in their order; one that was never synced has no sessions."""
    with reading(engine, "reading the sessions") as connection:
        newest = {session.carrier: session for session in sessions.read_latest_sessions(connection, carriers)}
        completed = {session.carrier: session for session in sessions.read_last_completed(connection, carriers)}
        return [
            CarrierOverview(
                carrier=carrier,
                newest=newest.get(carrier),
                **_progress_of(connection, newest.get(carrier)),
                last_completed=completed.get(carrier),
                sweeps=sessions.read_sweep_history(connection, carrier),
                quarantined=_quarantined(connection, carrier, completed.get(carrier)),
            )
            for carrier in carriers
        ]


class _Progress(TypedDict, total=False):
    """What is known of a session's progress beside its row."""

    recent_page_seconds: Sequence[float]
    expects_estimate: bool


def _progress_of(connection: sa.Connection, newest: Session | None) -> _Progress:
    internals = None if newest is None else sessions.read_internals(connection, newest.session_id)
    if newest is None or internals is None:
        return {}
    return {
        "recent_page_seconds": internals.recent_page_seconds,
        "expects_estimate": is_estimate(newest, internals.carrier_total),
    }


def _quarantined(connection: sa.Connection, carrier: str, last_completed: Session | None) -> int:
    records, walks = quarantined_records.c, sync_sessions.c
    unresolved = (
        sa.select(sa.func.count())
        .select_from(quarantined_records.join(sync_sessions, walks.session_id == records.session_id))
        .where(records.carrier == carrier, records.resolved_at.is_(None))
    )
    if last_completed is not None:
        unresolved = unresolved.where(walks.session_number >= last_completed.session_number)
    return connection.execute(unresolved).scalar_one()
