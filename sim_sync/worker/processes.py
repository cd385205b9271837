"""Who this process is, whether another one still lives, and the crash point that the environment arms in this one.

`SIM_SYNC_CRASH_AT=commit_page:rows_written:7` kills the process with SIGKILL when it passes that point the 7th time:
for `sim-sync selftest` and the stories in the tests.
"""

import os
import secrets
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from sim_sync.core.errors import ConfigError, Problem
from sim_sync.core.session import Process

if TYPE_CHECKING:  # `sim-sync status` asks for processes, and knows no step loop
    from sim_sync.core.sync import CrashPoint

#: Linux gives every boot a name; elsewhere its time has to do.
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SELF = Path("/proc/self")
#: Two readings of the same moment may differ by this much: the clock is being put right meanwhile.
_SLACK_SECONDS = 5.0


def this_process() -> Process:
    """Return the process that asks."""
    return Process(this_host(), os.getpid(), _started_text())


@cache
def this_host() -> str:
    """Return a name for the process table that this process is in: host, boot and PID namespace.

    Containers share the name of their host and its boot where they are told to, but never a process table; and two
    hosts may have one name. So only what has all three in common may look for the other one's processes.
    """
    return "#".join([socket.gethostname(), *_process_table()])


def _process_table() -> list[str]:
    if not _SELF.exists():  # no Linux
        return [f"{psutil.boot_time():.0f}"]
    with suppress(OSError):
        if _SELF.readlink() == Path(str(os.getpid())):
            return [_BOOT_ID.read_text().strip(), str((_SELF / "ns" / "pid").readlink())]
    # /proc is hidden, or shows the processes of another namespace: only leases speak of such a process.
    return [secrets.token_hex(8)]


def is_known_dead(process: Process | None) -> bool:
    """Return True only where it is certain: the process was in our own process table, and is gone (or another one)."""
    if process is None or not _is_ours(process.host):
        return False
    try:
        running = psutil.Process(process.pid)
        return _differ(process.started, str(_started(running))) or running.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False


def _is_ours(host: str) -> bool:
    """Return whether a process of that host is, or was, in our own process table."""
    name, *table = host.split("#")
    our_name, *our_table = this_host().split("#")
    return name == our_name and len(table) == len(our_table) and not any(map(_differ, table, our_table))


def _differ(told: str, found: str) -> bool:
    try:
        return abs(float(told) - float(found)) > _SLACK_SECONDS
    except ValueError:
        return told != found


def _started_text() -> str:
    try:
        return f"{_started(psutil.Process()):.2f}"
    except psutil.NoSuchProcess:  # /proc shows another namespace, in which this process has another number
        return ""


def _started(process: psutil.Process) -> float:
    """Return when a process started, in seconds after the boot.

    The time of day would not do: it moves when the clock is put right, and a living process would be taken for another.
    """
    return process.create_time() - psutil.boot_time()


# --- a crash point ---------------------------------------------------------------------------------------------------

VARIABLE = "SIM_SYNC_CRASH_AT"


def armed_crash_point(environ: Mapping[str, str] = os.environ) -> "CrashPoint":
    """Return what to call at each crash point: nothing, unless the environment arms one."""
    armed = environ.get(VARIABLE)
    if not armed:
        from sim_sync.core.sync import nothing_armed

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
    from sim_sync.core.sync import CRASH_POINTS

    name, _, count = armed.rpartition(":")
    if name not in CRASH_POINTS or not count.isdecimal() or int(count) < 1:
        expected = f"POINT:COUNT, with POINT one of {', '.join(CRASH_POINTS)}"
        raise ConfigError([Problem("environment", VARIABLE, expected, armed)])
    return name, int(count)
