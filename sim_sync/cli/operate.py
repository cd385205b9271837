"""`sim-sync pause`, `resume` and `restart`: what an operator may say to a sync, which hears it within a page."""

from sim_sync.cli.exit_codes import ExitCode
from sim_sync.cli.output import confirmed, say
from sim_sync.cli.status import progress_text
from sim_sync.config import Config, load_config
from sim_sync.core.counting import counted
from sim_sync.core.errors import InputError
from sim_sync.core.session import Event, Session, State, require_known
from sim_sync.warehouse import Warehouse, open_warehouse


def pause_carrier(carrier: str) -> ExitCode:
    """Stop a carrier's sync until somebody resumes it; a current page is still committed."""
    _, warehouse = _opened(carrier)
    session = _open_session(warehouse, carrier)
    if session.state is not State.PAUSED:
        session = warehouse.sessions.move_by_operator(carrier, Event.PAUSED_BY_OPERATOR)
    _say(session, warehouse)
    return ExitCode.DONE


def resume_carrier(carrier: str) -> ExitCode:
    """Let a paused, failed or parked sync continue: the sensor launches it within seconds, `backfill` at once."""
    _, warehouse = _opened(carrier)
    session = _open_session(warehouse, carrier)
    if session.state in {State.PAUSED, State.FAILED, State.PARKED}:
        session = warehouse.sessions.move_by_operator(carrier, Event.RELEASED_BY_OPERATOR)
    _say(session, warehouse)
    if session.state is State.INTERRUPTED:
        say(f"the sensor continues with it; without a running Dagster: sim-sync backfill {carrier}")
    return ExitCode.DONE


def restart_carrier(carrier: str, *, is_sure: bool) -> ExitCode:
    """Give up a carrier's open session and walk from its first page, in this process; ask first where there is one."""
    from sim_sync.cli.backfill import backfill_carriers

    if not is_sure and not _is_confirmed(carrier):
        return ExitCode.FAILED
    return backfill_carriers([carrier], every=False, restart=True, max_pages=None)


def _is_confirmed(carrier: str) -> bool:
    _, warehouse = _opened(carrier)
    session = warehouse.sessions.open_session_of(carrier)
    if session is None or session.pages_done == 0:
        return True
    return confirmed(f"{carrier}: give up the {counted(session.pages_done, 'page')} of the open session?")


def _opened(carrier: str) -> tuple[Config, Warehouse]:
    config = load_config()
    config.require_known(carrier)
    return config, open_warehouse(config.warehouse_url)


def _open_session(warehouse: Warehouse, carrier: str) -> Session:
    session = warehouse.sessions.open_session_of(carrier)
    if session is None:
        raise InputError(f"carrier {carrier} has no open session; `sim-sync backfill {carrier}` starts one")
    require_known(session.state, f"the session of carrier {session.carrier}")
    return session


def _say(session: Session, warehouse: Warehouse) -> None:
    say(progress_text(session, warehouse.sessions.now()))
