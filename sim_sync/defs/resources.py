"""What the assets and ops get handed: the configuration and the warehouse, each as a plain object.

Their only field is the path of the configuration: a warehouse URL with its password would be shown in the UI.
"""

import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg

from sim_sync.config import Config, load_config
from sim_sync.warehouse import Warehouse, open_warehouse
from sim_sync.warehouse.warehouse import require_shared
from sim_sync.worker.lease import KeptRun, Wait
from sim_sync.worker.processes import armed_crash_point


class SyncConfigResource(dg.ConfigurableResource[Config]):
    """The content of `carriers.yaml`, read again for every run: of `path`, or of where `SIM_SYNC_CONFIG` says."""

    path: str | None = None

    def create_resource(self, context: dg.InitResourceContext) -> Config:
        """Read and return the configuration."""
        return _load(self.path)


class WarehouseResource(dg.ConfigurableResource[Warehouse]):
    """The warehouse of `SIM_SYNC_WAREHOUSE_URL`, or the one that the configuration names."""

    path: str | None = None

    def create_resource(self, context: dg.InitResourceContext) -> Warehouse:
        """Return the opened warehouse of this process."""
        url = _load(self.path).warehouse_url
        if context.instance is not None:
            require_one_truth(context.instance, url)
        return opened_warehouse(url)


def require_one_truth(instance: dg.DagsterInstance, url: str) -> None:
    """Refuse a warehouse of this host alone where the instance is one of many hosts.

    Raises:
        ConfigError: the warehouse is SQLite, and the instance is not.
    """
    require_shared(url, type(_run_storage(instance)).__module__)


def id_of_instance(instance: dg.DagsterInstance) -> str:
    """Return what tells an instance from others, whichever process asks: the id of its storage."""
    storage = _run_storage(instance)
    return str(storage.get_run_storage_id()) if hasattr(storage, "get_run_storage_id") else type(storage).__name__


def _run_storage(instance: dg.DagsterInstance) -> Any:
    storage = instance.run_storage
    # One that `storage:` in `dagster.yaml` names as a whole may come wrapped.
    return getattr(storage, "_storage", storage)


def kept_run_resource(wait: Wait = time.sleep) -> dg.ResourceDefinition:
    """Return the resource that is what the run holds between its steps, let go when the run ends, however it ends.

    `wait` is how the run passes the time while it watches another one.
    """

    def kept_run(_context: dg.InitResourceContext) -> Iterator[KeptRun]:
        run = KeptRun(wait)
        try:
            yield run
        finally:
            run.end()

    return dg.ResourceDefinition(resource_fn=kept_run)


def config_and_warehouse(path: str | None = None) -> tuple[Config, Warehouse]:
    """Return both, the configuration read again."""
    config = _load(path)
    return config, opened_warehouse(config.warehouse_url)


def _load(path: str | None) -> Config:
    return load_config(None if path is None else Path(path))


@cache
def opened_warehouse(url: str) -> Warehouse:
    """Open a warehouse once in a process: the sensor asks for it every few seconds."""
    return open_warehouse(url, at=armed_crash_point())
