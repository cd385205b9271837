"""The sensors: one resumes interrupted syncs, one sends alerts."""

import json
import random
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from sim_sync.config import Config
from sim_sync.core.errors import NoRoomLeft, SimSyncError
from sim_sync.core.resuming import (
    CarrierSnapshot,
    Death,
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
from sim_sync.core.session import Event, Session, SessionInternals, State
from sim_sync.core.text import bounded_list, counted
from sim_sync.defs.jobs import CARRIER_TAG, RUN_KEY_TAG, SESSION_TAG, AssetJob, Names
from sim_sync.defs.liveness import (
    Noted,
    View,
    Watch,
    grant_first_leases,
    is_over,
    look_twice_where_in_doubt,
    report_lost_runs,
)
from sim_sync.defs.resources import id_of_instance, require_one_truth
from sim_sync.defs.runs import terminated_runs
from sim_sync.defs.watching import death_of
from sim_sync.warehouse import Warehouse
from sim_sync.warehouse.code_locations import CodeLocation, SqlCodeLocations, doubled
from sim_sync.warehouse.warehouse import require_room
from sim_sync.worker.lease import Wait
from sim_sync.worker.processes import is_known_dead

if TYPE_CHECKING:
    from sim_sync.alerts import Sent

# The sensor `send_alerts`: looks at all carriers every half a minute, and tells receivers what has begun and ended.
#
# It works in a thread of its own, because a receiver may hang and Dagster evaluates sensors one after the other: the
# one that resumes syncs must not wait for a mail server.


SEND_EVERY_SECONDS = 30
#: So long a tick waits for its round; a longer one is told of by a later tick.
TICK_SECONDS = 3.0


def build_send_alerts(
    open_context: Callable[[], tuple[Config, Warehouse]], names: Names, *, tick_seconds: float = TICK_SECONDS
) -> dg.SensorDefinition:
    """Build the sensor; whoever configures `alerts` wants it on.

    `open_context` returns what it looks with, the configuration read again. It launches nothing: each tick says what it
    did as its reason to skip.
    """
    rounds = _Rounds(open_context)

    @dg.sensor(
        name=names.named("send_alerts"),
        minimum_interval_seconds=SEND_EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def send_alerts_sensor(_context: dg.SensorEvaluationContext) -> dg.SkipReason:
        """Tells people by webhook and mail, once, what needs them, and once when it is over."""
        return dg.SkipReason(rounds.told_within(tick_seconds))

    return send_alerts_sensor


class _Rounds:
    """At most one round at a time in this process; a process that dies in one leaves its claims to run out."""

    def __init__(self, open_context: Callable[[], tuple[Config, Warehouse]]) -> None:
        self._open_context = open_context
        self._lock = threading.Lock()
        self._round: _Round | None = None

    def told_within(self, seconds: float) -> str:
        """Begin a round, or find the last one still at work; return what it came to, or that it is not over."""
        with self._lock:
            current = self._round
            if current is None:
                self._round = current = _Round(self._open_context)
                current.start()
        current.join(seconds)
        if current.is_alive():
            return "a receiver takes long: the round continues, and a later look says what came of it"
        with self._lock:
            self._round = None
        return current.told()


class _Round(threading.Thread):
    def __init__(self, open_context: Callable[[], tuple[Config, Warehouse]]) -> None:
        super().__init__(name="alerts", daemon=True)
        self._open_context = open_context
        self._told = ""
        self._bug: Exception | None = None

    def run(self) -> None:
        try:
            self._told = _one_round(*self._open_context())
        except SimSyncError as error:
            self._told = f"cannot look: {error}"
        except Exception as bug:  # noqa: BLE001 - it is raised in the tick, where it is seen
            self._bug = bug

    def told(self) -> str:
        """Return what the round came to, or raise what it died of."""
        if self._bug is not None:
            raise self._bug
        return self._told


def _one_round(config: Config, warehouse: Warehouse) -> str:
    settings = config.alerts
    if settings is None:
        return f"{config.path} has no section `alerts` any more"
    # Here, because every run of a walk imports the sensors with the definitions, and sends nothing.
    from sim_sync.alerts import receivers_of, send_alerts
    from sim_sync.warehouse.alerts import SqlAlerts

    return _summary(send_alerts(config, settings, SqlAlerts(warehouse.engine), receivers_of(settings)))


def _summary(sent: "Sent") -> str:
    told = f"{sent.opened:,} opened, {sent.closed:,} over, {counted(sent.delivered, 'message')} delivered"
    return "; ".join([told, *(f"not delivered: {one}" for one in sent.failed)])


# The sensor `resume_interrupted_syncs`: looks every few seconds for sessions that nobody works on, and launches a
# run.
#
# What it decides is `core.resuming`, a pure function; here it looks, asks, acts and remembers. The truth about
# progress is in the warehouse: the cursor only remembers what was asked for.


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
    deaths: dict[str, Death] = {}
    noted = Noted()

    @dg.sensor(
        name=names.named("resume_interrupted_syncs"),
        job=job,
        minimum_interval_seconds=LOOK_EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def resume_interrupted_syncs(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        """Resumes every sync that died, was stopped by a deploy, ran out of its budget, or was parked and is due."""
        try:
            config, warehouse = open_context()
            require_one_truth(context.instance, str(warehouse.engine.url))
            return _evaluate(context, config, warehouse, Watch(carrier_names, names, wait, deaths, noted))
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
    snapshots = _sight(context.instance, warehouse, view, memory, watch.deaths)
    paces = _paces(config, snapshots)
    verdicts = decide_resumes(snapshots, paces, view.now, random.random())  # noqa: S311 - jitter, no secret
    lost_owners = {lost_owner(snapshot, view.now) for snapshot in snapshots}
    report_lost_runs(context.instance, warehouse, view, lost_owners)
    grant_first_leases(warehouse, view)
    if any(isinstance(decision, ResumeNow) for decision in verdicts):
        require_room(warehouse.engine)  # a run could not even say that it lives
    for decision in verdicts:
        _move(warehouse, decision)
    if watch.noted.instance is None:
        watch.noted.instance = id_of_instance(context.instance)
    elif not any(isinstance(decision, ResumeNow) for decision in verdicts):  # a tick that launches has enough to do
        _note_location(context, warehouse, watch, view.now)
    told = _told(verdicts, [*watch.noted.doubles, *_unknown_carriers(config, watch)])
    if not all(isinstance(decision, LeaveAlone) for decision in verdicts):
        context.log.info(told)
    return _result(verdicts, told, kept_memory(memory, verdicts, watch.carriers))


def _note_location(context: dg.SensorEvaluationContext, warehouse: Warehouse, watch: Watch, now: datetime) -> None:
    """Write down that this code location is at work, and learn which other one has carriers of this one."""
    noted = watch.noted
    if noted.at is not None and abs((now - noted.at).total_seconds()) < _NOTE_EVERY_SECONDS:
        return
    noted.at = now
    origin = context.code_location_origin
    location = CodeLocation(
        name=f"{origin.location_name if origin else 'sim_sync'}/{watch.names.named('resume_interrupted_syncs')}",
        instance=noted.instance or "",
        carriers=watch.carriers,
    )
    try:
        at_work = SqlCodeLocations(warehouse.engine, clock=lambda: now).note(location)
        noted.doubles = doubled(at_work, watch.carriers)
    except SimSyncError:  # a warehouse that is full or locked: the syncs come first
        noted.doubles = ()


#: Well below `AT_WORK_SECONDS`.
_NOTE_EVERY_SECONDS = 25


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


def _paces(config: Config, snapshots: Sequence[CarrierSnapshot]) -> Mapping[str, ResumeBackoff]:
    """Return how fast the resumes of these carriers may follow each other; one with problems has the default pace.

    Those without an open session are left out.
    """
    found: dict[str, ResumeBackoff] = {}
    for name in (snapshot.session.carrier for snapshot in snapshots):
        try:
            retry = config.retry(name)
        except SimSyncError:
            continue
        found[name] = ResumeBackoff(
            retry.base_seconds, retry.ceiling_seconds, retry.max_stalled_resumes, retry.longest_wait_seconds
        )
    return found


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of the runs that have to do with the open sessions: a query or two a kind, however many there are.

    `asked` are the runs that were asked for last, by their run key, the newest first.
    """

    internals: Mapping[str, SessionInternals]
    owners: Mapping[str, dg.RunRecord]
    asked: Mapping[str, Sequence[dg.DagsterRun]]
    terminated: frozenset[str]


def _sight(
    instance: dg.DagsterInstance,
    warehouse: Warehouse,
    view: View,
    memory: Mapping[str, ResumeRequest],
    deaths: dict[str, Death],
) -> Sequence[CarrierSnapshot]:
    if not view.sessions:
        return ()
    known = _known(instance, warehouse, view, memory)
    live_runs, present = view.waited_for(), view.living
    return [
        CarrierSnapshot(
            session=session,
            live_runs=live_runs.get(session.carrier, ()),
            gone_owners=_gone_owners(session, known),
            present_owners=present,
            asked=memory.get(session.carrier),
            terminated_run=_terminated_run(session, asked_runs, known.terminated),
            death=_death(instance, asked_runs, deaths),
        )
        for session in view.sessions
        for asked_runs in [known.asked.get(_run_key(session, memory) or "", ())]
    ]


def _known(
    instance: dg.DagsterInstance, warehouse: Warehouse, view: View, memory: Mapping[str, ResumeRequest]
) -> _Known:
    owners = _owners(instance, view)
    asked = _asked_runs(instance, [key for session in view.sessions if (key := _run_key(session, memory))])
    asked_by_key: dict[str, list[dg.DagsterRun]] = {}
    for record in asked:
        asked_by_key.setdefault(record.dagster_run.tags[RUN_KEY_TAG], []).append(record.dagster_run)
    internals = warehouse.sessions.internals_of([session.session_id for session in view.sessions])
    return _Known(internals, owners, asked_by_key, terminated_runs(instance, [*owners.values(), *asked]))


def _owners(instance: dg.DagsterInstance, view: View) -> Mapping[str, dg.RunRecord]:
    """Return the runs that own an open session, by their ids, without those that the instance does not know."""
    wanted = {session.owner for session in view.sessions if session.owner is not None}
    found = {run.run.run_id: run.record for run in view.runs if run.run.run_id in wanted}
    if missing := sorted(wanted - found.keys()):
        records = instance.get_run_records(dg.RunsFilter(run_ids=missing))
        found |= {record.dagster_run.run_id: record for record in records}
    return found


def _run_key(session: Session, memory: Mapping[str, ResumeRequest]) -> str | None:
    """Return the key of the run that was asked for last, unless somebody has taken the session over since."""
    asked = memory.get(session.carrier)
    return asked.run_key if asked is not None and asked.is_about(session) else None


def _asked_runs(instance: dg.DagsterInstance, run_keys: Sequence[str]) -> Sequence[dg.RunRecord]:
    return instance.get_run_records(dg.RunsFilter(tags={RUN_KEY_TAG: run_keys})) if run_keys else ()


def _death(instance: dg.DagsterInstance, runs: Sequence[dg.DagsterRun], known: dict[str, Death]) -> Death | None:
    """Return how the newest of these runs died; each is asked about once: a run dies once."""
    failed = next((run for run in runs if run.status is dg.DagsterRunStatus.FAILURE), None)
    if failed is None:
        return None
    if failed.run_id not in known:
        known[failed.run_id] = death_of(instance, failed.run_id)
    return known[failed.run_id]


def _gone_owners(session: Session, known: _Known) -> frozenset[str]:
    if session.owner is None:
        return frozenset()
    owner = known.owners.get(session.owner)
    is_gone = is_known_dead(known.internals[session.session_id].process) or is_over(
        None if owner is None else owner.dagster_run
    )
    return frozenset({session.owner} if is_gone else ())


def _terminated_run(session: Session, asked_runs: Sequence[dg.DagsterRun], terminated: Collection[str]) -> str | None:
    """Return the run that the session was to continue with, where a person ended it before it could say so itself."""
    run_ids = [session.owner] if session.state is State.RUNNING and session.owner is not None else []
    run_ids += [run.run_id for run in asked_runs]
    return next((run_id for run_id in run_ids if run_id in terminated), None)


#: What a tick tells, in bytes as Dagster stores it: it keeps the text of every tick, and one of the log twice.
LONGEST_TOLD = 1500


def _told(verdicts: Sequence[ResumeDecision], unknown: Sequence[str]) -> str:
    """Return what a tick has to tell: first what it moves, then what only a person can, then what it leaves alone."""
    moved = [decision for decision in verdicts if not isinstance(decision, LeaveAlone)]
    left = [decision for decision in verdicts if isinstance(decision, LeaveAlone)]
    none = [] if verdicts else ["no session is open at the carriers of this code location"]
    return bounded_list([*none, *map(_line, moved), *unknown, *map(_line, left)], "carrier", LONGEST_TOLD)


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


def _result(verdicts: Sequence[ResumeDecision], told: str, memory: Mapping[str, ResumeRequest]) -> dg.SensorResult:
    resumes = [decision for decision in verdicts if isinstance(decision, ResumeNow)]
    cursor = cursor_from_memory(memory)
    if not resumes:
        return dg.SensorResult(skip_reason=told, cursor=cursor)
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
        known = json.loads(cursor or "{}")
        for carrier, asked in known.get("asked", {}).items():
            memory[carrier] = _from_short(carrier, asked)
        for carrier, asked in known.get("carriers", {}).items():  # as earlier versions wrote it
            memory[carrier] = _from_long(asked)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return memory
    return memory


def kept_memory(
    memory: Mapping[str, ResumeRequest], verdicts: Sequence[ResumeDecision], carriers: Collection[str]
) -> Mapping[str, ResumeRequest]:
    """Return what is worth remembering after a tick: what was asked about open sessions that nobody has taken over.

    Of who is none of these carriers for now, nobody has looked at the session: its run keys must not be used twice.
    """
    kept = {carrier: asked for carrier, asked in memory.items() if carrier not in carriers}
    for decision in verdicts:
        session = decision.session
        asked = decision.asked if isinstance(decision, ResumeNow | PauseNow) else memory.get(session.carrier)
        if asked is not None and asked.is_about(session):
            kept[session.carrier] = asked
    return kept


def cursor_from_memory(memory: Mapping[str, ResumeRequest]) -> str:
    """Return the sensor's memory as its cursor: Dagster keeps it with every tick, so it is short."""
    asked = {carrier: _short(carrier, one) for carrier, one in sorted(memory.items())}
    return json.dumps({"asked": asked}, separators=(",", ":"))


#: Stands for the carrier at the start of its session's id.
_CARRIER = "~"


def _short(carrier: str, asked: ResumeRequest) -> list[Any]:
    own = asked.session_id.startswith(carrier)
    session_id = _CARRIER + asked.session_id.removeprefix(carrier) if own else asked.session_id
    times = [_ticks(asked.asked_at), _ticks(asked.session_updated_at)]
    return [session_id, asked.fence, asked.pages_done, asked.attempt, asked.deaths, *times]


def _from_short(carrier: str, asked: Sequence[Any]) -> ResumeRequest:
    session_id, fence, pages_done, attempt, deaths, asked_at, updated = asked
    if session_id.startswith(_CARRIER):
        session_id = carrier + session_id.removeprefix(_CARRIER)
    place = (session_id, int(fence), int(pages_done), int(attempt))
    return ResumeRequest(*place, _time(asked_at), int(deaths), None if updated is None else _time(updated))


def _from_long(asked: Mapping[str, Any]) -> ResumeRequest:
    updated = asked.get("session_updated_at")
    return ResumeRequest(
        session_id=str(asked["session_id"]),
        fence=int(asked["fence"]),
        pages_done=int(asked["pages_done"]),
        attempt=int(asked["attempt"]),
        asked_at=datetime.fromisoformat(asked["asked_at"]),
        deaths=int(asked.get("deaths", 0)),
        session_updated_at=None if updated is None else datetime.fromisoformat(updated),
    )


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


def _ticks(time: datetime | None) -> int | None:
    return None if time is None else (time - _EPOCH) // _TICK


def _time(ticks: int) -> datetime:
    return _EPOCH + ticks * _TICK
