"""A limit that processes share by its `shared_key`: those of many hosts in a database, those of one host in a file."""

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Protocol, TypeVar

from filelock import FileLock, Timeout

from sim_sync.carriers.rate_limit import (
    LATE_SECONDS,
    LOOK_AGAIN_SECONDS,
    Change,
    InMemoryRateLimits,
    RateLimitState,
    RateLimitStore,
)
from sim_sync.carriers.settings import RateLimit
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

Outcome = TypeVar("Outcome")


def store_for(
    limit: RateLimit, shared: "SharedLimits | None" = None, monotonic: Callable[[], float] = time.monotonic
) -> RateLimitStore:
    """Return where the state of a limit is kept: one with a shared key in `shared`, or else in a file of this host."""
    if limit.shared_key is None:
        return InMemoryRateLimits(monotonic)
    if shared is None:
        return SharedRateLimits(limits_folder(), limit.shared_key, monotonic)
    return DatabaseRateLimits(shared, limit.shared_key)


# --- shared by the processes of many hosts ---------------------------------------------------------------------------

#: A pure rule about a text: from what is kept (None is nothing) and the time to what is kept from now on (None: the
#: same) and what is to be told about it.
TextChange = Callable[[str | None, float], tuple[str | None, Outcome]]


class SharedLimits(Protocol):
    """What a database does for limits that many hosts share. Keys are hashes."""

    def change(self, key: str, rule: TextChange[Outcome]) -> Outcome:
        """Replace the text that is kept under a key by what the rule makes of it; one change after the other."""

    def take_place(self, key: str, places: int) -> Callable[[], None] | None:
        """Take one of a key's places; return how to give it back, None if all are taken.

        A place whose holder has died is free again soon.
        """


class DatabaseRateLimits:
    """The state of a limit in a database, with that database's clock."""

    #: A commit takes longer at one time than at another, and so does the way from the database to the host.
    slack_seconds = 0.04
    late_seconds = LATE_SECONDS
    look_again_seconds = 0.05

    def __init__(self, shared: SharedLimits, shared_key: str) -> None:
        self._shared = shared
        self._key = _name_of(shared_key)

    def change(self, rule: Change[Outcome]) -> Outcome:
        """See `RateLimitStore`.

        Raises:
            WarehouseUnavailable, ConfigError: as from every other transaction.
        """

        def on_text(text: str | None, now: float) -> tuple[str | None, Outcome]:
            before = _state_of(text)
            state, outcome = rule(before, now)
            return None if state == before else _text_of(state), outcome

        return self._shared.change(self._key, on_text)

    def take_slot(self, slots: int) -> Callable[[], None] | None:
        """See `RateLimitStore`."""
        return self._shared.take_place(self._key, slots)


def _name_of(shared_key: str) -> str:
    """Return what a limit is called where it is kept: a shared key may be a credential's name."""
    return hashlib.sha256(shared_key.encode()).hexdigest()[:32]


def _state_of(text: str | None) -> RateLimitState:
    if text is None:
        return RateLimitState()
    try:
        return RateLimitState.from_json(json.loads(text))
    except (KeyError, TypeError, ValueError):  # another version of sim_sync wrote it
        return RateLimitState()


def _text_of(state: RateLimitState) -> str:
    return json.dumps(state.as_json())


# --- shared by the processes of a host -------------------------------------------------------------------------------

#: A change of the state takes well under a millisecond; so long a wait for the file means that the disk hangs.
_BUSY_SECONDS = 5.0


class SharedRateLimits:
    """The state of a limit in one SQLite file, and a lock file for every request on its way.

    A process that dies leaves no lock behind: the operating system takes back those of SQLite and of `filelock`.
    """

    slack_seconds = 0.0
    late_seconds = LATE_SECONDS
    look_again_seconds = LOOK_AGAIN_SECONDS

    def __init__(self, folder: Path, shared_key: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._monotonic = monotonic
        self._name = _name_of(shared_key)
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
                state, outcome = rule(before, self._monotonic())
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
    return _state_of(None if row is None else row[0])


def _write(connection: sqlite3.Connection, state: RateLimitState) -> None:
    connection.execute("INSERT OR REPLACE INTO traffic (id, state) VALUES (1, ?)", (_text_of(state),))
