"""SIMs that a walk missed, asked for one by one: whom to ask, and what was answered, until the sweep.

Runs inside the transaction that `store` opened and fenced; nothing here commits.
"""

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from sim_sync.core.lookups import AskedSim, LookedUp, LookupOutcome
from sim_sync.core.pages import PageDiff
from sim_sync.core.session import Session
from sim_sync.warehouse import pages
from sim_sync.warehouse.pages import stored_beside
from sim_sync.warehouse.seen import SeenNumbers, is_seen, is_unseen
from sim_sync.warehouse.tables import carrier_sims, sim_lookups

_sims, _lookups = carrier_sims.c, sim_lookups.c
_NAMES = (_sims.sim_id, _sims.iccid, _sims.iccid_raw)


def missed_sims(connection: sa.Connection, session: Session, limit: int) -> list[AskedSim]:
    """Return SIMs that the session has not seen and not asked for: first those that the sweep would mark vanished."""
    asked = sa.select(_lookups.sim_id).where(_lookups.session_id == session.session_id)
    query = (
        sa.select(*_NAMES)
        .where(is_unseen(session), _sims.sim_id.not_in(asked))
        .order_by(_sims.absent_since.is_(None), _sims.sim_id)
        .limit(limit)
    )
    return [AskedSim(*row) for row in connection.execute(query)]


def seen_sim(connection: sa.Connection, session: Session) -> AskedSim | None:
    """Return a SIM that the session has seen in the list."""
    asked = sa.select(_lookups.sim_id).where(_lookups.session_id == session.session_id)
    query = (
        sa.select(*_NAMES)
        .where(_sims.carrier == session.carrier, is_seen(session), _sims.sim_id.not_in(asked))
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else AskedSim(*row)


def is_answered(connection: sa.Connection, session: Session, asked: AskedSim) -> bool:
    """Return whether the answer about a SIM is written already: its acknowledgement may have been lost."""
    query = sa.select(sa.literal(1)).where(_lookups.session_id == session.session_id, _lookups.sim_id == asked.sim_id)
    return connection.execute(query).one_or_none() is not None


def write_answer(
    connection: sa.Connection,
    session: Session,
    asked: AskedSim,
    looked_up: LookedUp,
    now: datetime,
    *,
    seen: SeenNumbers,
) -> PageDiff:
    """Write an answer down, and the SIM as its page would have done it; return what that changed.

    A record that is stored under another id is another SIM: the answer is unclear, and the record is not written.
    """
    outcome, diff = looked_up.outcome, PageDiff()
    if outcome is LookupOutcome.FOUND and looked_up.sim is not None:
        settled = stored_beside(connection, session, [looked_up.sim], seen)
        if [sim.sim_id for sim in settled.sims] == [asked.sim_id]:
            diff = pages.write_settled(connection, session, settled, now)
            pages.write_changes(connection, session, diff.changes, now)
        else:
            outcome = LookupOutcome.UNCLEAR
    connection.execute(
        sim_lookups.insert().values(session_id=session.session_id, sim_id=asked.sim_id, outcome=outcome.value)
    )
    return diff


def count_answers(connection: sa.Connection, session: Session) -> Mapping[str, int]:
    """Return how many SIMs of a session were answered how."""
    query = (
        sa.select(_lookups.outcome, sa.func.count())
        .where(_lookups.session_id == session.session_id)
        .group_by(_lookups.outcome)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def ids_not_found(session: Session) -> sa.Select[tuple[str]]:
    """Return the query of the SIMs of which the carrier has said that they are not there."""
    return sa.select(_lookups.sim_id).where(
        _lookups.session_id == session.session_id, _lookups.outcome == LookupOutcome.NOT_FOUND.value
    )
