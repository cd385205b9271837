"""Process trees in namespaces of their own: what containers are, without their images."""

import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest


@cache
def can_unshare() -> bool:
    """Return whether this user may make namespaces here: as root on Linux, and not in every container."""
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "--uts", "--pid", "--mount", "--fork", "--mount-proc", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


needs_namespaces = pytest.mark.skipif(not can_unshare(), reason="namespaces of its own need root and util-linux")


def on_host(name: str, *own_folders: Path) -> list[str]:
    """Return the command that runs a command under a host name and a process table of its own.

    The command is process 1 there, on each of them. Whoever kills this process cuts the power of the host.
    `own_folders` are another file system there: as they are now, and gone with the host.
    """
    namespaces = ["--uts", "--pid", "--mount", "--mount-proc", "--fork", "--kill-child=SIGKILL"]
    steps = [f"hostname {name}", *(_own(folder) for folder in own_folders), 'exec "$@"']
    return ["unshare", *namespaces, "sh", "-c", " && ".join(steps), "sh"]


def _own(folder: Path) -> str:
    inside, new = shlex.quote(str(folder)), shlex.quote(f"{folder}.own")
    mount = f"mkdir -p {new} && mount -t tmpfs tmpfs {new} && cp -a {inside}/. {new}"
    return f"{mount} && mount --move {new} {inside}"
