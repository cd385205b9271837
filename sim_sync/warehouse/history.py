"""The past walks, the newest first, each with how long the completed ones before it took. Read only."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from sim_sync.core.history import WALKS_COMPARED, PastWalk, seconds_between
from sim_sync.core.session import State
from sim_sync.warehouse.engine import reading
from sim_sync.warehouse.sessions import session_from_row
from sim_sync.warehouse.tables import session_internals, sync_sessions

_walks = sync_sessions.c


class _Completed(NamedTuple):
    """A completed walk, as far as its duration is concerned."""

    number: int
    started_at: datetime
    finished_at: datetime


def past_walks(engine: sa.Engine, carriers: Sequence[str], last: int) -> Sequence[PastWalk]:
    """Return the last so many walks of these carriers together, the newest first."""
    with reading(engine, "reading the past sessions") as connection:
        rows = connection.execute(_newest(carriers, last)).mappings().all()
        sessions = [session_from_row(row) for row in rows]
        completed = _last_completed(connection, {session.carrier for session in sessions}, last + WALKS_COMPARED)
    return [
        PastWalk(
            session=session,
            sims_seen=row[session_internals.c.sims_seen],
            earlier_seconds=_durations_before(session.session_number, completed.get(session.carrier, ())),
        )
        for row, session in zip(rows, sessions, strict=True)
    ]


def _newest(carriers: Sequence[str], last: int) -> sa.Select[tuple[object, ...]]:
    """Return the query of the newest walks.

    Of one carrier its numbers decide. Between carriers times do, and a walk counts as no later than the one after it:
    a clock that was ahead for a night does not keep its walks on top.
    """
    newest_first = _walks.session_number.desc()
    opened_by = sa.func.min(_walks.started_at).over(partition_by=_walks.carrier, order_by=newest_first, rows=(None, 0))
    chosen = (
        sa.select(_walks.session_id, opened_by.label("opened_by"))
        .where(_walks.carrier.in_(carriers))
        .order_by(opened_by.desc(), _walks.carrier, newest_first)
        .limit(last)
        .subquery()
    )
    return (
        sa.select(sync_sessions, session_internals.c.sims_seen)
        .join(chosen, chosen.c.session_id == _walks.session_id)
        .outerjoin(session_internals, session_internals.c.session_id == _walks.session_id)
        .order_by(chosen.c.opened_by.desc(), _walks.carrier, newest_first)
    )


def _last_completed(connection: sa.Connection, carriers: set[str], most: int) -> Mapping[str, Sequence[_Completed]]:
    """Return the newest so many completed walks of each carrier, the newest first."""
    newest_first = _walks.session_number.desc()
    place = sa.func.row_number().over(partition_by=_walks.carrier, order_by=newest_first)
    placed = (
        sa.select(_walks.carrier, *(_walks[name] for name in ("session_number", "started_at", "finished_at")))
        .add_columns(place.label("place"))
        .where(_walks.carrier.in_(carriers), _walks.state == State.COMPLETED.value, _walks.finished_at.is_not(None))
        .subquery()
    )
    query = sa.select(placed).where(placed.c.place <= most).order_by(placed.c.carrier, placed.c.place)
    found: dict[str, list[_Completed]] = defaultdict(list)
    for carrier, number, started_at, finished_at, _place in connection.execute(query):
        found[carrier].append(_Completed(number, started_at, finished_at))
    return found


def _durations_before(number: int, completed: Sequence[_Completed]) -> Sequence[float]:
    before = [walk for walk in completed if walk.number < number][:WALKS_COMPARED]
    durations = [seconds_between(walk.started_at, walk.finished_at) for walk in before]
    return [seconds for seconds in durations if seconds is not None]
