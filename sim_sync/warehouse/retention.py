"""Deletes what is old: changes, resolved discrepancies and quarantined records, and sessions that are over.

One short transaction for some rows, and a wait as long as that has taken: a walk that commits its pages meanwhile gets
its turn, in SQLite too, where there is one writer. A job that dies is as good as one that was told to stop: the next
one continues. What stays is decided in `core.retention`.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from sim_sync.core.retention import PastSession, first_kept, standing
from sim_sync.core.session import FINAL_STATES, State, SweepState
from sim_sync.warehouse.engine import reading, transaction
from sim_sync.warehouse.overviews import totals_of_sessions
from sim_sync.warehouse.tables import (
    carrier_internals,
    carrier_sims,
    forgotten_sessions,
    quarantined_records,
    session_internals,
    sim_changes,
    sim_discrepancies,
    sim_lookups,
    sync_sessions,
    walk_cursors,
)

#: So many rows are deleted in one transaction: a few milliseconds.
ROWS_AT_ONCE = 1000
#: A session is the sum of several tables' rows.
_SESSIONS_AT_ONCE = 50

_changes, _found, _records = sim_changes.c, sim_discrepancies.c, quarantined_records.c
_walks, _sims, _forgotten = sync_sessions.c, carrier_sims.c, forgotten_sessions.c


class Deleted(NamedTuple):
    """So many rows of a carrier that one transaction has deleted from a table."""

    carrier: str
    table: str
    rows: int


def delete_old(
    engine: sa.Engine,
    carriers: Sequence[str],
    before: datetime,
    *,
    wait: Callable[[float], object] = time.sleep,
    at_once: int = ROWS_AT_ONCE,
) -> Iterator[Deleted]:
    """Delete what is over since before a moment, and yield each transaction that has deleted something.

    Args:
        engine: the warehouse.
        carriers: whose rows; those of others stay.
        before: the moment; what anything became of since then stays, and what today's state rests on.
        wait: passes the time between two transactions.
        at_once: how many rows a transaction deletes.
    """
    for carrier in carriers:
        yield from _of_carrier(_Pace(engine, wait, at_once), carrier, before)


def standing_sessions(engine: sa.Engine, carriers: Sequence[str]) -> frozenset[str]:
    """Return the ids of the sessions by which these carriers are judged today."""
    with reading(engine, "reading the sessions that stay") as connection:
        found = [standing(_past_sessions(connection, carrier)) for carrier in carriers]
    return frozenset(one.session_id for sessions in found for one in sessions)


class _Pace(NamedTuple):
    """How transactions follow each other."""

    engine: sa.Engine
    wait: Callable[[float], object]
    at_once: int

    def repeat(
        self, carrier: str, table: sa.Table, delete: Callable[[sa.Connection, int], int], at_once: int | None = None
    ) -> Iterator[Deleted]:
        """Delete some rows after the other until none is left that may go."""
        most = min(self.at_once, at_once or self.at_once)
        rows = most
        while rows >= most:
            begun = time.monotonic()
            with transaction(self.engine, f"deleting what is old of carrier {carrier}") as connection:
                rows = delete(connection, most)
            if rows:
                yield Deleted(carrier, table.name, rows)
            self.wait(time.monotonic() - begun)

    def delete(self, carrier: str, table: sa.Table, which: sa.ColumnElement[bool]) -> Iterator[Deleted]:
        """Delete the rows of a table that fit, some after the other."""
        return self.repeat(carrier, table, lambda connection, most: _delete_some(connection, table, which, most))


def _of_carrier(pace: _Pace, carrier: str, before: datetime) -> Iterator[Deleted]:
    with reading(pace.engine, f"looking for what is old of carrier {carrier}") as connection:
        sessions = _past_sessions(connection, carrier)
        oldest = first_kept(sessions, before, named=_session_named(connection, carrier, before))
        compared_at = _compared_at(connection, carrier)
    stand = [one.session_id for one in standing(sessions)]
    # Of the walk that stands today, it is told where its changes concentrate.
    old_changes = sa.and_(_changes.carrier == carrier, _changes.changed_at < before, _changes.session_id.not_in(stand))
    yield from pace.delete(carrier, sim_changes, old_changes)
    # What the last comparison has resolved is counted again if it is done again.
    resolved_before = before if compared_at is None else min(before, compared_at)
    resolved = sa.and_(_found.carrier == carrier, _found.resolved_at < resolved_before)
    yield from pace.delete(carrier, sim_discrepancies, resolved)
    final = sa.select(_walks.session_id).where(_walks.carrier == carrier, _is_final())
    settled = sa.and_(_records.carrier == carrier, _records.resolved_at < before, _records.session_id.in_(final))
    yield from pace.delete(carrier, quarantined_records, settled)
    yield from pace.repeat(
        carrier,
        sync_sessions,
        lambda connection, most: _forget_some(connection, carrier, oldest, most),
        _SESSIONS_AT_ONCE,
    )


def _delete_some(connection: sa.Connection, table: sa.Table, which: sa.ColumnElement[bool], most: int) -> int:
    key = list(table.primary_key.columns)
    chosen = sa.select(*key).where(which).limit(most)
    if connection.dialect.name == "postgresql":
        # What another transaction is writing is left to the next time: a comparison may have found it again.
        locked = chosen.with_for_update(skip_locked=True).cte("chosen")
        chosen = sa.select(locked.prefix_with("MATERIALIZED"))
    is_chosen = key[0].in_(chosen) if len(key) == 1 else sa.tuple_(*key).in_(chosen)
    return connection.execute(table.delete().where(is_chosen)).rowcount


def _forget_some(connection: sa.Connection, carrier: str, oldest: int, most: int) -> int:
    """Delete the first of a carrier's sessions up to a number, and add what they did to what is forgotten."""
    query = (
        sa.select(_walks.session_id)
        .where(_walks.carrier == carrier, _walks.session_number < oldest, _is_final())
        .order_by(_walks.session_number)
        .limit(most)
        .with_for_update()
    )
    ids = list(connection.execute(query).scalars())
    if ids:
        _add_to_forgotten(connection, carrier, ids)
        for table in (session_internals, walk_cursors, sim_lookups, sync_sessions):
            connection.execute(table.delete().where(table.c.session_id.in_(ids)))
    return len(ids)


def _add_to_forgotten(connection: sa.Connection, carrier: str, ids: Sequence[str]) -> None:
    """Counters must not fall: what machines read counts all walks that there ever were."""
    did = connection.execute(totals_of_sessions(_walks.session_id.in_(ids))).one()._mapping  # noqa: SLF001 - by name
    counts = {name: did[name] for name in did if name != "carrier"}
    more = {name: _forgotten[name] + count for name, count in counts.items()}
    update = forgotten_sessions.update().where(_forgotten.carrier == carrier).values(**more)
    if connection.execute(update).rowcount == 0:
        connection.execute(forgotten_sessions.insert().values(carrier=carrier, **counts))


def _past_sessions(connection: sa.Connection, carrier: str) -> Sequence[PastSession]:
    """Return all sessions of a carrier, the newest first."""
    open_records = (
        sa.select(_records.session_id).where(_records.carrier == carrier, _records.resolved_at.is_(None)).distinct()
    )
    has_open = set(connection.execute(open_records).scalars())
    columns = ("session_id", "session_number", "state", "sweep_state", "updated_at", "finished_at", "sweep_decided_at")
    query = sa.select(*(_walks[name] for name in columns)).where(_walks.carrier == carrier)
    rows = connection.execute(query.order_by(_walks.session_number.desc()))
    return [
        PastSession(
            session_id, number, State(state), SweepState(swept), max(filter(None, times)), session_id in has_open
        )
        for session_id, number, state, swept, *times in rows
    ]


def _session_named(connection: sa.Connection, carrier: str, since: datetime) -> int | None:
    """Return the oldest session that has found a SIM since a moment: a record of its may have been replayed."""
    query = sa.select(sa.func.min(_sims.first_session_number))
    query = query.where(_sims.carrier == carrier, _sims.first_seen_at >= since)
    number: int | None = connection.execute(query).scalar_one()
    return number


def _compared_at(connection: sa.Connection, carrier: str) -> datetime | None:
    noted = carrier_internals.c
    return connection.execute(sa.select(noted.compared_at).where(noted.carrier == carrier)).scalar_one_or_none()


def _is_final() -> sa.ColumnElement[bool]:
    return _walks.state.in_([state.value for state in FINAL_STATES])
