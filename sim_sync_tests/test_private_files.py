"""What sim_sync makes is its owner's alone under every umask; what is there already keeps its mode."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from sim_sync.carriers.rate_limit import paused
from sim_sync.carriers.shared_limits import SharedRateLimits
from sim_sync.files import make_private_file, make_private_folder, opened_privately, private_by_default
from sim_sync.terminal.workdir import locked
from sim_sync.warehouse import open_warehouse
from sim_sync_tests.fakes.fleet import a_request
from sim_sync_tests.fakes.modes import modes

UMASKS = [0o000, 0o022, 0o077, 0o777]


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("mask", UMASKS, ids=oct)
def test_folders_and_files_are_their_owners_alone(tmp_path: Path, mask: int) -> None:
    with umask(mask):
        make_private_folder(tmp_path / "a" / "b")
        make_private_file(tmp_path / "a" / "b" / "file")
        with opened_privately(tmp_path / "a" / "other", "wb") as file:
            file.write(b"x")
    assert modes(tmp_path) == {"a": 0o700, "a/b": 0o700, "a/b/file": 0o600, "a/other": 0o600}


def test_what_is_there_keeps_its_mode_and_its_content(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir(mode=0o775)
    (tmp_path / "shared").chmod(0o775)
    (tmp_path / "shared" / "file").write_text("content")
    (tmp_path / "shared" / "file").chmod(0o664)
    make_private_folder(tmp_path / "shared")
    make_private_file(tmp_path / "shared" / "file")
    assert modes(tmp_path) == {"shared": 0o775, "shared/file": 0o664}
    assert (tmp_path / "shared" / "file").read_text() == "content"


def test_a_file_in_the_place_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"File exists|Not a directory"):
        make_private_folder(tmp_path / "file" / "below")


def test_other_programs_can_be_kept_to_it_for_a_while(tmp_path: Path) -> None:
    with umask(0o022):
        with private_by_default():
            (tmp_path / "within").touch()
        (tmp_path / "after").touch()
    assert modes(tmp_path) == {"within": 0o600, "after": 0o644}


@pytest.mark.parametrize("mask", UMASKS[:-1], ids=oct)
@pytest.mark.parametrize("form", ["sqlite:///{}/new/place/warehouse.db", "sqlite:///file:{}/new/warehouse.db?uri=true"])
def test_a_warehouse_is_made_for_its_owner_with_its_log_files(tmp_path: Path, mask: int, form: str) -> None:
    with umask(mask):
        warehouse = open_warehouse(form.format(tmp_path))
        warehouse.sessions.open_session(a_request())
    found = modes(tmp_path)
    assert {name.rpartition("/")[2] for name in found} >= {"warehouse.db", "warehouse.db-wal", "warehouse.db-shm"}
    assert {mode for name, mode in found.items() if "warehouse.db" in name} == {0o600}
    assert found["new"] == 0o700
    warehouse.close()


def test_a_warehouse_that_somebody_shares_stays_shared(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.db"
    path.touch()
    path.chmod(0o664)
    warehouse = open_warehouse(f"sqlite:///{path}")
    warehouse.sessions.open_session(a_request())
    assert set(modes(tmp_path).values()) == {0o664}
    warehouse.close()


@pytest.mark.parametrize("mask", UMASKS[:-1], ids=oct)
def test_limits_that_processes_share_are_their_owners_alone(tmp_path: Path, mask: int) -> None:
    with umask(mask):
        limits = SharedRateLimits(tmp_path / "state" / "limits", "the key")
        limits.change(lambda traffic, _: (paused(traffic, 1.0, seconds=2.0), None))
        give_back = limits.take_slot(2)
    assert give_back is not None
    give_back()
    found = modes(tmp_path)
    assert {mode for name, mode in found.items() if name.endswith((".sqlite", ".lock"))} == {0o600}
    assert {found["state"], found["state/limits"]} == {0o700}


def test_a_lock_file_that_users_share_stays_shared(tmp_path: Path) -> None:
    limits = SharedRateLimits(tmp_path, "the key")
    give_back = limits.take_slot(1)
    assert give_back is not None
    give_back()
    (lock,) = tmp_path.glob("*.lock")
    lock.chmod(0o666)
    with FileLock(lock, mode=0o600):
        pass
    assert stat.S_IMODE(lock.stat().st_mode) == 0o666


@pytest.mark.parametrize("mask", UMASKS[:-1], ids=oct)
def test_the_lock_of_a_folder_is_its_owners_alone(tmp_path: Path, mask: int) -> None:
    with umask(mask), locked(tmp_path):
        assert modes(tmp_path) == {".sim_sync": 0o700, ".sim_sync/lock": 0o600}
