"""A person ends a running sync with the UI's own button, and continues it with the command line."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from sim_sync.core.session import Session, State
from sim_sync.simulator.control import SimulatorControl
from sim_sync.warehouse import open_warehouse
from sim_sync_tests.ui.browser import chromium_path, opened_page
from sim_sync_tests.ui.project import CARRIER, PATIENCE_SECONDS, ServedProject, served_project

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium_path() is None, reason="there is no Chromium: install it, or set SIM_SYNC_CHROMIUM"),
]

PATIENCE_MS = 60_000
#: Slow enough that a person's click comes in the middle of the walk.
LATENCY_MS = 500.0
LAUNCH = """
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
TICKS = """
{ sensorOrError(sensorSelector: {
    repositoryLocationName: "sim_sync", repositoryName: "__repository__", sensorName: "resume_interrupted_syncs"
  }) { ... on Sensor { sensorState { ticks(limit: 20, statuses: [SKIPPED, SUCCESS]) { timestamp } } } } }
"""


def test_terminate_pauses_the_sync_until_a_person_resumes_it(tmp_path: Path) -> None:
    with served_project(tmp_path) as project:
        SimulatorControl(f"http://127.0.0.1:{project.simulator_port}").set_latency(LATENCY_MS)
        run_id = project.ask(LAUNCH)["launchRun"]["run"]["runId"]
        wait_for(project, lambda session: session.pages_done >= 3)
        with opened_page() as page:
            terminate(page, f"{project.url}/runs/{run_id}")
            paused = wait_for(project, lambda session: session.state is State.PAUSED)
            expect(page.locator("body")).to_contain_text("Canceled", timeout=PATIENCE_MS)
        assert paused.owner == run_id

        before = max(ticks(project))
        wait_until(lambda: sum(tick > before for tick in ticks(project)) >= 2)  # the sensor has looked twice
        assert session_of(project) == paused

        subprocess.run(project.command("resume", CARRIER), cwd=tmp_path, env=project.environment, check=True)
        resumed = wait_for(project, lambda session: session.pages_done > paused.pages_done)
        assert (resumed.session_id, resumed.fence) == (paused.session_id, paused.fence + 1)


def terminate(page: Page, url: str) -> None:
    """Press the button on a run's page, and the one that asks whether that is meant."""
    page.goto(url)
    page.get_by_role("button", name="Terminate").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Terminate 1 run").click()


def ticks(project: ServedProject) -> list[float]:
    """Return when the sensor looked, the last times."""
    found = project.ask(TICKS)["sensorOrError"]["sensorState"]["ticks"]
    return [float(tick["timestamp"]) for tick in found]


def session_of(project: ServedProject) -> Session | None:
    warehouse = open_warehouse(f"sqlite:///{project.folder / '.sim_sync' / 'warehouse.db'}")
    try:
        latest = warehouse.sessions.latest_sessions([CARRIER])
    finally:
        warehouse.close()
    return latest[0] if latest else None


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
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
