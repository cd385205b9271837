"""One partition a carrier, the job `reconcile_carrier` over them, and the schedule `nightly_reconciliation`."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

import dagster as dg

from sim_sync.config import Schedule
from sim_sync.defs.names import ASSETS, Names

# The partitions: one for each carrier in `carriers.yaml`.


#: Run tags, part of the public contract.
CARRIER_TAG = "sim_sync/carrier"
SESSION_TAG = "sim_sync/session"
#: The runs of one session, linked both ways.
PREVIOUS_RUN_TAG = "sim_sync/previous_run"
NEXT_RUN_TAG = "sim_sync/next_run"
#: Set by Dagster itself on every run of one partition.
PARTITION_TAG = "dagster/partition"
#: Set by Dagster itself on every run that a sensor or schedule asked for with a key.
RUN_KEY_TAG = "dagster/run_key"


def carrier_partitions(carrier_names: Sequence[str]) -> dg.StaticPartitionsDefinition:
    """Return the partitions definition that all three assets share."""
    return dg.StaticPartitionsDefinition(list(carrier_names))


# The job `reconcile_carrier`: all three assets for one carrier.


if TYPE_CHECKING:  # what `define_asset_job` returns has no public name
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

AssetJob: TypeAlias = "UnresolvedAssetJobDefinition"

JOB_NAME = "reconcile_carrier"


def build_reconcile_carrier(partitions: dg.PartitionsDefinition[str], names: Names) -> AssetJob:
    """Build the job. Its steps share one process: a start-up of seconds instead of ten, and no orphaned step."""
    return dg.define_asset_job(
        names.named(JOB_NAME),
        selection=dg.AssetSelection.assets(*map(names.asset, ASSETS)),
        description="Reconciles one carrier: reads our list, walks the carrier's, and compares the two.",
        config=dg.PartitionedConfig(
            partitions_def=partitions,
            run_config_for_partition_key_fn=lambda _carrier: {},
            tags_for_partition_key_fn=lambda carrier: {CARRIER_TAG: carrier},
        ),
        executor_def=dg.in_process_executor,
    )


# The schedule `nightly_reconciliation`: one run a carrier and night.


def build_nightly_reconciliation(
    job: AssetJob, carrier_names: Sequence[str], schedule: Schedule, names: Names
) -> dg.ScheduleDefinition:
    """Build the schedule. A paused session is found by the run, which leaves it alone and says so."""

    def requests(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        night = f"{context.scheduled_execution_time:%Y-%m-%dT%H:%M}"
        for carrier in carrier_names:
            yield dg.RunRequest(run_key=f"{carrier}:{night}", partition_key=carrier, tags={CARRIER_TAG: carrier})

    return dg.ScheduleDefinition(
        name=names.named("nightly_reconciliation"),
        job=job,
        cron_schedule=schedule.cron,
        execution_timezone=schedule.timezone,
        execution_fn=requests,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Reconciles every carrier once a night, resuming what is still open.",
    )
