"""Leaves the reason in the carrier's session where a run cannot even open it: there is where people look for it."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from sim_sync.core.errors import SimSyncError, TransientError
from sim_sync.core.opening import FailedOpening, Trigger
from sim_sync.defs.liveness import owners_of
from sim_sync.defs.partitions import SESSION_TAG
from sim_sync.defs.runs import trigger_of
from sim_sync.warehouse import Warehouse


@contextmanager
def reason_kept_in_session(context: dg.OpExecutionContext, warehouse: Warehouse, *, last_retry: int) -> Iterator[None]:
    """Let the session fail that this run was to open, with the reason, where the run fails for good in here.

    Not for a run that a person started: the person sees the reason, and what is wrong may be wrong in their shell only.
    What a retry may help is left to it, up to the `last_retry` of the op, and to the sensor, which counts
    (`core.resuming`).
    """
    try:
        yield
    except (TransientError, dg.Failure):  # a Failure says that the session has failed before
        raise
    except SimSyncError as error:
        _write_down(context, warehouse, str(error))
        raise
    except Exception as error:
        if context.retry_number >= last_retry:
            _write_down(context, warehouse, f"{type(error).__name__}, see run {context.run_id} in Dagster")
        raise


def _write_down(context: dg.OpExecutionContext, warehouse: Warehouse, reason: str) -> None:
    if trigger_of(context) is Trigger.OPERATOR:
        return
    carrier = context.partition_key
    try:
        owners = owners_of(context.instance, warehouse, carrier)
        failed = FailedOpening(
            carrier=carrier,
            owner=context.run_id,
            reason=" ".join(reason.split()),
            session_id=context.run.tags.get(SESSION_TAG),
            gone_owners=owners.gone,
            present_owners=owners.present,
        )
        warehouse.sessions.fail_opening(failed)
    except SimSyncError as refused:
        context.log.warning(f"{carrier}: the reason could not be written into its session: {refused}")
