"""What an error of the database means: it is transient, a person has to put the warehouse right, or it is our bug.

No text that leaves this module holds a password, a statement or a value: parameters are other people's SIMs, and the
details of an error quote them.
"""

import traceback
from collections.abc import Mapping
from json import JSONDecodeError
from pathlib import Path
from sqlite3 import SQLITE_FULL
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, StatementError

from sim_sync.core.errors import ConfigError, Problem, SimSyncError, WarehouseFull, WarehouseUnavailable, WriteRefused
from sim_sync.files import is_full, no_room_text
from sim_sync.warehouse.postgresql import shown_url
from sim_sync.warehouse.sqlite_files import sqlite_file

#: SQLite's primary result codes (https://www.sqlite.org/rescode.html) that pass: busy, locked, no memory, interrupted,
#: input/output error, full, locking protocol.
_SQLITE_PASSES = frozenset({5, 6, 7, 9, 10, 13, 15})
#: Those that somebody has to do something about, and what was expected instead.
_SQLITE_EXPECTED: Mapping[int, str] = {
    3: "a file that this user may read and write",
    8: "a file that this user may write, in a folder that it may write too",
    11: "a SQLite database that is not damaged: restore it from a copy",
    14: "a path at which a file can be opened",
    23: "a file that this user may read and write",
    26: "a SQLite database",
}
#: Input/output error, and a file that cannot be opened.
_SQLITE_MAYBE_FULL = frozenset({10, 14})
_TABLES = "the tables of this version of sim_sync; run `sim-sync check` to see which are there"
_OWN_TABLES = "a database in which no other program has tables of the same names"
_SQLITE_LACKS = ("no such table", "no such column", "has no column named")

#: PostgreSQL's classes of errors (appendix "PostgreSQL Error Codes") that pass: connection, serialization and deadlock,
#: disk or memory or connections used up, object in use, operator's intervention such as a restart, the system below.
_POSTGRESQL_PASSES = ("08", "40", "53", "55", "57", "58")
_POSTGRESQL_FULL = "53100"
#: The server ended a transaction that was silent or slow for too long.
_POSTGRESQL_TIMEOUTS = ("25P03", "25P04")
_ACCESS = "a database that this user may use, with these credentials"
_POSTGRESQL_EXPECTED: Mapping[str, str] = {
    "28": _ACCESS,
    "3D": "a database that exists",
    "3F": "a schema that exists",
    "25006": "a database that can be written, not a standby",
    "42501": "a user that may create, read and write the tables",
    "42P01": _TABLES,
    "42P07": _OWN_TABLES,
    "42703": _TABLES,
}
_OPTIONS = "a URL whose options the client library and this server take"
_URL = "a URL with which a connection can be made"
#: A refused connection comes without a code, so its English text has to do; in another language it is tried again.
_REFUSALS: Mapping[str, str] = {
    "password authentication failed": _ACCESS,
    "no password supplied": _ACCESS,
    "no pg_hba.conf entry": _ACCESS,
    "permission denied for database": _ACCESS,
    'FATAL:  role "': _ACCESS,
    'FATAL:  database "': "a database that exists",
    "unsupported startup parameter": (
        "a pooler that lets a connection begin: leave `options` out of the URL, or set PgBouncer's "
        "`ignore_startup_parameters = options`"
    ),
    "invalid ": _OPTIONS,
    "could not match": _OPTIONS,
    "could not parse": _OPTIONS,
    "definition of service": _OPTIONS,
    "certificate": _OPTIONS,
    "private key file": _OPTIONS,
    "server does not support": _OPTIONS,
}
#: PgBouncer tells it with the code of a broken protocol.
_STATEMENT_POOLING = "transaction blocks not allowed in statement pooling mode"
_POOL_MODE = "PgBouncer with `pool_mode = transaction` or `session`"


def our_error(engine: sa.Engine, doing: str, error: Exception) -> SimSyncError:
    """Return what an error of the database, or of its driver, is among ours; `doing` says what was interrupted.

    Returns:
        WarehouseUnavailable: it is transient.
        WarehouseFull: it is as soon as somebody has made room.
        ConfigError: it is not, and a person has to put the warehouse right.
        WriteRefused: it does not take a statement or a value.
    """
    if isinstance(error, DBAPIError):
        return _error_of_the_database(engine, doing, error)
    if isinstance(error, sa.exc.TimeoutError):  # of the pool: many threads, and a server that keeps each waiting
        place = shown_url(engine.url)
        return WarehouseUnavailable(f"the warehouse {place} failed while {doing}: all connections to it are in use")
    # A driver's own words about a value that it cannot send: a lone surrogate, a number of too many bits.
    told = error.orig if isinstance(error, StatementError) else error
    if told is not None and _is_about_a_stored_value(told):
        expected = "values that can be read: correct the row, or restore the database from a copy"
        found = f"{_unreadable(told)} (while {doing})"
        return ConfigError([Problem("warehouse", shown_url(engine.url), expected, found)])
    return _refused(engine, doing, error)


def _error_of_the_database(engine: sa.Engine, doing: str, error: DBAPIError) -> SimSyncError:
    place = shown_url(engine.url)
    if room := _room_missing(engine.url, error):
        return WarehouseFull(f"the warehouse {place} failed while {doing}: {room}")
    if passes_by_itself(error):
        return WarehouseUnavailable(f"the warehouse {place} failed while {doing}: {_told(error)}")
    if expected := _expected_instead(error):
        return ConfigError([Problem("warehouse", place, expected, f"{_told(error)} (while {doing})")])
    return _refused(engine, doing, error)


def _room_missing(url: sa.URL, error: DBAPIError) -> str | None:
    """Return what is full and what to do, where it is room that the database lacks.

    SQLite may call it an input/output error, or a file that it cannot open: it found no room for its logs.
    """
    file, code = sqlite_file(url), _sqlite_code(error)
    if file is not None and code in {SQLITE_FULL, *_SQLITE_MAYBE_FULL} and is_full(file.parent):
        return no_room_text([file.parent])
    if code == SQLITE_FULL:
        return f"{_told(error)}: make room for {file} and temporary files, then everything continues by itself"
    if _sqlstate(error) == _POSTGRESQL_FULL:
        return f"{_told(error)}: make room on the database server, then everything continues by itself"
    return None


def _refused(engine: sa.Engine, doing: str, error: Exception) -> WriteRefused:
    return WriteRefused(
        f"the warehouse {shown_url(engine.url)} does not take what was written while {doing} ({kind_of(error)}); "
        "please report this as a bug"
    )


def kind_of(error: Exception) -> str:
    """Return which error it is, in a word and a code: nothing that quotes a value."""
    cause = error.orig if isinstance(error, StatementError) and error.orig is not None else error
    code = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None)
    return type(cause).__name__ + (f", {code}" if code else "")


def is_about_values(error: DBAPIError) -> bool:
    """Return whether the database can be written, but not with these values."""
    return not passes_by_itself(error) and _expected_instead(error) is None


def _told(error: DBAPIError) -> str:
    """Return the first line of what the database says; the lines after it quote statements and rows."""
    primary: Any = getattr(getattr(error.orig, "diag", None), "message_primary", None)
    return " ".join(str(primary or error.orig).split())


def _is_about_a_stored_value(error: BaseException) -> bool:
    """Return whether a row was there and could not be read: SQLAlchemy found no time in it, or Python no JSON."""
    if error.__traceback__ is None:
        return False
    innermost = traceback.extract_tb(error.__traceback__)[-1]
    return isinstance(error, JSONDecodeError) or "_processors" in Path(innermost.filename).name


def _unreadable(error: BaseException) -> str:
    """Return what is wrong with a stored value without the value, which may be another SIM's."""
    return "a text that is no JSON" if isinstance(error, JSONDecodeError) else "a value that its column cannot hold"


def passes_by_itself(error: DBAPIError) -> bool:
    """Return whether the same transaction may well succeed in a while. In doubt about a connection, it may."""
    if _STATEMENT_POOLING in str(error.orig):
        return False
    if error.connection_invalidated:
        return True
    if (code := _sqlite_code(error)) is not None:
        return code in _SQLITE_PASSES
    if (state := _sqlstate(error)) is not None:
        return state.startswith(_POSTGRESQL_PASSES) or state in _POSTGRESQL_TIMEOUTS
    is_connection = isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)
    return is_connection and _expected_instead(error) is None


def _expected_instead(error: DBAPIError) -> str | None:
    told = str(error.orig)
    if (code := _sqlite_code(error)) is not None:
        if told.endswith("already exists"):
            return _OWN_TABLES
        lacks = any(words in told for words in _SQLITE_LACKS)
        return _TABLES if lacks else _SQLITE_EXPECTED.get(code) or _expected_of_a_connection(error)
    if _STATEMENT_POOLING in told:
        return _POOL_MODE
    if (state := _sqlstate(error)) is not None:
        return _POSTGRESQL_EXPECTED.get(state) or _POSTGRESQL_EXPECTED.get(state[:2])
    if not isinstance(error, sa.exc.OperationalError):
        return _expected_of_a_connection(error)
    return next((expected for words, expected in _REFUSALS.items() if words in told), None)


def _expected_of_a_connection(error: DBAPIError) -> str | None:
    """Return what was expected where no statement was sent: it is the connection itself that could not be made."""
    return _URL if error.statement is None and not isinstance(error, sa.exc.IntegrityError) else None


def _sqlite_code(error: DBAPIError) -> int | None:
    code: Any = getattr(error.orig, "sqlite_errorcode", None)
    return None if code is None else int(code) & 0xFF


def _sqlstate(error: DBAPIError) -> str | None:
    state: Any = getattr(error.orig, "sqlstate", None)
    return None if state is None else str(state)
