"""What people and machines read of every carrier's walks: the newest, the past ones, the totals. Read only."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, TypedDict

import sqlalchemy as sa

from sim_sync.core.notes import CarrierOverview
from sim_sync.core.progress import (
    WALKS_COMPARED,
    CarrierFigures,
    PastWalk,
    Problem,
    Totals,
    is_estimate,
    seconds_between,
)
from sim_sync.core.session import Session, SessionInternals, State
from sim_sync.warehouse import sessions
from sim_sync.warehouse.engine import read_clock, reading
from sim_sync.warehouse.sessions import session_from_row
from sim_sync.warehouse.tables import (
    alerts,
    forgotten_sessions,
    quarantined_records,
    session_internals,
    sim_discrepancies,
    sync_sessions,
)

# What is known of every carrier's walks, in one consistent reading. What it means is decided in `core.notes`.


def carrier_overviews(engine: sa.Engine, carriers: Sequence[str]) -> Sequence[CarrierOverview]:
    """Return an overview of each of the carriers, in their order; one that was never synced has no sessions.

    The number of queries does not grow with the number of carriers.
    """
    with reading(engine, "reading the sessions") as connection:
        return read_overviews(connection, carriers)


def read_overviews(connection: sa.Connection, carriers: Sequence[str]) -> Sequence[CarrierOverview]:
    """Return the overviews within a transaction of the caller's."""
    newest = {session.carrier: session for session in sessions.read_latest_sessions(connection, carriers)}
    completed = {session.carrier: session for session in sessions.read_last_completed(connection, carriers)}
    sweeps = sessions.read_sweep_histories(connection, carriers)
    known = sessions.read_all_internals(connection, [session.session_id for session in newest.values()])
    quarantined = _quarantined(connection, carriers)
    return [
        CarrierOverview(
            carrier=carrier,
            **_of_newest(newest.get(carrier), known),
            last_completed=completed.get(carrier),
            sweeps=sweeps[carrier],
            quarantined=quarantined.get(carrier, 0),
        )
        for carrier in carriers
    ]


class _OfNewest(TypedDict, total=False):
    """What is known of a carrier's newest session."""

    newest: Session
    internals: SessionInternals
    expects_estimate: bool


def _of_newest(newest: Session | None, known: Mapping[str, SessionInternals]) -> _OfNewest:
    if newest is None:
        return {}
    internals = known.get(newest.session_id)
    if internals is None:
        return {"newest": newest}
    return {
        "newest": newest,
        "internals": internals,
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


# The past walks, the newest first, each with how long the completed ones before it took. Read only.


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


# The figures of every carrier for machines: totals of all walks, what is open, what differs. Read only.


def carrier_figures(engine: sa.Engine, max_age_hours: Mapping[str, float], now: datetime) -> Sequence[CarrierFigures]:
    """Return the figures of each of the carriers that are named with their `max_age_hours`, in their order."""
    from sim_sync.warehouse.discrepancies import read_open_costs  # here: `status` does without what compares lists
    from sim_sync.warehouse.knowledge import compared_of

    carriers = list(max_age_hours)
    overviews = carrier_overviews(engine, carriers)
    compared = compared_of(engine, carriers)
    with reading(engine, "counting what the walks did") as connection:
        totals = _totals(connection, carriers)
        problems = read_open_problems(connection, carriers)
        costs = read_open_costs(connection, carriers, read_clock(connection))
        undelivered = _undelivered_alerts(connection, carriers)
    return [
        CarrierFigures(
            overview=overview,
            now=now,
            max_age_hours=max_age_hours[overview.carrier],
            totals=totals.get(overview.carrier, Totals()),
            discrepancies=None if compared[overview.carrier].as_of is None else problems[overview.carrier],
            monthly_cost=costs.get(overview.carrier),
            undelivered_alerts=undelivered.get(overview.carrier, 0),
        )
        for overview in overviews
    ]


def _totals(connection: sa.Connection, carriers: Sequence[str]) -> Mapping[str, Totals]:
    """Add up what all walks did, those that are forgotten by now included; in one statement, or one could be missed."""
    forgotten = forgotten_sessions.c
    parts = sa.union_all(
        totals_of_sessions(sync_sessions.c.carrier.in_(carriers)),
        sa.select(forgotten.carrier, *(forgotten[name] for name in Totals._fields)).where(
            forgotten.carrier.in_(carriers)
        ),
    ).subquery()
    query = sa.select(parts.c.carrier, *(sa.func.sum(parts.c[name]) for name in Totals._fields))
    return {carrier: Totals(*counts) for carrier, *counts in connection.execute(query.group_by(parts.c.carrier))}


def totals_of_sessions(which: sa.ColumnElement[bool]) -> sa.Select[tuple[object, ...]]:
    """Return the query of what sessions did together, by carrier, in columns called as `Totals` has them."""
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
    return (
        sa.select(walks.carrier, *(sa.func.sum(sums[name]).label(name) for name in Totals._fields))
        .outerjoin(session_internals, known.session_id == walks.session_id)
        .where(which)
        .group_by(walks.carrier)
    )


def _undelivered_alerts(connection: sa.Connection, carriers: Sequence[str]) -> Mapping[str, int]:
    waiting = sa.and_(alerts.c.carrier.in_(carriers), alerts.c.next_attempt_at.is_not(None))
    query = sa.select(alerts.c.carrier, sa.func.count()).where(waiting).group_by(alerts.c.carrier)
    return {row[0]: row[1] for row in connection.execute(query)}


def _one_if(state: State) -> sa.ColumnElement[int]:
    return sa.case((sync_sessions.c.state == state.value, 1), else_=0)


def read_open_problems(connection: sa.Connection, carriers: Sequence[str]) -> Mapping[str, Mapping[Problem, int]]:
    """Count each carrier's open discrepancies that nobody has acknowledged; those without one are left out."""
    from sim_sync.warehouse.discrepancies import is_muted

    found = sim_discrepancies.c
    query = (
        sa.select(found.carrier, found.kind, found.severity, sa.func.count())
        .where(found.carrier.in_(carriers), found.resolved_at.is_(None), ~is_muted(read_clock(connection)))
        .group_by(found.carrier, found.kind, found.severity)
    )
    counts: dict[str, dict[Problem, int]] = defaultdict(dict)
    for carrier, kind, severity, count in connection.execute(query):
        counts[carrier][Problem(kind, severity)] = count
    return counts
