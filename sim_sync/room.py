"""Whether there is room left where files are to be written, and one sentence about it where there is none.

A full file system breaks every program on it in another place and with other words. Ours are the same everywhere: which
folder, and what to do. Nobody has to start anything again afterwards.
"""

import errno
import os
import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sim_sync.causes import with_causes

#: Less than this is no room: a page of SIMs with its log and Dagster's events takes about as much.
_NEEDED_BYTES = 256 * 1024
#: The file system is full, or this user's share of it is.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_full(folder: Path) -> bool:
    """Return whether nothing more can be written into a folder, or into the nearest one above it that is there.

    Tried with a file that has no name and is gone at once: free blocks alone say nothing about quotas and file numbers.
    What cannot be written for another reason is not full.
    """
    try:
        with tempfile.TemporaryFile(dir=_nearest(folder), buffering=0) as probe:
            left = _NEEDED_BYTES
            while left:
                left -= probe.write(bytes(left)) or 0
            os.fsync(probe.fileno())
    except OSError as error:
        return error.errno in _NO_ROOM
    return False


def is_about_room(error: BaseException) -> bool:
    """Return whether an error, or one behind it, says that there is no room left."""
    return any(_says_no_room(one) for one in with_causes(error))


def no_room_text(folders: Sequence[Path | str]) -> str:
    """Return what is wrong with the full file system of these folders, and what to do."""
    named = " and ".join(dict.fromkeys(map(str, folders)))
    return f"no space is left on the file system of {named}: make room there, then everything continues by itself"


def file_system_of(folder: Path) -> int:
    """Return the number of the file system that a folder is on, or will be."""
    return _nearest(folder).stat().st_dev


def _nearest(folder: Path) -> Path:
    folder = folder.absolute()
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return folder


def _says_no_room(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
