"""What an operator may say to a sync: `pause`, `resume`, `restart`, and `sweep` for a held one."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sim_sync.cli.options import os_user
from sim_sync.cli.status import progress_text
from sim_sync.config import load_config
from sim_sync.core.errors import InputError
from sim_sync.core.held_sweep import (
    GroupCount,
    OperatorDecision,
    ShownSweep,
    SweepChoice,
    SweepHistory,
    UnseenSim,
    decided_as,
    why_none_is_held,
)
from sim_sync.core.session import Event, Session, State, require_known
from sim_sync.core.text import counted
from sim_sync.terminal.output import ExitCode, confirmed, print_json, print_lines, say
from sim_sync.terminal.tables import narrow_table, print_table
from sim_sync.warehouse import Warehouse, open_warehouse, open_warehouse_to_read

# `sim-sync sweep`: look at a held sweep and decide on it. What may be decided is in `core.held_sweep`.


#: So many SIMs, statuses, plans and accounts are listed; the rest is counted.
_LISTED = 50


def show_sweep(carrier: str, *, as_json: bool) -> ExitCode:
    """Print what approving the carrier's held sweep would mark; only that can be approved from now on."""
    warehouse = _opened(carrier)
    history = warehouse.sessions.sweep_history(carrier)
    if history.held is None:
        _show_none(carrier, history, as_json=as_json)
        return ExitCode.DONE
    shown = warehouse.sessions.show_held_sweep(carrier, most=_LISTED)
    if as_json:
        print_json(_document(shown))
    else:
        _print(shown)
    return ExitCode.DONE


def decide_sweep(
    choice: SweepChoice, carrier: str, *, by: str | None, reason: str | None, digest: str | None = None
) -> ExitCode:
    """Approve or reject the carrier's held sweep, in the name of `by` or of the user of this process."""
    decision = OperatorDecision.of(choice, os_user() if by is None else by, reason, digest)
    session, marked = _opened(carrier).sessions.decide_held_sweep(carrier, decision)
    if session.sweep_decided_at is not None:
        say(f"{carrier}: {decided_as(choice, marked, session.sweep_decided_at)} (by {decision.by})")
    return ExitCode.DONE


def _opened(carrier: str, opened: Callable[[str], Warehouse] = open_warehouse_to_read) -> Warehouse:
    config = load_config()
    config.require_known(carrier)
    return opened(config.warehouse_url)


def _show_none(carrier: str, history: SweepHistory, *, as_json: bool) -> None:
    if not as_json:
        say(f"{carrier}: no sweep is held: {why_none_is_held(history)}")
        return
    last = history.last
    state = None if last is None else last.sweep_state.value
    session_id = None if last is None else last.session_id
    print_json({"carrier": carrier, "session_id": session_id, "sweep_state": state, "sims": 0})


def _document(shown: ShownSweep) -> dict[str, Any]:
    session = shown.session
    return {
        "carrier": session.carrier,
        "session_id": session.session_id,
        "finished_at": session.finished_at,
        "sweep_state": session.sweep_state.value,
        "sweep_reason": session.sweep_reason,
        "digest": shown.digest,
        "sims": shown.sims,
        "absent": shown.absent,
        "vanished": shown.vanished,
        "by_status": _counts("status", shown.by_status),
        "by_rate_plan": _counts("rate_plan", shown.by_rate_plan),
        "by_account": _counts("account", shown.by_account),
        "listed": [_sim(sim) for sim in shown.listed],
        "not_listed": shown.sims - len(shown.listed),
    }


def _counts(name: str, groups: Sequence[GroupCount]) -> list[dict[str, Any]]:
    return [{name: group.value, "sims": group.sims} for group in groups]


def _sim(sim: UnseenSim) -> dict[str, Any]:
    columns = sim._asdict()
    columns["mark"] = "vanished" if columns.pop("vanishes") else "absent"
    return columns


def _print(shown: ShownSweep) -> None:
    session = shown.session
    name = session.carrier
    say(f"{name}: the sweep of session {session.session_id} is held: {session.sweep_reason}")
    say(
        f"{name}: approving it marks {counted(shown.sims, 'SIM')}: {shown.absent:,} absent, and {shown.vanished:,} "
        "vanished, which an earlier walk missed too"
    )
    print_lines(_group_lines(shown))
    _print_sims(shown)
    print_lines(
        [
            f"`sim-sync sweep approve {name}` marks exactly these (digest {shown.digest})",
            f"`sim-sync sweep reject {name}` says that the walk was wrong, and marks nothing",
        ]
    )


def _group_lines(shown: ShownSweep) -> Iterator[str]:
    for title, groups in (
        ("status", shown.by_status),
        ("plan", shown.by_rate_plan),
        ("account", shown.by_account),
    ):
        counts = [f"{'none' if group.value is None else group.value} {group.sims:,}" for group in groups]
        rest = shown.sims - sum(group.sims for group in groups)
        yield f"by {title}: {', '.join([*counts, *([f'others {rest:,}'] if rest else [])])}"


def _print_sims(shown: ShownSweep) -> None:
    table = narrow_table("SIM", "ICCID", "status", "plan", "account", "mark", foldable={"SIM", "plan", "account"})
    for sim in shown.listed:
        mark = "vanished" if sim.vanishes else "absent"
        table.add_row(sim.sim_id, sim.iccid, sim.status, sim.rate_plan, sim.account, mark)
    if shown.listed:
        print_table(table)
    if rest := shown.sims - len(shown.listed):
        print_lines([f"and {rest:,} more"])


# `sim-sync pause`, `resume` and `restart`: what an operator may say to a sync, which hears it within a page.


def pause_carrier(carrier: str) -> ExitCode:
    """Stop a carrier's sync until somebody resumes it; a current page is still committed."""
    warehouse = _opened(carrier, open_warehouse)
    session = _open_session(warehouse, carrier)
    if session.state is not State.PAUSED:
        session = warehouse.sessions.move_by_operator(carrier, Event.PAUSED_BY_OPERATOR)
    _say(session, warehouse)
    return ExitCode.DONE


def resume_carrier(carrier: str) -> ExitCode:
    """Let a paused, failed or parked sync continue: the sensor launches it within seconds, `backfill` at once."""
    warehouse = _opened(carrier, open_warehouse)
    session = _open_session(warehouse, carrier)
    if session.state in {State.PAUSED, State.FAILED, State.PARKED}:
        session = warehouse.sessions.move_by_operator(carrier, Event.RELEASED_BY_OPERATOR)
    _say(session, warehouse)
    if session.state is State.INTERRUPTED:
        say(f"the sensor continues with it; without a running Dagster: sim-sync backfill {carrier}")
    return ExitCode.DONE


def restart_carrier(carrier: str, *, is_sure: bool) -> ExitCode:
    """Give up a carrier's open session and walk from its first page, in this process; ask first where there is one."""
    from sim_sync.cli.backfill import Wish, backfill_carriers

    if not is_sure and not _is_confirmed(carrier):
        return ExitCode.FAILED
    return backfill_carriers([carrier], every=False, wish=Wish(restart=True))


def _is_confirmed(carrier: str) -> bool:
    warehouse = _opened(carrier, open_warehouse)
    session = warehouse.sessions.open_session_of(carrier)
    if session is None or session.pages_done == 0:
        return True
    return confirmed(f"{carrier}: give up the {counted(session.pages_done, 'page')} of the open session?")


def _open_session(warehouse: Warehouse, carrier: str) -> Session:
    session = warehouse.sessions.open_session_of(carrier)
    if session is None:
        raise InputError(f"carrier {carrier} has no open session; `sim-sync backfill {carrier}` starts one")
    require_known(session.state, f"the session of carrier {session.carrier}")
    return session


def _say(session: Session, warehouse: Warehouse) -> None:
    say(progress_text(session, warehouse.sessions.now()))
