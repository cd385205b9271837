"""Many writers of one SQLite file: each comes to its turn."""

import fcntl
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import sqlalchemy as sa

from sim_sync.core.errors import WarehouseUnavailable
from sim_sync.warehouse.engine import LOCK_SECONDS, open_engine, transaction
from sim_sync.warehouse.sqlite_files import QUEUE_SUFFIX, begin_in_turn
from sim_sync_tests.warehouse.databases import disposed

WRITERS, TURNS = 30, 15


@contextmanager
def engines(path: Path, count: int, lock_seconds: float = LOCK_SECONDS) -> Iterator[list[sa.Engine]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(disposed(open_engine(f"sqlite:///{path}", lock_seconds=lock_seconds)))
            for _ in range(count)
        ]


class Turns:
    """How many others began to write between the wish of a writer and its turn, at most."""

    def __init__(self) -> None:
        self._begun = 0
        self.most_passed = 0

    def take(self, engine: sa.Engine) -> None:
        wished_at = self._begun
        with transaction(engine, "writing") as connection:
            passed, self._begun = self._begun - wished_at, self._begun + 1  # only one of them is in here at a time
            self.most_passed = max(self.most_passed, passed)
            connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS written (at REAL)")
            connection.exec_driver_sql("INSERT INTO written VALUES (julianday('now'))")


def test_nobody_waits_while_others_write_again_and_again(tmp_path: Path) -> None:
    turns, together = Turns(), threading.Barrier(WRITERS)

    def take_turns(engine: sa.Engine) -> None:
        together.wait()
        for _ in range(TURNS):
            turns.take(engine)

    with engines(tmp_path / "warehouse.db", WRITERS) as writers, ThreadPoolExecutor(WRITERS) as threads:
        list(threads.map(take_turns, writers))

    # A few may pass between a wish and its place in the queue; without a queue, nearly all of them do.
    assert turns.most_passed <= WRITERS * TURNS * 0.5


@contextmanager
def somebody_writing(path: Path) -> Iterator[None]:
    """Let another program hold SQLite's lock, which knows of no queue."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def write(engine: sa.Engine) -> None:
    with transaction(engine, "writing") as connection:
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS written (at REAL)")


def test_who_waits_in_the_queue_gives_up_in_time_and_leaves_nobody_behind(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.db"
    with engines(path, 3, lock_seconds=0.3) as writers:
        write(writers[0])
        with somebody_writing(path), ThreadPoolExecutor(3) as threads:
            asked = [threads.submit(write, engine) for engine in writers]
            failed = [answer.exception() for answer in asked]
            assert [type(error) for error in failed] == [WarehouseUnavailable] * 3
            assert all("database is locked" in str(error) for error in failed)

        for engine in writers:
            write(engine)
        for thread in queued():
            thread.join(30)
        assert queued() == []


def test_a_first_one_that_is_frozen_keeps_nobody_from_writing(tmp_path: Path) -> None:
    """It holds the queue and does not look for SQLite's lock; it is not dead, so the system does not forget it."""
    path, begun = tmp_path / "warehouse.db", threading.Semaphore(0)
    queue = path.with_name(path.name + QUEUE_SUFFIX)
    queue.touch()

    def write_again_and_again() -> None:
        for _ in range(20):
            begin_in_turn(path, begun.release, 3600.0)

    with queue.open() as frozen:
        fcntl.flock(frozen, fcntl.LOCK_EX)
        threading.Thread(target=write_again_and_again, daemon=True).start()
        assert all(begun.acquire(timeout=60) for _ in range(20))
        assert len(queued()) <= 8
    for thread in queued():
        thread.join(30)
    assert queued() == []


def queued() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "queue of the warehouse"]


def test_a_frozen_first_of_the_queue_leaves_the_others_time_to_look_for_themselves(tmp_path: Path) -> None:
    path, looks = tmp_path / "warehouse.db", 0

    def begin() -> None:
        nonlocal looks
        looks += 1
        if looks < 4:
            with engines(path, 1, lock_seconds=0) as (writer,), writer.connect() as connection:
                connection.exec_driver_sql("BEGIN IMMEDIATE")

    with closing(sqlite3.connect(path)), somebody_writing(path):
        queue = path.with_name(path.name + QUEUE_SUFFIX)
        queue.touch()
        with queue.open() as frozen:
            fcntl.flock(frozen, fcntl.LOCK_EX)
            begin_in_turn(path, begin, seconds=60)
    assert looks == 4


def test_a_queue_that_cannot_be_used_keeps_nobody_from_writing(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.db"
    path.with_name(path.name + QUEUE_SUFFIX).symlink_to(tmp_path / "nowhere" / "at all")
    with engines(path, 1) as (writer,):
        write(writer)
    with closing(sqlite3.connect(path)) as reader:
        assert reader.execute("SELECT count(*) FROM written").fetchone() == (0,)
