"""What the assets and ops get handed: the configuration and the warehouse, each as a plain object.

Their only field is the path of the configuration: a warehouse URL with its password would be shown in the UI.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import dagster as dg

from sim_sync.config import Config, load_config
from sim_sync.warehouse import Warehouse, open_warehouse
from sim_sync.worker.crash import armed_crash_point
from sim_sync.worker.kept_run import KeptRun


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
        return opened_warehouse(_load(self.path).warehouse_url)


class KeptRunResource(dg.ConfigurableResource[KeptRun]):
    """What the run holds between its steps; let go when the run ends, however it ends."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[KeptRun]:
        """Hand the same object to all steps that this process executes."""
        kept_run = KeptRun()
        try:
            yield kept_run
        finally:
            kept_run.end()


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
