"""How a run ended that never got to its session, from what Dagster has written down about it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import dagster as dg

from sim_sync.core.errors import SimSyncError, TransientError
from sim_sync.core.resuming import Death

#: The step that takes the session over; what failed beside it does not keep it from doing so.
_OPENING = "open_session"
_FAILURES = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
_LONGEST_REASON = 2000
#: Dagster's words for the end of a run whose process could say nothing; what Dagster saw of it stands before.
_FROM_OUTSIDE = "from outside the execution context"


def death_of(instance: dg.DagsterInstance, runs: Sequence[dg.DagsterRun]) -> Death | None:
    """Return how the newest of these runs ended that has ended as failed; None where none has."""
    failed = next((run for run in runs if run.status is dg.DagsterRunStatus.FAILURE), None)
    if failed is None:
        return None
    events = [
        entry.dagster_event
        for entry in instance.all_logs(failed.run_id, of_type=_FAILURES)
        if entry.dagster_event is not None
    ]
    opening = [event for event in events if (event.step_key or "").endswith(_OPENING)]
    event = next(iter([*opening, *reversed(events)]), None)
    if event is None:
        return Death("it left no word")
    death = _death(event, failed.run_id)
    seen = _last_seen(instance, failed.run_id) if _FROM_OUTSIDE in death.reason else None
    return death if seen is None else replace(death, reason=_one_line(f"{seen} {death.reason}"))


def _last_seen(instance: dg.DagsterInstance, run_id: str) -> str | None:
    """Return what Dagster last told of the run's process, such as the signal that killed it."""
    entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    told = [entry.dagster_event.message for entry in entries if entry.dagster_event is not None]
    return next(filter(None, reversed(told)), None)


def _death(event: dg.DagsterEvent, run_id: str) -> Death:
    data: Any = event.event_specific_data
    described = getattr(getattr(data, "user_failure_data", None), "description", None)
    errors = list(_errors(getattr(data, "error", None)))
    may_pass = any(error.cls_name in _names_below(TransientError) for error in errors)
    return Death(_one_line(described or _told(errors, run_id) or event.message or "it left no word"), may_pass)


def _errors(error: Any) -> Iterator[Any]:
    while error is not None:
        yield error
        error = error.cause


def _told(errors: Sequence[Any], run_id: str) -> str | None:
    """Return the text of an error of our own; of another one only its name: its text may quote a secret."""
    ours = next((error for error in errors if error.cls_name in {*_names_below(SimSyncError), "Failure"}), None)
    if ours is not None:
        # Dagster puts the name of the class with its module before the text.
        return str(ours.message).partition(": ")[2] or ours.cls_name
    return f"{errors[-1].cls_name}, see run {run_id} in Dagster" if errors else None


def _names_below(kind: type[SimSyncError]) -> frozenset[str]:
    return frozenset({kind.__name__}).union(*map(_names_below, kind.__subclasses__()))


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_REASON]
