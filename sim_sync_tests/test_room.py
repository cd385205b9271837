"""A full file system is noticed by trying, and told with the folder and what to do."""

import errno
import sqlite3
from pathlib import Path

import pytest

from sim_sync.files import file_system_of, is_about_room, is_full, no_room_text
from sim_sync_tests.fakes.small_disk import SmallDisk


def test_a_full_file_system_is_full_and_one_with_room_is_not_and_nothing_is_left_behind(small_disk: SmallDisk) -> None:
    assert not is_full(small_disk.folder)
    small_disk.fill()
    assert is_full(small_disk.folder)
    assert is_full(small_disk.folder / "not" / "made" / "yet")
    assert [path.name for path in small_disk.folder.iterdir()] == ["fill"]
    small_disk.make_room()
    assert not is_full(small_disk.folder)


def test_a_folder_that_is_not_there_is_on_the_file_system_of_the_nearest_one(
    small_disk: SmallDisk, tmp_path: Path
) -> None:
    assert file_system_of(small_disk.folder / "a" / "b") == file_system_of(small_disk.folder)
    assert file_system_of(small_disk.folder) != file_system_of(tmp_path / "a")


def test_a_folder_that_cannot_be_written_for_another_reason_is_not_full() -> None:
    assert not is_full(Path("/proc/self"))


def an_error_of_sqlite(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("told by SQLite")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("cause", "is_room"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (an_error_of_sqlite(sqlite3.SQLITE_FULL), True),
        (an_error_of_sqlite(sqlite3.SQLITE_BUSY), False),
        (ValueError("database or disk is full"), False),
    ],
)
@pytest.mark.parametrize("depth", range(3))
def test_an_error_is_about_room_however_deep_it_stands(cause: Exception, is_room: bool, depth: int) -> None:
    error: Exception = cause
    for number in range(depth):
        outer = RuntimeError(f"wrapped {number}")
        outer.__cause__ = error
        error = outer
    assert is_about_room(error) is is_room


def test_an_error_that_is_its_own_context_is_read_once() -> None:
    error, other = RuntimeError("a"), RuntimeError("b")
    error.__context__, other.__context__ = other, error
    assert not is_about_room(error)


def test_a_folder_that_is_named_twice_is_told_once() -> None:
    assert no_room_text([Path("/a"), Path("/b"), Path("/a")]) == (
        "no space is left on the file system of /a and /b: make room there, then everything continues by itself"
    )
