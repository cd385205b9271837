"""Everything Dagster sees of this project as its own code location; `workspace.yaml` and `[tool.dg]` point here.

What is in it, and how to have it beside other code, is `sim_sync.dagster`.
"""

import dagster as dg

from sim_sync.config import load_config
from sim_sync.dagster import build_defs
from sim_sync.defs.jobs import JOB_NAME


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of the configured carriers, read when Dagster loads the code location.

    Raises:
        ConfigError: with every problem of the configuration; Dagster shows it on its page.
    """
    return _definitions()


def reconcile_carrier() -> dg.JobDefinition:
    """Return the job, for those who run it in their own process."""
    return _definitions().resolve_job_def(JOB_NAME)


def _definitions() -> dg.Definitions:
    # The executor is that of the location: an asset that is materialized by itself has no job of ours to say it.
    return dg.Definitions.merge(build_defs(load_config()), dg.Definitions(executor=dg.in_process_executor))
