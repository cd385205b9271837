"""Runs `reconcile_carrier` in the calling process: without a daemon, and in the Dagster instance all the same."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from sim_sync.defs.instance import open_instance
from sim_sync.defs.partitions import CARRIER_TAG, PARTITION_TAG
from sim_sync.defs.telling import INPUT_PROBLEM


@dataclass(frozen=True, slots=True)
class EndedRun:
    """How a run ended; `messages` are the descriptions of what failed in it.

    `has_input_problem` where something failed because what we were given cannot be used.
    """

    run_id: str
    succeeded: bool
    messages: Sequence[str]
    has_input_problem: bool


def run_in_this_process(
    job: Callable[[], dg.JobDefinition], carrier: str, *, restart: bool, max_pages: int | None
) -> EndedRun:
    """Execute the job that `job` of `sim_sync.definitions` returns, for one carrier, and return how it ended.

    Raises:
        InputError: the Dagster instance of `DAGSTER_HOME` cannot be used.
    """
    tags = {PARTITION_TAG: carrier, CARRIER_TAG: carrier}
    with open_instance() as instance:
        result = dg.execute_job(
            dg.reconstructable(job),
            instance=instance,
            run_config=_run_config(restart=restart, max_pages=max_pages),
            tags=tags,
            raise_on_error=False,
        )
        return EndedRun(result.run_id, result.success, _failures(result), _has_input_problem(result))


def _run_config(*, restart: bool, max_pages: int | None) -> dict[str, Any]:
    config = {"restart": restart, "max_pages": max_pages}
    return {
        "ops": {"carrier_sims": {"ops": {"open_session": {"config": config}}}},
        # The terminal shows checkpoints; the whole log is in the instance.
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
    }


def _failures(result: dg.JobExecutionResult) -> Sequence[str]:
    messages = []
    for event in result.all_events:
        if not event.is_step_failure:
            continue
        data = event.step_failure_data
        described = data.user_failure_data.description if data.user_failure_data else None
        cause = data.error.cause if data.error and data.error.cause else data.error
        messages.append(described or (cause.message.strip() if cause else "a step failed"))
    return messages


def _has_input_problem(result: dg.JobExecutionResult) -> bool:
    told = (event.step_failure_data.user_failure_data for event in result.all_events if event.is_step_failure)
    return any(data is not None and INPUT_PROBLEM in data.metadata for data in told)
