"""The sensor `resume_interrupted_syncs`: looks every few seconds for sessions that nobody works on, and launches a run.

What it decides is `core.resuming`, a pure function; here it looks, asks, acts and remembers. The truth about progress
is in the warehouse: the cursor only remembers what was asked for.
"""

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

import dagster as dg

from sim_sync.config import Config
from sim_sync.core.errors import NoRoomLeft, SimSyncError
from sim_sync.core.resuming import (
    CarrierSnapshot,
    GiveUpNow,
    LeaveAlone,
    PauseNow,
    ResumeBackoff,
    ResumeDecision,
    ResumeNow,
    ResumeRequest,
    decide_resumes,
    lost_owner,
)
from sim_sync.core.session import Event, Session, State
from sim_sync.defs.jobs import CARRIER_TAG, RUN_KEY_TAG, SESSION_TAG, AssetJob
from sim_sync.defs.liveness import (
    View,
    Watch,
    grant_first_leases,
    look_twice_where_in_doubt,
    owner_is_gone,
    report_lost_runs,
)
from sim_sync.defs.names import Names
from sim_sync.defs.runs import was_terminated
from sim_sync.defs.watching import death_of
from sim_sync.warehouse import Warehouse
from sim_sync.warehouse.warehouse import require_room
from sim_sync.worker.lease import Wait

#: How often the sensor looks. With the start of a run (seconds), a dead sync continues well within a minute.
LOOK_EVERY_SECONDS = 10


def build_resume_interrupted_syncs(
    job: AssetJob,
    carrier_names: Sequence[str],
    open_context: Callable[[], tuple[Config, Warehouse]],
    names: Names,
    *,
    wait: Wait = time.sleep,
) -> dg.SensorDefinition:
    """Build the sensor, on by default: a fresh `dagster dev` resumes by itself.

    `open_context` returns what it looks with. These are not resources of Dagster: one that cannot be opened is a reason
    to skip, and would be a failed tick. `wait` passes the time between two looks at a lease that has run out.
    """

    @dg.sensor(
        name=names.named("resume_interrupted_syncs"),
        job=job,
        minimum_interval_seconds=LOOK_EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def resume_interrupted_syncs(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        """Resumes every sync that died, was stopped by a deploy, ran out of its budget, or was parked and is due."""
        try:
            return _evaluate(context, *open_context(), Watch(carrier_names, names, wait))
        except NoRoomLeft as full:
            return dg.SkipReason(f"no run is launched: {full}")
        except SimSyncError as error:
            return dg.SkipReason(f"cannot look: {error}")

    return resume_interrupted_syncs


def _evaluate(
    context: dg.SensorEvaluationContext, config: Config, warehouse: Warehouse, watch: Watch
) -> dg.SensorResult:
    memory = memory_from_cursor(context.cursor)
    view = look_twice_where_in_doubt(context.instance, warehouse, watch)
    snapshots = [_sight(context.instance, warehouse, session, view, memory) for session in view.sessions]
    verdicts = decide_resumes(snapshots, paces(config), view.now, random.random())  # noqa: S311 - jitter, no secret
    lost_owners = {lost_owner(snapshot, view.now) for snapshot in snapshots}
    report_lost_runs(context.instance, warehouse, view, lost_owners)
    grant_first_leases(warehouse, view)
    if any(isinstance(decision, ResumeNow) for decision in verdicts):
        require_room(warehouse.engine)  # a run could not even say that it lives
    for decision in verdicts:
        _move(warehouse, decision)
        context.log.info(_line(decision))
    return _result(verdicts, memory, _unknown_carriers(config, watch))


def _unknown_carriers(config: Config, watch: Watch) -> Sequence[str]:
    """Return a line for each carrier that was added to `carriers.yaml` since Dagster read the definitions."""
    return [
        f"{carrier}: in carriers.yaml, but unknown to this code location, so nothing resumes it: reload definitions"
        for carrier in config.carrier_names
        if carrier not in watch.carriers
    ]


def _move(warehouse: Warehouse, decision: ResumeDecision) -> None:
    """Move the session where nothing is left for a run to do."""
    if isinstance(decision, PauseNow):
        warehouse.sessions.move_by_operator(decision.session.carrier, Event.PAUSED_BY_OPERATOR)
    elif isinstance(decision, GiveUpNow):
        warehouse.sessions.fail_opening(decision.failed)


def paces(sync_config: Config) -> Mapping[str, ResumeBackoff]:
    """Return how fast each carrier's resumes may follow each other; a carrier with problems has the default pace."""
    found: dict[str, ResumeBackoff] = {}
    for name in sync_config.carrier_names:
        try:
            retry = sync_config.carrier(name).retry
        except SimSyncError:
            continue
        found[name] = ResumeBackoff(
            retry.base_seconds, retry.ceiling_seconds, retry.max_stalled_resumes, retry.longest_wait_seconds
        )
    return found


def _sight(
    instance: dg.DagsterInstance,
    warehouse: Warehouse,
    session: Session,
    view: View,
    memory: Mapping[str, ResumeRequest],
) -> CarrierSnapshot:
    process = warehouse.sessions.internals(session.session_id).process
    is_gone = session.owner is not None and owner_is_gone(instance, session.owner, process)
    asked = memory.get(session.carrier)
    asked_runs = _asked_runs(instance, session, asked)
    return CarrierSnapshot(
        session=session,
        live_runs=view.waited_for(session.carrier),
        gone_owners=frozenset({session.owner} if session.owner is not None and is_gone else ()),
        present_owners=view.living,
        asked=asked,
        terminated_run=_terminated_run(instance, session, asked_runs),
        death=death_of(instance, asked_runs),
    )


def _asked_runs(instance: dg.DagsterInstance, session: Session, asked: ResumeRequest | None) -> Sequence[dg.DagsterRun]:
    """Return the runs that were asked for last and have not taken the session over, the newest first."""
    if asked is None or (asked.session_id, asked.fence) != (session.session_id, session.fence):
        return ()
    return instance.get_runs(dg.RunsFilter(tags={RUN_KEY_TAG: asked.run_key}))


def _terminated_run(instance: dg.DagsterInstance, session: Session, asked_runs: Sequence[dg.DagsterRun]) -> str | None:
    """Return the run that the session was to continue with, where a person ended it before it could say so itself."""
    run_ids = [session.owner] if session.state is State.RUNNING and session.owner is not None else []
    run_ids += [run.run_id for run in asked_runs]
    return next((run_id for run_id in run_ids if was_terminated(instance, run_id)), None)


def _line(decision: ResumeDecision) -> str:
    carrier, session_id = decision.session.carrier, decision.session.session_id
    match decision:
        case ResumeNow(session, _, why):
            return f"{carrier}: session {session_id} continues after page {session.pages_done}: {why}"
        case PauseNow(_, _, why):
            return f"{carrier}: session {session_id} is paused: {why}; `sim-sync resume {carrier}` continues it"
        case GiveUpNow(_, why):
            return f"{carrier}: session {session_id} has failed: {why}"
        case LeaveAlone(_, why):
            return f"{carrier}: session {session_id} is left alone: {why}"


def _result(
    verdicts: Sequence[ResumeDecision], memory: Mapping[str, ResumeRequest], unknown: Sequence[str]
) -> dg.SensorResult:
    resumes = [decision for decision in verdicts if isinstance(decision, ResumeNow)]
    new = {
        decision.session.carrier: decision.asked for decision in verdicts if isinstance(decision, ResumeNow | PauseNow)
    }
    remembered = dict(memory) | new
    cursor = cursor_from_memory(remembered)
    if not resumes:
        told = [*map(_line, verdicts)] or ["no session is open at the carriers of this code location"]
        return dg.SensorResult(skip_reason="; ".join([*told, *unknown]), cursor=cursor)
    return dg.SensorResult(run_requests=[_request(decision) for decision in resumes], cursor=cursor)


def _request(decision: ResumeNow) -> dg.RunRequest:
    carrier = decision.session.carrier
    return dg.RunRequest(
        run_key=decision.run_key,
        partition_key=carrier,
        tags={CARRIER_TAG: carrier, SESSION_TAG: decision.session.session_id},
    )


def memory_from_cursor(cursor: str | None) -> dict[str, ResumeRequest]:
    """Return what the sensor remembers; what an earlier or later version wrote and this one cannot read is dropped."""
    memory: dict[str, ResumeRequest] = {}
    try:
        carriers = json.loads(cursor or "{}").get("carriers", {})
        for carrier, asked in carriers.items():
            memory[carrier] = ResumeRequest(
                session_id=str(asked["session_id"]),
                fence=int(asked["fence"]),
                pages_done=int(asked["pages_done"]),
                attempt=int(asked["attempt"]),
                asked_at=datetime.fromisoformat(asked["asked_at"]),
                deaths=int(asked.get("deaths", 0)),
                session_updated_at=_time_or_none(asked.get("session_updated_at")),
            )
    except (ValueError, TypeError, KeyError, AttributeError):
        return memory
    return memory


def cursor_from_memory(memory: Mapping[str, ResumeRequest]) -> str:
    """Return the sensor's memory as its cursor."""
    carriers = {carrier: asdict(asked) for carrier, asked in sorted(memory.items())}
    return json.dumps({"carriers": carriers}, default=datetime.isoformat)


def _time_or_none(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
