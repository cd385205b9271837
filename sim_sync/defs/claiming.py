"""How a run comes by the session it works on, and what it leaves behind where it cannot."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import dagster as dg

from sim_sync.config import CarrierConfig
from sim_sync.core.errors import IllegalTransition, SimSyncError, TransientError
from sim_sync.core.notes import without_name
from sim_sync.core.opening import FailedOpening, Opened, Trigger
from sim_sync.core.session import Event, Session, State
from sim_sync.defs.errors import failure
from sim_sync.defs.jobs import SESSION_TAG
from sim_sync.defs.liveness import owners_of
from sim_sync.defs.progress import session_observation
from sim_sync.defs.runs import is_automatic_retry, process_of, tag_session, trigger_of
from sim_sync.defs.watching import watch_owner
from sim_sync.warehouse import Warehouse
from sim_sync.worker.lease import KeptRun
from sim_sync.worker.work import open_carrier

# Leaves the reason in the carrier's session where a run cannot even open it: there is where people look for it.


@contextmanager
def reason_kept_in_session(context: dg.OpExecutionContext, warehouse: Warehouse, *, last_retry: int) -> Iterator[None]:
    """Let the session fail that this run was to open, with the reason, where the run fails for good in here.

    Not for a run that a person started: the person sees the reason, and what is wrong may be wrong in their shell only.
    What a retry may help is left to it, up to the `last_retry` of the op, and to the sensor, which counts
    (`core.resuming`).
    """
    try:
        yield
    except (TransientError, dg.Failure):  # a Failure says that the session has failed before
        raise
    except SimSyncError as error:
        _write_down(context, warehouse, str(error))
        raise
    except Exception as error:
        if context.retry_number >= last_retry:
            _write_down(context, warehouse, f"{type(error).__name__}, see run {context.run_id} in Dagster")
        raise


def _write_down(context: dg.OpExecutionContext, warehouse: Warehouse, reason: str) -> None:
    if trigger_of(context) is Trigger.OPERATOR:
        return
    carrier = context.partition_key
    try:
        owners = owners_of(context.instance, warehouse, carrier)
        failed = FailedOpening(
            carrier=carrier,
            owner=context.run_id,
            reason=" ".join(reason.split()),
            session_id=context.run.tags.get(SESSION_TAG),
            gone_owners=owners.gone,
            present_owners=owners.present,
        )
        warehouse.sessions.fail_opening(failed)
    except SimSyncError as refused:
        context.log.warning(f"{carrier}: the reason could not be written into its session: {refused}")


# How a run comes by the session it works on: opened, taken over, or in its hands since the step before.
#
# Nothing goes from op to op through Dagster's storage: a retry may run on another host, and a claim that was written
# down may be lost by then. A claim is known to the process that took it; everybody else asks the warehouse.


@dataclass(frozen=True, slots=True)
class Wish:
    """What a run wants of the session that it finds.

    `restart` gives it up. `resume` is a person's word: what a person has paused continues, and what may not continue
    makes the run fail instead of ending green without having done anything.
    """

    restart: bool = False
    resume: bool = False


def open_for_run(
    context: dg.OpExecutionContext,
    carrier: CarrierConfig,
    warehouse: Warehouse,
    kept_run: KeptRun,
    wish: Wish = Wish(),
) -> Session | None:
    """Open the carrier's session for this run, or take it over; where that is refused, say why and return None.

    The run is then linked with the one before it, whichever step it begins with: Dagster's retry of a run that died in
    the walk leaves out the step that opened the session.
    """
    is_persons = wish.resume and trigger_of(context) is Trigger.OPERATOR
    if is_persons:
        _end_pause(context, carrier, warehouse)
    opened = None if wish.restart else watch_owner(context, warehouse, carrier.name, wait=kept_run.wait)
    if opened is None:
        opened = _open(context, carrier, warehouse, restart=wish.restart)
    if opened.refusal is None:
        tag_session(context, opened.session.session_id)
        return opened.session
    _tell_refusal(context, opened, is_persons=is_persons)
    return None


def _open(context: dg.OpExecutionContext, carrier: CarrierConfig, warehouse: Warehouse, *, restart: bool) -> Opened:
    owners = owners_of(context.instance, warehouse, carrier.name)
    return open_carrier(
        carrier,
        warehouse.sessions,
        owner=context.run_id,
        process=process_of(context),
        trigger=trigger_of(context),
        restart=restart and not _has_restarted(context, carrier, warehouse),
        gone_owners=owners.gone,
        present_owners=owners.present,
    )


def _end_pause(context: dg.OpExecutionContext, carrier: CarrierConfig, warehouse: Warehouse) -> None:
    session = warehouse.sessions.open_session_of(carrier.name)
    if session is None or session.state is not State.PAUSED:
        return
    with suppress(IllegalTransition):  # somebody else has moved it meanwhile
        warehouse.sessions.move_by_operator(carrier.name, Event.RELEASED_BY_OPERATOR)
        context.log.info(
            f"{carrier.name}: session {session.session_id} was paused after page {session.pages_done}; "
            "this run, which a person started, resumes it"
        )


def claimed_session(
    context: dg.OpExecutionContext, carrier: CarrierConfig, warehouse: Warehouse, kept_run: KeptRun
) -> Session | None:
    """Return the session under a claim of this run, or completed by it; None where it is to be left alone.

    A retry of the op, or of the run, claims it again: of an earlier attempt somebody may still be alive.
    """
    claim = kept_run.let_go()
    session = _session_of_run(context, warehouse) if claim is None else warehouse.sessions.session(claim.session_id)
    if session is not None and not session.is_open:
        return _over(context, session)
    is_ours = session is not None and session.claim == claim and session.state is State.RUNNING
    if is_ours and context.retry_number == 0:
        return session
    return open_for_run(context, carrier, warehouse, kept_run)


def is_over_already(context: dg.OpExecutionContext, warehouse: Warehouse) -> bool:
    """Return whether the session that the sensor sent this run for was finished by another run meanwhile.

    Dagster's own retry of a dead run and the sensor's run may both be on their way: the later one must not walk again.
    """
    session = _session_of_run(context, warehouse)
    if session is None or trigger_of(context) is not Trigger.SENSOR or session.is_open:
        return False
    context.log.info(f"{session.carrier}: session {session.session_id} is {session.state.value} by now")
    return True


def _session_of_run(context: dg.OpExecutionContext, warehouse: Warehouse) -> Session | None:
    """Return the session that the run is tagged with: by the sensor, by itself, or by the run that it retries."""
    # As it is tagged now: the run that Dagster has given us is the one that was launched.
    run = context.instance.get_run_by_id(context.run_id) or context.run
    session_id = run.tags.get(SESSION_TAG)
    return None if session_id is None else warehouse.sessions.session(session_id)


def _over(context: dg.OpExecutionContext, session: Session) -> Session | None:
    """Return a finished session where this run completed it, or the one that it retries: nobody has told of it yet."""
    if session.state is State.COMPLETED and session.owner in _family(context):
        return session
    context.log.warning(f"{session.carrier}: session {session.session_id} is {session.state.value} by now")
    return None


def _family(context: dg.OpExecutionContext) -> frozenset[str]:
    """Return the run and the runs that it is a retry of."""
    return frozenset(filter(None, (context.run_id, context.run.parent_run_id, context.run.root_run_id)))


def _has_restarted(context: dg.OpExecutionContext, carrier: CarrierConfig, warehouse: Warehouse) -> bool:
    """Return whether the open session is the one that this restart opened, before a retry of its op or of its run."""
    session = warehouse.sessions.open_session_of(carrier.name)
    owners = _family(context) if is_automatic_retry(context) else {context.run_id}
    return session is not None and session.owner in owners


def _tell_refusal(context: dg.OpExecutionContext, opened: Opened, *, is_persons: bool) -> None:
    session = opened.session
    refusal = without_name(opened.refusal or "", session.carrier)
    if session.state is State.FAILED:
        raise failure(refusal)
    context.log.warning(f"{session.carrier}: left alone: {refusal}")
    context.log_event(session_observation(context, session, left_alone=refusal))
    if is_persons and session.state in {State.PAUSED, State.PARKED}:
        raise failure(f"left alone: {refusal}")
