"""Runs `reconcile_carrier` in the calling process: without a daemon, and in the Dagster instance all the same."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from sim_sync.defs.errors import INPUT_PROBLEM, RunInterrupted
from sim_sync.defs.instance import full_home_told, open_instance
from sim_sync.defs.partitions import CARRIER_TAG, PARTITION_TAG, SESSION_TAG
from sim_sync.defs.progress import LEFT_ALONE

if TYPE_CHECKING:  # it has no public name
    from dagster_shared.error import SerializableErrorInfo


#: What a step fails of that was told to end: ours, and Dagster's own between two attempts of an op.
_INTERRUPTIONS = frozenset({RunInterrupted.__name__, dg.DagsterExecutionInterruptedError.__name__})


@dataclass(frozen=True, slots=True)
class EndedRun:
    """How a run ended; `messages` are the descriptions of what failed in it.

    `session_id` is the session that it opened or took over, if it did; `left_alone` is why it did not.
    `was_interrupted` where it was told to end.
    `has_input_problem` where something failed because what we were given cannot be used.
    """

    run_id: str
    succeeded: bool
    messages: Sequence[str]
    has_input_problem: bool
    session_id: str | None
    left_alone: str | None
    was_interrupted: bool


def run_in_this_process(
    job: Callable[[], dg.JobDefinition], carrier: str, *, restart: bool, max_pages: int | None
) -> EndedRun:
    """Execute the job that `job` of `sim_sync.definitions` returns, for one carrier, and return how it ended.

    Raises:
        InputError: the Dagster instance of `DAGSTER_HOME` cannot be used.
        NoRoomLeft: there is no room in it; the session is left to whoever comes when there is.
        KeyboardInterrupt: the process was told to end while no step was at work.
    """
    tags = {PARTITION_TAG: carrier, CARRIER_TAG: carrier}
    with full_home_told(), open_instance() as instance:
        try:
            result = dg.execute_job(
                dg.reconstructable(job),
                instance=instance,
                run_config=_run_config(restart=restart, max_pages=max_pages),
                tags=tags,
                raise_on_error=False,
            )
        except dg.DagsterExecutionInterruptedError:
            raise KeyboardInterrupt from None
        run = instance.get_run_by_id(result.run_id)
    return EndedRun(
        result.run_id,
        result.success,
        _failures(result),
        _has_input_problem(result),
        session_id=None if run is None else run.tags.get(SESSION_TAG),
        left_alone=_left_alone(result),
        was_interrupted=any(_is_interruption(data) for data in _step_failures(result)),
    )


def _run_config(*, restart: bool, max_pages: int | None) -> dict[str, Any]:
    # What a person has paused stays so: there is a command for it. The terminal says why nothing was done.
    config = {"restart": restart, "max_pages": max_pages, "resume": False}
    return {
        "ops": {"carrier_sims": {"ops": {"open_session": {"config": config}}}},
        # The terminal shows checkpoints; the whole log is in the instance.
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
    }


def _left_alone(result: dg.JobExecutionResult) -> str | None:
    for event in result.all_events:
        if event.event_type is dg.DagsterEventType.ASSET_OBSERVATION:
            told = event.asset_observation_data.asset_observation.metadata
            if LEFT_ALONE in told:
                return _left_alone_line(str(told["state"].value), str(told[LEFT_ALONE].value))
    return None


def _left_alone_line(state: str, why: str) -> str:
    return f"left alone: {why}" if why.startswith(state) else f"{state}, left alone: {why}"


def _failures(result: dg.JobExecutionResult) -> Sequence[str]:
    messages = []
    for data in _step_failures(result):
        if _is_interruption(data):
            continue
        described = data.user_failure_data.description if data.user_failure_data else None
        cause = _cause(data)
        messages.append(described or (_text_of(cause) if cause else "a step failed"))
    return messages


def _text_of(error: "SerializableErrorInfo") -> str:
    """Return what an error says, without the name of its class, which Dagster puts before it."""
    name, _, text = error.message.strip().partition(": ")
    return text if text and error.cls_name and name.rpartition(".")[2] == error.cls_name else error.message.strip()


def _is_interruption(data: Any) -> bool:
    """Return whether a step has failed because it was told to end: that is how a run says so to Dagster."""
    cause = _cause(data)
    return cause is not None and cause.cls_name in _INTERRUPTIONS


def _step_failures(result: dg.JobExecutionResult) -> Iterator[Any]:
    return (event.step_failure_data for event in result.all_events if event.is_step_failure)


def _cause(data: Any) -> "SerializableErrorInfo | None":
    error: SerializableErrorInfo | None = data.error
    return error.cause if error and error.cause else error


def _has_input_problem(result: dg.JobExecutionResult) -> bool:
    told = (data.user_failure_data for data in _step_failures(result))
    return any(data is not None and INPUT_PROBLEM in data.metadata for data in told)
