"""The state of a rate limit in a file that several processes of one host share.

A process that dies leaves no lock behind: the operating system takes back those of SQLite and of `filelock`.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from filelock import FileLock, Timeout

from sim_sync.carriers.rate_limit import Change, Outcome, RateLimitState
from sim_sync.core.errors import ConfigError, NoRoomLeft, Problem, TransientError
from sim_sync.files import (
    FILE_MODE,
    STATE_DIR_VARIABLE,
    is_about_room,
    is_full,
    make_private_file,
    make_private_folder,
    no_room_text,
    own_folder,
)

#: A change of the state takes well under a millisecond; so long a wait for the file means that the disk hangs.
_BUSY_SECONDS = 5.0


class SharedRateLimits:
    """The state of a limit in one SQLite file, and a lock file for every request on its way.

    The files are named by a hash: a shared key may be a credential's name.
    """

    def __init__(self, folder: Path, shared_key: str) -> None:
        self._folder = folder
        self._name = hashlib.sha256(shared_key.encode()).hexdigest()[:32]
        self._path = folder / f"{self._name}.sqlite"

    def change(self, rule: Change[Outcome]) -> Outcome:
        """See `RateLimitStore`.

        Raises:
            ConfigError: the folder cannot be made or written.
            TransientError: the file cannot be written now.
        """
        self._make_folder()
        try:
            with closing(self._connect()) as connection:
                connection.execute("BEGIN IMMEDIATE")
                before = _read(connection)
                state, outcome = rule(before)
                if state != before:
                    _write(connection, state)
                connection.execute("COMMIT")
                return outcome
        except OSError as error:
            raise self._failure(
                error, f"the shared rate limit in {self._path} cannot be kept: {error.strerror}"
            ) from None
        except sqlite3.Error as error:
            if not isinstance(error, sqlite3.OperationalError):  # no database (any more): a power cut, a stray file
                self._path.unlink(missing_ok=True)
            raise self._failure(error, f"the shared rate limit in {self._path} cannot be kept: {error}") from None

    def take_slot(self, slots: int) -> Callable[[], None] | None:
        """See `RateLimitStore`."""
        self._make_folder()
        for number in range(slots):
            # A lock of the operating system, never a marker file: it ends with the process that holds it.
            place = self._folder / f"{self._name}.{number}.lock"
            lock = FileLock(place, mode=FILE_MODE, thread_local=False, fallback_to_soft=False)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            except OSError as error:
                told = f"the lock file {lock.lock_file} cannot be used: {error.strerror}"
                raise self._failure(error, told) from None
            return lock.release
        return None

    def _connect(self) -> sqlite3.Connection:
        make_private_file(self._path)
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)
        # After a power cut the limit starts afresh, and that is right: nothing has been sent for a while.
        connection.execute("PRAGMA synchronous=OFF")
        return connection

    def _failure(self, error: OSError | sqlite3.Error, told: str) -> TransientError:
        if is_about_room(error) or is_full(self._folder):
            return NoRoomLeft(f"{told}; {no_room_text([self._folder.absolute()])}")
        return TransientError(told)

    def _make_folder(self) -> None:
        try:
            make_private_folder(self._folder)
        except OSError as error:
            if is_about_room(error):
                raise NoRoomLeft(no_room_text([self._folder.absolute()])) from None
            expected = "a folder that can be written, for limits that processes share"
            found = f"{self._folder}: {error.strerror}"
            raise ConfigError([Problem("environment", STATE_DIR_VARIABLE, expected, found)]) from None


def limits_folder() -> Path:
    """Return the folder of the limits that processes share."""
    return own_folder() / "limits"


def _read(connection: sqlite3.Connection) -> RateLimitState:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS traffic (id INTEGER PRIMARY KEY CHECK (id = 1), state TEXT NOT NULL)"
    )
    row = connection.execute("SELECT state FROM traffic").fetchone()
    if row is None:
        return RateLimitState()
    try:
        return RateLimitState.from_json(json.loads(row[0]))
    except (KeyError, TypeError, ValueError):  # another version of sim_sync wrote it
        return RateLimitState()


def _write(connection: sqlite3.Connection, state: RateLimitState) -> None:
    connection.execute("INSERT OR REPLACE INTO traffic (id, state) VALUES (1, ?)", (json.dumps(state.as_json()),))
