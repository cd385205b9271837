"""Waits for what another process does. How long that takes is never asserted."""

import time
from collections.abc import Callable

from sim_sync_tests.cli.command_line import PATIENCE_SECONDS, CommandLine


def wait_until(look: Callable[[], bool], what: str) -> None:
    """Look again and again until it is so; the test fails where it never is."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not look():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def wait_for_pages(command_line: CommandLine, pages: int) -> None:
    """Wait until the session of `acme` has committed that many pages."""
    sessions = command_line.warehouse.sessions

    def are_committed() -> bool:
        session = sessions.open_session_of("acme")
        return session is not None and session.pages_done >= pages

    wait_until(are_committed, f"{pages} committed pages")
