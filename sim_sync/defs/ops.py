"""The three ops of `carrier_sims`: open a session, walk it page by page, close it.

An op that yields nothing skips what comes after it: a parked, paused or budget-stopped run ends green and materializes
nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg

from sim_sync.config import CarrierConfig, Config
from sim_sync.core.opening import Opened, Trigger
from sim_sync.core.session import Session, State, SweepState
from sim_sync.core.sync import StopReason
from sim_sync.defs.dry_run import walk_dry
from sim_sync.defs.failed_opening import reason_kept_in_session
from sim_sync.defs.liveness import gone_owners
from sim_sync.defs.partitions import SESSION_TAG
from sim_sync.defs.progress import CheckpointReporter, progress_line, session_metadata
from sim_sync.defs.runs import introduce_run, tag_session, trigger_of, was_terminated
from sim_sync.defs.telling import RunInterrupted, failure, told_to_dagster
from sim_sync.warehouse import Warehouse
from sim_sync.worker.carrier_work import close_carrier, open_carrier, walk_carrier
from sim_sync.worker.stopping import Stop
from sim_sync.worker.work import Outcome

#: The outer net for what the step's own backoff does not ride out: a database that stays away, a bug. At most
#: (2 + 6 + 14) s plus jitter of waiting; Dagster's exponential delay has no ceiling, so the number of retries is small.
RETRIES = dg.RetryPolicy(max_retries=3, delay=2, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)

CARRIER_SIMS = dg.AssetKey("carrier_sims")


class OpenSessionConfig(dg.Config):
    """How a person may want a walk to be."""

    #: Give up the open session, if there is one, and walk from the first page.
    restart: bool = False
    #: Stop after this many pages; the sensor or the next run goes on from there. Null walks to the end.
    max_pages: int | None = None
    #: Fetch and compare, but write nothing to the warehouse.
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """What `open_session` hands on: the claimed session, and the page budget of this run."""

    session_id: str
    fence: int
    max_pages: int | None


@dg.op(out=dg.Out(WorkOrder, is_required=False), retry_policy=RETRIES)
def open_session(
    context: dg.OpExecutionContext,
    config: OpenSessionConfig,
    sync_config: dg.ResourceParam[Config],
    warehouse: dg.ResourceParam[Warehouse],
) -> Iterator[dg.Output[WorkOrder]]:
    """Open the carrier's session, or take over the one that is open. What must not be touched is left alone, green."""
    with told_to_dagster():
        if config.dry_run:
            introduce_run(context)
            walk_dry(context, sync_config.carrier(context.partition_key), warehouse, max_pages=config.max_pages)
            return
        with reason_kept_in_session(context, warehouse):
            carrier = sync_config.carrier(context.partition_key)
            introduce_run(context)
            if _is_over_already(context, warehouse):
                return
            opened = _open(context, carrier, warehouse, restart=config.restart)
        if opened.refusal is not None:
            _tell_refusal(context, opened)
            return
        session = opened.session
        tag_session(context, session.session_id)
        context.log.info(_opening_line(session))
    yield dg.Output(WorkOrder(session.session_id, session.fence, config.max_pages))


def _is_over_already(context: dg.OpExecutionContext, warehouse: Warehouse) -> bool:
    """Return whether the session that the sensor sent this run for was finished by another run meanwhile.

    Dagster's own retry of a dead run and the sensor's run may both be on their way: the later one must not walk anew.
    """
    session_id = context.run.tags.get(SESSION_TAG)
    if session_id is None or trigger_of(context) is not Trigger.SENSOR:
        return False
    session = warehouse.sessions.session(session_id)
    if not session.is_open:
        context.log.info(f"{session.carrier}: session {session_id} is {session.state.value} by now: nothing to resume")
    return not session.is_open


def _open(context: dg.OpExecutionContext, carrier: CarrierConfig, warehouse: Warehouse, *, restart: bool) -> Opened:
    return open_carrier(
        carrier,
        warehouse.sessions,
        owner=context.run_id,
        trigger=trigger_of(context),
        restart=restart,
        gone_owners=gone_owners(context.instance, warehouse, carrier.name),
    )


def _tell_refusal(context: dg.OpExecutionContext, opened: Opened) -> None:
    if opened.session.state is State.FAILED:
        raise failure(f"carrier {opened.session.carrier}: {opened.refusal}")
    context.log.warning(f"carrier {opened.session.carrier} is left alone: {opened.refusal}")
    context.log_event(_observation(opened.session))


def _opening_line(session: Session) -> str:
    if session.fence == 1:
        return f"{session.carrier}: new session {session.session_id}"
    return (
        f"{session.carrier}: session {session.session_id} goes on after page {session.pages_done} "
        f"(fence {session.fence}); the last error was: {session.last_error or 'none'}"
    )


@dg.op(out=dg.Out(WorkOrder, is_required=False), retry_policy=RETRIES)
def sync_pages(
    context: dg.OpExecutionContext,
    order: WorkOrder,
    sync_config: dg.ResourceParam[Config],
    warehouse: dg.ResourceParam[Warehouse],
) -> Iterator[dg.Output[WorkOrder]]:
    """Walk the session page by page; each page is one transaction with its rows, its history and its checkpoint."""
    with told_to_dagster():
        carrier = sync_config.carrier(context.partition_key)
        session = _claimed(context, order, carrier, warehouse)
        if session is None:
            return
        if session.state is not State.COMPLETED:
            stop = Stop()
            outcome = walk_carrier(
                carrier,
                warehouse.sessions,
                session,
                stop=stop,
                max_pages=order.max_pages,
                on_checkpoint=CheckpointReporter(lambda checkpoint: _report_and_listen(context, checkpoint, stop)),
                was_terminated=lambda: was_terminated(context.instance, context.run_id),
            )
            _report(context, outcome.session)
            _tell_outcome(context, outcome, stop)
            if outcome.stopped_by is not None:
                return
            session = outcome.session
    yield dg.Output(WorkOrder(session.session_id, session.fence, order.max_pages))


def _claimed(
    context: dg.OpExecutionContext, order: WorkOrder, carrier: CarrierConfig, warehouse: Warehouse
) -> Session | None:
    """Return the session under a claim of this run, or completed by another one; None where it is to be left alone.

    A retry of the op, or of the run, claims it anew: of an earlier attempt somebody may still be alive.
    """
    session = warehouse.sessions.session(order.session_id)
    is_ours = session.owner == context.run_id and session.fence == order.fence and session.state is State.RUNNING
    if (is_ours and context.retry_number == 0) or session.state is State.COMPLETED:
        return session
    if not session.is_open:
        context.log.warning(f"{session.carrier}: session {session.session_id} is {session.state.value} by now")
        return None
    opened = _open(context, carrier, warehouse, restart=False)
    if opened.refusal is not None:
        _tell_refusal(context, opened)
        return None
    return opened.session


def _report(context: dg.OpExecutionContext, session: Session) -> None:
    context.log.info(progress_line(session))
    context.log_event(_observation(session))


def _report_and_listen(context: dg.OpExecutionContext, session: Session, stop: Stop) -> None:
    """Report a checkpoint, and hear of a *Terminate* that could not be sent: its code server was another one."""
    _report(context, session)
    if was_terminated(context.instance, context.run_id):
        stop.request(StopReason.PAUSED)


def _observation(session: Session) -> dg.AssetObservation:
    return dg.AssetObservation(CARRIER_SIMS, partition=session.carrier, metadata=session_metadata(session))


def _tell_outcome(context: dg.OpExecutionContext, outcome: Outcome, stop: Stop) -> None:
    session, error = outcome.session, outcome.error
    match outcome.stopped_by:
        case None:
            return
        case StopReason.FAILED:
            raise failure(str(error or session.last_error))
        case StopReason.FENCED:
            raise failure(f"fenced: {error}")
        case StopReason.PARKED:
            context.log.warning(f"{session.carrier}: parked until {session.not_before}: {error}")
        case _:
            context.log.warning(f"{session.carrier}: {session.state.value}: {outcome.stopped_by.value}")
    if stop.signal_number is not None or was_terminated(context.instance, context.run_id):
        # Interrupted is not success: the session is safe, and the run ends as canceled; as failed, where nobody asked.
        raise RunInterrupted(f"{session.carrier}: {session.state.value} after page {session.pages_done}")


@dg.op(out=dg.Out(dg.Nothing, is_required=False), retry_policy=RETRIES)
def close_session(
    context: dg.OpExecutionContext,
    order: WorkOrder,
    sync_config: dg.ResourceParam[Config],
    warehouse: dg.ResourceParam[Warehouse],
) -> Iterator[dg.Output[None]]:
    """Certify the walk, sweep if it may, and complete the session."""
    with told_to_dagster():
        carrier = sync_config.carrier(context.partition_key)
        claimed = _claimed(context, order, carrier, warehouse)
        if claimed is None:
            return
        session = close_carrier(carrier, warehouse.sessions, claimed)
        context.log.info(progress_line(session))
        if session.state is not State.COMPLETED:
            context.log.warning(f"{session.carrier}: {session.state.value} just before its end")
            return
        if session.sweep_state in {SweepState.HELD, SweepState.SKIPPED}:
            context.log.warning(f"{session.carrier}: the sweep is {session.sweep_state.value}: {session.sweep_reason}")
    yield dg.Output(None, metadata=session_metadata(session))
