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
