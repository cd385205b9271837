"""Everything Dagster sees of this project as its own code location; `workspace.yaml` and `[tool.dg]` point here.

What is in it, and how to have it beside other code, is `sim_sync.dagster`.
"""

import dagster as dg

from sim_sync.config import Config, load_config
from sim_sync.dagster import build_defs
from sim_sync.defs.jobs import JOB_NAME


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of the configured carriers, read when Dagster loads the code location.

    Raises:
        ConfigError: with every problem of the configuration; Dagster shows it on its page.
    """
    return _definitions(load_config())


#: The last configuration that a job was built of, and the job: of one run Dagster asks for it twice.
_built: list[tuple[Config, dg.JobDefinition]] = []


def reconcile_carrier() -> dg.JobDefinition:
    """Return the job, for those who run it in their own process."""
    config = load_config()
    if not _built or _built[0][0] != config:
        _built[:] = [(config, _definitions(config).resolve_job_def(JOB_NAME))]
    return _built[0][1]


def _definitions(config: Config) -> dg.Definitions:
    # The executor is that of the location: an asset that is materialized by itself has no job of ours to say it.
    return dg.Definitions.merge(build_defs(config), dg.Definitions(executor=dg.in_process_executor))
