"""A limit that several processes share: one file, locks that die with their process, and no trace of the key."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sim_sync.carriers.rate_limit import Permission, RateLimiter, next_permission, paused
from sim_sync.carriers.settings import RateLimit
from sim_sync.carriers.shared_limits import SharedRateLimits, store_for
from sim_sync.core.errors import ConfigError, NoRoomLeft, StopRequested, TransientError
from sim_sync_tests.fakes.moving_time import MovingTime
from sim_sync_tests.fakes.small_disk import SmallDisk

KEY = "the-account-of-everybody"

_REQUESTS = """
import sys, time
from sim_sync.carriers.settings import RateLimit
from sim_sync.carriers.rate_limit import RateLimiter
from sim_sync.carriers.shared_limits import store_for

class Waiter:
    def wait(self, seconds):
        time.sleep(seconds)

limit = RateLimit(requests_per_second=float(sys.argv[2]), max_in_flight=int(sys.argv[3]), shared_key=sys.argv[1])
rate_limiter = RateLimiter(limit, Waiter(), carrier="acme", park_after_seconds=300, store=store_for(limit))
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[4])):
    with rate_limiter.acquire() as permit:
        print(permit.admitted_at, flush=True)
        if sys.argv[5:]:
            sys.stdin.readline()
"""


@contextmanager
def requests(
    folder: Path, *, rate: float, in_flight: int, count: int, stay: bool = False
) -> Iterator[subprocess.Popen[str]]:
    """Start a process that sends requests as soon as it is told; `stay`: it keeps each until it is told again."""
    arguments = [KEY, str(rate), str(in_flight), str(count), *(["stay"] if stay else [])]
    with subprocess.Popen(
        [sys.executable, "-c", _REQUESTS, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "SIM_SYNC_STATE_DIR": str(folder)},
    ) as process:
        try:
            assert line(process) == "ready"
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def rate_limiter(folder: Path, time: MovingTime, limit: RateLimit) -> RateLimiter:
    store = SharedRateLimits(folder / "limits", KEY, time.monotonic)
    return RateLimiter(limit, time, carrier="acme", park_after_seconds=300, store=store)


def test_three_processes_together_keep_the_limit(tmp_path: Path) -> None:
    with (
        requests(tmp_path, rate=40, in_flight=3, count=20) as one,
        requests(tmp_path, rate=40, in_flight=3, count=20) as two,
        requests(tmp_path, rate=40, in_flight=3, count=20) as three,
    ):
        for process in (one, two, three):
            tell(process)
        times = sorted(float(line(process)) for _ in range(20) for process in (one, two, three))
    assert max(sum(1 for time in times if start <= time < start + 1) for start in times) <= 40
    assert len(times) == 60


def test_a_killed_process_gives_back_its_place(tmp_path: Path) -> None:
    limit = RateLimit(max_in_flight=1, shared_key=KEY)
    with requests(tmp_path, rate=1000, in_flight=1, count=2, stay=True) as process:
        tell(process)
        line(process)  # it has taken the only place
        blocked = rate_limiter(tmp_path, MovingTime(stop_at_wait=20), limit)
        with pytest.raises(StopRequested), blocked.acquire():
            pass
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
        time = MovingTime()
        with rate_limiter(tmp_path, time, limit).acquire():
            assert time.waits == []


def test_a_hold_is_heard_by_every_process(tmp_path: Path) -> None:
    time = MovingTime()
    limit = RateLimit(shared_key=KEY)
    rate_limiter(tmp_path, time, limit).pause(30)
    with rate_limiter(tmp_path, time, limit).acquire() as permit:
        assert permit.admitted_at == 1030.0


def test_the_pace_is_halved_for_every_process(tmp_path: Path) -> None:
    time = MovingTime()
    limit = RateLimit(requests_per_second=10, shared_key=KEY)
    one, other = rate_limiter(tmp_path, time, limit), rate_limiter(tmp_path, time, limit)
    with one.acquire() as permit:
        pass
    one.slow_down(permit)
    times = []
    for _ in range(5):
        with other.acquire() as permit:
            times.append(permit.admitted_at)
    assert 3 / (times[-1] - times[1]) <= 5


def test_places_are_shared_between_threads_of_a_process_too(tmp_path: Path) -> None:
    store = SharedRateLimits(tmp_path, KEY)
    first, second = store.take_slot(2), store.take_slot(2)
    assert first is not None
    assert second is not None
    assert store.take_slot(2) is None
    first()
    third = store.take_slot(2)
    assert third is not None
    second()
    third()


def test_a_place_may_be_given_back_by_another_thread(tmp_path: Path) -> None:
    store = SharedRateLimits(tmp_path, KEY)
    give_back = store.take_slot(1)
    assert give_back is not None
    thread = threading.Thread(target=give_back)
    thread.start()
    thread.join()
    assert store.take_slot(1) is not None


def test_the_key_stands_in_no_name_and_in_no_file(tmp_path: Path) -> None:
    store = SharedRateLimits(tmp_path, KEY)
    store.change(lambda state, _: (paused(state, 1000.0, seconds=5), None))
    give_back = store.take_slot(1)
    assert give_back is not None
    give_back()
    files = list(tmp_path.iterdir())
    assert files
    for file in files:
        assert KEY not in file.name
        assert KEY.encode() not in file.read_bytes()


def test_a_file_that_is_no_database_any_more_is_replaced(tmp_path: Path) -> None:
    store = SharedRateLimits(tmp_path, KEY)
    store.change(lambda state, _: (state, None))
    (file,) = tmp_path.glob("*.sqlite")
    file.write_bytes(b"what a power cut left" * 100)
    with pytest.raises(TransientError, match="cannot be kept"):
        store.change(lambda state, _: (state, None))
    assert store.change(lambda state, _: next_permission(state, RateLimit(), 1.0)) == Permission()


def test_a_state_of_another_version_starts_afresh(tmp_path: Path) -> None:
    store = SharedRateLimits(tmp_path, KEY)
    store.change(lambda state, _: (state, None))
    (file,) = tmp_path.glob("*.sqlite")
    connection = sqlite3.connect(file)
    connection.execute('UPDATE traffic SET state = \'{"of": "old"}\'')
    connection.commit()
    connection.close()
    assert store.change(lambda state, _: next_permission(state, RateLimit(), 1.0)) == Permission()


def test_a_rule_that_fails_changes_nothing_and_locks_nothing(tmp_path: Path) -> None:
    store = SharedRateLimits(tmp_path, KEY)
    store.change(lambda state, _: (paused(state, 1000.0, seconds=5), None))

    with pytest.raises(ZeroDivisionError):
        store.change(lambda state, _: (state, 1 // 0))
    assert store.change(lambda state, _: (state, state.paused_until)) == 1005.0


def test_a_folder_that_cannot_be_made_is_told_with_its_variable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="SIM_SYNC_STATE_DIR: expected a folder that can be written"):
        SharedRateLimits(tmp_path / "file" / "limits", KEY).change(lambda state, _: (state, None))


def test_the_folder_is_the_one_that_the_environment_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIM_SYNC_STATE_DIR", str(tmp_path / "state"))
    time = MovingTime()
    limit = RateLimit(shared_key=KEY)
    with RateLimiter(limit, time, carrier="acme", park_after_seconds=300, store=store_for(limit)).acquire():
        assert sorted(file.suffix for file in (tmp_path / "state" / "limits").iterdir()) == [".lock", ".sqlite"]
    monkeypatch.delenv("SIM_SYNC_STATE_DIR")
    monkeypatch.chdir(tmp_path)
    with RateLimiter(limit, time, carrier="acme", park_after_seconds=300, store=store_for(limit)).acquire():
        assert (tmp_path / ".sim_sync" / "limits").is_dir()


def test_a_full_disk_is_told_with_the_folder_and_what_to_do_and_the_limit_is_kept_again_when_there_is_room(
    small_disk: SmallDisk,
) -> None:
    folder = small_disk.folder / "limits"
    small_disk.fill()
    state = SharedRateLimits(folder, KEY)
    with pytest.raises(NoRoomLeft, match=f"no space is left on the file system of {folder}: make room there"):
        state.change(lambda before, _: (paused(before, 0.0, seconds=5), None))
    small_disk.make_room()
    assert state.change(lambda before, _: (paused(before, 0.0, seconds=5), "kept")) == "kept"
