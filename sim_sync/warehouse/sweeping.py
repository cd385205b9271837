"""The end of a walk in the tables: count what it saw, and mark what it did not see, if it may.

Which walks may is decided in `core.sweep`. It sweeps by the session, never by the run: a walk takes many runs.
"""

from datetime import datetime

import sqlalchemy as sa

from sim_sync.core.session import Session, SessionRecord, SweepState
from sim_sync.core.sweep import SweepDecision, SweepPolicy, WalkFacts, decide_sweep, facts_of
from sim_sync.warehouse.other_forms import other_forms_of
from sim_sync.warehouse.tables import carrier_sims

_sims = carrier_sims.c


def sweep(
    connection: sa.Connection, record: SessionRecord, policy: SweepPolicy, *, config_hash: str, now: datetime
) -> tuple[SweepDecision, int]:
    """Decide what becomes of the SIMs that the session did not see, and mark them if that is the decision.

    Returns the decision, and how many distinct SIMs the session saw.
    """
    facts, unseen = walk_facts(connection, record, config_hash)
    decision = decide_sweep(facts, policy)
    if decision.state is SweepState.DONE and unseen:
        mark_unseen(connection, record.session, now)
    return decision, facts.sims_seen


def walk_facts(connection: sa.Connection, record: SessionRecord, config_hash: str) -> tuple[WalkFacts, int]:
    """Count what the session saw and missed, in one pass over the carrier's SIMs; and how many are to be marked."""
    session = record.session
    seen = _sims.last_seen_session == session.session_id
    there = _sims.vanished_at.is_(None)

    def count(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)

    # SIMs that this walk added are not "known" yet: the guard compares with what was there before.
    known_before = sa.and_(there, _sims.first_session_number < session.session_number)
    query = sa.select(
        count(seen),
        count(known_before),
        count(sa.and_(~seen, there, _sims.absent_since.is_(None))),
        count(sa.and_(~seen, there)),
    ).where(_sims.carrier == session.carrier)
    sims_seen, sims_known, newly_missing, unseen = connection.execute(query).one()
    facts = facts_of(
        record,
        sims_seen=int(sims_seen),
        sims_known=int(sims_known),
        newly_missing=int(newly_missing) - (_seen_in_other_form(connection, session) if newly_missing else 0),
        unseen=int(unseen),
        config_hash=config_hash,
    )
    return facts, int(unseen)


def _seen_in_other_form(connection: sa.Connection, session: Session) -> int:
    """Count the SIMs of which the walk has seen the other form of the ICCID that is their id: they are not missing.

    Rows of both forms are there where an earlier version took the other form for another SIM.
    """
    other = carrier_sims.alias("other")
    is_seen = sa.exists().where(
        other.c.carrier == session.carrier,
        other.c.iccid.in_(other_forms_of(_sims.iccid)),
        other.c.iccid == other.c.sim_id,
        other.c.last_seen_session == session.session_id,
    )
    query = sa.select(sa.func.count()).where(
        _sims.carrier == session.carrier,
        _sims.last_seen_session != session.session_id,
        _sims.vanished_at.is_(None),
        _sims.absent_since.is_(None),
        _sims.iccid == _sims.sim_id,
        is_seen,
    )
    return int(connection.execute(query).scalar_one())


def mark_unseen(connection: sa.Connection, session: Session, now: datetime) -> None:
    """Mark SIMs missed for the first time as absent, and those that an earlier walk missed too as vanished."""
    unseen = sa.and_(
        _sims.carrier == session.carrier,
        _sims.last_seen_session != session.session_id,
        _sims.vanished_at.is_(None),
    )
    # First those that were absent before, so that nobody passes both stations in one night.
    connection.execute(carrier_sims.update().where(unseen, _sims.absent_since.is_not(None)).values(vanished_at=now))
    connection.execute(carrier_sims.update().where(unseen, _sims.absent_since.is_(None)).values(absent_since=now))
