"""Which runs are really at work. Dagster's status does not say: a run whose Dagster died stays STARTED for ever."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg

from sim_sync.core.opening import Process
from sim_sync.defs.partitions import CARRIER_TAG, PARTITION_TAG, PROCESS_TAG
from sim_sync.defs.runs import process_from_text
from sim_sync.warehouse import Warehouse
from sim_sync.worker.processes import is_known_dead

_UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_HAS_A_PROCESS = {dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING}
#: A run introduces itself in its first op; one that has not by then died on its way there.
_INTRODUCED_WITHIN = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class UnfinishedRun:
    """A run that Dagster has not seen the end of; `is_lost` where it is certain that nobody works on it any more."""

    run: dg.DagsterRun
    carrier: str
    is_lost: bool


def unfinished_runs(instance: dg.DagsterInstance, now: datetime) -> Sequence[UnfinishedRun]:
    """Return the unfinished runs that work, or will work, on a carrier."""
    records = instance.get_run_records(dg.RunsFilter(statuses=_UNFINISHED))
    found = []
    for record in records:
        run = record.dagster_run
        carrier = run.tags.get(CARRIER_TAG) or run.tags.get(PARTITION_TAG)
        if carrier is not None:
            found.append(UnfinishedRun(run, carrier, _is_lost(record, now)))
    return found


def _is_lost(record: dg.RunRecord, now: datetime) -> bool:
    run = record.dagster_run
    if run.status not in _HAS_A_PROCESS:
        return False
    process = process_from_text(run.tags.get(PROCESS_TAG))
    if process is not None:
        return is_known_dead(process)
    started = datetime.fromtimestamp(record.start_time or now.timestamp(), tz=now.tzinfo)
    return run.status is dg.DagsterRunStatus.STARTED and now - started > _INTRODUCED_WITHIN


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
    process = warehouse.sessions.notes(session.session_id).process
    return frozenset({session.owner}) if owner_is_gone(instance, session.owner, process) else frozenset()
