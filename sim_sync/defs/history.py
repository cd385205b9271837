"""Which runs worked on a session, and who launched them, as Dagster's instance tells. Read only."""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from sim_sync.defs.instance import open_instance
from sim_sync.defs.partitions import SESSION_TAG


@dataclass(frozen=True, slots=True)
class RunOfSession:
    """One run of a session. `sensor` is the one that launched it; None where somebody else did."""

    run_id: str
    status: str
    is_finished: bool
    sensor: str | None


def runs_of_session(session_id: str) -> Sequence[RunOfSession]:
    """Return the runs that worked on a session, the first one first."""
    with open_instance() as instance:
        records = instance.get_run_records(dg.RunsFilter(tags={SESSION_TAG: session_id}), ascending=True)
    runs = [record.dagster_run for record in records]
    return [
        RunOfSession(run.run_id, run.status.value, run.is_finished, run.tags.get("dagster/sensor_name")) for run in runs
    ]
