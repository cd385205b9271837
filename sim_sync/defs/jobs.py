"""The job `reconcile_carrier`: all three assets for one carrier."""

from typing import TYPE_CHECKING, TypeAlias

import dagster as dg

from sim_sync.defs.names import ASSETS, Names
from sim_sync.defs.partitions import CARRIER_TAG

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
