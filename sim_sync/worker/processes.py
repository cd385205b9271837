"""Tells whether the operating-system process behind an owner still lives. Only its own host can know."""

import os
import socket
from functools import cache
from pathlib import Path

import psutil

from sim_sync.core.opening import Process

#: Linux gives every boot a name; elsewhere its time has to do.
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
#: Two readings of the same moment may differ by this much: the clock is being put right meanwhile.
_SLACK_SECONDS = 5.0


def this_process() -> Process:
    """Return the process that asks."""
    return Process(this_host(), os.getpid(), f"{_started(psutil.Process()):.2f}")


@cache
def this_host() -> str:
    """Return a name for this host and its boot: after a reboot, no earlier process is taken for a living one."""
    try:
        boot = _BOOT_ID.read_text().strip()
    except OSError:
        boot = f"{psutil.boot_time():.0f}"
    return f"{socket.gethostname()}#{boot}"


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
        return _differ(process.started, str(_started(running))) or running.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False


def _differ(told: str, found: str) -> bool:
    try:
        return abs(float(told) - float(found)) > _SLACK_SECONDS
    except ValueError:
        return told != found


def _started(process: psutil.Process) -> float:
    """Return when a process started, in seconds after the boot.

    The time of day would not do: it moves when the clock is put right, and a living process would be taken for another.
    """
    return process.create_time() - psutil.boot_time()
