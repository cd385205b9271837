"""Watches the lease on a session that is in other hands, until its owner has given a sign of life or is lost."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import dagster as dg

from sim_sync.core.liveness import RunLease, presumed_alive_until, renewal_seconds
from sim_sync.core.opening import Opened, Trigger
from sim_sync.core.session import Session, State
from sim_sync.core.watching import Finding, Look, finding
from sim_sync.defs.liveness import owner_is_gone
from sim_sync.defs.runs import trigger_of
from sim_sync.defs.stray_leases import bring_back_leases
from sim_sync.warehouse import Warehouse
from sim_sync.worker.kept_run import Wait

_LOOK_EVERY_SECONDS = 0.5


def watch_owner(context: dg.OpExecutionContext, warehouse: Warehouse, carrier: str, *, wait: Wait) -> Opened | None:
    """Return the refusal where the session's owner is at work; None where the session may be asked for.

    Only a person waits for the end of a lease that holds. One that has run out is watched for a moment by everybody:
    its owner may be about to renew it.
    """
    first = _look(context, warehouse, carrier)
    if first.session is None or not _is_in_other_hands(context, first):
        return None
    held = first.session
    _tell_watch(context, held)
    latest = first
    while (found := finding(first, latest, not_before=_not_before(first))) is None:
        wait(_LOOK_EVERY_SECONDS)
        latest = _look(context, warehouse, carrier)
        if latest.now < first.now:  # the clock was put back: what was seen before says nothing about times
            first = latest
    return _refusal(warehouse, found, held, latest.session)


def _not_before(first: Look) -> datetime:
    overdue = [] if first.alive_until is None else [first.alive_until]
    return first.now + timedelta(seconds=renewal_seconds(overdue, first.now))


def _look(context: dg.OpExecutionContext, warehouse: Warehouse, carrier: str) -> Look:
    session = warehouse.sessions.open_session_of(carrier)
    now = warehouse.sessions.now()
    if session is not None and bring_back_leases(warehouse, [session], _leases_of(warehouse, session), now):
        session = warehouse.sessions.open_session_of(carrier)
    if session is None or session.owner is None:
        return Look(now, session)
    process = warehouse.sessions.internals(session.session_id).process
    return Look(
        now,
        session,
        alive_until=presumed_alive_until([session], warehouse.runs.read()).get(session.owner),
        is_gone=owner_is_gone(context.instance, session.owner, process),
        can_renew=warehouse.runs.can_be_renewed(),
    )


def _leases_of(warehouse: Warehouse, session: Session) -> Sequence[RunLease]:
    return [lease for lease in warehouse.runs.read() if lease.run_id == session.owner]


def _is_in_other_hands(context: dg.OpExecutionContext, look: Look) -> bool:
    session = look.session
    if session is None or session.state is not State.RUNNING or session.owner == context.run_id or look.is_gone:
        return False
    has_run_out = look.alive_until is None or look.alive_until <= look.now
    return has_run_out or trigger_of(context) is Trigger.OPERATOR


def _tell_watch(context: dg.OpExecutionContext, session: Session) -> None:
    until = f" until {session.lease_expires_at:%H:%M:%S} UTC" if session.lease_expires_at else ""
    context.log.info(f"{session.carrier}: run {session.owner} holds the lease{until}; watching whether it renews it")


def _refusal(warehouse: Warehouse, found: Finding, before: Session, after: Session | None) -> Opened | None:
    if found is Finding.AT_WORK and after is not None:
        return Opened(after, refusal=f"at work in run {after.owner}, which has just given a sign of life")
    if found is Finding.LEFT:
        session = warehouse.sessions.session(before.session_id)
        if session.state is State.COMPLETED:
            return Opened(session, refusal=f"run {session.owner} was at work on it and has just completed it")
    return None
