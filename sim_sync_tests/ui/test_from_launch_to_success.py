"""A person at the UI that `make dev` starts: launches a carrier, sees how far it is and its end, stops a run, and sees
that a run that was killed in the middle was continued by another.
"""

import re
import subprocess

import pytest
from playwright.sync_api import Page, expect

from sim_sync.core.session import State
from sim_sync.simulator.faults import ErrorStatus, Trigger
from sim_sync_tests.ui.browser import chromium_path
from sim_sync_tests.ui.project import CARRIER, ServedProject
from sim_sync_tests.ui.syncs import carrier_of, kill_worker, launch_run, sensor_looks, wait_for, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(chromium_path() is None, reason="there is no Chromium: install it, or set SIM_SYNC_CHROMIUM"),
]

PATIENCE_MS = 120_000
#: A hundred pages take half a minute: long enough to look at, and to click in the middle.
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


def terminate(page: Page, url: str) -> None:
    """Press the button on a run's page, and the one that asks whether that is meant."""
    page.goto(url)
    page.get_by_role("button", name="Terminate").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Terminate 1 run").click()


def open_run(page: Page, project: ServedProject, run_id: str) -> None:
    """Open a run from the first page: two clicks."""
    page.goto(project.url)
    page.get_by_role("link", name="Runs").first.click()
    page.locator(f"a[href*='/runs/{run_id}']").first.click()


def expect_text(page: Page, text: str | re.Pattern[str]) -> None:
    expect(page.locator("body")).to_contain_text(text, timeout=PATIENCE_MS)


def expect_tag(page: Page, url: str, tag: str, value: str) -> None:
    """Expect a run's page to show a tag with this value, one click away."""
    page.goto(url)
    page.get_by_role("button", name="View tags and config").click()
    expect(page.get_by_role("dialog")).to_contain_text(f"{tag}: {value}", timeout=PATIENCE_MS)
    page.keyboard.press("Escape")


def test_a_new_user_launches_a_carrier_and_sees_its_end_and_its_last_error(project: ServedProject, page: Page) -> None:
    carrier = carrier_of(project)
    carrier.set_latency(LATENCY_MS)
    carrier.arm(ErrorStatus(status=503), Trigger(nth=5))
    launch(page, project)
    at_work = wait_for(project, lambda session: session.retries > 0)

    open_run(page, project, str(at_work.owner))
    expect_text(page, f"partition: {CARRIER}")
    # The log draws only the lines in its window: the filter brings the ones that are looked for into it.
    page.get_by_placeholder("Filter").fill("last error")
    expect_text(page, re.compile(r"page \d+/100.*ends about [\d:]+ UTC; last error, at [\d:]+ UTC: .*503"))
    expect_text(page, "Success")
    wait_for(project, lambda session: session.state is State.COMPLETED)


def test_terminate_pauses_the_sync_until_a_person_resumes_it(project: ServedProject, page: Page) -> None:
    carrier = carrier_of(project)
    carrier.set_latency(LATENCY_MS)
    run_id = launch_run(project)
    wait_for(project, lambda session: session.state is State.RUNNING and session.pages_done >= 3)
    terminate(page, f"{project.url}/runs/{run_id}")
    paused = wait_for(project, lambda session: session.state is State.PAUSED)
    expect_text(page, "Canceled")
    expect_text(page, f"paused after page {paused.pages_done}")
    assert paused.owner == run_id
    told = _sim_sync(project, "status")
    assert f"{CARRIER}: paused after page {paused.pages_done}; `sim-sync resume {CARRIER}`" in told

    before = max(sensor_looks(project))
    wait_until(lambda: sum(look > before for look in sensor_looks(project)) >= 2)
    assert wait_for(project, lambda _session: True) == paused

    _sim_sync(project, "resume", CARRIER)
    resumed = wait_for(project, lambda session: session.pages_done > paused.pages_done)
    assert (resumed.session_id, resumed.fence) == (paused.session_id, paused.fence + 1)
    carrier.set_latency(0)
    wait_for(project, lambda session: session.state is State.COMPLETED)


def test_a_killed_run_and_the_one_that_continued_it_lead_to_each_other_and_to_success(
    project: ServedProject, page: Page
) -> None:
    carrier = carrier_of(project)
    carrier.set_latency(LATENCY_MS)
    killed_run = launch_run(project)
    wait_for(project, lambda session: session.owner == killed_run and session.pages_done >= 5)
    left = kill_worker(project)
    resumed = wait_for(project, lambda session: session.fence > left.fence and session.pages_done > left.pages_done)
    assert (resumed.session_id, resumed.state) == (left.session_id, State.RUNNING)

    resuming_run = str(resumed.owner)

    # Two clicks, while it runs: how far the whole walk is, and when it ends; not what this run alone has done.
    # Dagster's own retry and the run of the sensor were both on their way: the one that came second leaves it alone.
    open_run(page, project, resuming_run)
    page.get_by_placeholder("Filter").fill("ends about")
    expect_text(page, re.compile(rf"page (?!{left.pages_done}/)\d+/100.*ends about [\d:]+ UTC"))
    carrier.set_latency(0)
    expect_text(page, "Success")
    completed = wait_for(project, lambda session: session.state is State.COMPLETED)
    assert (completed.session_id, completed.pages_done, completed.owner) == (left.session_id, 100, resuming_run)

    expect_tag(page, f"{project.url}/runs/{resuming_run}", "sim_sync/previous_run", killed_run)
    expect_tag(page, f"{project.url}/runs/{killed_run}", "sim_sync/next_run", resuming_run)
    expect_text(page, "Failure")
    page.goto(f"{project.url}/assets/carrier_sims")
    for run in (killed_run, resuming_run):
        expect(page.locator(f"a[href$='/runs/{run}']").first).to_be_visible(timeout=PATIENCE_MS)
    told = _sim_sync(project, "sessions", "--json", "--last", "1")
    assert f'"session_id": "{completed.session_id}"' in told
    assert '"resumes": 1' in told


def _sim_sync(project: ServedProject, *arguments: str) -> str:
    command = project.command(*arguments)
    done = subprocess.run(
        command, cwd=project.folder, env=project.environment, check=True, capture_output=True, text=True
    )
    return done.stdout
