"""Where a command works: which Dagster home, and whether the disks under it and the warehouse are full."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sim_sync.config.document import read_document
from sim_sync.core.errors import InputError, NoRoomLeft, SimSyncError
from sim_sync.files import (
    file_system_of,
    is_about_room,
    is_full,
    make_private_folder,
    no_room_text,
    opened_privately,
    own_folder,
    private_by_default,
)
from sim_sync.warehouse.postgresql import warehouse_url
from sim_sync.warehouse.sqlite_files import sqlite_file
from sim_sync.warehouse.warehouse import Warehouse, WarehouseView, require_room, require_shared

# Which Dagster home a command works with: the one of the environment, this folder if it is one, or one of our own.


HOME_VARIABLE = "DAGSTER_HOME"
_OWN_HOME = Path(".sim_sync") / "dagster_home"


@contextmanager
def chosen_dagster_home() -> Iterator[None]:
    """Point Dagster at a home that lasts. What it writes into one of ours is its owner's alone.

    Raises:
        InputError: the one in the environment cannot be used, or ours cannot be made.
        NoRoomLeft: there is no room to make ours.
    """
    if given := os.environ.get(HOME_VARIABLE):
        _require_home(Path(given))
        yield
        return
    home = dagster_home()
    if home != Path.cwd():
        _make_own_home(home)
    os.environ[HOME_VARIABLE] = str(home)
    with private_by_default():
        yield


def dagster_home() -> Path:
    """Return the home that the commands work with; it may not be there yet."""
    if given := os.environ.get(HOME_VARIABLE):
        return Path(given)
    return Path.cwd() if Path("dagster.yaml").exists() else Path.cwd() / _OWN_HOME


def _make_own_home(home: Path) -> None:
    settings = home / "dagster.yaml"
    try:
        make_private_folder(home)
        if not settings.exists():
            with opened_privately(settings, "wb") as file:
                file.write(b"telemetry: {enabled: false}\n")
    except OSError as error:
        if is_about_room(error):
            raise NoRoomLeft(no_room_text([home])) from None
        raise InputError(f"the Dagster home {home} cannot be made: {error.strerror}") from None


def _require_home(home: Path) -> None:
    if not (home.is_absolute() and home.is_dir() and os.access(home, os.W_OK)):
        raise InputError(
            f"DAGSTER_HOME is {home}, but Dagster needs the absolute path of a folder that this user may write; "
            "set it to one, or unset it"
        )


def require_one_truth(url: str) -> None:
    """Refuse a warehouse of this host alone where `dagster.yaml` puts Dagster's own storage on a server of many hosts.

    Raises:
        ConfigError: the warehouse is SQLite, and Dagster's storage is not.
    """
    settings: Mapping[str, Any] = {}
    with suppress(SimSyncError):  # whoever opens it says what is wrong with it
        settings = read_document(dagster_home() / "dagster.yaml")
    for module in _storage_modules(settings):
        require_shared(url, module)


def _storage_modules(settings: Mapping[str, Any]) -> Iterator[str]:
    for section in (settings.get("storage"), settings.get("run_storage")):
        if isinstance(section, Mapping):
            yield from (f"dagster_{name}" for name in ("postgres", "mysql") if name in section)
            custom = section.get("custom", section)
            if isinstance(custom, Mapping) and isinstance(custom.get("module"), str):
                yield custom["module"]


# Which of the file systems that a sync writes to are full: the warehouse's, Dagster's, and that of our own files.


def full_disks(url: str) -> Sequence[str]:
    """Return one sentence for each full file system of this machine; the server of a database is not asked.

    `url` is the warehouse's.
    """
    return _sentences([*_warehouse_folder(url), *own_folders()])


def full_beside(url: str) -> Sequence[str]:
    """Return the same, without what is on the warehouse's own file system."""
    with suppress(OSError):
        taken = {file_system_of(folder) for folder in _warehouse_folder(url)}
        return _sentences([folder for folder in own_folders() if file_system_of(folder) not in taken])
    return []


def own_folders() -> Sequence[Path]:
    """Return the folders of Dagster's files and of our own, some of which may not be there yet."""
    return [dagster_home(), own_folder().absolute()]


def server_is_full(warehouse: Warehouse | WarehouseView) -> Sequence[str]:
    """Return what the database says that it has no room for; nothing where it has, or cannot be asked."""
    try:
        require_room(warehouse.engine)
    except NoRoomLeft as full:
        return [str(full)]
    except SimSyncError:
        return []
    return []


def _sentences(folders: Sequence[Path]) -> Sequence[str]:
    by_file_system: dict[int, list[Path]] = {}
    with suppress(OSError):
        for folder in folders:
            by_file_system.setdefault(file_system_of(folder), []).append(folder)
    return [no_room_text(together) for together in by_file_system.values() if is_full(together[0])]


def _warehouse_folder(url: str) -> Sequence[Path]:
    with suppress(SimSyncError):  # whoever opens it says what is wrong with its URL
        if (file := sqlite_file(warehouse_url(url))) is not None:
            return [file.parent]
    return []
