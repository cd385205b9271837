"""The named points at which a test, or `sim-sync selftest`, may let a sync die. Nothing is armed by default."""

from collections.abc import Callable
from typing import TypeAlias

#: Called with the name of each point as it is passed; a test's version raises or kills.
CrashPoint: TypeAlias = Callable[[str], None]

#: In the order in which one complete walk passes them. The names say what has happened so far.
CRASH_POINTS: tuple[str, ...] = (
    "open_session:begun",
    "open_session:written",
    "open_session:committed",
    "fetch_page:fetched",
    "commit_page:begun",
    "commit_page:fence_checked",
    "commit_page:rows_written",
    "commit_page:changes_written",
    "commit_page:quarantine_written",
    "commit_page:checkpoint_written",
    "commit_page:committed",
    "close_session:begun",
    "close_session:swept",
    "close_session:written",
    "close_session:committed",
)

#: In the order in which a person's decision on a held sweep passes them; those in the middle where it marks SIMs.
DECISION_POINTS: tuple[str, ...] = (
    "decide_sweep:begun",
    "decide_sweep:compared",
    "decide_sweep:written",
    "decide_sweep:committed",
)


def nothing_armed(_name: str) -> None:
    """Pass every point unharmed: the normal life of a sync."""
