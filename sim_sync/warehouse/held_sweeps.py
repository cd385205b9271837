"""A held sweep in the tables: what it would mark, shown to a person, and marked if that person approves.

Runs inside the transaction that `store` opened. The SIMs are read once, into a temporary table; what is shown, its
digest and what is marked all come from that, and a SIM that somebody has written since is not marked.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import sqlalchemy as sa

from sim_sync.core import session_events
from sim_sync.core.claims import unknown_session
from sim_sync.core.crash_points import CrashPoint
from sim_sync.core.held_sweep import (
    GroupCount,
    Marked,
    OperatorDecision,
    ShownSweep,
    SweepChoice,
    UnseenSim,
    changed_meanwhile,
    held_session,
    require_as_shown,
    sweep_digest,
)
from sim_sync.core.session import Session, SessionRecord
from sim_sync.warehouse import sessions
from sim_sync.warehouse.tables import carrier_sims, sync_sessions
from sim_sync.warehouse.temporary import analyzed, temporary_table

_FETCHED_AT_ONCE = 1000
_ABSENT, _VANISHED = "absent", "vanished"
_SHOWN = ("sim_id", "iccid", "status", "rate_plan", "account")

#: What approving would mark, and as what. By `last_seen_session` it is noticed that a SIM was seen again.
_unseen = temporary_table("unseen_sims", *_SHOWN, "last_seen_session", "mark", key=("sim_id",))
_sims = carrier_sims.c


def lock_held(connection: sa.Connection, carrier: str) -> sessions.Locked:
    """Lock the session whose sweep waits for a person.

    Raises:
        InputError: the carrier has no held sweep.
    """
    held = held_session(carrier, sessions.read_sweep_history(connection, carrier))
    locked = sessions.lock_session(connection, held.session_id)
    if locked is None:
        raise unknown_session(held.claim)
    return locked


def show(connection: sa.Connection, record: SessionRecord, *, most: int) -> ShownSweep:
    """Return what approving would mark, lists capped at `most`, and write down that a person has seen it."""
    session = record.session
    with _collected(connection, session):
        digest, marked = _digest(connection, session), _counted(connection)
        shown = ShownSweep(
            session=session,
            digest=digest,
            absent=marked.absent,
            vanished=marked.vanished,
            by_status=_by(connection, "status", most),
            by_rate_plan=_by(connection, "rate_plan", most),
            by_account=_by(connection, "account", most),
            listed=_listed(connection, most),
        )
    sessions.write_record(connection, session_events.sweep_shown(record, digest), record)
    return shown


def decide(
    connection: sa.Connection, record: SessionRecord, decision: OperatorDecision, now: datetime, *, at: CrashPoint
) -> tuple[Session, Marked]:
    """Write a person's decision down, and mark what they approved; return the session and how many SIMs were marked.

    Raises:
        InputError: the sweep is not held any more, or what would be marked is not what was shown.
    """
    after = session_events.sweep_decided(record, decision, now)
    marked = Marked()
    if decision.choice is SweepChoice.APPROVE:
        marked = _mark_as_shown(connection, record, decision, now, at)
    return sessions.write_record(connection, after, record), marked


def _mark_as_shown(
    connection: sa.Connection, record: SessionRecord, decision: OperatorDecision, now: datetime, at: CrashPoint
) -> Marked:
    with _collected(connection, record.session):
        require_as_shown(record, decision, _digest(connection, record.session))
        expected = _counted(connection)
        at("decide_sweep:compared")
        marked = Marked(
            absent=_mark(connection, record.session, _ABSENT, now),
            vanished=_mark(connection, record.session, _VANISHED, now),
        )
    if marked != expected:
        raise changed_meanwhile(record.session.carrier)
    return marked


def _mark(connection: sa.Connection, session: Session, mark: str, now: datetime) -> int:
    """Mark the SIMs that are as they were read, and return how many these were.

    Under PostgreSQL a session at work may have seen one of them in between: the conditions are tested on the row as it
    is now, whichever statement came first.
    """
    is_first_miss = mark == _ABSENT
    missed_before = _sims.absent_since.is_(None) if is_first_miss else _sims.absent_since.is_not(None)
    unmarked = sa.and_(_sims.vanished_at.is_(None), missed_before)
    as_read = sa.and_(_sims.sim_id == _unseen.c.sim_id, _sims.last_seen_session == _unseen.c.last_seen_session)
    update = (
        carrier_sims.update()
        .where(_sims.carrier == session.carrier, as_read, unmarked, _unseen.c.mark == mark)
        .values({"absent_since" if is_first_miss else "vanished_at": now})
    )
    return connection.execute(update).rowcount


# --- what would be marked --------------------------------------------------------------------------------------------


@contextmanager
def _collected(connection: sa.Connection, session: Session) -> Iterator[None]:
    """Have the temporary table while the block runs; after an error the transaction's end drops it."""
    _unseen.create(connection)
    mark = sa.case((_sims.absent_since.is_(None), _ABSENT), else_=_VANISHED)
    query = sa.select(*(_sims[name] for name in _SHOWN), _sims.last_seen_session, mark).where(_not_seen(session))
    connection.execute(_unseen.insert().from_select([column.name for column in _unseen.columns], query))
    analyzed(connection, _unseen)
    yield
    _unseen.drop(connection)


def _not_seen(session: Session) -> sa.ColumnElement[bool]:
    """Return the condition of the SIMs that neither the session nor any later one has seen."""
    walks = sync_sessions.c
    since = sa.select(walks.session_id).where(
        walks.carrier == session.carrier, walks.session_number >= session.session_number
    )
    return sa.and_(_sims.carrier == session.carrier, _sims.vanished_at.is_(None), _sims.last_seen_session.not_in(since))


def _digest(connection: sa.Connection, session: Session) -> str:
    query = sa.select(_unseen.c.sim_id, _unseen.c.mark == _VANISHED).order_by(_unseen.c.sim_id)
    rows = connection.execute(query, execution_options={"yield_per": _FETCHED_AT_ONCE})
    return sweep_digest(session.session_id, ((sim_id, bool(vanishes)) for sim_id, vanishes in rows))


def _counted(connection: sa.Connection) -> Marked:
    query = sa.select(_unseen.c.mark, sa.func.count()).group_by(_unseen.c.mark)
    return Marked(**{row[0]: row[1] for row in connection.execute(query)})


def _by(connection: sa.Connection, column: str, most: int) -> list[GroupCount]:
    value, sims = _unseen.c[column], sa.func.count()
    query = sa.select(value, sims).group_by(value).order_by(sims.desc(), value.is_(None), value).limit(most)
    return [GroupCount(*row) for row in connection.execute(query)]


def _listed(connection: sa.Connection, most: int) -> list[UnseenSim]:
    shown = [_unseen.c[name] for name in _SHOWN]
    query = sa.select(*shown, _unseen.c.mark).order_by(_unseen.c.sim_id).limit(most)
    return [UnseenSim._make((*values, mark == _VANISHED)) for *values, mark in connection.execute(query)]
