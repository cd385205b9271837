"""Arms one crash point of this process from the environment, for `sim-sync selftest` and the stories in the tests.

`SIM_SYNC_CRASH_AT=commit_page:rows_written:7` kills the process with SIGKILL when it passes that point the 7th time.
"""

import os
import signal
from collections.abc import Mapping

from sim_sync.core.errors import ConfigError, Problem
from sim_sync.core.sync import CRASH_POINTS, CrashPoint, nothing_armed

VARIABLE = "SIM_SYNC_CRASH_AT"


def armed_crash_point(environ: Mapping[str, str] = os.environ) -> CrashPoint:
    """Return what to call at each crash point: nothing, unless the environment arms one."""
    armed = environ.get(VARIABLE)
    if not armed:
        return nothing_armed
    name, count = _parse(armed)
    passes_left = count

    def kill_here(passed: str) -> None:
        nonlocal passes_left
        if passed != name:
            return
        passes_left -= 1
        if passes_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return kill_here


def _parse(armed: str) -> tuple[str, int]:
    name, _, count = armed.rpartition(":")
    if name not in CRASH_POINTS or not count.isdecimal() or int(count) < 1:
        expected = f"POINT:COUNT, with POINT one of {', '.join(CRASH_POINTS)}"
        raise ConfigError([Problem("environment", VARIABLE, expected, armed)])
    return name, int(count)
