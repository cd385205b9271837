"""The file of an embedded warehouse: where it is, how a new one is made, and the queue of those who write into it.

SQLite gives its logs the mode of the file, and so does the queue.
"""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from sqlite3 import SQLITE_BUSY
from typing import Any
from urllib.parse import unquote

import sqlalchemy as sa

from sim_sync.core.errors import ConfigError, Problem, WarehouseFull
from sim_sync.files import is_about_room, make_private_file, make_private_folder, no_room_text, require_usable

# --- where it is, and how it is made ---------------------------------------------------------------------------------


def sqlite_file(url: sa.URL) -> Path | None:
    """Return the file that a SQLite URL names and that may be made; None where it is in memory, or only to be read."""
    name = url.database
    if url.get_backend_name() != "sqlite" or not name or name == ":memory:" or url.query.get("mode", "rwc") != "rwc":
        return None
    if name.startswith("file:") and str(url.query.get("uri", "")).lower() in {"true", "1", "yes", "on", "y", "t"}:
        # https://www.sqlite.org/uri.html: an authority is empty or localhost.
        path = unquote(name.removeprefix("file:").removeprefix("//localhost"))
        name = f"/{path.lstrip('/')}" if path.startswith("/") else path
    return Path(name).absolute() if name and name != ":memory:" else None


def make_sqlite_file(path: Path) -> None:
    """Make the file of a new warehouse for its owner alone, its folder too; what is there stays as it is.

    Raises:
        ConfigError: the folder cannot be made.
        WarehouseFull: there is no room for it.
    """
    try:
        make_private_folder(path.parent)
    except OSError as problem:
        if is_about_room(problem):
            raise WarehouseFull(no_room_text([path.parent])) from None
        expected = "a folder that can be created"
        raise ConfigError([Problem("warehouse", str(path.parent), expected, str(problem.strerror))]) from None
    try:
        make_private_file(path)
    except OSError:
        return  # SQLite itself says what is wrong with this place


def require_place_for(path: Path) -> None:
    """Raise `ConfigError` unless a file that is not there yet could be made there."""
    try:
        require_usable(path.parent)
    except OSError as error:
        expected = "a folder in which this user may write"
        found = "a file" if isinstance(error, NotADirectoryError) else "one in which it may not"
        raise ConfigError([Problem("warehouse", str(error.filename), expected, found)]) from None


# --- who writes next -------------------------------------------------------------------------------------------------

# SQLite has one writer at a time and no queue: who waits looks again, every tenth of a second in the end, and whoever
# comes looks sooner. Of fifty walks some waited for minutes that way, while others took every page. So only the first
# of a queue looks for SQLite's lock often; the others sleep until the operating system wakes them, in their order, and
# forgets those that have died. One that is frozen is not dead: now and then the others look, too. Who cannot use the
# queue, another program for example, is no worse off than before.

#: Behind the name of the warehouse's file: a file without content, on which the writers queue.
QUEUE_SUFFIX = "-queue"
#: How often the first of the queue looks for SQLite's lock, and how often the others do.
_LOOK_SECONDS, _OTHERS_LOOK_SECONDS = 0.002, 1.0
#: A process with so many threads that wait for a place which nobody wants any more takes no further one.
_MOST_LEFT_BEHIND = 8


def begin_in_turn(path: Path, begin: Callable[[], None], seconds: float) -> None:
    """Call `begin`, which raises as SQLite does while another one writes, until it is our turn to write.

    Args:
        path: the warehouse's file.
        begin: begins a writing transaction, or fails at once.
        seconds: how long to try; it raises what `begin` raises then.
    """
    deadline = time.monotonic() + seconds
    with _in_queue(path) as is_first:
        while True:
            is_first.wait(min(max(deadline - time.monotonic(), 0.0), _OTHERS_LOOK_SECONDS))
            try:
                begin()
            except sa.exc.OperationalError as error:
                if not _is_busy(error) or time.monotonic() > deadline:
                    raise
                time.sleep(_LOOK_SECONDS)
            else:
                return


def _is_busy(error: sa.exc.OperationalError) -> bool:
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == SQLITE_BUSY


@contextmanager
def _in_queue(path: Path) -> Iterator[threading.Event]:
    """Lend a place in the queue, and what is set when that is the first one; set at once where there is no queue."""
    place = None
    try:
        with suppress(OSError):  # no room, or not our file
            place = _Place(_opened_queue(path))
        yield _at_once() if place is None else place.asked()
    finally:
        if place is not None:
            place.leave()


def _at_once() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def _opened_queue(path: Path) -> int:
    queue = path.with_name(path.name + QUEUE_SUFFIX)
    with suppress(FileNotFoundError):
        return os.open(queue, os.O_RDONLY)
    make_private_file(queue)
    with suppress(OSError):  # one that users share is shared by its queue, too
        queue.chmod(path.stat().st_mode & 0o777)
    return os.open(queue, os.O_RDONLY)


class _Place:
    """A place in the queue: a lock of the operating system on a file that was opened for it alone."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._is_over = threading.Event()
        self._is_first = threading.Event()
        self._waiting: threading.Thread | None = None

    def asked(self) -> threading.Event:
        """Ask for the lock, and return what is set when it is ours.

        The wait for such a lock has no end of its own, so another thread waits, and lets go of it where it comes late.
        """
        with suppress(OSError, RuntimeError):  # no such locks here, or no further thread: then without a queue
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if len(_left_behind) >= _MOST_LEFT_BEHIND:
                    raise
                waiting = threading.Thread(target=self._wait, name="queue of the warehouse", daemon=True)
                waiting.start()
                self._waiting = waiting
                return self._is_first
        self._is_first.set()
        return self._is_first

    def leave(self) -> None:
        """Let the next one be first."""
        if self._waiting is None:
            os.close(self._file)
        else:
            _left_behind.add(self)
            self._is_over.set()

    def _wait(self) -> None:
        try:
            with suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_EX)
            self._is_first.set()
            self._is_over.wait()
        finally:
            os.close(self._file)
            _left_behind.discard(self)


#: Places whose threads are not at their end yet.
_left_behind: set[_Place] = set()


def without_patience(driver: Any, begin: Callable[[], Any]) -> None:
    """Call `begin` on a connection of SQLite's driver that waits for nobody's lock meanwhile."""
    (patience_ms,) = driver.execute("PRAGMA busy_timeout").fetchone()
    driver.execute("PRAGMA busy_timeout=0")
    try:
        begin()
    finally:
        driver.execute(f"PRAGMA busy_timeout={patience_ms}")
