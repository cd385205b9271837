"""`sim-sync selftest`: shows, on this machine and with this database, that a sync survives kills and freezes."""

import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from sim_sync.cli.exit_codes import ExitCode
from sim_sync.selftest.ending import ended_like_ctrl_c
from sim_sync.selftest.trials import (
    Tally,
    Theatre,
    freeze_and_wake,
    kill_at_every_commit_point,
    kill_at_random_times,
)


def run_selftest(*, url: str | None, kills: int, freezes: int) -> ExitCode:
    """Run all trials against a scratch warehouse, print a table and one verdict line."""
    theatre = Theatre(url)
    started = time.monotonic()
    with ended_like_ctrl_c():
        tallies = [
            kill_at_every_commit_point(theatre, _tell),
            kill_at_random_times(theatre, _tell, kills),
            freeze_and_wake(theatre, _tell, freezes),
        ]
    _print(tallies)
    problems = [problem for tally in tallies for problem in tally.problems]
    for problem in problems:
        sys.stdout.write(f"problem: {problem}\n")
    seconds = time.monotonic() - started
    verdict = "passed: every outcome is that of an undisturbed sync" if not problems else "FAILED"
    sys.stdout.write(f"selftest {verdict} ({'PostgreSQL' if url else 'SQLite'}, {seconds:.0f} s)\n")
    return ExitCode.FAILED if problems else ExitCode.DONE


def _print(tallies: Sequence[Tally]) -> None:
    table = Table("trial", "walks", "kills", "in a transaction", "pages fetched again", "frozen and woken", "problems")
    for tally in tallies:
        numbers = (
            *(tally.trials, tally.kills, tally.kills_in_transactions),
            *(tally.pages_fetched_again, tally.frozen_and_woken, len(tally.problems)),
        )
        table.add_row(tally.name, *map(str, numbers))
    Console().print(table)


def _tell(line: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{line}")
        sys.stderr.flush()
