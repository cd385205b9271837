"""What a run tells about itself: its trigger, process, life, tags and log; and whether a person ended it."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, timedelta
from typing import Any, TypeAlias

import dagster as dg

from sim_sync.config import Config
from sim_sync.config.carrier import DEFAULT_LEASE_SECONDS
from sim_sync.core.errors import SimSyncError
from sim_sync.core.opening import Trigger
from sim_sync.core.session import Process
from sim_sync.defs.jobs import CARRIER_TAG, NEXT_RUN_TAG, PREVIOUS_RUN_TAG, SESSION_TAG
from sim_sync.logs import JsonHandler, is_json
from sim_sync.warehouse import Warehouse
from sim_sync.worker.lease import KeptRun
from sim_sync.worker.processes import this_process

_RETRY_NUMBER_TAG = "dagster/retry_number"
#: On runs of a schedule, and on those of a declarative automation, which nobody is looking at either.
_NIGHTLY_TAGS = frozenset({"dagster/schedule_name", "dagster/from_automation_condition", "dagster/auto_materialize"})
#: What Dagster's run monitoring writes when it ends a run.
_BY_RUN_MONITORING = "exceeding maximum runtime"

#: Executors under which all steps of a run share its process.
_ONE_PROCESS = {"in_process", "execute_in_process_executor"}

Context: TypeAlias = dg.OpExecutionContext | dg.AssetExecutionContext


def trigger_of(context: Context) -> Trigger:
    """Return who started the run, from the tags that Dagster's automation puts on it.

    A run that a person executes again gets the tags of the first, and is the person's. An automatic retry of a person's
    run is the machine's: what a person has said since must hold.
    """
    tags = context.run.tags
    is_retry = is_automatic_retry(context)
    if context.run.parent_run_id is not None and not is_retry:
        return Trigger.OPERATOR
    if "dagster/sensor_name" in tags:
        return Trigger.SENSOR
    if not _NIGHTLY_TAGS.isdisjoint(tags):
        return Trigger.NIGHTLY
    return Trigger.SENSOR if is_retry else Trigger.OPERATOR


def is_automatic_retry(context: Context) -> bool:
    """Return whether Dagster's daemon started the run because the one before it died: it counts them.

    A person's re-execution has the number of its parent.
    """
    run = context.run
    number = run.tags.get(_RETRY_NUMBER_TAG)
    if number is None or run.parent_run_id is None:
        return False
    parent = context.instance.get_run_by_id(run.parent_run_id)
    return parent is None or parent.tags.get(_RETRY_NUMBER_TAG) != number


def process_of(context: Context) -> Process | None:
    """Return the process that a run lives and dies with; None where each of its steps has one of its own.

    A step's process ends well before the run does: whoever took it for the run's would call a living run dead. Then the
    lease alone decides.
    """
    return this_process() if _is_in_one_process(context) else None


def _is_in_one_process(context: Context) -> bool:
    executor = context.job_def.executor_def.name
    run_config: Mapping[str, Any] = context.run.run_config
    chosen = run_config.get("execution", {}).get("config") or {}
    return executor in _ONE_PROCESS or (executor == "multi_or_in_process_executor" and "in_process" in chosen)


def is_dry_run(context: Context) -> bool:
    """Return whether the run was started with `dry_run: true`, which `open_session` takes and all steps keep to."""
    return _dry_run_in(context.run.run_config)


def _dry_run_in(config: object) -> bool:
    if not isinstance(config, Mapping):
        return False
    opening = config.get("open_session")
    wishes = opening.get("config") if isinstance(opening, Mapping) else None
    if isinstance(wishes, Mapping):
        return wishes.get("dry_run") is True
    return any(_dry_run_in(part) for part in config.values())


def tag_run(context: Context, sync_config: Config, warehouse: Warehouse, kept_run: KeptRun) -> None:
    """Say for all hosts that the run lives, from now to its end, tag it with its carrier, and log as is wished.

    A process that ends before its run does cannot say so: then the lease on the session decides, while there is one.
    """
    log_run_for_machines(context)
    carrier = context.partition_key
    if process := process_of(context):
        lease_seconds = _lease_seconds(sync_config, carrier)
        kept_run.begin(warehouse.runs, context.run.run_id, process, lease_seconds=lease_seconds)
    if context.run.tags.get(CARRIER_TAG) != carrier:
        context.instance.add_run_tags(context.run.run_id, {CARRIER_TAG: carrier})


def _lease_seconds(sync_config: Config, carrier: str) -> float:
    try:
        return sync_config.carrier(carrier).lease_seconds
    except SimSyncError:  # whoever needs more of it says what is wrong
        return DEFAULT_LEASE_SECONDS


#: Of one session no more than one is at work and one is queued; the others have ended.
_RUNS_LOOKED_AT = 10


def tag_session(context: Context, session_id: str) -> None:
    """Tag the run with the session it works on, and with the run before it, which is tagged with this one."""
    instance, run_id = context.instance, context.run.run_id
    instance.add_run_tags(run_id, {SESSION_TAG: session_id})
    found = instance.get_run_records(dg.RunsFilter(tags={SESSION_TAG: session_id}), limit=_RUNS_LOOKED_AT)
    newest_first = [record.dagster_run.run_id for record in found]
    # One that the sensor has queued meanwhile is newer, and no run before this one.
    for previous in newest_first[newest_first.index(run_id) + 1 :][:1]:
        instance.add_run_tags(run_id, {PREVIOUS_RUN_TAG: previous})
        instance.add_run_tags(previous, {NEXT_RUN_TAG: run_id})


def was_terminated(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Return whether a person ended the run (*Terminate*, in the queue too).

    A deploy's SIGTERM leaves no such event, and the end of a run that has outlived `max_runtime_seconds` says so.
    """
    requests = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.RUN_CANCELING).records
    return run_id in _by_a_person(request.event_log_entry for request in requests)


#: Events that are read at once. Of those that end a run before its time, a night has a handful.
_EVENTS_READ = 1000
#: The host that wrote an event and the database that dated its run may be this far apart.
_CLOCKS_APART = timedelta(days=1)


def terminated_runs(instance: dg.DagsterInstance, runs: Sequence[dg.RunRecord]) -> frozenset[str]:
    """Return which of the runs a person ended: `was_terminated` of all of them, in one query however many they are."""
    if not runs:
        return frozenset()
    since = min(run.create_timestamp for run in runs).replace(tzinfo=UTC) - _CLOCKS_APART
    wanted = dg.RunStatusChangeRecordsFilter(dg.DagsterEventType.RUN_CANCELING, after_timestamp=since.timestamp())
    found: list[dg.EventLogEntry] = []
    cursor, has_more = None, True
    while has_more:
        page = instance.fetch_run_status_changes(wanted, limit=_EVENTS_READ, cursor=cursor)
        found += [record.event_log_entry for record in page.records]
        cursor, has_more = page.cursor, page.has_more
    return _by_a_person(found) & {run.dagster_run.run_id for run in runs}


def _by_a_person(requests: Iterable[dg.EventLogEntry]) -> frozenset[str]:
    """Return the runs that these requests to end a run name, without those that outlived their time."""
    told = [(request.run_id, _BY_RUN_MONITORING in request.message) for request in requests]
    return frozenset(run_id for run_id, _ in told) - {run_id for run_id, is_too_old in told if is_too_old}


# What the ops log, as JSON lines too where logs are for machines. Dagster shows it as ever.


#: Records with this attribute are Dagster's own events.
_EVENT = "dagster_event"
#: Dagster writes job, run and step before each message, and keeps here what it was.
_METADATA, _MESSAGE = "dagster_meta", "orig_message"


class RunHandler(JsonHandler):
    """Writes what an op logs; Dagster's own events are in its event log."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is a message of ours."""
        return getattr(record, _EVENT, None) is None

    def message_of(self, record: logging.LogRecord) -> str:
        """Return the message as the op wrote it."""
        metadata = getattr(record, _METADATA, None) or {}
        return str(metadata.get(_MESSAGE) or record.getMessage())


def log_run_for_machines(context: Context) -> None:
    """Let what this op logs be JSON lines too, where that is wished; done twice, it is done once."""
    log: logging.Logger = context.log
    if is_json() and not any(isinstance(handler, RunHandler) for handler in log.handlers):
        log.addHandler(RunHandler(logger="sim_sync.run", carrier=context.partition_key, run=context.run.run_id))
