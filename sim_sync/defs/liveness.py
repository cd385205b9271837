"""Who is at work. Dagster's status does not say: a run whose Dagster died stays STARTED forever."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import dagster as dg

from sim_sync.core.errors import OwnershipError
from sim_sync.core.liveness import (
    FIRST_LEASE_SECONDS,
    LONGEST_LEASE_SECONDS,
    Phase,
    RunLease,
    RunSnapshot,
    is_lost,
    is_owed_a_lease,
    is_stray,
    is_waited_for,
    presumed_alive_until,
    renewal_seconds,
    silent_runs,
)
from sim_sync.core.resuming import Death
from sim_sync.core.session import Process, Session, State
from sim_sync.defs.jobs import CARRIER_TAG, JOB_NAME, PARTITION_TAG, Names
from sim_sync.warehouse import Warehouse
from sim_sync.worker.lease import Wait
from sim_sync.worker.processes import is_known_dead

# Leases that were written while the clock was days ahead, brought back to what a lease can be.
#
# Who lives renews his own by the clock as it is now; of who does not, nobody would know for days.


def bring_back_leases(
    warehouse: Warehouse, sessions: Sequence[Session], leases: Sequence[RunLease], now: datetime
) -> bool:
    """Renew once, by today's clock, the leases that lie farther ahead than a lease can; return whether there were any.

    A run's lease is as long as that of the session that it owns; without one, as long as any may be.
    """
    owned = [one for one in sessions if one.state is State.RUNNING and is_stray(one.lease_expires_at, now)]
    runs = [lease for lease in leases if is_stray(lease.expires_at, now)]
    if not (owned or runs) or not warehouse.runs.can_be_renewed():
        return False
    for session in owned:
        with suppress(OwnershipError):  # somebody else has it by now, under a lease of today
            warehouse.sessions.renew_lease(session.claim)
    running = [session for session in sessions if session.state is State.RUNNING]
    internals = warehouse.sessions.internals_of([session.session_id for session in running])
    lengths = {session.owner: internals[session.session_id].lease_seconds for session in running}
    for lease in runs:
        warehouse.runs.renew(lease.run_id, lease.process, lengths.get(lease.run_id, LONGEST_LEASE_SECONDS))
    return True


# What is seen of sessions, runs and leases at one moment, and what is done about runs that nobody works on.


_PHASES = {
    dg.DagsterRunStatus.NOT_STARTED: Phase.CREATED,
    dg.DagsterRunStatus.QUEUED: Phase.QUEUED,
    dg.DagsterRunStatus.STARTING: Phase.STARTING,
    dg.DagsterRunStatus.STARTED: Phase.STARTED,
    dg.DagsterRunStatus.CANCELING: Phase.ENDING,
}
_LOST = "the process of this run is gone, or has not renewed its lease in time"


@dataclass(frozen=True, slots=True)
class UnfinishedRun:
    """A run of ours that Dagster has not seen the end of, and what is known of its life.

    `walks` unless it never comes to its carrier's session: a person may ask for our list alone.
    """

    record: dg.RunRecord
    carrier: str
    snapshot: RunSnapshot
    walks: bool = True

    @property
    def run(self) -> dg.DagsterRun:
        """The run itself."""
        return self.record.dagster_run


def unfinished_runs(
    instance: dg.DagsterInstance, names: Names, leases: Sequence[RunLease], now: datetime
) -> Sequence[UnfinishedRun]:
    """Return the unfinished runs of one deployment, each with its carrier. `now` is the time of the host of Dagster.

    Others may have partitions of the same names, and runs of which nobody here knows anything.
    """
    by_run = {lease.run_id: lease for lease in leases}
    found = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=list(_PHASES))):
        run = record.dagster_run
        carrier = run.tags.get(CARRIER_TAG) or run.tags.get(PARTITION_TAG)
        if carrier is not None and names.has(run):
            found.append(UnfinishedRun(record, carrier, _sight(record, names, by_run, now), _walks(run, names)))
    return found


def _walks(run: dg.DagsterRun, names: Names) -> bool:
    return run.asset_selection is None or names.asset("carrier_sims") in run.asset_selection


def _sight(record: dg.RunRecord, names: Names, leases: Mapping[str, RunLease], now: datetime) -> RunSnapshot:
    run = record.dagster_run
    lease = leases.get(run.run_id)
    since = record.update_timestamp if record.start_time is None else datetime.fromtimestamp(record.start_time, tz=UTC)
    return RunSnapshot(
        phase=_PHASES[run.status],
        phase_lasts=now - since.replace(tzinfo=UTC),
        lease=lease,
        is_known_dead=lease is not None and is_known_dead(lease.process),
        # Its steps share one process. Those of a job of others may not, and between them nobody keeps a lease.
        takes_a_lease=run.job_name == names.named(JOB_NAME),
    )


@dataclass(frozen=True, slots=True)
class View:
    """What is seen at one moment: open sessions, unfinished runs and their leases. `silent` runs live no more."""

    now: datetime
    sessions: Sequence[Session]
    leases: Sequence[RunLease]
    runs: Sequence[UnfinishedRun]
    silent: frozenset[str] = frozenset()

    @property
    def alive_until(self) -> Mapping[str, datetime]:
        """Until when each run whose process is not known to be gone is presumed alive."""
        dead = {run.run.run_id for run in self.runs if run.snapshot.is_known_dead}
        until = presumed_alive_until(self.sessions, self.leases)
        return {run: time for run, time in until.items() if run not in dead}

    @property
    def overdue(self) -> Mapping[str, datetime]:
        """The runs whose lease has run out, and when."""
        return {run: until for run, until in self.alive_until.items() if until <= self.now}

    @property
    def living(self) -> frozenset[str]:
        """The runs that are presumed alive."""
        return frozenset(self.alive_until) - self.silent

    @property
    def lost(self) -> frozenset[str]:
        """The unfinished runs on which nobody works any more."""
        return frozenset(run.run.run_id for run in self.runs if is_lost(run.snapshot, self.silent)) - self.living

    def waited_for(self) -> Mapping[str, Sequence[str]]:
        """Return the runs that may still come to a carrier's session, by carrier."""
        found: dict[str, list[str]] = {}
        for run in self.runs:
            if run.walks and is_waited_for(run.snapshot, self.silent):
                found.setdefault(run.carrier, []).append(run.run.run_id)
        return found


@dataclass(frozen=True, slots=True)
class Watch:
    """Whom one deployment's sensor looks after, and how it passes the time between two looks.

    `deaths` is what it has learnt already of runs that ended before they opened their session, by their ids, `noted`
    what of others that look after the same carriers.
    """

    carriers: Sequence[str]
    names: Names
    wait: Wait
    deaths: dict[str, Death]
    noted: "Noted"


@dataclass(slots=True)
class Noted:
    """When a deployment last wrote down that it is at work, and which other one has carriers of its own."""

    instance: str | None = None
    at: datetime | None = None
    doubles: Sequence[str] = ()


def look_twice_where_in_doubt(instance: dg.DagsterInstance, warehouse: Warehouse, watch: Watch) -> View:
    """Look, and look again where a lease has run out: one that nobody renews although it could be is silent."""
    before = _look(instance, warehouse, watch)
    if not before.overdue or not warehouse.runs.can_be_renewed():
        return before
    watch.wait(renewal_seconds(before.overdue.values(), before.now))
    after = _look(instance, warehouse, watch)
    if not warehouse.runs.can_be_renewed():
        return after
    return replace(after, silent=silent_runs(before.alive_until, after.alive_until, after.now))


def _look(instance: dg.DagsterInstance, warehouse: Warehouse, watch: Watch) -> View:
    # The runs last: of one that ends in between, neither a lease nor an end would be seen.
    sessions, leases, now = _read(warehouse, watch)
    if bring_back_leases(warehouse, sessions, leases, now):
        sessions, leases, now = _read(warehouse, watch)
    return View(now, sessions, leases, unfinished_runs(instance, watch.names, leases, datetime.now(UTC)))


def _read(warehouse: Warehouse, watch: Watch) -> tuple[Sequence[Session], Sequence[RunLease], datetime]:
    return _open_sessions(warehouse, watch), warehouse.runs.read(), warehouse.sessions.now()


def _open_sessions(warehouse: Warehouse, watch: Watch) -> Sequence[Session]:
    return [session for session in warehouse.sessions.latest_sessions(watch.carriers) if session.is_open]


def grant_first_leases(warehouse: Warehouse, view: View) -> None:
    """Let the runs that have begun and said nothing yet say within a minute that they live."""
    owed = [run.run.run_id for run in view.runs if is_owed_a_lease(run.snapshot)]
    if not owed or not warehouse.runs.can_be_renewed():
        return
    warehouse.runs.grant(owed, FIRST_LEASE_SECONDS)


def report_lost_runs(
    instance: dg.DagsterInstance, warehouse: Warehouse, view: View, lost_owners: Collection[str | None]
) -> None:
    """Report runs that nobody works on any more, so that the UI does not lie and they do not hold up the next run."""
    for unfinished in view.runs:
        run_id = unfinished.run.run_id
        if run_id in view.lost or run_id in lost_owners:
            _report_lost(instance, run_id)
    unfinished_ids = {unfinished.run.run_id for unfinished in view.runs} - view.lost
    for lease in view.leases:
        if lease.expires_at <= view.now and lease.run_id not in unfinished_ids:
            warehouse.runs.give_back(lease.run_id)


def _report_lost(instance: dg.DagsterInstance, run_id: str) -> None:
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:  # it was about to end, and has ended since it was looked at
        return
    if run.status is dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, f"sim_sync: {_LOST}")
    else:
        instance.report_run_failed(run, f"sim_sync: {_LOST}; an open session continues in a new run")


@dataclass(frozen=True, slots=True)
class Owners:
    """What is known of the owner of a carrier's open session, beyond the lease on it: it is over, or it is there."""

    gone: frozenset[str] = frozenset()
    present: frozenset[str] = frozenset()


def owner_is_gone(instance: dg.DagsterInstance, owner: str, process: Process | None) -> bool:
    """Return whether a session's owner is certainly over: its run is finished, or its process here is gone."""
    return is_known_dead(process) or is_over(instance.get_run_by_id(owner))


def is_over(run: dg.DagsterRun | None) -> bool:
    """Return whether the instance knows the run, and knows that it is finished."""
    return run is not None and run.is_finished


def owners_of(instance: dg.DagsterInstance, warehouse: Warehouse, carrier: str) -> Owners:
    """Return what is known of the owner of the carrier's open session."""
    session = warehouse.sessions.open_session_of(carrier)
    if session is None or session.owner is None:
        return Owners()
    owner = frozenset({session.owner})
    if owner_is_gone(instance, session.owner, warehouse.sessions.internals(session.session_id).process):
        return Owners(gone=owner)
    now = warehouse.sessions.now()
    living = {lease.run_id for lease in warehouse.runs.read() if lease.expires_at > now}
    return Owners(present=owner & living)
