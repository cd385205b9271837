"""The names that Dagster sees, one partition a carrier, the job over them, and its schedule."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import dagster as dg

from sim_sync.config import Schedule

# What the definitions are called: several deployments may stand side by side in one code location.
#
# Dagster's keys and names are global to a code location. Each deployment has its own asset keys, names and resources.


ASSETS = ("sim_inventory", "carrier_sims", "sim_discrepancies")
#: The one that is there where the configuration has a section `export`.
EXPORT_ASSET = "sim_export"


@dataclass(frozen=True, slots=True)
class Names:
    """How one deployment's definitions are called.

    `key_prefix` comes before the name in each asset key; `prefix` before the names of job, schedule, sensor, ops and
    resources; `group` is the asset group.
    """

    key_prefix: tuple[str, ...] = ()
    group: str = "sim_sync"
    prefix: str = ""

    @classmethod
    def of(cls, key_prefix: str | Sequence[str] | None, group: str, name_prefix: str | None) -> "Names":
        """Return the names for what a user wrote; `eu` and `eu_` are one name prefix."""
        parts = (key_prefix,) if isinstance(key_prefix, str) else tuple(key_prefix or ())
        return cls(parts, group, f"{name_prefix.rstrip('_')}_" if name_prefix else "")

    def asset(self, name: str) -> dg.AssetKey:
        """Return the key of one of `ASSETS`, or of `EXPORT_ASSET`."""
        return dg.AssetKey([*self.key_prefix, name])

    def named(self, name: str) -> str:
        """Return the name of a job, schedule, sensor, op or resource."""
        return f"{self.prefix}{name}"

    def keys(self, *resources: str) -> set[str]:
        """Return the resource keys that a definition requires."""
        return {self.named(name) for name in resources}

    def resources(self, context: Any, *resources: str) -> dict[str, Any]:
        """Return the resources of this deployment as keyword arguments."""
        return {name: getattr(context.resources, self.named(name)) for name in resources}

    def has(self, run: dg.DagsterRun) -> bool:
        """Return whether a run is of this deployment: its job's, or one of its assets materialized by themselves."""
        own = {self.asset(name) for name in (*ASSETS, EXPORT_ASSET)}
        return run.job_name == self.named("reconcile_carrier") or bool(own & set(run.asset_selection or ()))


# The tags of runs, and the partitions: one for each carrier in `carriers.yaml`.


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


def build_reconcile_carrier(
    partitions: dg.PartitionsDefinition[str], names: Names, *, exports: bool = False
) -> AssetJob:
    """Build the job. Its steps share one process: a start-up of seconds instead of ten, and no orphaned step."""
    assets = (*ASSETS, EXPORT_ASSET) if exports else ASSETS
    return dg.define_asset_job(
        names.named(JOB_NAME),
        selection=dg.AssetSelection.assets(*map(names.asset, assets)),
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
