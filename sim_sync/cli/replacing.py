"""Files that are written as a whole: whoever reads one sees what it was, or all of what it is now."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sim_sync.core.errors import InputError
from sim_sync.room import is_about_room


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Lend the name of a file to write, which takes the place of `path` at the end, and goes away on any error.

    Its mode is that of the umask.

    Raises:
        InputError: it cannot be written there.
        OSError: there is no room for it.
    """
    target = Path(os.path.realpath(path))  # a link stays a link
    if target.exists() and not target.is_file():
        raise InputError(f"--output: expected the name of a file, found {path}, which is none")
    # Its name ends in no `.prom`: node_exporter reads whatever does.
    beside = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        yield beside
        beside.replace(target)
    except OSError as error:
        if is_about_room(error):
            raise
        raise InputError(f"--output: {path} cannot be written: {error.strerror or type(error).__name__}") from None
    finally:
        with suppress(OSError):
            beside.unlink()
