"""Rows of `sync_sessions` and their notes: reading, locking and writing them. Decisions are in core."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from sim_sync.core.errors import Fenced
from sim_sync.core.opening import Process
from sim_sync.core.session import FINAL_STATES, Claim, Session, State, SweepState
from sim_sync.warehouse.engine import utc_now
from sim_sync.warehouse.tables import UtcDateTime, inventory_sims, session_internals, sync_sessions, walk_cursors

_OPEN = sync_sessions.c.state.not_in([state.value for state in FINAL_STATES])


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What sim_sync writes down for itself about a session (`session_internals`)."""

    lease_seconds: float
    owner_host: str | None = None
    owner_pid: int | None = None
    owner_started: str | None = None
    carrier_total: int | None = None
    pace_seconds: float | None = None
    walk_restarts: int = 0
    #: Distinct SIMs of the whole walk, counted when it was closed.
    sims_seen: int | None = None

    @property
    def process(self) -> Process | None:
        """The operating-system process of the last owner."""
        if self.owner_host is None or self.owner_pid is None:
            return None
        return Process(self.owner_host, self.owner_pid, self.owner_started or "")


def session_from_row(row: Mapping[Any, Any]) -> Session:
    """Return the session that a row of `sync_sessions` holds."""
    values = {column.name: row[column] for column in sync_sessions.columns}
    values["state"] = State(values["state"])
    values["sweep_state"] = SweepState(values["sweep_state"])
    return Session(**values)


_SESSION_FIELDS = tuple(field.name for field in fields(Session))


def row_from_session(session: Session) -> dict[str, Any]:
    """Return the row that holds a session."""
    row = {name: getattr(session, name) for name in _SESSION_FIELDS}
    return row | {"state": session.state.value, "sweep_state": session.sweep_state.value}


def read_session(connection: sa.Connection, session_id: str, *, lock: bool = False) -> Session | None:
    """Return a session, and with `lock` keep everybody else from writing it until the transaction ends."""
    query = sa.select(sync_sessions).where(sync_sessions.c.session_id == session_id)
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    return None if row is None else session_from_row(row)


def read_open_session(connection: sa.Connection, carrier: str, *, lock: bool = False) -> Session | None:
    """Return the carrier's session that is not final, if it has one."""
    query = sa.select(sync_sessions).where(sync_sessions.c.carrier == carrier, _OPEN)
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    return None if row is None else session_from_row(row)


def read_latest_sessions(connection: sa.Connection, carriers: Sequence[str]) -> list[Session]:
    """Return each carrier's open or else newest session, in the order of `carriers`."""
    newest = (
        sa.select(
            sync_sessions.c.session_id,
            sa.func.row_number()
            .over(
                partition_by=sync_sessions.c.carrier,
                order_by=[
                    sa.case((_OPEN, 0), else_=1),
                    sync_sessions.c.started_at.desc(),
                    sync_sessions.c.session_id.desc(),
                ],
            )
            .label("place"),
        )
        .where(sync_sessions.c.carrier.in_(carriers))
        .subquery()
    )
    chosen = sa.select(newest.c.session_id).where(newest.c.place == 1)
    rows = connection.execute(sa.select(sync_sessions).where(sync_sessions.c.session_id.in_(chosen))).mappings()
    found = {row["carrier"]: session_from_row(row) for row in rows}
    return [found[carrier] for carrier in carriers if carrier in found]


@dataclass(frozen=True, slots=True)
class Working:
    """A session under the lock of its own worker, with our notes about it and the warehouse's time."""

    session: Session
    notes: Notes
    now: datetime


#: A pause lets the page in hand through; every other state means that this worker was given up.
WORKING_STATES = frozenset({State.RUNNING, State.PAUSED})


def read_working(connection: sa.Connection, claim: Claim, *, states: Collection[State] = WORKING_STATES) -> Working:
    """Lock the session and return it if the claim holds and its owner may still write under it.

    One statement reads the session, the notes and the clock: it runs for every page.

    Raises:
        Fenced: the claim is lost.
    """
    row = connection.execute(_working_query(connection.dialect.name), {"b_session_id": claim.session_id}).one_or_none()
    if row is None:
        raise Fenced(f"carrier {claim.carrier}: session {claim.session_id} does not exist in this warehouse")
    session = session_from_row(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented way to read by column
    _refuse_lost_claim(session, claim, states)
    return Working(session, _notes_from_row(row._mapping), row.warehouse_now)  # noqa: SLF001 - as above


@cache
def _working_query(dialect_name: str) -> sa.Select[Any]:
    clock = sa.type_coerce(utc_now(dialect_name), UtcDateTime()).label("warehouse_now")
    return (
        sa.select(sync_sessions, session_internals, clock)
        .join(session_internals, session_internals.c.session_id == sync_sessions.c.session_id)
        .where(sync_sessions.c.session_id == sa.bindparam("b_session_id"))
        .with_for_update(of=sync_sessions)
    )


def _refuse_lost_claim(session: Session, claim: Claim, states: Collection[State]) -> None:
    if session.fence != claim.fence:
        raise Fenced(
            f"carrier {claim.carrier}: session {claim.session_id} was taken over by run {session.owner} "
            f"(its fence is {session.fence}, this worker's was {claim.fence}); this worker stops and writes nothing"
        )
    if session.state not in states:
        raise Fenced(
            f"carrier {claim.carrier}: session {claim.session_id} is {session.state.value}; "
            "this worker stops and writes nothing"
        )


def insert_session(connection: sa.Connection, session: Session, notes: Notes) -> None:
    """Insert a new session with its notes."""
    connection.execute(sync_sessions.insert().values(row_from_session(session)))
    connection.execute(session_internals.insert().values(session_id=session.session_id, **asdict(notes)))


_UPDATE_SESSION = sync_sessions.update().where(sync_sessions.c.session_id == sa.bindparam("b_session_id"))
_UPDATE_NOTES = session_internals.update().where(session_internals.c.session_id == sa.bindparam("b_session_id"))
_NOTE_CURSOR = sa.text(
    "INSERT INTO walk_cursors (session_id, digest) VALUES (:session_id, :digest) "
    "ON CONFLICT (session_id, digest) DO NOTHING"
)


def update_session(connection: sa.Connection, session: Session) -> None:
    """Write a session's row as a whole, under the lock that it was read with."""
    row = row_from_session(session)
    del row["session_id"]
    connection.execute(_UPDATE_SESSION, row | {"b_session_id": session.session_id})


def read_notes(connection: sa.Connection, session_id: str) -> Notes:
    """Return a session's notes."""
    query = sa.select(session_internals).where(session_internals.c.session_id == session_id)
    return _notes_from_row(connection.execute(query).one()._mapping)  # noqa: SLF001 - as above


def _notes_from_row(row: Mapping[Any, Any]) -> Notes:
    return Notes(**{field.name: row[session_internals.c[field.name]] for field in fields(Notes)})


def update_notes(connection: sa.Connection, session_id: str, **values: object) -> None:
    """Write some of a session's notes."""
    connection.execute(_UPDATE_NOTES, values | {"b_session_id": session_id})


def note_cursor(connection: sa.Connection, session_id: str, digest: str) -> bool:
    """Write down a cursor of this walk; False where the walk has used it before."""
    return connection.execute(_NOTE_CURSOR, {"session_id": session_id, "digest": digest}).rowcount == 1


def forget_cursors(connection: sa.Connection, session_id: str) -> None:
    """Forget the cursors of a walk that is over or starts again."""
    connection.execute(walk_cursors.delete().where(walk_cursors.c.session_id == session_id))


def expected_sims(connection: sa.Connection, carrier: str) -> int | None:
    """Return how many SIMs a walk may expect before the carrier says so: as many as last time, or as our list has."""
    return _sims_seen_last_time(connection, carrier) or _sims_on_our_list(connection, carrier) or None


def _sims_on_our_list(connection: sa.Connection, carrier: str) -> int:
    ours = inventory_sims.c
    query = sa.select(sa.func.count()).where(ours.carrier == carrier, ours.removed_at.is_(None))
    return connection.execute(query).scalar_one()


def _sims_seen_last_time(connection: sa.Connection, carrier: str) -> int | None:
    query = (
        sa.select(session_internals.c.sims_seen)
        .join(sync_sessions, sync_sessions.c.session_id == session_internals.c.session_id)
        .where(sync_sessions.c.carrier == carrier, sync_sessions.c.state == State.COMPLETED.value)
        .order_by(sync_sessions.c.finished_at.desc())
        .limit(1)
    )
    return connection.execute(query).scalar_one_or_none()


def new_session_id(carrier: str, now: datetime, chance: str) -> str:
    """Return an id that sorts by time and that a person can tell apart: carrier, UTC time, four random digits."""
    return f"{carrier}-{now:%Y%m%dT%H%M%S}-{chance}"


def noting_error(session: Session, error: str | None, now: datetime) -> Session:
    """Return the session with an error as its last one, or as it is where there is none."""
    return session if error is None else replace(session, last_error=error, last_error_at=now)
