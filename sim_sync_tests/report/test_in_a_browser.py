"""The page in a real browser, from a file and without a network: light, dark, wide, narrow, by keyboard, printed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page

from sim_sync_tests.cli.command_line import CommandLine
from sim_sync_tests.fakes.fleet import a_fleet, a_sim
from sim_sync_tests.fakes.hostile_texts import CONTROLS, FORMULAS, MARKUPS
from sim_sync_tests.report.places import compared, with_inventory
from sim_sync_tests.ui.browser import chromium_path, opened_browser

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium_path() is None, reason="there is no Chromium: install it, or set SIM_SYNC_CHROMIUM"),
]

WIDTHS = {"wide": 1280, "tablet": 768, "narrow": 360}
#: What the margins leave of A4, in CSS pixels.
A4_WIDTH = 710
HOSTILE = (*CONTROLS, *FORMULAS, *MARKUPS, "w" * 300)
#: Contrast of text that WCAG 2.2 wants at level AA.
READABLE = 4.5
CONTRASTS = Path(__file__).with_name("contrasts.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with opened_browser() as browser:
        yield browser


@pytest.fixture
def path(command_line: CommandLine) -> Path:
    """A report on one carrier with odd labels, one that is well, one that was never walked."""
    with_inventory(command_line, "acme", "zeta", "never")
    labelled = [a_sim(number, label=text, rate_plan=text) for number, text in enumerate(HOSTILE)]
    compared(command_line, [*labelled, *a_fleet(len(HOSTILE) + 9)[len(HOSTILE) :]], labelled[:5])
    compared(command_line, a_fleet(12), a_fleet(12), "zeta")
    assert command_line.type_in("report", "--output", "report.html").code == 0
    return command_line.folder / "report.html"


@dataclass
class Opened:
    """A page, and what it complained about or asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)


@contextmanager
def opened(
    browser: Browser, path: Path, *, width: int = 1280, scheme: Literal["light", "dark"] = "light"
) -> Iterator[Opened]:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    found = Opened(context.new_page())
    found.page.on("console", lambda message: found.complaints.append(message.text))
    found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
    found.page.on("requestfailed", lambda request: found.complaints.append(request.url))
    found.page.goto(path.as_uri())
    yield found
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=list(WIDTHS))
def test_nothing_is_wider_than_the_window_and_nothing_complains(
    browser: Browser, path: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    with opened(browser, path, width=width, scheme=scheme) as found:
        assert found.page.evaluate("document.documentElement.scrollWidth") <= width
        assert found.complaints == []
        assert found.page.title() == "SIM reconciliation"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_on_its_ground(browser: Browser, path: Path, scheme: Literal["light", "dark"]) -> None:
    with opened(browser, path, scheme=scheme) as found:
        assert [one for one in found.page.evaluate(CONTRASTS) if one["contrast"] < READABLE] == []


def column(page: Page, table: str, place: int) -> list[str]:
    cells = page.locator(f"#table-{table} tbody tr:not([hidden])").locator(f"> :nth-child({place})")
    return [text.strip() for text in cells.all_inner_texts()]


def test_a_heading_sorts_its_column_by_keyboard(browser: Browser, path: Path) -> None:
    with opened(browser, path) as found:
        page = found.page
        heading = page.locator("#table-worst th").filter(has_text="ICCID").first
        before = column(page, "worst", 1)
        heading.get_by_role("button").focus()
        page.keyboard.press("Enter")
        assert column(page, "worst", 1) == sorted(before)
        assert heading.get_attribute("aria-sort") == "ascending"
        page.keyboard.press("Space")
        assert column(page, "worst", 1) == sorted(before, reverse=True)
        assert heading.get_attribute("aria-sort") == "descending"


def test_numbers_are_sorted_as_numbers(browser: Browser, path: Path) -> None:
    with opened(browser, path) as found:
        found.page.locator("#table-totals").get_by_role("button", name="SIMs").first.click()
        sims = [int(text) for text in column(found.page, "totals", 2)]
        assert sims == sorted(sims, reverse=True)
        assert sims[0] > 12 > sims[-1]


def test_a_filter_leaves_the_rows_that_have_every_word(browser: Browser, path: Path) -> None:
    with opened(browser, path) as found:
        page = found.page
        page.get_by_label("Only rows with").first.fill("acme sim-no-such")
        page.get_by_label("Only rows with").first.fill("ACME 8988303000000000007")
        assert column(page, "worst", 1) == ["8988303000000000007"]
        assert "1 of " in page.locator(".filter output").first.inner_text()
        page.get_by_label("Only rows with").first.fill("")
        assert len(column(page, "worst", 1)) > 1


def test_without_its_script_the_page_is_complete(browser: Browser, path: Path) -> None:
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto(path.as_uri())
    assert page.get_by_text("open at 1 carrier").first.is_visible()
    assert page.locator("#table-worst tbody tr").count() > 5
    assert not page.locator(".filter").first.is_visible()
    context.close()


def test_printed_it_is_light_whatever_the_screen_is(browser: Browser, path: Path) -> None:
    with opened(browser, path, scheme="dark") as found:
        found.page.emulate_media(media="print", color_scheme="dark")
        grounds: list[Any] = found.page.evaluate(
            "[document.body, ...document.querySelectorAll('section')].map(one => getComputedStyle(one).backgroundColor)"
        )
        assert set(grounds) == {"rgb(255, 255, 255)"}
        assert not found.page.locator("nav").is_visible()
        found.page.set_viewport_size({"width": A4_WIDTH, "height": 900})
        assert found.page.evaluate("document.documentElement.scrollWidth") <= A4_WIDTH
        assert found.page.pdf(format="A4").startswith(b"%PDF")
