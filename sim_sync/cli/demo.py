"""`make run`: the main job on a simulated carrier, with throttles and a kill -9, and figures that are known before.

It starts the simulator and Dagster's daemon, starts a sync, kills it with SIGKILL in the middle, and does nothing more:
the sensor finds the dead sync and launches the run that goes on from the checkpoint.
"""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sim_sync.cli.exit_codes import ExitCode
from sim_sync.cli.place import (
    SIMULATED_CARRIER,
    SIMULATED_SIMS,
    SIMULATOR_VARIABLE,
    locked,
    require_project_folder,
    require_simulated,
)
from sim_sync.cli.status import progress_text
from sim_sync.config import load_config
from sim_sync.core.errors import SimSyncError
from sim_sync.core.session import Session, State
from sim_sync.simulator.control import RunningSimulator, running_simulator
from sim_sync.simulator.faults import ErrorStatus, Trigger
from sim_sync.simulator.options import MountOptions
from sim_sync.warehouse import Warehouse, open_warehouse
from sim_sync.warehouse.queries import discrepancies, present_sims

#: What the shipped `examples/inventory.csv` differs by from the simulated fleet.
EXPECTED_DISCREPANCIES: Mapping[str, int] = {"missing_at_carrier": 12, "unknown_to_us": 8, "mismatch": 25}
_PAGE_LATENCY_MS = 40.0
_KILL_AFTER_PAGES = 40
_START_SECONDS = 60.0
_RESUME_SECONDS = 120.0

Found = TypeVar("Found")


class DemonstrationFailed(SimSyncError):
    """Something took too long or came out otherwise than known."""


@dataclass(frozen=True, slots=True)
class Killed:
    """The sync at the moment of its death: its checkpoint, and the run that died."""

    session: Session
    requests: int


def run_demo(root: Path) -> ExitCode:
    """Do the main job end to end, and return whether its figures are the known ones."""
    require_project_folder(root)
    with locked(root), _environment(root):
        require_simulated(root)
        mount = MountOptions(sims=SIMULATED_SIMS, latency_ms=_PAGE_LATENCY_MS)
        _say(f"1. The simulated carrier starts, with {SIMULATED_SIMS:,} SIMs.")
        with running_simulator(mount) as simulator:
            os.environ[SIMULATOR_VARIABLE] = simulator.url
            _inject_faults(simulator)
            warehouse = open_warehouse(load_config().warehouse_url)
            killed = _sync_until_killed(root, simulator, warehouse)
            with _daemon(root):
                _say("3. Dagster's daemon starts. Nobody restarts anything: its sensor looks for dead syncs.")
                completed = _wait_for_the_end(warehouse, killed)
            return _report(root, simulator, warehouse, killed, completed)


@contextmanager
def _environment(root: Path) -> Iterator[None]:
    """Work in this folder alone, whatever the environment says of other warehouses and configs."""
    before = dict(os.environ)
    for name in ("SIM_SYNC_WAREHOUSE_URL", "SIM_SYNC_CONFIG", SIMULATOR_VARIABLE):
        os.environ.pop(name, None)
    os.environ["DAGSTER_HOME"] = str(root)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _inject_faults(simulator: RunningSimulator) -> None:
    simulator.arm(ErrorStatus(status=429, retry_after_seconds=1), Trigger(nth=10))
    simulator.arm(ErrorStatus(status=429), Trigger(nth=20))
    simulator.arm(ErrorStatus(status=503), Trigger(nth=30))


def _sync_until_killed(root: Path, simulator: RunningSimulator, warehouse: Warehouse) -> Killed:
    _say("2. A sync starts; the carrier throttles it twice and fails once.")
    log = (root / ".sim_sync" / "demo-sync.log").open("w")
    command = [sys.executable, "-m", "sim_sync", "backfill", SIMULATED_CARRIER, "--restart"]
    with log, subprocess.Popen(command, cwd=root, stdout=log, stderr=subprocess.STDOUT) as process:

        def far_enough() -> Session | None:
            session = warehouse.sessions.open_session_of(SIMULATED_CARRIER)
            if process.poll() is not None:
                raise DemonstrationFailed(f"the sync ended too early; its output is in {log.name}")
            is_far = session is not None and session.fence == 1 and session.pages_done >= _KILL_AFTER_PAGES
            return session if is_far else None

        _wait_for(far_enough, _START_SECONDS, f"the sync to reach page {_KILL_AFTER_PAGES}")
        process.kill()
    session = warehouse.sessions.open_session_of(SIMULATED_CARRIER)
    if session is None:
        raise DemonstrationFailed("the killed sync left no open session")
    _say(f"   kill -9 after page {session.pages_done}: {progress_text(session, warehouse.sessions.now())}")
    return Killed(session, len(simulator.fetch_requests()))


@contextmanager
def _daemon(root: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "dagster._daemon", "run", "-w", "workspace.yaml"]
    with (root / ".sim_sync" / "demo-daemon.log").open("w") as log:
        process = subprocess.Popen(command, cwd=root, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)


def _wait_for_the_end(warehouse: Warehouse, killed: Killed) -> Session:
    def resumed() -> Session | None:
        session = warehouse.sessions.session(killed.session.session_id)
        return session if session.fence > killed.session.fence else None

    session = _wait_for(resumed, _RESUME_SECONDS, "the sensor to resume the sync")
    _say(f"   resumed by run {session.owner}, from page {killed.session.pages_done + 1}")

    def completed() -> Session | None:
        session = warehouse.sessions.session(killed.session.session_id)
        if session.state in {State.FAILED, State.PAUSED, State.SUPERSEDED}:
            raise DemonstrationFailed(f"the sync is {session.state.value}: {session.last_error}")
        return session if session.state is State.COMPLETED else None

    session = _wait_for(completed, _RESUME_SECONDS, "the sync to complete")

    def reconciled() -> bool | None:
        return _open_by_kind(warehouse, since=session) == EXPECTED_DISCREPANCIES or None

    _wait_for(reconciled, _RESUME_SECONDS, "the discrepancies to be the known ones")
    return session


def _open_by_kind(warehouse: Warehouse, *, since: Session) -> Mapping[str, int]:
    rows = discrepancies(warehouse.engine, [SIMULATED_CARRIER], kinds=None, include_resolved=False)
    finished = since.finished_at or since.updated_at
    return Counter(row.kind for row in rows if row.last_seen_at >= finished)


def _report(
    root: Path, simulator: RunningSimulator, warehouse: Warehouse, killed: Killed, completed: Session
) -> ExitCode:
    pages = completed.pages_done
    requests = [entry for entry in simulator.fetch_requests() if entry.fault is None]
    fetched_twice = len(requests) - pages
    sims = present_sims(warehouse.engine, SIMULATED_CARRIER)
    checks = {
        f"{sims:,} SIMs in carrier_sims, {SIMULATED_SIMS:,} at the carrier": sims == SIMULATED_SIMS,
        f"{pages} pages walked, {fetched_twice} of them fetched twice": 0 <= fetched_twice <= 1,
        f"{completed.retries} retries ridden out, {completed.throttled_seconds:.1f} s waited": completed.retries >= 3,
        f"killed after page {killed.session.pages_done}, gone on from page {killed.session.pages_done + 1}": True,
        f"sweep: {completed.sweep_state.value}": completed.sweep_state.value == "done",
    }
    for kind, count in _open_by_kind(warehouse, since=completed).items():
        checks[f"discrepancies {kind}: {count}"] = count == EXPECTED_DISCREPANCIES.get(kind)
    _say("\nWhat came out:")
    for line, is_right in checks.items():
        _say(f"   {'ok   ' if is_right else 'WRONG'} {line}")
    for line in _where_to_look(root):
        _say(line)
    return ExitCode.DONE if all(checks.values()) else ExitCode.FAILED


def _where_to_look(root: Path) -> Sequence[str]:
    return [
        "\nWhere it lies:",
        f"   the warehouse      {root / '.sim_sync' / 'warehouse.db'} (SQLite)",
        f"   our inventory      {root / 'examples' / 'inventory.csv'}",
        f"   runs and logs      {root / '.sim_sync' / 'dagster'}",
        "\nHow to look at it:",
        "   make dev                                the Dagster UI on http://127.0.0.1:3000",
        "   .venv/bin/sim-sync status               where every carrier stands",
        "   .venv/bin/sim-sync discrepancies        what differs, row by row",
    ]


def _wait_for(look: Callable[[], Found | None], seconds: float, what: str) -> Found:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(0.05)
    raise DemonstrationFailed(f"waited {seconds:.0f} s in vain for {what}; the logs are in .sim_sync/")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
