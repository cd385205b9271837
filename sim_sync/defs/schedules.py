"""The schedule `nightly_reconciliation`: one run a carrier and night."""

from collections.abc import Iterator, Sequence

import dagster as dg

from sim_sync.config import Schedule
from sim_sync.defs.jobs import AssetJob
from sim_sync.defs.names import Names
from sim_sync.defs.partitions import CARRIER_TAG


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
