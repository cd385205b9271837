"""Leaves the reason in the carrier's session where a run cannot even open it: there is where people look for it."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from sim_sync.core.errors import SimSyncError, TransientError
from sim_sync.core.opening import Trigger
from sim_sync.core.resuming import why_resumable
from sim_sync.core.session import Event
from sim_sync.defs.liveness import owners_of
from sim_sync.defs.runs import trigger_of
from sim_sync.warehouse import Warehouse


@contextmanager
def reason_kept_in_session(context: dg.OpExecutionContext, warehouse: Warehouse) -> Iterator[None]:
    """Let the session fail that this run was to resume, with the reason, where the run fails for good in here.

    Not for a run that a person started: the person sees the reason, and what is wrong may be wrong in their shell only.
    What a retry may help is left to it, and to the sensor, which counts (`core.resuming`).
    """
    try:
        yield
    except TransientError:
        raise
    except SimSyncError as error:
        if trigger_of(context) is not Trigger.OPERATOR:
            _let_it_fail(context, warehouse, error)
        raise


def _let_it_fail(context: dg.OpExecutionContext, warehouse: Warehouse, reason: SimSyncError) -> None:
    sessions, carrier = warehouse.sessions, context.partition_key
    try:
        session = sessions.open_session_of(carrier)
        owners = owners_of(context.instance, warehouse, carrier)
        if session is not None and why_resumable(session, owners.gone, sessions.now(), owners.present) is not None:
            sessions.move_by_operator(carrier, Event.GAVE_UP, error=" ".join(str(reason).split()))
    except SimSyncError as refused:
        context.log.warning(f"{carrier}: the reason could not be written into its session: {refused}")
