"""Which runs are really at work. Dagster's status does not say: a run whose Dagster died stays STARTED for ever."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from sim_sync.core.session import Process
from sim_sync.defs.partitions import CARRIER_TAG, PARTITION_TAG, PROCESS_TAG
from sim_sync.defs.runs import process_from_text
from sim_sync.warehouse import Warehouse
from sim_sync.worker.processes import is_known_dead, this_host

_UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
#: A run introduces itself in its first op; one that has not by then died on its way there. If it comes to life after
#: all, Dagster does not let it start any more.
_INTRODUCED_WITHIN = timedelta(seconds=30)


#: A run reads our list first, then opens its session. Longer than this it does not take to get there.
_DOUBTFUL_AFTER = timedelta(minutes=15)
#: In the queue behind other runs; or told to end, which Dagster itself sees to.
_MAY_WAIT_LONG = {dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.CANCELING}


@dataclass(frozen=True, slots=True)
class UnfinishedRun:
    """A run that Dagster has not seen the end of.

    `is_lost` where it is certain that nobody works on it any more; `is_doubtful` where that cannot be known from here,
    and it has had the time to open its session: unless it owns one, nobody waits for it.
    """

    run: dg.DagsterRun
    carrier: str
    is_lost: bool
    is_doubtful: bool


def unfinished_runs(instance: dg.DagsterInstance, now: datetime) -> Sequence[UnfinishedRun]:
    """Return the unfinished runs that work, or will work, on a carrier. `now` is the time of the host of Dagster."""
    records = instance.get_run_records(dg.RunsFilter(statuses=_UNFINISHED))
    found = []
    for record in records:
        run = record.dagster_run
        carrier = run.tags.get(CARRIER_TAG) or run.tags.get(PARTITION_TAG)
        if carrier is not None:
            is_lost = _is_lost(instance, record, now)
            found.append(UnfinishedRun(run, carrier, is_lost, not is_lost and _is_doubtful(instance, record, now)))
    return found


def _is_lost(instance: dg.DagsterInstance, record: dg.RunRecord, now: datetime) -> bool:
    run = record.dagster_run
    process = own_process(instance, run)
    if process is not None:
        return is_known_dead(process)
    if run.status in _MAY_WAIT_LONG:
        return False
    since = record.update_timestamp if record.start_time is None else datetime.fromtimestamp(record.start_time, tz=UTC)
    return now - since.replace(tzinfo=UTC) > _INTRODUCED_WITHIN


def _is_doubtful(instance: dg.DagsterInstance, record: dg.RunRecord, now: datetime) -> bool:
    """Return whether a run started long ago on another host, which may be gone: a container that a deploy replaced."""
    process = own_process(instance, record.dagster_run)
    if process is None or process.host == this_host() or record.start_time is None:
        return False
    return now - datetime.fromtimestamp(record.start_time, tz=UTC) > _DOUBTFUL_AFTER


def own_process(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Process | None:
    """Return the process that a run has introduced itself with; None where it has not yet.

    A retry gets its parent's tags, the dead parent's process among them.
    """
    text = run.tags.get(PROCESS_TAG)
    if text is not None and run.parent_run_id is not None:
        parent = instance.get_run_by_id(run.parent_run_id)
        if parent is not None and parent.tags.get(PROCESS_TAG) == text:
            return None
    return process_from_text(text)


def owner_is_gone(instance: dg.DagsterInstance, owner: str, process: Process | None) -> bool:
    """Return whether a session's owner is certainly over: its run is finished, or its process on this host is gone."""
    if is_known_dead(process):
        return True
    run = instance.get_run_by_id(owner)
    return run is not None and run.is_finished


def gone_owners(instance: dg.DagsterInstance, warehouse: Warehouse, carrier: str) -> frozenset[str]:
    """Return the owner of the carrier's open session, if it has one that is certainly over."""
    session = warehouse.sessions.open_session_of(carrier)
    if session is None or session.owner is None:
        return frozenset()
    process = warehouse.sessions.internals(session.session_id).process
    return frozenset({session.owner}) if owner_is_gone(instance, session.owner, process) else frozenset()
