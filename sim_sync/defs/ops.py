"""The three ops of `carrier_sims`: open a session, walk it page by page, close it; and a walk that writes nothing."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import dagster as dg

from sim_sync.config import Config
from sim_sync.core.errors import NoRoomLeft
from sim_sync.core.notes import error_text, place_text, session_note, without_name
from sim_sync.core.opening import Trigger
from sim_sync.core.session import Event, Release, Session, State, SweepState
from sim_sync.core.sync import StopReason
from sim_sync.defs.account import session_account
from sim_sync.defs.claiming import Wish, claimed_session, is_over_already, open_for_run, reason_kept_in_session
from sim_sync.defs.errors import RunInterrupted, as_dagster_failure, failure
from sim_sync.defs.jobs import Names
from sim_sync.defs.progress import CheckpointReporter, progress_line, session_metadata, session_observation
from sim_sync.defs.runs import tag_run, trigger_of, was_terminated
from sim_sync.warehouse import Warehouse
from sim_sync.warehouse.changes import changes_by_field, explain_drift
from sim_sync.warehouse.rehearsal import rehearsal_of
from sim_sync.warehouse.warehouse import require_room
from sim_sync.worker.dry_run import document_of, lines_of, run_dry
from sim_sync.worker.lease import KeptRun, Wait
from sim_sync.worker.leaving import Outcome
from sim_sync.worker.stopping import StopSignal
from sim_sync.worker.work import close_carrier, walk_carrier

# A run that writes nothing: it finds out on a copy of the warehouse what a real one would do, and says so.


def tell_dry_run(
    context: dg.OpExecutionContext, sync_config: Config, warehouse: Warehouse, *, max_pages: int | None
) -> None:
    """Walk from the first page, up to `max_pages`, and tell what would be done, in the log and as an observation."""
    carrier = sync_config.carrier(context.partition_key)
    with rehearsal_of(warehouse.engine) as copy:
        run = run_dry(carrier, sync_config, copy, stop=StopSignal(), max_pages=max_pages)
    for line in lines_of(run):
        context.log.info(line)
    told = document_of(run)
    metadata: dict[str, Any] = {name: value for name, value in told.items() if isinstance(value, int)}
    metadata["dry_run"] = dg.MetadataValue.json(told)
    context.log_event(dg.AssetObservation(context.assets_def.key, partition=carrier.name, metadata=metadata))
    if run.stopped_by is StopReason.FAILED:
        raise failure(f"dry run: {run.error}")


# A run of the night or of the sensor that finds the warehouse full waits until somebody has made room.


#: How often a full warehouse is looked at again, and for how long: a night, after which the run fails and says why.
LOOK_EVERY_SECONDS = 10.0
LOOKS = 6 * 360


def wait_for_room(context: dg.OpExecutionContext, warehouse: Warehouse, wait: Wait) -> None:
    """Return when there is room: nothing could remember that this carrier was to be walked tonight.

    A person's run does not wait: the person is told.

    Raises:
        WarehouseFull: there is none; a run that waited has done so for hours.
    """
    looks = 1 if trigger_of(context) is Trigger.OPERATOR else LOOKS
    for look in range(looks):
        try:
            require_room(warehouse.engine)
        except NoRoomLeft as full:
            if look + 1 == looks:
                raise
            if look == 0:
                context.log.warning(f"{context.partition_key}: waiting for room: {full}")
            wait(LOOK_EVERY_SECONDS)
        else:
            return


# What a session changed, as metadata of its materialization: counts by field, and where they concentrate.


def changes_metadata(session: Session, warehouse: Warehouse) -> dict[str, dg.MetadataValue]:
    """Return what a completed session changed; of one that changed nothing, nothing is asked."""
    if not session.records_changed:
        return {}
    counts = changes_by_field(warehouse.engine, session.carrier, session.session_id)
    told = {"changes": ", ".join(f"{field} {count:,}" for field, count in counts.items())}
    if drift := explain_drift(warehouse.engine, session.carrier, session_id=session.session_id):
        told["drift"] = "; ".join(drift)
    return {name: dg.MetadataValue.text(text) for name, text in told.items()}


# The three ops. One that yields nothing skips what comes after it: a parked, paused or budget-stopped run ends green
# and materializes nothing.


#: The outer net for what the step's own backoff does not ride out: a database that stays away, a bug. At most
#: (2 + 6 + 14) s plus jitter of waiting; Dagster's exponential delay has no ceiling, so the number of retries is small.
RETRIES = dg.RetryPolicy(max_retries=3, delay=2, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)


class OpenSessionConfig(dg.Config):
    """How a person may want a walk to be."""

    #: Give up the open session, if there is one, and walk from the first page.
    restart: bool = False
    #: Stop after this many pages; the sensor or the next run continues from there. Null walks to the end.
    max_pages: int | None = None
    #: Fetch and compare, but write nothing to the warehouse.
    dry_run: bool = False
    #: Of a run that a person starts: continue what a person has paused, and fail where the session may not continue.
    #: With false, both end green, and the session is left alone.
    resume: bool = True


#: Before everything else that the run may do: from then on its lease says that it lives.
_FIRST = {"dagster/priority": "1"}


def _open_session(
    context: dg.OpExecutionContext,
    config: OpenSessionConfig,
    sync_config: Config,
    warehouse: Warehouse,
    kept_run: KeptRun,
) -> Iterator[dg.Output[None]]:
    """Open the carrier's session, or take over the one that is open. What must not be touched is left alone, green."""
    with as_dagster_failure():
        if config.dry_run:
            tag_run(context, sync_config, warehouse, kept_run)
            tell_dry_run(context, sync_config, warehouse, max_pages=config.max_pages)
            return
        with reason_kept_in_session(context, warehouse, last_retry=RETRIES.max_retries):
            carrier = sync_config.carrier(context.partition_key)
            wait_for_room(context, warehouse, kept_run.wait)
            tag_run(context, sync_config, warehouse, kept_run)
            if is_over_already(context, warehouse):
                return
            session = open_for_run(context, carrier, warehouse, kept_run, Wish(config.restart, config.resume))
        if session is None:
            return
        kept_run.hold(warehouse.sessions, session.claim, lease_seconds=carrier.lease_seconds)
        context.log.info(_opening_line(session))
    yield dg.Output(None)


def _opening_line(session: Session) -> str:
    if session.fence == 1:
        return f"{session.carrier}: new session {session.session_id}"
    error = f"; the last error was: {error_text(session)}" if session.last_error else ""
    return f"{session.carrier}: session {session.session_id} continues after {place_text(session)}{error}"


def _sync_pages(
    context: dg.OpExecutionContext, sync_config: Config, warehouse: Warehouse, kept_run: KeptRun
) -> Iterator[dg.Output[None]]:
    """Walk the session page by page; each page is one transaction with its rows, its history and its checkpoint."""
    with as_dagster_failure():
        carrier = sync_config.carrier(context.partition_key)
        tag_run(context, sync_config, warehouse, kept_run)
        session = claimed_session(context, carrier, warehouse, kept_run)
        if session is None:
            return
        if session.state is not State.COMPLETED:
            stop = StopSignal()
            reporter = CheckpointReporter(
                lambda checkpoint: _report_and_listen(context, checkpoint, stop, reporter.page_seconds)
            )
            outcome = walk_carrier(
                carrier,
                warehouse.sessions,
                session,
                stop=stop,
                max_pages=_wish(context).max_pages,
                on_checkpoint=reporter,
                was_terminated=lambda: was_terminated(context.instance, context.run_id),
            )
            _report(context, outcome.session)
            _tell_outcome(context, outcome, stop)
            if outcome.stopped_by is not None:
                return
            kept_run.hold(warehouse.sessions, outcome.session.claim, lease_seconds=carrier.lease_seconds)
    yield dg.Output(None)


def _wish(context: dg.OpExecutionContext) -> OpenSessionConfig:
    """Return the config of `open_session`, which a retry of the run may have left out."""
    config: Any = context.run.run_config
    for name in [*context.op_handle.path[:-1], "open_session"]:
        config = config.get("ops", {}).get(name, {})
    return OpenSessionConfig(**config.get("config", {}))


def _report(context: dg.OpExecutionContext, session: Session, page_seconds: Sequence[float] = ()) -> None:
    context.log.info(progress_line(session))
    context.log_event(session_observation(context, session, page_seconds))


def _report_and_listen(
    context: dg.OpExecutionContext, session: Session, stop: StopSignal, page_seconds: Sequence[float]
) -> None:
    """Report a checkpoint, and hear of a *Terminate* that could not be sent: its code server was another one."""
    _report(context, session, page_seconds)
    if was_terminated(context.instance, context.run_id):
        stop.request(StopReason.PAUSED)


def _tell_outcome(context: dg.OpExecutionContext, outcome: Outcome, stop: StopSignal) -> None:
    session, error = outcome.session, outcome.error
    match outcome.stopped_by:
        case None:
            return
        case StopReason.FAILED:
            raise failure(without_name(str(error or session.last_error), session.carrier))
        case StopReason.FENCED:
            raise failure(f"fenced: {error}")
        case _:
            context.log.warning(_stopped_line(session, outcome.stopped_by))
    if stop.signal_number is not None or was_terminated(context.instance, context.run_id):
        # Interrupted is not success: the session is safe, and the run ends as canceled; as failed, where nobody asked.
        raise RunInterrupted(_stopped_line(session, outcome.stopped_by))


def _stopped_line(session: Session, reason: StopReason) -> str:
    if session.state is not State.INTERRUPTED:
        return f"{session.carrier}: {session_note(session, session.updated_at)}"
    stopped = f"{session.carrier}: interrupted after {place_text(session)}: {reason.value}"
    return f"{stopped}; the sensor or `sim-sync backfill {session.carrier}` continues"


def _close_session(
    context: dg.OpExecutionContext, sync_config: Config, warehouse: Warehouse, kept_run: KeptRun
) -> Iterator[dg.Output[None]]:
    """Certify the walk, sweep if it may, and complete the session."""
    with as_dagster_failure():
        carrier = sync_config.carrier(context.partition_key)
        tag_run(context, sync_config, warehouse, kept_run)
        claimed = claimed_session(context, carrier, warehouse, kept_run)
        if claimed is None:
            return
        if claimed.is_open and not claimed.walked_to_the_end:  # claimed again by a retry, and it was given up meanwhile
            warehouse.sessions.release(claimed.claim, Release(Event.STOPPED_BY_MACHINE))
            context.log.warning(
                f"{claimed.carrier}: session {claimed.session_id} has pages left; it continues by itself"
            )
            return
        session = close_carrier(carrier, warehouse.sessions, claimed)
        context.log.info(progress_line(session))
        if session.state is not State.COMPLETED:
            context.log.warning(f"{session.carrier}: {session.state.value} just before its end")
            return
        if session.sweep_state in {SweepState.HELD, SweepState.SKIPPED}:
            context.log.warning(f"{session.carrier}: the sweep is {session.sweep_state.value}: {session.sweep_reason}")
        metadata = session_metadata(session) | changes_metadata(session, warehouse)
        metadata |= session_account(context, session, warehouse)
    yield dg.Output(None, metadata=metadata)


_RESOURCES = ("sync_config", "warehouse", "kept_run")


class CarrierSimsOps(NamedTuple):
    """The ops of `carrier_sims`, in the order in which they run."""

    open_session: dg.OpDefinition
    sync_pages: dg.OpDefinition
    close_session: dg.OpDefinition


def build_ops(names: Names) -> CarrierSimsOps:
    """Build the ops of one deployment; each takes the resources of that deployment alone."""
    common: dict[str, Any] = {
        "out": dg.Out(dg.Nothing, is_required=False),
        "retry_policy": RETRIES,
        "required_resource_keys": names.keys(*_RESOURCES),
    }

    @dg.op(name=names.named("open_session"), description=_open_session.__doc__, tags=_FIRST, **common)
    def open_session(context: dg.OpExecutionContext, config: OpenSessionConfig) -> Iterator[dg.Output[None]]:
        yield from _open_session(context, config, **names.resources(context, *_RESOURCES))

    @dg.op(name=names.named("sync_pages"), description=_sync_pages.__doc__, ins={"opened": dg.In(dg.Nothing)}, **common)
    def sync_pages(context: dg.OpExecutionContext) -> Iterator[dg.Output[None]]:
        yield from _sync_pages(context, **names.resources(context, *_RESOURCES))

    @dg.op(
        name=names.named("close_session"),
        description=_close_session.__doc__,
        ins={"walked": dg.In(dg.Nothing)},
        **common,
    )
    def close_session(context: dg.OpExecutionContext) -> Iterator[dg.Output[None]]:
        yield from _close_session(context, **names.resources(context, *_RESOURCES))

    return CarrierSimsOps(open_session, sync_pages, close_session)
