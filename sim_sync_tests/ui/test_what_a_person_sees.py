"""`make dev` for real, one finished sync in it, and each page opened as a person would."""

import pytest
from playwright.sync_api import Page, expect

from sim_sync_tests.ui.browser import chromium_path
from sim_sync_tests.ui.project import CARRIER, ServedProject

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium_path() is None, reason="there is no Chromium: install it, or set SIM_SYNC_CHROMIUM"),
]

ASSETS = ("sim_inventory", "carrier_sims", "sim_discrepancies")
PATIENCE_MS = 60_000


def expect_texts(page: Page, *texts: str) -> None:
    for text in texts:
        expect(page.locator("body")).to_contain_text(text, timeout=PATIENCE_MS)


def expect_value(page: Page, key: str, value: str) -> None:
    """Expect a row of metadata to say this; each row begins with its key."""
    rows = page.locator("tr").filter(has=page.get_by_text(key, exact=True))
    expect(rows.filter(has_text=value).first).to_be_visible(timeout=PATIENCE_MS)


def test_the_runs_page_shows_the_three_assets_and_their_steps(project: ServedProject, page: Page) -> None:
    page.goto(f"{project.url}/runs/{project.newest_run()}")
    expect_texts(page, "Success", f"partition: {CARRIER}", "3 assets", "10 checks", "RUN_SUCCESS")
    page.get_by_text("3 assets").first.click()
    expect_texts(page, *ASSETS)


def test_the_runs_page_shows_checkpoints_with_their_metadata(project: ServedProject, page: Page) -> None:
    page.goto(f"{project.url}/runs/{project.newest_run()}?logs=type%3AASSET_OBSERVATION")
    expect_texts(page, "ASSET_OBSERVATION", "[View Asset]")
    for key, value in {
        "partition": CARRIER,
        "state": "running",
        "pages_done": "100",
        "records_seen": "20000",
        "retries": "0",
        "last_error": "none",
    }.items():
        expect_value(page, key, value)


def test_the_asset_graph_shows_the_three_assets_filled_and_checked(project: ServedProject, page: Page) -> None:
    page.goto(f"{project.url}/locations/sim_sync/asset-groups/sim_sync/lineage")
    expect_texts(page, *ASSETS, "100% filled", "8 / 8 Passed")


def test_the_assets_page_shows_how_far_the_last_walk_came(project: ServedProject, page: Page) -> None:
    page.goto(f"{project.url}/assets/carrier_sims")
    expect_texts(page, "Latest materialization", CARRIER)
    for key, value in {
        "state": "completed",
        "pages_done": "100",
        "percent": "100",
        "records_seen": "20000",
        "sweep": "done",
    }.items():
        expect_value(page, key, value)


def test_the_assets_events_hold_its_checkpoints(project: ServedProject, page: Page) -> None:
    page.goto(f"{project.url}/assets/carrier_sims?view=events")
    expect_texts(page, f"Partition {CARRIER} materialized in run")
    # Two checkpoints at least: the first page, and the last. The newest entry is the materialization.
    entries = page.get_by_text(CARRIER, exact=True)
    assert entries.count() >= 3
    entries.nth(1).click()
    expect_texts(page, f"Partition {CARRIER} observed in run")
    expect_value(page, "pages_done", "100")


def test_the_differences_are_counted_on_their_asset(project: ServedProject, page: Page) -> None:
    page.goto(f"{project.url}/assets/sim_discrepancies")
    for key, value in {"missing_at_carrier_open": "12", "unknown_to_us_open": "8", "mismatch_open": "25"}.items():
        expect_value(page, key, value)


def test_the_sensor_and_the_schedule_are_on(project: ServedProject, page: Page) -> None:
    page.goto(f"{project.url}/automation")
    expect_texts(page, "nightly_reconciliation", "resume_interrupted_syncs")
    switches = page.locator("label[class*=formatSwitch] input[type=checkbox]")
    expect(switches).to_have_count(2, timeout=PATIENCE_MS)
    for switch in switches.all():
        expect(switch).to_be_checked()


def test_a_first_visit_meets_no_dialog(project: ServedProject, page: Page) -> None:
    page.goto(project.url)
    expect_texts(page, "Overview")
    expect(page.get_by_role("dialog")).to_have_count(0)
