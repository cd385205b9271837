"""A headless Chromium that talks to loopback only."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

#: Names under which systems install it; `SIM_SYNC_CHROMIUM` names another one.
_NAMES = ("chromium", "chromium-browser", "google-chrome")
#: As root there is no sandbox; and nothing of it may call home.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_PATIENCE_MS = 60_000


def chromium_path() -> str | None:
    """Return where Chromium is; None where there is none."""
    given = os.environ.get("SIM_SYNC_CHROMIUM")
    return given or next(filter(None, map(shutil.which, _NAMES)), None)


@contextmanager
def opened_page() -> Iterator[Page]:
    """Open one empty page, and close its browser after the block."""
    with opened_browser() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(_PATIENCE_MS)
        yield page


@contextmanager
def opened_browser() -> Iterator[Browser]:
    """Open a browser without a page, and close it after the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), headless=True, args=list(_ARGUMENTS))
        yield browser
        browser.close()
