"""Live bars for a terminal: how far each carrier is, drawn in place again and again. Without a terminal there are none.

What is said meanwhile appears above the bars.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sim_sync.core import progress
from sim_sync.core.errors import SimSyncError
from sim_sync.core.notes import CarrierOverview, time_text
from sim_sync.core.text import duration_text, percent_text, printable
from sim_sync.processes import repeated

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

#: Seconds between two looks at the warehouse.
LOOK_EVERY_SECONDS = 1.0
_BAR_WIDTH = 24


@dataclass(frozen=True, slots=True)
class BarLine:
    """One line: a carrier, how much of its walk is done (None: nobody knows), and what stands beside the bar."""

    carrier: str
    state: str
    percent: float | None
    text: str


def bar_line(overview: CarrierOverview, now: datetime, *, todo: str = "") -> BarLine:
    """Return how far a carrier's newest session is; `todo` is what a person is to do about it."""
    session = overview.newest
    if session is None:
        return BarLine(overview.carrier, "never synced", 0.0, todo)
    done = progress.percent_of(session)
    speed = progress.pages_per_minute(session, overview.recent_page_seconds, now)
    ends_in = progress.remaining(session, overview.recent_page_seconds, now)
    parts = [
        "" if done is None else percent_text(done),
        f"{session.pages_done}/{session.pages_expected or '?'} pages",
        "" if speed is None else f"{speed:g}/min",
        "" if ends_in.seconds is None else f"ends in {duration_text(ends_in.seconds)}",
        f"waited {duration_text(session.throttled_seconds)}" if session.throttled_seconds >= 1 else "",
        f"until {time_text(session.not_before, now)}" if session.not_before is not None else "",
        "" if todo == "nothing" else todo,
    ]
    return BarLine(overview.carrier, session.state.value, done, "  ".join(filter(None, parts)))


def is_a_terminal() -> bool:
    """Return whether there is a terminal to draw in."""
    return sys.stdout.isatty()


@contextmanager
def bars_shown(look: Callable[[], Sequence[BarLine]]) -> Iterator[None]:
    """Draw what `look` finds, once a second until the end of the block, and leave the last of it standing.

    A warehouse that cannot be read for a moment leaves the bars as they were.
    """
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False, markup=False, emoji=False)
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:

        def draw() -> None:
            try:
                live.update(_drawn(look(), console), refresh=True)
            except SimSyncError:
                return

        draw()
        try:
            with repeated(draw, every_seconds=LOOK_EVERY_SECONDS, name="bars"):
                yield
        finally:
            draw()


def _drawn(lines: Sequence[BarLine], console: "Console") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1, 0, 0))
    for column in ("carrier", "state", "bar", "text"):
        table.add_column(no_wrap=True, overflow="ellipsis", width=_BAR_WIDTH if column == "bar" else None)
    is_utf8 = console.encoding.lower().startswith("utf")
    # More lines than the terminal has rows could not be drawn in place.
    for line in lines[: max(console.height - 2, 1)]:
        cells = (line.carrier, line.state, bar_text(line.percent, is_utf8=is_utf8), line.text)
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


def bar_text(percent: float | None, *, is_utf8: bool = True) -> str:
    """Return a bar that can be read without colours too; of a walk whose length nobody knows, an empty one."""
    full, empty = ("\u2588", "\u2591") if is_utf8 else ("#", "-")
    filled = int(_BAR_WIDTH * min(percent or 0.0, 100.0) / 100)
    return full * filled + empty * (_BAR_WIDTH - filled)
