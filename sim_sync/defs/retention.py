"""The job `apply_retention`: deletes what is older than the section `retention` says, in the warehouse and in Dagster.

Runs are Dagster's own and deleted by its own means, each with its events, captured output and, in SQLite, the file of
its events. What it deletes is gone step by step: a run of this job that dies is continued by the next one.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from sim_sync.config import Config
from sim_sync.config.sections import Retention
from sim_sync.core.text import counted
from sim_sync.defs.errors import as_dagster_failure
from sim_sync.defs.jobs import ASSETS, EXPORT_ASSET, SESSION_TAG, Names
from sim_sync.warehouse import Warehouse
from sim_sync.warehouse.retention import delete_old, standing_sessions

RETENTION_JOB = "apply_retention"
_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_RUNS_READ = 500
_RESOURCES = ("sync_config", "warehouse")
#: Rows of these tables are told one by one, also where none was deleted.
_TOLD = ("sim_changes", "sim_discrepancies", "quarantined_records", "sync_sessions")


def build_apply_retention(names: Names) -> dg.JobDefinition:
    """Build the job of one deployment."""

    @dg.op(name=names.named("delete_what_is_old"), required_resource_keys=names.keys(*_RESOURCES))
    def delete_what_is_old(context: dg.OpExecutionContext) -> None:
        """Delete changes, resolved findings, sessions and runs that are over for longer than is wished."""
        found: dict[str, Any] = names.resources(context, *_RESOURCES)
        config: Config = found["sync_config"]
        with as_dagster_failure():
            if config.retention is None:
                context.log.warning(f"{config.path} has no section `retention` any more: nothing is deleted")
                return
            context.add_output_metadata(_apply(context, config, config.retention, found["warehouse"], names))

    @dg.job(
        name=names.named(RETENTION_JOB),
        description="Deletes what is older than the section `retention` of carriers.yaml says.",
        executor_def=dg.in_process_executor,
    )
    def apply_retention() -> None:
        delete_what_is_old.alias("delete_what_is_old")()

    return apply_retention


def build_retention_schedule(names: Names, retention: Retention) -> dg.ScheduleDefinition:
    """Build the schedule of the job; whoever configures `retention` wants it on."""
    return dg.ScheduleDefinition(
        name=names.named("nightly_retention"),
        job_name=names.named(RETENTION_JOB),
        cron_schedule=retention.cron,
        execution_timezone=retention.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Deletes what is older than the section `retention` of carriers.yaml says.",
    )


def _apply(
    context: dg.OpExecutionContext, config: Config, retention: Retention, warehouse: Warehouse, names: Names
) -> Mapping[str, int | str]:
    now = warehouse.sessions.now()
    before = now - timedelta(days=retention.days)
    context.log.info(f"deleting what is over since before {before:%Y-%m-%d %H:%M} UTC")
    deleted = Counter[str](dict.fromkeys(_TOLD, 0))
    for carrier in config.carrier_names:
        of_carrier = Counter[str]()
        for step in delete_old(warehouse.engine, [carrier], before):
            of_carrier[step.table] += step.rows
        if of_carrier:
            told = ", ".join(f"{counted(rows, 'row')} of {table}" for table, rows in of_carrier.items())
            context.log.info(f"{carrier}: deleted {told}")
        deleted += of_carrier
    runs_before = now - timedelta(days=retention.days if retention.runs_days is None else retention.runs_days)
    runs = _delete_runs(context, names, runs_before, standing_sessions(warehouse.engine, config.carrier_names))
    return {
        "before": f"{before:%Y-%m-%d %H:%M} UTC",
        **{table: deleted[table] for table in _TOLD},
        "runs_before": f"{runs_before:%Y-%m-%d %H:%M} UTC",
        "runs": runs,
    }


def _delete_runs(context: dg.OpExecutionContext, names: Names, before: datetime, standing: Collection[str]) -> int:
    instance = context.instance
    # All of them first: of a run that is gone, Dagster does not know which one came after it.
    old = [run for run in _ended(instance, names, before) if run.tags.get(SESSION_TAG) not in standing]
    newest = _newest_of_assets(instance, names) if old else frozenset()
    doomed = [run.run_id for run in old if run.run_id not in newest]
    for run_id in doomed:
        _delete_run(instance, run_id)
    context.log.info(f"deleted {counted(len(doomed), 'run')} that ended before {before:%Y-%m-%d %H:%M} UTC")
    return len(doomed)


def _ended(instance: dg.DagsterInstance, names: Names, before: datetime) -> Iterator[dg.DagsterRun]:
    """Yield the runs of this deployment that were over before a moment, the newest first."""
    wanted = dg.RunsFilter(statuses=_FINISHED, created_before=before)
    cursor, has_more = None, True
    while has_more:
        records = instance.get_run_records(wanted, limit=_RUNS_READ, cursor=cursor)
        has_more = len(records) == _RUNS_READ
        for record in records:
            run = record.dagster_run
            cursor = run.run_id
            is_ours = names.has(run) or run.job_name == names.named(RETENTION_JOB)
            if is_ours and _end_of(record) < before:
                yield run


def _end_of(record: dg.RunRecord) -> datetime:
    if record.end_time is not None:
        return datetime.fromtimestamp(record.end_time, tz=UTC)
    return record.update_timestamp.replace(tzinfo=UTC)


def _newest_of_assets(instance: dg.DagsterInstance, names: Names) -> frozenset[str]:
    """Return the runs that have materialized an asset last, by partition: Dagster shows what they say of it."""
    found: set[str] = set()
    for key in map(names.asset, (*ASSETS, EXPORT_ASSET)):
        ids = instance.event_log_storage.get_latest_storage_id_by_partition(
            key, dg.DagsterEventType.ASSET_MATERIALIZATION
        )
        for some in _parts(sorted(ids.values())):
            wanted = dg.AssetRecordsFilter(asset_key=key, storage_ids=some)
            records = instance.fetch_materializations(wanted, limit=len(some)).records
            found.update(record.run_id for record in records)
    return frozenset(found)


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[start : start + _RUNS_READ] for start in range(0, len(ids), _RUNS_READ))


def _delete_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete a run with all that it has left; the run itself last, so that a death in between is made good for."""
    with suppress(NotImplementedError):
        instance.compute_log_manager.delete_logs(prefix=[run_id])
    storage = instance.event_log_storage
    storage.delete_events(run_id)
    instance.delete_run(run_id)
    path_of = getattr(getattr(storage, "_storage", storage), "path_for_shard", None)
    if path_of is not None:  # SQLite has a file for the events of each run, which stays when they are deleted
        Path(path_of(run_id)).unlink(missing_ok=True)
