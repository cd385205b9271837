"""`python -m sim_sync_tests.ui.pictures [NAME...]`: takes the pictures of the documentation from the running system.

Each picture is a function in `PICTURES`: it opens a view of a `make dev` of its own, in which one walk is complete, and
what it leaves on the page becomes `docs/images/NAME.png`.
"""

import html
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from playwright.sync_api import Page, expect

from sim_sync.core.session import State
from sim_sync.simulator.faults import ErrorStatus
from sim_sync.simulator.faults import Trigger as RequestTrigger
from sim_sync_tests.report.example import write_example
from sim_sync_tests.ui.browser import chromium_path, opened_page
from sim_sync_tests.ui.project import PROJECT, ServedProject, served_project
from sim_sync_tests.ui.syncs import carrier_of, kill_worker, launch_run, wait_for

IMAGES = PROJECT / "docs" / "images"
_PATIENCE_MS = 120_000
#: A walk of half a minute, so that there is a middle to look at.
_LATENCY_MS = 300.0
#: What a terminal looks like: its text stands still, and nothing is fetched for it.
_TERMINAL = """<body style="margin:0;background:#1e1e1e"><pre style="display:inline-block;margin:0;padding:14px 18px;
background:#1e1e1e;color:#d4d4d4;font:13px/1.45 'DejaVu Sans Mono',monospace">{}</pre></body>"""


def asset_graph(page: Page, project: ServedProject) -> None:
    """The three assets, how much of them is there, and their checks."""
    page.goto(f"{project.url}/locations/sim_sync/asset-groups/sim_sync/lineage")
    expect(page.locator("body")).to_contain_text("Passed", timeout=_PATIENCE_MS)


def status(page: Page, project: ServedProject) -> None:
    """`sim-sync status` in a terminal."""
    show_terminal(page, project, "status")


def checkpoints(page: Page, project: ServedProject) -> None:
    """A run's observations: how far it is, its pace, its end, and its last error."""
    page.goto(f"{project.url}/runs/{project.newest_run()}?logs=type%3AASSET_OBSERVATION")
    expect(page.locator("body")).to_contain_text("pages_done", timeout=_PATIENCE_MS)


def account(page: Page, project: ServedProject) -> None:
    """The asset's page after a walk: the account of the whole session."""
    page.goto(f"{project.url}/assets/carrier_sims")
    expect(page.locator("body")).to_contain_text("pages_fetched_twice", timeout=_PATIENCE_MS)
    page.get_by_text("pages_fetched_twice", exact=True).first.scroll_into_view_if_needed()


def throttled(page: Page, project: ServedProject) -> None:
    """A run in the middle of its walk whose carrier has answered 429: its pace, its end, its last error."""
    carrier = carrier_of(project)
    carrier.set_latency(_LATENCY_MS)
    carrier.arm(ErrorStatus(status=429, retry_after_seconds=5), RequestTrigger(nth=10))
    run = launch_run(project)
    wait_for(project, lambda session: session.owner == run and session.throttled_seconds > 0)
    _show_log(page, project, run, "last error")
    carrier.set_latency(0)
    wait_for(project, lambda session: session.state is State.COMPLETED)


def resumed(page: Page, project: ServedProject) -> None:
    """The run that continued a walk whose run was killed: its log, and the tags that lead to the run before."""
    carrier = carrier_of(project)
    carrier.set_latency(_LATENCY_MS)
    killed = launch_run(project)
    wait_for(project, lambda session: session.owner == killed and session.pages_done >= 10)
    left = kill_worker(project)
    working = wait_for(project, lambda session: session.fence > left.fence and session.pages_done > left.pages_done)
    carrier.set_latency(0)
    wait_for(project, lambda session: session.state is State.COMPLETED)
    page.goto(f"{project.url}/runs/{working.owner}")
    expect(page.locator("body")).to_contain_text("Success", timeout=_PATIENCE_MS)
    page.get_by_role("button", name="View tags and config").click()
    expect(page.get_by_role("dialog")).to_contain_text("sim_sync/previous_run", timeout=_PATIENCE_MS)


def _show_log(page: Page, project: ServedProject, run: str, wanted: str) -> None:
    page.goto(f"{project.url}/runs/{run}")
    page.get_by_placeholder("Filter").fill(wanted)
    expect(page.locator("body")).to_contain_text("ends about", timeout=_PATIENCE_MS)


def report(page: Page, project: ServedProject) -> None:
    """The report on an invented company, as far as a manager reads before asking."""
    page.set_viewport_size({"width": 1160, "height": 1290})
    page.goto(write_example(Path(project.folder)).as_uri())


#: The pictures by their names; each gets the page to show its view on.
PICTURES: Mapping[str, Callable[[Page, ServedProject], None]] = MappingProxyType(
    {
        "asset-graph": asset_graph,
        "status": status,
        "checkpoints": checkpoints,
        "account": account,
        "throttled": throttled,
        "resumed": resumed,
        "report": report,
    }
)


def show_terminal(page: Page, project: ServedProject, *arguments: str) -> None:
    """Show a command and what it prints."""
    done = subprocess.run(
        project.command(*arguments),
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    typed = f"$ sim-sync {' '.join(arguments)}\n"
    page.set_content(_TERMINAL.format(html.escape(typed + done.stdout + done.stderr)))


def take(page: Page, project: ServedProject, name: str) -> Path:
    """Take one picture: of a terminal all of its text, of the UI what fits the window."""
    PICTURES[name](page, project)
    page.wait_for_load_state("networkidle")
    path = IMAGES / f"{name}.png"
    terminal = page.locator("body > pre")
    if terminal.count():
        terminal.screenshot(path=path)
    else:
        page.screenshot(path=path)
    return path


def main(names: list[str]) -> int:
    """Take the named pictures, or all of them."""
    if chromium_path() is None:
        sys.stderr.write("there is no Chromium: install it, or set SIM_SYNC_CHROMIUM\n")
        return 2
    if unknown := sorted(set(names) - set(PICTURES)):
        sys.stderr.write(f"no picture {', '.join(unknown)}; there are: {', '.join(PICTURES)}\n")
        return 2
    with tempfile.TemporaryDirectory() as folder, served_project(Path(folder)) as project, opened_page() as page:
        project.backfill()
        for name in names or PICTURES:
            sys.stdout.write(f"{take(page, project, name).relative_to(PROJECT)}\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
