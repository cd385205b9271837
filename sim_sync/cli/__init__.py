"""The command line: `sim-sync`. One file a command; each imports what it needs late, so that `status` stays quick.

Exit codes: 0 done, 1 failed, 2 usage or config, 3 not finished yet.
"""

import gc
import os
import sys
from collections.abc import Sequence

from sim_sync.core.errors import InputError, SimSyncError
from sim_sync.files import is_about_room, no_room_text
from sim_sync.logs import log_for_machines
from sim_sync.terminal.output import accept_any_text, complain
from sim_sync.terminal.workdir import add_dotenv

#: Modules live as long as the command: looking for garbage among them is a sixth of what loading them costs.
_OBJECTS_BEFORE_A_COLLECTION = 50_000


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, and turn every error that we raise on purpose into one message and its exit code.

    Args:
        arguments: what stands after `sim-sync`; by default those of this process.

    Raises:
        SystemExit: always, with the exit code.
    """
    gc.set_threshold(_OBJECTS_BEFORE_A_COLLECTION)
    accept_any_text()
    try:
        _run(arguments)
    except InputError as error:
        complain(str(error))
        sys.exit(2)
    except SimSyncError as error:
        complain(str(error))
        sys.exit(1)
    except BrokenPipeError:
        _leave_closed_pipe()
        sys.exit(1)
    except OSError as error:
        if not is_about_room(error):
            raise
        _leave_closed_pipe()  # it may have been the output itself
        complain(no_room_text([error.filename or "the output"]))
        sys.exit(1)


def _run(arguments: Sequence[str] | None) -> None:
    from sim_sync.cli.app import app

    add_dotenv(os.environ)
    log_for_machines("")
    try:
        app(None if arguments is None else list(arguments), prog_name="sim-sync")
    finally:
        sys.stdout.flush()


def _leave_closed_pipe() -> None:
    """Let the interpreter end without a word about output that nobody reads any more: `sim-sync ... | head -1`."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
