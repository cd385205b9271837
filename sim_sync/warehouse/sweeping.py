"""The end of a walk in the tables: what it did not see is marked, or held until a person decides."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

import sqlalchemy as sa

from sim_sync.core import session_events
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
from sim_sync.core.lookups import LookupOutcome, LookupPlan, counts_of, with_lookups
from sim_sync.core.session import Session, SessionRecord, State, SweepState, unknown_session
from sim_sync.core.sweep import SweepDecision, SweepPolicy, WalkFacts, decide_sweep, facts_of
from sim_sync.core.sync import CrashPoint
from sim_sync.warehouse import lookups, seen, sessions
from sim_sync.warehouse.differences import other_forms_of
from sim_sync.warehouse.tables import carrier_sims
from sim_sync.warehouse.temporary import analyzed, temporary_table

# The end of a walk in the tables: count what it saw, and mark what it did not see, if it may.
#
# Which walks may is decided in `core.sweep`. It sweeps by the session, never by the run: a walk takes many runs.


_sims = carrier_sims.c


def sweep(
    connection: sa.Connection, record: SessionRecord, policy: SweepPolicy, *, config_hash: str, now: datetime
) -> tuple[SweepDecision, int]:
    """Decide what becomes of the SIMs that the session did not see, and mark them if that is the decision.

    Returns the decision, and how many distinct SIMs the session saw.
    """
    with seen.laid_out(connection, record.session):
        facts, answers = walk_facts(connection, record, config_hash)
        decision = decide_sweep(facts, policy)
        seen.settle_earlier_walks(connection, record.session, misses=facts.unseen > 0)
        if decision.state is SweepState.DONE and facts.unseen:
            mark_unseen(connection, record.session, now)
    return with_lookups(decision, counts_of(record, answers), policy.lookup_limit), facts.sims_seen


def plan_lookups(
    connection: sa.Connection, record: SessionRecord, policy: SweepPolicy, *, config_hash: str, now: datetime
) -> tuple[LookupPlan, SessionRecord]:
    """Return whom the session has still to ask for, and what that makes of it.

    Nobody, where the sweep would be held or skipped: a fleet that seems gone is a person's to look at, and what a walk
    that is not whole has missed says nothing.
    """
    with seen.laid_out(connection, record.session):
        return _plan_lookups(connection, record, policy, config_hash, now)


def _plan_lookups(
    connection: sa.Connection, record: SessionRecord, policy: SweepPolicy, config_hash: str, now: datetime
) -> tuple[LookupPlan, SessionRecord]:
    session = record.session
    facts, answers = walk_facts(connection, record, config_hash)
    may_ask = session.state is State.RUNNING and decide_sweep(facts, policy).state is SweepState.DONE
    if not (may_ask and facts.unseen):
        return LookupPlan(session), record
    still_allowed = max(policy.lookup_limit - session.lookups_done, 0)
    missed = lookups.missed_sims(connection, session, still_allowed)
    unasked = facts.unseen - answers.get(LookupOutcome.NOT_FOUND, 0) - answers.get(LookupOutcome.UNCLEAR, 0)
    after = session_events.lookups_planned(record, len(missed), max(unasked - len(missed), 0), now)
    return LookupPlan(after.session, missed, lookups.seen_sim(connection, session)), after


def walk_facts(
    connection: sa.Connection, record: SessionRecord, config_hash: str
) -> tuple[WalkFacts, Mapping[str, int]]:
    """Count what the session saw and missed, and how its lookups were answered. What it saw is laid out."""
    session = record.session

    def counted(condition: sa.ColumnElement[bool], where: sa.ColumnElement[bool]) -> tuple[int, int]:
        some = sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)
        every, of_these = connection.execute(sa.select(sa.func.count(), some).where(where)).one()
        return int(every), int(of_these)

    there = sa.and_(_sims.carrier == session.carrier, _sims.vanished_at.is_(None))
    # SIMs that this walk added are not "known" yet: the guard compares with what was there before.
    sims_there, sims_known = counted(_sims.first_session_number < session.session_number, there)
    unseen, newly_missing = counted(_sims.absent_since.is_(None), seen.is_unseen(session))
    # A SIM that was looked up is there, and yet the list has not shown it: of the walk itself it proves nothing.
    answers = lookups.count_answers(connection, session) if session.lookups_done else {}
    facts = facts_of(
        record,
        sims_seen=sims_there - unseen - answers.get(LookupOutcome.FOUND, 0),
        sims_known=sims_known,
        newly_missing=newly_missing - (_seen_in_other_form(connection, session) if newly_missing else 0),
        unseen=unseen,
        config_hash=config_hash,
    )
    return facts, answers


def _seen_in_other_form(connection: sa.Connection, session: Session) -> int:
    """Count the SIMs of which the walk has seen the other form of the ICCID that is their id: they are not missing.

    Rows of both forms are there where an earlier version took the other form for another SIM.
    """
    other = carrier_sims.alias("other")
    is_other_seen = sa.exists().where(
        other.c.carrier == session.carrier,
        other.c.iccid.in_(other_forms_of(_sims.iccid)),
        other.c.iccid == other.c.sim_id,
        seen.is_seen(session, other),
    )
    query = sa.select(sa.func.count()).where(
        seen.is_unseen(session),
        _sims.absent_since.is_(None),
        _sims.iccid == _sims.sim_id,
        is_other_seen,
    )
    return int(connection.execute(query).scalar_one())


def mark_unseen(connection: sa.Connection, session: Session, now: datetime) -> None:
    """Mark SIMs missed for the first time as absent.

    Those that an earlier walk missed too, or that the carrier itself has said not to be there, are vanished.
    """
    unseen = seen.is_unseen(session)
    is_gone = sa.or_(_sims.absent_since.is_not(None), _sims.sim_id.in_(lookups.ids_not_found(session)))
    # First those that are gone, so that nobody passes both stations in one night without a lookup.
    connection.execute(
        carrier_sims.update()
        .where(unseen, is_gone)
        .values(vanished_at=now, absent_since=sa.func.coalesce(_sims.absent_since, now))
    )
    connection.execute(carrier_sims.update().where(unseen, _sims.absent_since.is_(None)).values(absent_since=now))


# A held sweep in the tables: what it would mark, shown to a person, and marked if that person approves.
#
# Runs inside the transaction that `store` opened. The SIMs are read once, into a temporary table; what is shown, its
# digest and what is marked all come from that, and a SIM that somebody has written since is not marked.


_FETCHED_AT_ONCE = 1000
_ABSENT, _VANISHED = "absent", "vanished"
_SHOWN = ("sim_id", "iccid", "status", "rate_plan", "account")

#: What approving would mark, and as what. By `last_seen_session` it is noticed that a SIM was seen again.
_unseen = temporary_table("unseen_sims", *_SHOWN, "last_seen_session", "mark", key=("sim_id",), numbers=("sim_number",))


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
        _refuse_seen_again(connection, record.session)
        marked = Marked(
            absent=_mark(connection, record.session, _ABSENT, now),
            vanished=_mark(connection, record.session, _VANISHED, now),
        )
    if marked != expected:
        raise changed_meanwhile(record.session.carrier)
    return marked


def _refuse_seen_again(connection: sa.Connection, session: Session) -> None:
    """Refuse where a session at work has noted one of the SIMs since they were read, and let it note none any more.

    The carrier is locked, so that no session is opened meanwhile.
    """
    if connection.dialect.name != "postgresql":  # there a writer is alone
        return
    sessions.keep_pages_out(connection, session.carrier)
    # The carrier's pages wait from here on: the fleet that the session itself has noted is not laid out again.
    with seen.laid_out_of_later(connection, session):
        query = sa.select(sa.func.count()).select_from(_unseen).where(seen.is_noted(_unseen))
        if connection.execute(query).scalar_one():
            raise changed_meanwhile(session.carrier)


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
    columns = [*(_sims[name] for name in _SHOWN), _sims.last_seen_session, mark, _sims.sim_number]
    with seen.laid_out(connection, session, and_later=True):
        query = sa.select(*columns).where(seen.is_unseen_since(session))
        connection.execute(_unseen.insert().from_select([column.name for column in _unseen.columns], query))
    analyzed(connection, _unseen)
    yield
    _unseen.drop(connection)


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
