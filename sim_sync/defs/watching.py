"""Watches the lease on a session that is in other hands, until its owner has given a sign of life or is lost."""

from datetime import timedelta

import dagster as dg

from sim_sync.core.liveness import presumed_alive_until
from sim_sync.core.opening import Opened, Trigger
from sim_sync.core.session import Session, State
from sim_sync.core.watching import Finding, Look, finding
from sim_sync.defs.liveness import RENEWAL_SECONDS, owner_is_gone
from sim_sync.defs.runs import trigger_of
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
    _tell_watch(context, first.session)
    not_before = first.now + timedelta(seconds=RENEWAL_SECONDS)
    latest = first
    while (found := finding(first, latest, not_before=not_before)) is None:
        wait(_LOOK_EVERY_SECONDS)
        latest = _look(context, warehouse, carrier)
    return _refusal(warehouse, found, first.session, latest.session)


def _look(context: dg.OpExecutionContext, warehouse: Warehouse, carrier: str) -> Look:
    session = warehouse.sessions.open_session_of(carrier)
    now = warehouse.sessions.now()
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
