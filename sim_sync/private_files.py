"""Makes files and folders that only their owner can use: they hold SIMs, phone numbers and what carriers said.

The mode is the same under every umask. What is there already belongs to whoever made it, and keeps its mode: to share a
warehouse with other users of the machine, make its file or folder before, with the mode that it is to have.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

#: Names the folder of sim_sync's own files; `.sim_sync` in the current folder without it.
STATE_DIR_VARIABLE = "SIM_SYNC_STATE_DIR"
#: The modes of what is made here.
FILE_MODE = 0o600
FOLDER_MODE = 0o700
_OTHERS = 0o077


def own_folder() -> Path:
    """Return the folder of sim_sync's own files; it may not be there yet."""
    return Path(os.environ.get(STATE_DIR_VARIABLE) or ".sim_sync")


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
