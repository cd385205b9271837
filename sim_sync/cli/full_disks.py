"""Which of the file systems that a sync writes to are full: the warehouse's, Dagster's, and that of our own files."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sim_sync.cli.dagster_home import dagster_home
from sim_sync.core.errors import NoRoomLeft, SimSyncError
from sim_sync.private_files import own_folder
from sim_sync.room import file_system_of, is_full, no_room_text
from sim_sync.warehouse.space import require_room
from sim_sync.warehouse.sqlite_files import sqlite_file
from sim_sync.warehouse.urls import warehouse_url
from sim_sync.warehouse.warehouse import Warehouse


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


def server_is_full(warehouse: Warehouse) -> Sequence[str]:
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
