"""One configured carrier's session opened, walked and closed by its settings: what every kind of run does.

Dagster's ops do it in three steps (`defs.ops`); `sync_once` does it in one, for `sim-sync selftest`.
"""

from collections.abc import Callable, Collection

from sim_sync.config import CarrierConfig
from sim_sync.core.opening import Opened, OpenRequest, Trigger
from sim_sync.core.ports import SessionStore, WorkStore
from sim_sync.core.session import Process, Session, State
from sim_sync.logs import work_noted
from sim_sync.worker.crash import armed_crash_point
from sim_sync.worker.processes import this_process
from sim_sync.worker.retrying import WarehouseRetry
from sim_sync.worker.stopping import StopSignal, stopped_by_signals
from sim_sync.worker.work import Outcome, RunLimits, work_on


def open_carrier(
    carrier: CarrierConfig,
    store: SessionStore,
    *,
    owner: str,
    process: Process | None,
    trigger: Trigger,
    restart: bool = False,
    gone_owners: Collection[str] = (),
    present_owners: Collection[str] = (),
) -> Opened:
    """Open the carrier's session, or take over the one that is open, for the run `owner`.

    `process` is the one that the run lives and dies with, where there is such a one.
    """
    source = carrier.build(StopSignal())
    request = OpenRequest(
        carrier=carrier.name,
        owner=owner,
        process=process,
        trigger=trigger,
        first_cursor=source.first_cursor(),
        config_hash=source.config_hash,
        lease_seconds=carrier.lease_seconds,
        max_session_age_hours=carrier.max_session_age_hours,
        max_stalled_resumes=carrier.retry.max_stalled_resumes,
        longest_wait_seconds=carrier.retry.longest_wait_seconds,
        max_idle_pages=carrier.max_idle_pages,
        max_pages=carrier.max_pages_per_walk,
        restart=restart,
        gone_owners=gone_owners,
        present_owners=present_owners,
    )
    return WarehouseRetry(StopSignal())(store.open_session, request)


def walk_carrier(
    carrier: CarrierConfig,
    store: WorkStore,
    session: Session,
    *,
    stop: StopSignal,
    max_pages: int | None,
    on_checkpoint: Callable[[Session], None],
    was_terminated: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Walk the carrier's claimed session within its budget, listening to SIGTERM and SIGINT meanwhile."""
    budget = carrier.run_budget
    pages = [limit for limit in (max_pages, budget.pages) if limit is not None]
    limits = RunLimits(
        lease_seconds=carrier.lease_seconds,
        pages=min(pages, default=None),
        seconds=None if budget.minutes is None else budget.minutes * 60,
        max_stalled_resumes=carrier.retry.max_stalled_resumes,
        quarantine=carrier.quarantine,
    )
    committed = session

    def checkpoint(newest: Session) -> None:
        nonlocal committed
        committed = newest
        on_checkpoint(newest)

    with stopped_by_signals(stop), work_noted(lambda: committed):
        return work_on(
            session,
            carrier.build(stop),
            store,
            limits=limits,
            stop=stop,
            on_checkpoint=checkpoint,
            was_terminated=was_terminated,
            at=armed_crash_point(),
        )


def close_carrier(carrier: CarrierConfig, store: SessionStore, session: Session) -> Session:
    """Certify the walk, sweep if it may, and complete the session; one that is completed stays as it is."""
    if session.state is State.COMPLETED:
        return session
    source = carrier.build(StopSignal())
    return WarehouseRetry(StopSignal())(store.close_session, session.claim, carrier.sweep, source.config_hash)


def sync_once(carrier: CarrierConfig, store: SessionStore, *, owner: str, gone_owners: Collection[str]) -> Session:
    """Do a whole run's share without Dagster, and return the session as it is left."""
    opened = open_carrier(
        carrier, store, owner=owner, process=this_process(), trigger=Trigger.OPERATOR, gone_owners=gone_owners
    )
    if opened.refusal is not None:
        return opened.session
    outcome = walk_carrier(
        carrier, store, opened.session, stop=StopSignal(), max_pages=None, on_checkpoint=lambda _session: None
    )
    if outcome.stopped_by is not None:
        return outcome.session
    return close_carrier(carrier, store, outcome.session)
