"""Runs `reconcile_carrier` in the calling process: without a daemon, and in the Dagster instance all the same."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from filelock import FileLock, Timeout

from sim_sync.core.errors import InputError, NoRoomLeft, SimSyncError
from sim_sync.defs.assets import LIST_HELD
from sim_sync.defs.errors import INPUT_PROBLEM, RunInterrupted
from sim_sync.defs.jobs import CARRIER_TAG, PARTITION_TAG, SESSION_TAG
from sim_sync.defs.progress import LEFT_ALONE
from sim_sync.files import FILE_MODE, is_about_room, is_full, make_private_folder, no_room_text

if TYPE_CHECKING:  # it has no public name
    from dagster_shared.error import SerializableErrorInfo

# Opens the Dagster instance of `DAGSTER_HOME`, one process at a time.
#
# Dagster makes its SQLite databases when it first opens them, and does not expect another process to do so at the
# same moment: one of the two fails, or leaves a home that none can open any more.


#: Making the databases takes a second or two.
_PATIENCE_SECONDS = 120.0


def open_instance() -> dg.DagsterInstance:
    """Return the instance, all its storages made; use it as a context manager.

    Raises:
        InputError: the instance cannot be used.
        NoRoomLeft: its home is full.
    """
    home = os.environ.get("DAGSTER_HOME", "")
    try:
        with full_home_told(), _alone(home):
            instance = dg.DagsterInstance.get()
            # Each is made when it is first asked for.
            _ = (instance.run_storage, instance.event_log_storage, instance.schedule_storage)
            return instance
    except Timeout:
        raise InputError(f"another process has been opening the Dagster instance in {home} for too long") from None
    except (dg.DagsterError, OSError) as error:
        raise InputError(f"the Dagster instance in {home} cannot be used: {_one_line(error)}") from None
    except NoRoomLeft:
        raise
    except Exception as error:  # of its storages: a file that is none of theirs, tables that are half made
        raise InputError(
            f"the Dagster instance in {home} cannot be used: {type(error).__name__}: {_one_line(error)}; "
            "where two programs of Dagster made it at the same moment, it stays so: move it away, and start one first"
        ) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).partition("[SQL:")[0].split())


@contextmanager
def full_home_told() -> Iterator[None]:
    """Turn any error of Dagster's own work into one of ours where there is no room in its home for that.

    Dagster has no word of its own for it: it is whatever its database says, wherever it was about to write.

    Raises:
        NoRoomLeft: its home is full.
    """
    try:
        yield
    except Exception as error:
        home = os.environ.get("DAGSTER_HOME", "")
        if isinstance(error, SimSyncError) or not (is_about_room(error) or (home and is_full(Path(home)))):
            raise
        raise NoRoomLeft(no_room_text([home])) from None


def _alone(home: str) -> AbstractContextManager[object]:
    """Keep other processes of sim_sync out of a home; what is no absolute path is Dagster's to refuse."""
    if not Path(home).is_absolute():
        return nullcontext()
    folder = Path(home) / ".sim_sync"
    make_private_folder(folder)
    return FileLock(folder / "dagster.lock", mode=FILE_MODE, timeout=_PATIENCE_SECONDS)


# Which runs worked on a session, and who launched them, as Dagster's instance tells. Read only.


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


# A run in this process, and how it ended.


#: What a step fails of that was told to end: ours, and Dagster's own between two attempts of an op.
_INTERRUPTIONS = frozenset({RunInterrupted.__name__, dg.DagsterExecutionInterruptedError.__name__})


@dataclass(frozen=True, slots=True)
class EndedRun:
    """How a run ended; `messages` are the descriptions of what failed in it.

    `session_id` is the session that it opened or took over, if it did; `left_alone` is why it did not.
    `was_interrupted` where it was told to end. `list_held` is why our list was read and not taken, if so.
    `has_input_problem` where something failed because what we were given cannot be used.
    """

    run_id: str
    succeeded: bool
    messages: Sequence[str]
    has_input_problem: bool
    session_id: str | None
    left_alone: str | None
    was_interrupted: bool
    list_held: str | None = None


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
        list_held=_list_held(result),
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


def _list_held(result: dg.JobExecutionResult) -> str | None:
    for event in result.all_events:
        if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION:
            told = event.step_materialization_data.materialization.metadata
            if LIST_HELD in told:
                return str(told[LIST_HELD].value)
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
