"""What a run tells about itself: its trigger, its process, its tags; and whether a person ended it."""

import json
from typing import TypeAlias

import dagster as dg

from sim_sync.core.opening import Process, Trigger
from sim_sync.defs.partitions import CARRIER_TAG, PROCESS_TAG, SESSION_TAG
from sim_sync.worker.processes import this_process

Context: TypeAlias = dg.OpExecutionContext | dg.AssetExecutionContext


def trigger_of(context: Context) -> Trigger:
    """Return who started the run, from the tags that Dagster's automation puts on it."""
    tags = context.run.tags
    if "dagster/sensor_name" in tags:
        return Trigger.SENSOR
    if "dagster/schedule_name" in tags:
        return Trigger.NIGHTLY
    return Trigger.OPERATOR


def introduce_run(context: Context) -> None:
    """Tag the run with its carrier and its process, so that the sensor can tell when the process is gone."""
    wanted = {CARRIER_TAG: context.partition_key, PROCESS_TAG: process_text(this_process())}
    if any(context.run.tags.get(name) != value for name, value in wanted.items()):
        context.instance.add_run_tags(context.run_id, wanted)


def tag_session(context: Context, session_id: str) -> None:
    """Tag the run with the session it works on."""
    context.instance.add_run_tags(context.run_id, {SESSION_TAG: session_id})


def was_terminated(context: Context) -> bool:
    """Return whether a person ended the run (*Terminate*); a deploy's SIGTERM leaves its status alone."""
    run = context.instance.get_run_by_id(context.run_id)
    return run is not None and run.status in {dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED}


def process_text(process: Process) -> str:
    """Return a process as the value of its run tag."""
    return json.dumps([process.host, process.pid, process.started])


def process_from_text(text: str | None) -> Process | None:
    """Return the process that a run tag names; None where it names none that can be read."""
    try:
        host, pid, started = json.loads(text or "")
        return Process(str(host), int(pid), str(started))
    except (ValueError, TypeError):
        return None
