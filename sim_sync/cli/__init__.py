"""The command line: `sim-sync`. One file a command; each imports what it needs late, so that `status` stays quick.

Exit codes: 0 done, 1 failed, 2 usage or config, 3 not finished yet.
"""

import sys

from sim_sync.core.errors import InputError, SimSyncError


def main() -> None:
    """Run the command line, and turn every error that we raise on purpose into one message and its exit code."""
    from sim_sync.cli.app import app

    try:
        app()
    except InputError as error:
        _say(error)
        sys.exit(2)
    except SimSyncError as error:
        _say(error)
        sys.exit(1)


def _say(error: SimSyncError) -> None:
    sys.stderr.write(f"sim-sync: {error}\n")
