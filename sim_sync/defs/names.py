"""What the definitions are called: several deployments may stand side by side in one code location.

Dagster's keys and names are global to a code location. Each deployment has its own asset keys, names and resources.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

ASSETS = ("sim_inventory", "carrier_sims", "sim_discrepancies")


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
        """Return the key of one of `ASSETS`."""
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
        own = {self.asset(name) for name in ASSETS}
        return run.job_name == self.named("reconcile_carrier") or bool(own & set(run.asset_selection or ()))
