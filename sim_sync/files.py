"""Files of ours: made privately, and what a full file system means."""

import errno
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from sim_sync.processes import with_causes

# Whether there is room left where files are to be written, and one sentence about it where there is none.
#
# A full file system breaks every program on it in another place and with other words. Ours are the same everywhere:
# which folder, and what to do. Nobody has to start anything again afterwards.


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


# Makes files and folders that only their owner can use: they hold SIMs, phone numbers and what carriers said.
#
# The mode is the same under every umask. What is there already belongs to whoever made it, and keeps its mode: to
# share a warehouse with other users of the machine, make its file or folder before, with the mode that it is to have.


#: Names the folder of sim_sync's own files; `.sim_sync` in the current folder without it.
STATE_DIR_VARIABLE = "SIM_SYNC_STATE_DIR"
#: The modes of what is made here.
FILE_MODE = 0o600
FOLDER_MODE = 0o700
_OTHERS = 0o077


def own_folder() -> Path:
    """Return the folder of sim_sync's own files; it may not be there yet."""
    return Path(os.environ.get(STATE_DIR_VARIABLE) or ".sim_sync")


def require_usable(folder: Path) -> None:
    """Raise an OSError where a folder cannot be written, or made; nothing is written to find that out."""
    nearest = next(one for one in (folder, *folder.parents) if os.path.lexists(one))
    if not nearest.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(nearest))
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(nearest))


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing; nothing happens where it is there.

    Raises:
        OSError: it cannot be made, or something else is in its place.
    """
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_private_folder(folder.parent)
    try:
        folder.mkdir(FOLDER_MODE)
    except FileExistsError:
        if not folder.is_dir():
            raise
    else:
        folder.chmod(FOLDER_MODE)  # a umask may have taken away our own rights as well


def make_private_file(path: Path) -> None:
    """Make an empty file in a folder that is there; nothing happens where it is there.

    Raises:
        OSError: it cannot be made.
    """
    with suppress(FileExistsError):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        try:
            os.fchmod(file, FILE_MODE)
        finally:
            os.close(file)


@contextmanager
def opened_privately(path: Path, mode: str) -> Iterator[IO[bytes]]:
    """Open a file in one of Python's binary modes for writing, and make it before where it is not there.

    Raises:
        OSError: it cannot be made or opened.
    """
    make_private_file(path)
    with path.open(mode) as file:
        yield file


@contextmanager
def private_by_default() -> Iterator[None]:
    """Let whatever this process and those that it starts make in the block be its owner's alone: other programs' files.

    The umask is the whole process's: not for a process that writes files of other people meanwhile.
    """
    before = os.umask(_OTHERS)
    os.umask(before | _OTHERS)
    try:
        yield
    finally:
        os.umask(before)
