"""Syncs of a served project: launched, looked at in the warehouse, waited for, and killed."""

import time
from collections.abc import Callable
from contextlib import closing

import psutil

from sim_sync.core.session import Session, State
from sim_sync.simulator.control import SimulatorControl
from sim_sync.warehouse import open_warehouse
from sim_sync_tests.ui.project import CARRIER, PATIENCE_SECONDS, ServedProject

_LAUNCH = """
mutation {
  launchRun(executionParams: {
    selector: {
      repositoryLocationName: "sim_sync", repositoryName: "__repository__", jobName: "reconcile_carrier"
    },
    runConfigData: {},
    executionMetadata: {tags: [{key: "dagster/partition", value: "simulated-eu"}]}
  }) { ... on LaunchRunSuccess { run { runId } } }
}
"""
_TICKS = """
{ sensorOrError(sensorSelector: {
    repositoryLocationName: "sim_sync", repositoryName: "__repository__", sensorName: "resume_interrupted_syncs"
  }) { ... on Sensor { sensorState { ticks(limit: 20, statuses: [SKIPPED, SUCCESS]) { timestamp } } } } }
"""


def carrier_of(project: ServedProject) -> SimulatorControl:
    """Return the controls of the project's simulated carrier."""
    return SimulatorControl(f"http://127.0.0.1:{project.simulator_port}")


def launch_run(project: ServedProject) -> str:
    """Launch a run of the carrier, and return its id."""
    return str(project.ask(_LAUNCH)["launchRun"]["run"]["runId"])


def sensor_looks(project: ServedProject) -> list[float]:
    """Return when the sensor looked, the last times."""
    found = project.ask(_TICKS)["sensorOrError"]["sensorState"]["ticks"]
    return [float(tick["timestamp"]) for tick in found]


def session_of(project: ServedProject) -> Session | None:
    """Return the carrier's open or else newest session."""
    with closing(open_warehouse(_warehouse_url(project))) as warehouse:
        latest = warehouse.sessions.latest_sessions([CARRIER])
    return latest[0] if latest else None


def kill_worker(project: ServedProject) -> Session:
    """Kill the process that works on the carrier's session as a crash does (SIGKILL); return what it left behind."""
    session = wait_for(project, lambda session: session.state is State.RUNNING)
    with closing(open_warehouse(_warehouse_url(project))) as warehouse:
        process = warehouse.sessions.internals(session.session_id).process
    assert process is not None
    worker = psutil.Process(process.pid)
    worker.kill()
    psutil.wait_procs([worker])
    return wait_for(project, lambda left: left.session_id == session.session_id)


def wait_for(project: ServedProject, is_so: Callable[[Session], bool]) -> Session:
    """Wait until the carrier's session is so, and return it."""
    found: list[Session] = []

    def look() -> bool:
        session = session_of(project)
        if session is not None and is_so(session):
            found.append(session)
        return bool(found)

    wait_until(look)
    return found[0]


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait until something holds, with all of a story's patience."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def _warehouse_url(project: ServedProject) -> str:
    return f"sqlite:///{project.folder / '.sim_sync' / 'warehouse.db'}"
