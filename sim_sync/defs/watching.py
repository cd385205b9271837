"""Watches the lease on a session that is in other hands, and how runs ended that never got to their session."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from sim_sync.core.errors import SimSyncError, TransientError
from sim_sync.core.liveness import Finding, Look, RunLease, finding, presumed_alive_until, renewal_seconds
from sim_sync.core.opening import Opened, Trigger
from sim_sync.core.resuming import Death
from sim_sync.core.session import Session, State
from sim_sync.defs.liveness import bring_back_leases, owner_is_gone
from sim_sync.defs.runs import trigger_of
from sim_sync.warehouse import Warehouse
from sim_sync.worker.lease import Wait

# Watches the lease on a session that is in other hands, until its owner has given a sign of life or is lost.


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


# How a run ended that never got to its session, from what Dagster has written down about it.


#: The step that takes the session over; what failed beside it does not keep it from doing so.
_OPENING = "open_session"
_FAILURES = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
_LONGEST_REASON = 2000
#: Dagster's words for the end of a run whose process could say nothing; what Dagster saw of it stands before.
_FROM_OUTSIDE = "from outside the execution context"


def death_of(instance: dg.DagsterInstance, run_id: str) -> Death:
    """Return how a run ended that has ended as failed."""
    events = [
        entry.dagster_event for entry in instance.all_logs(run_id, of_type=_FAILURES) if entry.dagster_event is not None
    ]
    opening = [event for event in events if (event.step_key or "").endswith(_OPENING)]
    event = next(iter([*opening, *reversed(events)]), None)
    if event is None:
        return Death("it left no word")
    death = _death(event, run_id)
    seen = _last_seen(instance, run_id) if _FROM_OUTSIDE in death.reason else None
    return death if seen is None else replace(death, reason=_one_line(f"{seen} {death.reason}"))


def _last_seen(instance: dg.DagsterInstance, run_id: str) -> str | None:
    """Return what Dagster last told of the run's process, such as the signal that killed it."""
    entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    told = [entry.dagster_event.message for entry in entries if entry.dagster_event is not None]
    return next(filter(None, reversed(told)), None)


def _death(event: dg.DagsterEvent, run_id: str) -> Death:
    data: Any = event.event_specific_data
    described = getattr(getattr(data, "user_failure_data", None), "description", None)
    errors = list(_errors(getattr(data, "error", None)))
    may_pass = any(error.cls_name in _names_below(TransientError) for error in errors)
    return Death(_one_line(described or _told(errors, run_id) or event.message or "it left no word"), may_pass)


def _errors(error: Any) -> Iterator[Any]:
    while error is not None:
        yield error
        error = error.cause


def _told(errors: Sequence[Any], run_id: str) -> str | None:
    """Return the text of an error of our own; of another one only its name: its text may quote a secret."""
    ours = next((error for error in errors if error.cls_name in {*_names_below(SimSyncError), "Failure"}), None)
    if ours is not None:
        # Dagster puts the name of the class with its module before the text.
        return str(ours.message).partition(": ")[2] or ours.cls_name
    return f"{errors[-1].cls_name}, see run {run_id} in Dagster" if errors else None


def _names_below(kind: type[SimSyncError]) -> frozenset[str]:
    return frozenset({kind.__name__}).union(*map(_names_below, kind.__subclasses__()))


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_REASON]
