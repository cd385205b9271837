"""sim_sync in a code location of your own: `build_defs` for Python, `SimSyncComponent` for a `defs.yaml`."""

from sim_sync.dagster.build import build_defs
from sim_sync.dagster.component import SimSyncComponent

__all__ = ["SimSyncComponent", "build_defs"]
