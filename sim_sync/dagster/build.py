"""Builds the definitions of one deployment: one configuration, its assets, checks, job, schedule and sensor."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import dagster as dg

from sim_sync.config import Config, load_config
from sim_sync.defs.assets import build_carrier_sims, build_sim_discrepancies, build_sim_export, build_sim_inventory
from sim_sync.defs.checks import build_checks
from sim_sync.defs.jobs import (
    AssetJob,
    Names,
    build_nightly_reconciliation,
    build_reconcile_carrier,
    carrier_partitions,
)
from sim_sync.defs.resources import SyncConfigResource, WarehouseResource, config_and_warehouse, kept_run_resource
from sim_sync.defs.retention import build_apply_retention, build_retention_schedule
from sim_sync.defs.sensors import build_resume_interrupted_syncs, build_send_alerts
from sim_sync.logs import OURS, log_for_machines
from sim_sync.warehouse import Warehouse


def build_defs(
    config: Config | str | os.PathLike[str],
    *,
    key_prefix: str | Sequence[str] | None = None,
    group_name: str = "sim_sync",
    name_prefix: str | None = None,
    schedule: bool = True,
    sensor: bool = True,
) -> dg.Definitions:
    """Return everything that Dagster needs to sync and reconcile the carriers of one `carriers.yaml`.

    It can be merged with other definitions: it brings no executor and no I/O manager, and its resources bear its own
    names. Two deployments in one code location need different `key_prefix` and `name_prefix`.

    Args:
        config: the path of a `carriers.yaml`, or what `load_config` returned; every run reads the file again.
        key_prefix: comes before the name in each asset key.
        group_name: the asset group.
        name_prefix: comes before the names of job, schedule, sensor, ops and resources, joined with `_`.
        schedule: whether there is a nightly schedule; and the one that deletes what is old, where the configuration has
            a section `retention`.
        sensor: whether there is the sensor that resumes; without it, only a run resumes an interrupted session. The one
            that sends alerts is there as well where the configuration has a section `alerts`.

    Raises:
        ConfigError: something that concerns all carriers is wrong.
    """
    log_for_machines(OURS)
    if not isinstance(config, Config):
        config = load_config(Path(config))
    names = Names.of(key_prefix, group_name, name_prefix)
    path, carriers = str(config.path), config.carrier_names
    partitions = carrier_partitions(carriers)
    job = build_reconcile_carrier(partitions, names, exports=config.export is not None)
    open_context = partial(config_and_warehouse, path)
    return dg.Definitions(
        assets=[
            build_sim_inventory(partitions, names),
            build_carrier_sims(partitions, names),
            build_sim_discrepancies(partitions, names),
            *([] if config.export is None else [build_sim_export(partitions, names)]),
        ],
        asset_checks=build_checks(names),
        jobs=[job, *_retention_jobs(config, names)],
        schedules=_schedules(config, job, names) if schedule else [],
        sensors=_sensors(config, job, open_context, names) if sensor else [],
        resources={
            names.named("sync_config"): SyncConfigResource(path=path),
            names.named("warehouse"): WarehouseResource(path=path),
            names.named("kept_run"): kept_run_resource(),
        },
    )


def _retention_jobs(config: Config, names: Names) -> list[dg.JobDefinition]:
    return [] if config.retention is None else [build_apply_retention(names)]


def _schedules(config: Config, job: AssetJob, names: Names) -> list[dg.ScheduleDefinition]:
    found = [build_nightly_reconciliation(job, config.carrier_names, config.schedule, names)]
    if config.retention is not None:
        found.append(build_retention_schedule(names, config.retention))
    return found


def _sensors(
    config: Config, job: AssetJob, open_context: Callable[[], tuple[Config, Warehouse]], names: Names
) -> list[dg.SensorDefinition]:
    resumes = build_resume_interrupted_syncs(job, config.carrier_names, open_context, names)
    return [resumes, build_send_alerts(open_context, names)] if config.has_alerts else [resumes]
