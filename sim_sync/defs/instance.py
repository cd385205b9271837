"""Opens the Dagster instance of `DAGSTER_HOME`, one process at a time.

Dagster makes its SQLite databases when it first opens them, and does not expect another process to do so at the same
moment: one of the two fails, or leaves a home that none can open any more.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import dagster as dg
from filelock import FileLock, Timeout

from sim_sync.core.errors import InputError, NoRoomLeft, SimSyncError
from sim_sync.private_files import FILE_MODE, make_private_folder
from sim_sync.room import is_about_room, is_full, no_room_text

#: Making the databases takes a second or two.
_PATIENCE_SECONDS = 120.0


def open_instance() -> dg.DagsterInstance:
    """Return the instance, all its storages made; use it as a context manager.

    Raises:
        InputError: the instance cannot be used.
        NoRoomLeft: its home is full.
    """
    home = os.environ.get("DAGSTER_HOME", "")
    try:
        with full_home_told(), _alone(home):
            instance = dg.DagsterInstance.get()
            # Each is made when it is first asked for.
            _ = (instance.run_storage, instance.event_log_storage, instance.schedule_storage)
            return instance
    except Timeout:
        raise InputError(f"another process has been opening the Dagster instance in {home} for too long") from None
    except (dg.DagsterError, OSError) as error:
        raise InputError(f"the Dagster instance in {home} cannot be used: {_one_line(error)}") from None
    except NoRoomLeft:
        raise
    except Exception as error:  # of its storages: a file that is none of theirs, tables that are half made
        raise InputError(
            f"the Dagster instance in {home} cannot be used: {type(error).__name__}: {_one_line(error)}; "
            "where two programs of Dagster made it at the same moment, it stays so: move it away, and start one first"
        ) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).partition("[SQL:")[0].split())


@contextmanager
def full_home_told() -> Iterator[None]:
    """Turn any error of Dagster's own work into one of ours where there is no room in its home for that.

    Dagster has no word of its own for it: it is whatever its database says, wherever it was about to write.

    Raises:
        NoRoomLeft: its home is full.
    """
    try:
        yield
    except Exception as error:
        home = os.environ.get("DAGSTER_HOME", "")
        if isinstance(error, SimSyncError) or not (is_about_room(error) or (home and is_full(Path(home)))):
            raise
        raise NoRoomLeft(no_room_text([home])) from None


def _alone(home: str) -> AbstractContextManager[object]:
    """Keep other processes of sim_sync out of a home; what is no absolute path is Dagster's to refuse."""
    if not Path(home).is_absolute():
        return nullcontext()
    folder = Path(home) / ".sim_sync"
    make_private_folder(folder)
    return FileLock(folder / "dagster.lock", mode=FILE_MODE, timeout=_PATIENCE_SECONDS)
