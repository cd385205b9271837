"""Process trees in namespaces of their own: what containers are, without their images."""

import shutil
import subprocess
from functools import cache

import pytest


@cache
def can_unshare() -> bool:
    """Return whether this user may make namespaces here: as root on Linux, and not in every container."""
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "--uts", "--pid", "--mount", "--fork", "--mount-proc", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


needs_namespaces = pytest.mark.skipif(not can_unshare(), reason="namespaces of its own need root and util-linux")


def on_host(name: str) -> list[str]:
    """Return the command that runs a command under a host name and a process table of its own.

    The command is process 1 there, on each of them. Whoever kills this process cuts the power of the host.
    """
    namespaces = ["--uts", "--pid", "--mount", "--mount-proc", "--fork", "--kill-child=SIGKILL"]
    return ["unshare", *namespaces, "sh", "-c", f'hostname {name} && exec "$@"', "sh"]
