"""`make run`: the main job on a simulated carrier, with throttles and a kill -9, and figures that are known before.

It starts the simulator, starts a sync, kills it with SIGKILL in the middle, starts Dagster's daemon, and does nothing
more: the sensor finds the dead sync and launches the run that continues from the checkpoint.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from sim_sync.config import load_config
from sim_sync.core.errors import InputError, SimSyncError
from sim_sync.core.session import Session, State, SweepState
from sim_sync.core.text import counted
from sim_sync.demo.supervisor import guarded, kill_guarded
from sim_sync.files import opened_privately, private_by_default
from sim_sync.simulator.control import RunningSimulator, running_simulator
from sim_sync.simulator.delivery import LogEntry
from sim_sync.simulator.faults import ErrorStatus, Trigger
from sim_sync.simulator.messages import MountOptions
from sim_sync.terminal.output import ExitCode, say
from sim_sync.terminal.workdir import (
    DOTENV,
    SIMULATED_CARRIER,
    SIMULATED_SIMS,
    SIMULATOR_VARIABLE,
    dotenv_names,
    locked,
    require_project_folder,
    require_simulated,
)
from sim_sync.warehouse import Warehouse, open_warehouse
from sim_sync.warehouse.discrepancies import Wanted, discrepancies
from sim_sync.warehouse.knowledge import present_sims

if TYPE_CHECKING:  # it imports Dagster, which a judgement does not need
    from sim_sync.defs.launch import RunOfSession

# What must come out of `make run`, and how that is told. It judges what was seen, and looks at nothing itself.


#: What the carrier answers in between: two throttles, the first with a Retry-After, and one failure.
INJECTED_FAULTS = (
    (ErrorStatus(status=429, retry_after_seconds=1), Trigger(nth=10)),
    (ErrorStatus(status=429), Trigger(nth=20)),
    (ErrorStatus(status=503), Trigger(nth=30)),
)
#: What the shipped `examples/inventory.csv` differs by from the simulated fleet.
EXPECTED_DISCREPANCIES: Mapping[str, int] = {"missing_at_carrier": 12, "unknown_to_us": 8, "mismatch": 25}
_SENSOR = "resume_interrupted_syncs"
_FETCHED_TWICE_AT_MOST = 2

#: A line that says what came out, and whether that is right.
FigureCheck: TypeAlias = tuple[str, bool]


@dataclass(frozen=True, slots=True)
class Killed:
    """The sync at its death: the checkpoint that it left, and the time by the clock of the request log."""

    session: Session
    died_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was seen at the end: the session, Dagster's runs, the carrier's list requests, the tables."""

    killed: Killed
    completed: Session
    runs: Sequence["RunOfSession"]
    requests: Sequence[LogEntry]
    sims: int
    open_kinds: Sequence[str]


def figure_checks(outcome: Outcome) -> Sequence[FigureCheck]:
    """Return every figure of a demonstration beside whether it is the known one."""
    sims = f"{counted(outcome.sims, 'SIM')} in carrier_sims, {SIMULATED_SIMS:,} at the carrier"
    return [
        (sims, outcome.sims == SIMULATED_SIMS),
        _pages(outcome),
        _retries(outcome),
        _resume_point(outcome),
        _resuming_run(outcome),
        (f"sweep: {outcome.completed.sweep_state.value}", outcome.completed.sweep_state is SweepState.DONE),
        *_discrepancies(outcome.open_kinds),
    ]


def _pages(outcome: Outcome) -> FigureCheck:
    pages = outcome.completed.pages_done
    fetched = Counter(entry.page_token for entry in outcome.requests if entry.fault is None)
    again = fetched.total() - len(fetched)
    line = (
        f"{counted(pages, 'page')} walked, {again} of them fetched twice (two at most: at the kill, one page was in "
        "hand and one asked for ahead)"
    )
    return line, len(fetched) == pages and again <= _FETCHED_TWICE_AT_MOST


def _retries(outcome: Outcome) -> FigureCheck:
    completed = outcome.completed
    line = f"{counted(completed.retries, 'retry', 'retries')} ridden out, {completed.throttled_seconds:.1f} s waited"
    return line, completed.retries == len(INJECTED_FAULTS)


def _resume_point(outcome: Outcome) -> FigureCheck:
    killed = outcome.killed
    done = killed.session.pages_done
    after = [entry.page_token for entry in outcome.requests if entry.arrived_ns > killed.died_ns]
    # The cursor is the carrier's own link, and its page token tells one page from another.
    is_next = bool(after) and after[0] is not None and after[0] in str(killed.session.cursor)
    return f"killed after page {done}, gone on from page {done + 1}", is_next


def _resuming_run(outcome: Outcome) -> FigureCheck:
    killed, completed = outcome.killed.session, outcome.completed
    died = [run.status for run in outcome.runs if run.run_id == killed.owner]
    resumes = [run for run in outcome.runs if run.run_id != killed.owner]
    told = ", ".join(f"{run.run_id[:8]} ({run.status.lower()})" for run in resumes) or "none"
    line = f"resumed by run {told}, which the sensor launched; the killed run counts as failed"
    is_one = [(run.run_id, run.sensor, run.status) for run in resumes] == [(completed.owner, _SENSOR, "SUCCESS")]
    return line, is_one and died == ["FAILURE"] and completed.fence == killed.fence + 1


def _discrepancies(open_kinds: Sequence[str]) -> Sequence[FigureCheck]:
    counts = Counter(open_kinds)
    kinds = [*EXPECTED_DISCREPANCIES, *(kind for kind in counts if kind not in EXPECTED_DISCREPANCIES)]
    return [
        (f"discrepancies {kind}: {counts[kind]}", counts[kind] == EXPECTED_DISCREPANCIES.get(kind, 0)) for kind in kinds
    ]


def report_lines(root: Path, found: Sequence[FigureCheck]) -> Sequence[str]:
    """Return what a person wants to see at the end: what came out, where it lies, and how to look at it."""
    return [
        "",
        "What came out:",
        *(f"   {'ok   ' if is_right else 'WRONG'} {line}" for line, is_right in found),
        "",
        "Where it lies:",
        f"   the warehouse      {root / '.sim_sync' / 'warehouse.db'} (SQLite)",
        f"   our inventory      {root / 'examples' / 'inventory.csv'}",
        f"   runs and logs      {root / '.sim_sync' / 'dagster'}",
        "",
        "How to look at it:",
        "   make dev                                the Dagster UI on http://127.0.0.1:3000",
        "   .venv/bin/sim-sync status               where every carrier stands",
        "   .venv/bin/sim-sync discrepancies        what differs, row by row",
    ]


# The demonstration itself: what it starts, kills and waits for.


_PAGE_LATENCY_MS = 40.0
_KILL_AFTER_PAGES = 40
_SYNC_SECONDS = 120.0
_RESUME_SECONDS = 120.0
_LOOK_EVERY_SECONDS = 0.05

Found = TypeVar("Found")


class DemonstrationFailed(SimSyncError):
    """Something took too long or came out otherwise than known."""


def run_demo(root: Path) -> ExitCode:
    """Do the main job end to end, and return whether its figures are the known ones."""
    require_project_folder(root)
    _require_neutral_dotenv(root)
    with locked(root), _environment(root), private_by_default():
        require_simulated(root)
        say(f"1. The simulated carrier starts, with {SIMULATED_SIMS:,} SIMs.")
        mount = MountOptions(sims=SIMULATED_SIMS, latency_ms=_PAGE_LATENCY_MS)
        with running_simulator(mount) as simulator:
            os.environ[SIMULATOR_VARIABLE] = simulator.url
            warehouse = open_warehouse(load_config().warehouse_url)
            killed = _sync_until_killed(root, simulator, warehouse)
            completed = _wait_for_the_end(root, warehouse, killed)
            outcome = _look_at_outcome(simulator, warehouse, killed, completed)
    found = figure_checks(outcome)
    for line in report_lines(root, found):
        say(line)
    return ExitCode.DONE if all(is_right for _, is_right in found) else ExitCode.FAILED


def _require_neutral_dotenv(root: Path) -> None:
    """Refuse a `.env` that leads elsewhere: Dagster's daemon lets it win over the environment that we give it."""
    if names := [name for name in dotenv_names(root / DOTENV) if name.startswith(("SIM_SYNC_", "DAGSTER_"))]:
        raise InputError(
            f"`make run` works in this folder alone, but its .env sets {', '.join(names)}: rename that file meanwhile"
        )


@contextmanager
def _environment(root: Path) -> Iterator[None]:
    """Work in this folder alone, whatever the environment says of other warehouses, configs and Dagster homes."""
    before = dict(os.environ)
    for name in before:
        if name.startswith("SIM_SYNC_"):
            del os.environ[name]
    os.environ["DAGSTER_HOME"] = str(root)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _sync_until_killed(root: Path, simulator: RunningSimulator, warehouse: Warehouse) -> Killed:
    say(f"2. A sync starts; the carrier answers {len(INJECTED_FAULTS)} of its requests with 429 or 503.")
    for fault, trigger in INJECTED_FAULTS:
        simulator.arm(fault, trigger)
    left_over = warehouse.sessions.open_session_of(SIMULATED_CARRIER)
    log_path = root / ".sim_sync" / "demo-sync.log"
    command = [sys.executable, "-m", "sim_sync", "backfill", SIMULATED_CARRIER, "--restart"]
    with opened_privately(log_path, "wb") as log, guarded(command, cwd=root, log=log) as sync:

        def far_enough() -> Session | None:
            if sync.poll() is not None:
                raise DemonstrationFailed(f"the sync ended too early; its output is in {log_path}")
            session = warehouse.sessions.open_session_of(SIMULATED_CARRIER)
            is_new = session is not None and (left_over is None or session.session_id != left_over.session_id)
            return session if session and is_new and session.pages_done >= _KILL_AFTER_PAGES else None

        session = _wait_for(far_enough, _SYNC_SECONDS, f"the sync to reach page {_KILL_AFTER_PAGES}")
        kill_guarded(sync)
    died_ns = time.monotonic_ns()
    session = warehouse.sessions.session(session.session_id)
    say(
        f"   kill -9 after page {session.pages_done}: {counted(session.records_seen, 'SIM')} in the warehouse, "
        f"{counted(session.retries, 'retry', 'retries')}, {session.throttled_seconds:.1f} s waited"
    )
    return Killed(session, died_ns)


def _wait_for_the_end(root: Path, warehouse: Warehouse, killed: Killed) -> Session:
    session_id = killed.session.session_id
    log_path = root / ".sim_sync" / "demo-daemon.log"
    command = [sys.executable, "-m", "dagster._daemon", "run", "-w", "workspace.yaml"]
    with opened_privately(log_path, "wb") as log, guarded(command, cwd=root, log=log):
        say("3. Dagster's daemon starts. Nobody restarts anything: its sensor looks for dead syncs.")

        def resumed() -> Session | None:
            session = warehouse.sessions.session(session_id)
            return session if session.fence > killed.session.fence else None

        session = _wait_for(resumed, _RESUME_SECONDS, "the sensor to resume the sync")
        say(f"   resumed by run {session.owner}, from page {killed.session.pages_done + 1} on")

        def ended() -> Session | None:
            session = warehouse.sessions.session(session_id)
            if session.state in {State.FAILED, State.PAUSED, State.SUPERSEDED}:
                raise DemonstrationFailed(f"the sync is {session.state.value}: {session.last_error}")
            return session if session.state is State.COMPLETED else None

        completed = _wait_for(ended, _RESUME_SECONDS, "the sync to complete")
        _wait_for(lambda: _run_is_over(completed) or None, _RESUME_SECONDS, "the run to compare and end")
        return completed


def _run_is_over(session: Session) -> bool:
    from sim_sync.defs.launch import runs_of_session

    return any(run.run_id == session.owner and run.is_finished for run in runs_of_session(session.session_id))


def _look_at_outcome(simulator: RunningSimulator, warehouse: Warehouse, killed: Killed, completed: Session) -> Outcome:
    from sim_sync.defs.launch import runs_of_session

    rows = discrepancies(warehouse.engine, Wanted(carriers=[SIMULATED_CARRIER]))
    return Outcome(
        killed=killed,
        completed=completed,
        runs=runs_of_session(completed.session_id),
        requests=[entry for entry in simulator.fetch_requests() if entry.is_list],
        sims=present_sims(warehouse.engine, SIMULATED_CARRIER),
        open_kinds=[row.kind for row in rows],
    )


def _wait_for(look: Callable[[], Found | None], seconds: float, what: str) -> Found:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(_LOOK_EVERY_SECONDS)
    raise DemonstrationFailed(f"waited {seconds:.0f} s in vain for {what}; the logs are in .sim_sync/")
