"""Rows of `sync_sessions` and `session_internals`: reading, locking, opening and writing them.

What they become is decided in core.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from sim_sync.core.held_sweep import CERTIFIED, SweepHistory
from sim_sync.core.pages import Cursor
from sim_sync.core.session import FINAL_STATES, Session, SessionInternals, SessionRecord, State, SweepState
from sim_sync.core.storable import DAMAGED, is_storable
from sim_sync.warehouse.engine import UtcDateTime, utc_now
from sim_sync.warehouse.tables import (
    session_internals,
    sim_lookups,
    sync_sessions,
    walk_cursors,
)

# A cursor in a JSON column, whatever characters the carrier put into it: a place must come back as it was.


#: A text behind it is the JSON escape of one that no database can hold.
_ESCAPED = DAMAGED


def stored_cursor(cursor: Cursor | None) -> Any:
    """Return a cursor as it is written: texts that no database can hold, escaped."""
    if cursor is None or _is_plain(cursor):
        return cursor
    return _in_texts(cursor, _escaped)


def cursor_from_stored(stored: Any) -> Cursor | None:
    """Return the cursor that was written."""
    found: Cursor | None = stored if stored is None or _is_plain(stored) else _in_texts(stored, _unescaped)
    return found


def _is_plain(cursor: Any) -> bool:
    """Return whether no text of a cursor is escaped, or needs to be: nearly all."""
    text = json.dumps(cursor, ensure_ascii=False)
    return text.isascii() and "\\u0000" not in text


def _escaped(text: str) -> str:
    return text if is_storable(text) and not text.startswith(_ESCAPED) else _ESCAPED + _ascii_json(text)


def _ascii_json(text: str) -> str:
    # Doubled, so that a reader of JSON finds the escapes and not the characters.
    return json.dumps(text)[1:-1]


def _unescaped(text: str) -> str:
    return str(json.loads(f'"{text[1:]}"')) if text.startswith(_ESCAPED) else text


def _in_texts(value: Any, change: Any) -> Any:
    match value:
        case str():
            return change(value)
        case dict():
            return {change(key): _in_texts(member, change) for key, member in value.items()}
        case list() | tuple():
            return [_in_texts(member, change) for member in value]
        case _:
            return value


# Rows of `sync_sessions` and `session_internals`: reading, locking and writing them. What they become is in core.


_OPEN = sync_sessions.c.state.not_in([state.value for state in FINAL_STATES])


def session_from_row(row: Mapping[Any, Any]) -> Session:
    """Return the session that a row of `sync_sessions` holds."""
    values = {column.name: row[column] for column in sync_sessions.columns}
    values["cursor"] = cursor_from_stored(values["cursor"])
    values["state"] = State(values["state"])
    values["sweep_state"] = SweepState(values["sweep_state"])
    return Session(**values)


_SESSION_FIELDS = tuple(field.name for field in fields(Session))
_INTERNALS_FIELDS = tuple(field.name for field in fields(SessionInternals))


def row_from_session(session: Session) -> dict[str, Any]:
    """Return the row that holds a session."""
    row = {name: getattr(session, name) for name in _SESSION_FIELDS}
    return row | {
        "cursor": stored_cursor(session.cursor),
        "state": session.state.value,
        "sweep_state": session.sweep_state.value,
    }


def read_session(connection: sa.Connection, session_id: str) -> Session | None:
    """Return a session."""
    query = sa.select(sync_sessions).where(sync_sessions.c.session_id == session_id)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else session_from_row(row)


def read_open_session(connection: sa.Connection, carrier: str) -> Session | None:
    """Return the carrier's session that is not final, if it has one."""
    query = sa.select(sync_sessions).where(sync_sessions.c.carrier == carrier, _OPEN)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else session_from_row(row)


def read_latest_sessions(connection: sa.Connection, carriers: Sequence[str]) -> list[Session]:
    """Return each carrier's open or else newest session, in the order of `carriers`."""
    return _first_of_each(connection, carriers, sa.true())


def read_last_completed(connection: sa.Connection, carriers: Sequence[str]) -> list[Session]:
    """Return each carrier's last completed session, in the order of `carriers`; those without one are left out."""
    completed = sync_sessions.c.state == State.COMPLETED.value
    return _first_of_each(connection, carriers, completed)


def read_sweep_history(connection: sa.Connection, carrier: str) -> SweepHistory:
    """Return the carrier's last two certified walks."""
    return read_sweep_histories(connection, [carrier])[carrier]


def read_sweep_histories(connection: sa.Connection, carriers: Sequence[str]) -> Mapping[str, SweepHistory]:
    """Return each carrier's last two certified walks."""
    walks = sync_sessions.c
    certified = sa.and_(walks.state == State.COMPLETED.value, walks.sweep_state.in_([word.value for word in CERTIFIED]))
    found: dict[str, list[Session]] = {carrier: [] for carrier in carriers}
    for session in _newest_of_each(connection, carriers, certified, most=2):
        found[session.carrier].append(session)
    return {carrier: SweepHistory(*sessions) for carrier, sessions in found.items()}


#: Sessions of one carrier, the newest first. Never by their times: a clock that was wrong for a night would decide.
_NEWEST_FIRST = (sync_sessions.c.session_number.desc(),)


def _first_of_each(
    connection: sa.Connection, carriers: Sequence[str], condition: sa.ColumnElement[bool]
) -> list[Session]:
    found = {session.carrier: session for session in _newest_of_each(connection, carriers, condition, most=1)}
    return [found[carrier] for carrier in carriers if carrier in found]


def _newest_of_each(
    connection: sa.Connection, carriers: Sequence[str], condition: sa.ColumnElement[bool], *, most: int
) -> Iterator[Session]:
    """Yield up to so many sessions of each carrier, the newest of each first, in one query however many there are."""
    place = sa.func.row_number().over(partition_by=sync_sessions.c.carrier, order_by=_NEWEST_FIRST).label("place")
    placed = sa.select(sync_sessions.c.session_id, place).where(sync_sessions.c.carrier.in_(carriers), condition)
    chosen = placed.subquery()
    newest = sa.select(chosen.c.session_id).where(chosen.c.place <= most)
    query = sa.select(sync_sessions).where(sync_sessions.c.session_id.in_(newest)).order_by(*_NEWEST_FIRST)
    return map(session_from_row, connection.execute(query).mappings())


@dataclass(frozen=True, slots=True)
class Locked:
    """A session that nobody else can write until the transaction ends, and the warehouse's time."""

    record: SessionRecord
    now: datetime


def lock_session(connection: sa.Connection, session_id: str) -> Locked | None:
    """Lock a session and return it. One statement reads both its rows and the clock: it runs for every page."""
    return _locked(connection, _lock_by_id(connection.dialect.name), session_id)


def lock_open_session(connection: sa.Connection, carrier: str) -> Locked | None:
    """Lock the carrier's session that is not final, if it has one, and return it."""
    return _locked(connection, _lock_by_carrier(connection.dialect.name), carrier)


def keep_pages_out(connection: sa.Connection, carrier: str) -> None:
    """Wait for the carrier's page that is being committed, and keep later ones waiting. SQLite has one writer.

    Pages, lookups and the end of a walk are written under the lock of the carrier's one open session. The carrier is
    locked (`lock_carrier`): a session that is not there yet has to wait as well.
    """
    lock_open_session(connection, carrier)


def _locked(connection: sa.Connection, query: sa.Select[Any], key: str) -> Locked | None:
    row = connection.execute(query, {"b_key": key}).one_or_none()
    if row is None:
        return None
    columns = row._mapping  # noqa: SLF001 - SQLAlchemy's documented way to read by column
    return Locked(SessionRecord(session_from_row(columns), _internals_from_row(columns)), row.warehouse_now)


@cache
def _lock_by_id(dialect_name: str) -> sa.Select[Any]:
    return _record_query(dialect_name).where(sync_sessions.c.session_id == sa.bindparam("b_key"))


@cache
def _lock_by_carrier(dialect_name: str) -> sa.Select[Any]:
    return _record_query(dialect_name).where(sync_sessions.c.carrier == sa.bindparam("b_key"), _OPEN)


def _record_query(dialect_name: str) -> sa.Select[Any]:
    clock = sa.type_coerce(utc_now(dialect_name), UtcDateTime()).label("warehouse_now")
    # Both rows are locked: of a row that is only joined, PostgreSQL returns after a wait what was there before it.
    return (
        sa.select(sync_sessions, session_internals, clock)
        .join(session_internals, session_internals.c.session_id == sync_sessions.c.session_id)
        .with_for_update()
    )


def insert_record(connection: sa.Connection, record: SessionRecord) -> None:
    """Insert a new session."""
    session_id = record.session.session_id
    connection.execute(sync_sessions.insert().values(row_from_session(record.session)))
    connection.execute(session_internals.insert().values(session_id=session_id, **asdict(record.internals)))


_UPDATE_SESSION = sync_sessions.update().where(sync_sessions.c.session_id == sa.bindparam("b_session_id"))
_UPDATE_INTERNALS = session_internals.update().where(session_internals.c.session_id == sa.bindparam("b_session_id"))
_NOTE_CURSOR = sa.text(
    "INSERT INTO walk_cursors (session_id, digest) VALUES (:session_id, :digest) "
    "ON CONFLICT (session_id, digest) DO NOTHING"
)


def write_record(connection: sa.Connection, record: SessionRecord, before: SessionRecord) -> Session:
    """Write what an event has made of a locked session, and return the session."""
    session = record.session
    if session != before.session:
        row = row_from_session(session)
        del row["session_id"]
        connection.execute(_UPDATE_SESSION, row | {"b_session_id": session.session_id})
    if record.internals != before.internals:
        connection.execute(_UPDATE_INTERNALS, asdict(record.internals) | {"b_session_id": session.session_id})
    return session


def read_internals(connection: sa.Connection, session_id: str) -> SessionInternals | None:
    """Return what is remembered about a session."""
    query = sa.select(session_internals).where(session_internals.c.session_id == session_id)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else _internals_from_row(row)


def read_all_internals(connection: sa.Connection, session_ids: Sequence[str]) -> Mapping[str, SessionInternals]:
    """Return what is remembered about sessions, by their ids."""
    query = sa.select(session_internals).where(session_internals.c.session_id.in_(session_ids))
    rows = connection.execute(query).mappings()
    return {row["session_id"]: _internals_from_row(row) for row in rows}


def _internals_from_row(row: Mapping[Any, Any]) -> SessionInternals:
    values = {name: row[session_internals.c[name]] for name in _INTERNALS_FIELDS}
    values["recent_page_seconds"] = tuple(values["recent_page_seconds"] or ())
    return SessionInternals(**values)


def note_cursor(connection: sa.Connection, session_id: str, digest: str) -> bool:
    """Write down a cursor of this walk; False where the walk has used it before."""
    return connection.execute(_NOTE_CURSOR, {"session_id": session_id, "digest": digest}).rowcount == 1


def forget_lookups(connection: sa.Connection, session_id: str) -> None:
    """Forget what was answered about single SIMs to a session that is over."""
    connection.execute(sim_lookups.delete().where(sim_lookups.c.session_id == session_id))


def forget_cursors(connection: sa.Connection, session_id: str) -> None:
    """Forget the cursors of a walk that is over or starts again."""
    connection.execute(walk_cursors.delete().where(walk_cursors.c.session_id == session_id))
