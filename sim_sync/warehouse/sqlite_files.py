"""The file of an embedded warehouse: where it is, and how a new one is made. SQLite gives its logs the same mode."""

import os
from pathlib import Path
from urllib.parse import unquote

import sqlalchemy as sa

from sim_sync.core.errors import ConfigError, Problem, WarehouseFull
from sim_sync.files import is_about_room, make_private_file, make_private_folder, no_room_text


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
    folder = path.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        expected = "a folder in which this user may write"
        found = "one in which it may not" if folder.is_dir() else "a file"
        raise ConfigError([Problem("warehouse", str(folder), expected, found)])
