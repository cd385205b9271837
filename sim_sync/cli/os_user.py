"""Who runs this process, for what is written down under a name."""

import getpass
import os


def os_user() -> str:
    """Return the name of whoever runs this process, or their number where it has no name, as in some containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"user {os.getuid()}"
