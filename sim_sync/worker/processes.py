"""Tells whether the operating-system process behind an owner still lives. Only its own host can know."""

import os
import socket
from functools import cache

import psutil

from sim_sync.core.opening import Process


def this_process() -> Process:
    """Return the process that asks."""
    return Process(this_host(), os.getpid(), _started(psutil.Process()))


@cache
def this_host() -> str:
    """Return a name for this host and its boot: after a reboot, no earlier process is taken for a living one."""
    return f"{socket.gethostname()}#{int(psutil.boot_time())}"


def is_known_dead(process: Process | None) -> bool:
    """Return True only where it is certain: the process ran on this host and is gone (or is another one by now)."""
    if process is None:
        return False
    host, _, boot = process.host.partition("#")
    here, _, boot_here = this_host().partition("#")
    if host != here:
        return False
    if _differ(boot, boot_here):
        return True
    try:
        running = psutil.Process(process.pid)
        return _started(running) != process.started or running.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False


def _differ(boot: str, boot_here: str) -> bool:
    # The kernel derives the boot time from two clocks, so it may move by a second.
    return abs(int(boot or 0) - int(boot_here or 0)) > 5


def _started(process: psutil.Process) -> str:
    return f"{process.create_time():.2f}"
