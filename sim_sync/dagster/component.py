"""The component: sim_sync in a `defs.yaml` of somebody else's code location. `dg list components` finds it."""

from pathlib import Path

import dagster as dg

from sim_sync.dagster.build import build_defs


class SimSyncComponent(dg.Component, dg.Model, dg.Resolvable):
    """Syncs the SIM lists of carriers into a warehouse, resuming by itself, and reconciles them with your own list.

    `config` is the path of a `carriers.yaml`, relative to the `defs.yaml`. The other keys are those of
    `sim_sync.dagster.build_defs`.
    """

    config: str = "carriers.yaml"
    key_prefix: str | list[str] | None = None
    group_name: str = "sim_sync"
    name_prefix: str | None = None
    schedule: bool = True
    sensor: bool = True

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return the definitions of this deployment."""
        return build_defs(
            Path(context.path) / self.config,
            key_prefix=self.key_prefix,
            group_name=self.group_name,
            name_prefix=self.name_prefix,
            schedule=self.schedule,
            sensor=self.sensor,
        )
