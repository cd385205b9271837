"""A file system of a few megabytes, for the tests of what happens when there is no room on it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SmallDisk:
    """A folder that is a file system of its own."""

    folder: Path

    def fill(self) -> None:
        """Leave no room for another byte."""
        with (self.folder / "fill").open("wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                return

    def make_room(self) -> None:
        """Take away what fills it."""
        (self.folder / "fill").unlink()


@contextmanager
def mounted_disk(folder: Path, *, megabytes: int) -> Iterator[SmallDisk]:
    """Mount an empty file system on a folder that is made for it.

    Raises:
        PermissionError: this user may not.
    """
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=777", "tmpfs", str(folder)]
    try:
        told = subprocess.run(mount, capture_output=True, check=False, text=True)
    except FileNotFoundError:
        raise PermissionError("there is no command that mounts") from None
    if told.returncode:
        raise PermissionError(told.stderr.strip())
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
