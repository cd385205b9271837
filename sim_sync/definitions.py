"""Everything Dagster sees, listed by name, with its resources. `workspace.yaml` points here."""

import dagster as dg

from sim_sync.config import load_config
from sim_sync.defs.assets import build_carrier_sims, build_sim_discrepancies, build_sim_inventory
from sim_sync.defs.checks import CHECKS
from sim_sync.defs.jobs import JOB_NAME, build_reconcile_carrier
from sim_sync.defs.partitions import carrier_partitions
from sim_sync.defs.resources import (
    KeptRunResource,
    SyncConfigResource,
    WarehouseResource,
    config_and_warehouse,
)
from sim_sync.defs.schedules import build_nightly_reconciliation
from sim_sync.defs.sensors import build_resume_interrupted_syncs

_config = load_config()
_partitions = carrier_partitions(_config.carrier_names)
_job = build_reconcile_carrier(_partitions)

defs = dg.Definitions(
    assets=[
        build_sim_inventory(_partitions),
        build_carrier_sims(_partitions),
        build_sim_discrepancies(_partitions),
    ],
    asset_checks=list(CHECKS),
    jobs=[_job],
    schedules=[build_nightly_reconciliation(_job, _config.carrier_names, _config.schedule)],
    sensors=[build_resume_interrupted_syncs(_job, _config.carrier_names, config_and_warehouse)],
    resources={"sync_config": SyncConfigResource(), "warehouse": WarehouseResource(), "kept_run": KeptRunResource()},
    executor=dg.in_process_executor,
)


def reconcile_carrier() -> dg.JobDefinition:
    """Return the job, for those who run it in their own process."""
    return defs.resolve_job_def(JOB_NAME)
