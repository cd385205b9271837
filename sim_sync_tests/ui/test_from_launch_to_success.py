"""A new user at the UI that `make dev` starts: launches a carrier, sees how far it is, its end, and stops another."""

import re
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from sim_sync.core.session import State
from sim_sync.simulator.control import SimulatorControl
from sim_sync.simulator.faults import ErrorStatus, Trigger
from sim_sync_tests.ui.browser import chromium_path, opened_page
from sim_sync_tests.ui.project import CARRIER, ServedProject, served_project
from sim_sync_tests.ui.test_what_a_person_does import LAUNCH, terminate, wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium_path() is None, reason="there is no Chromium: install it, or set SIM_SYNC_CHROMIUM"),
]

PATIENCE_MS = 120_000
#: A hundred pages take half a minute: long enough to look at.
LATENCY_MS = 300.0


def launch(page: Page, project: ServedProject) -> None:
    """Launch the job for the one partition as a person does: the job's page, its button, the dialog."""
    page.goto(f"{project.url}/locations/sim_sync/jobs/reconcile_carrier")
    page.get_by_role("button", name=re.compile("Materialize all")).first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="All", exact=True).click()
    expect(dialog).to_contain_text(CARRIER)
    dialog.get_by_role("button", name="Launch 1 run").click()
    expect(page.get_by_role("dialog")).to_have_count(0, timeout=PATIENCE_MS)


def open_newest_run(page: Page, project: ServedProject) -> None:
    """Open the newest run from the first page: two clicks."""
    page.goto(project.url)
    page.get_by_role("link", name="Runs").first.click()
    page.locator("a[href*='/runs/']").first.click()


def expect_text(page: Page, text: str | re.Pattern[str]) -> None:
    expect(page.locator("body")).to_contain_text(text, timeout=PATIENCE_MS)


def test_a_new_user_launches_a_carrier_sees_its_end_and_its_last_error_and_stops_another_run(tmp_path: Path) -> None:
    with served_project(tmp_path) as project, opened_page() as page:
        project.backfill()  # this carrier tells no total: the walk before says how long it is
        carrier = SimulatorControl(f"http://127.0.0.1:{project.simulator_port}")
        carrier.set_latency(LATENCY_MS)
        carrier.arm(ErrorStatus(status=503), Trigger(nth=5))
        launch(page, project)
        wait_for(project, lambda session: session.retries > 0)

        open_newest_run(page, project)
        expect_text(page, f"partition: {CARRIER}")
        # The log draws only the lines in its window: the filter brings the ones that are looked for into it.
        page.get_by_placeholder("Filter").fill("last error")
        expect_text(page, re.compile(r"page \d+/100.*ends about [\d:]+ UTC; last error, at [\d:]+ UTC: .*503"))
        expect_text(page, "Success")
        wait_for(project, lambda session: session.state is State.COMPLETED)

        project.ask(LAUNCH)
        wait_for(project, lambda session: session.state is State.RUNNING and session.pages_done >= 3)
        terminate(page, f"{project.url}/runs/{project.newest_run()}")
        paused = wait_for(project, lambda session: session.state is State.PAUSED)
        expect_text(page, "Canceled")
        expect_text(page, f"paused after page {paused.pages_done}")
        told = subprocess.run(
            project.command("status"), cwd=tmp_path, env=project.environment, check=True, capture_output=True, text=True
        )
        assert f"{CARRIER}: paused after page {paused.pages_done}; `sim-sync resume {CARRIER}`" in told.stdout
