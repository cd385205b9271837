"""`sim-sync selftest`: shows, on this machine and with this database, that a sync survives kills and freezes."""

import time
from collections.abc import Sequence

from sim_sync.selftest.trials import (
    TrialResult,
    TrialRunner,
    freeze_and_wake,
    kill_at_every_commit_point,
    kill_at_random_times,
)
from sim_sync.selftest.victims import ended_like_ctrl_c
from sim_sync.terminal.output import ExitCode, say, show_progress
from sim_sync.terminal.tables import narrow_table, print_table


def run_selftest(*, url: str | None, kills: int, freezes: int) -> ExitCode:
    """Run all trials against a scratch warehouse, print a table and one verdict line."""
    runner = TrialRunner(url)
    started = time.monotonic()
    with ended_like_ctrl_c():
        tallies = [
            kill_at_every_commit_point(runner, show_progress),
            kill_at_random_times(runner, show_progress, kills),
            freeze_and_wake(runner, show_progress, freezes),
        ]
    _print(tallies)
    problems = [problem for result in tallies for problem in result.problems]
    for problem in problems:
        say(f"problem: {problem}")
    seconds = time.monotonic() - started
    verdict = "passed: every outcome is that of an undisturbed sync" if not problems else "FAILED"
    say(f"selftest {verdict} ({'PostgreSQL' if url else 'SQLite'}, {seconds:.0f} s)")
    return ExitCode.FAILED if problems else ExitCode.DONE


def _print(tallies: Sequence[TrialResult]) -> None:
    table = narrow_table(
        "trial", "walks", "kills", "in a transaction", "pages fetched again", "frozen and woken", "problems"
    )
    for result in tallies:
        numbers = (
            *(result.trials, result.kills, result.kills_in_transactions),
            *(result.pages_fetched_again, result.frozen_and_woken, len(result.problems)),
        )
        table.add_row(result.name, *map(str, numbers))
    print_table(table)
