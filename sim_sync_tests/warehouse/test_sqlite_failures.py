"""A SQLite warehouse that fails: what passes is ridden out, what does not is told at once, and nothing is lost."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sim_sync.core.errors import ConfigError, WarehouseFull, WarehouseUnavailable, WriteRefused
from sim_sync.warehouse.engine import open_engine, transaction
from sim_sync.warehouse.migrate import migrate
from sim_sync.warehouse.scratch import exact_digests
from sim_sync.warehouse.store import SqlSessionStore, WarehouseRetry
from sim_sync.warehouse.tables import session_internals
from sim_sync.warehouse.warehouse import open_warehouse
from sim_sync_tests.fakes.clock import SettableClock
from sim_sync_tests.fakes.fleet import a_page, a_request, a_sim
from sim_sync_tests.warehouse.databases import disposed
from sim_sync_tests.warehouse.disturbed import Healing, outcome, sync, undisturbed


@pytest.fixture
def impatient(sqlite_engine: sa.Engine) -> Iterator[sa.Engine]:
    """Another engine on the same file, which does not wait for locks."""
    url = sqlite_engine.url.render_as_string(hide_password=False)
    with disposed(open_engine(url, lock_seconds=0)) as engine:
        yield engine


class Lock:
    """The write lock of a SQLite file, held by another connection."""

    def __init__(self, engine: sa.Engine) -> None:
        self._connection = engine.connect()

    def take(self) -> None:
        self._connection.begin()

    def give_back(self) -> None:
        self._connection.close()


def test_a_lock_that_is_held_too_long_is_told_and_nothing_was_written(
    sqlite_engine: sa.Engine, impatient: sa.Engine
) -> None:
    store = SqlSessionStore(impatient)
    session = store.open_session(a_request()).session
    before = exact_digests(sqlite_engine)
    lock = Lock(sqlite_engine)
    lock.take()
    with pytest.raises(WarehouseUnavailable) as failed:
        store.commit_page(session.claim, {"page": 0}, a_page([a_sim(1)], {"page": 1}))
    lock.give_back()
    assert str(failed.value) == (
        f"the warehouse sqlite:///{sqlite_engine.url.database} failed while committing a page of carrier acme: "
        "database is locked"
    )
    assert exact_digests(sqlite_engine) == before


def test_a_sync_continues_when_the_lock_is_given_back(
    sqlite_engine: sa.Engine, impatient: sa.Engine, tmp_path: Path
) -> None:
    lock = Lock(sqlite_engine)
    waiter = Healing(lock.give_back, at_wait=3)
    lock.take()
    sync(SqlSessionStore(impatient, clock=SettableClock().now), waiter=waiter)
    assert waiter.waits == [0.5, 1.0, 2.0]
    assert outcome(sqlite_engine) == undisturbed(f"sqlite:///{tmp_path}/undisturbed.db")


@pytest.mark.parametrize("pages_left", range(0, 25, 5))
def test_a_full_disk_costs_nothing_but_time(tmp_path: Path, pages_left: int) -> None:
    url = f"sqlite:///{tmp_path}/warehouse.db"
    open_warehouse(url).close()
    with disposed(open_engine(url)) as engine:
        limit = FileLimit(engine, pages_left)
        waiter = Healing(limit.lift)
        sync(SqlSessionStore(engine, clock=SettableClock().now), waiter=waiter)
        assert waiter.waits == [0.5]
        assert outcome(engine) == undisturbed(f"sqlite:///{tmp_path}/undisturbed.db")


class FileLimit:
    """Lets a SQLite file grow by that many pages and no more, as a full disk does."""

    def __init__(self, engine: sa.Engine, pages_left: int) -> None:
        with engine.connect() as connection:
            self._pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one() + pages_left
        self._engine = engine
        engine.dispose()
        sa.event.listen(engine, "connect", self._apply)

    def lift(self) -> None:
        self._pages = 1_000_000
        self._engine.dispose()

    def _apply(self, connection: Any, _record: object) -> None:
        connection.execute(f"PRAGMA max_page_count={self._pages}")


def test_a_full_disk_is_told_by_its_name(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/warehouse.db"
    open_warehouse(url).close()
    with disposed(open_engine(url)) as engine:
        FileLimit(engine, 0)
        with pytest.raises(
            WarehouseFull, match=r"failed while .* of carrier acme: database or disk is full: make room"
        ):
            sync(SqlSessionStore(engine))


def test_a_file_that_may_only_be_read_is_told_at_once(sqlite_engine: sa.Engine) -> None:
    url = f"sqlite:///file:{sqlite_engine.url.database}?mode=ro&uri=true"
    with disposed(open_engine(url)) as engine:
        store = SqlSessionStore(engine)
        assert store.open_session_of("acme") is None
        waiter = Healing(lambda: None)
        with pytest.raises(ConfigError) as refused:
            WarehouseRetry(waiter)(store.open_session, a_request())
        assert waiter.waits == []
        (problem,) = refused.value.problems
        assert problem.expected == "a file that this user may write, in a folder that it may write too"
        assert problem.found == ("attempt to write a readonly database (while opening the session of carrier acme)")


@pytest.mark.parametrize("content", [b"ICCID,Carrier\n", b"x" * 5000])
def test_a_file_that_is_no_database_is_told_at_once_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "inventory.csv"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="expected a SQLite database, found file is not a database"):
        open_warehouse(f"sqlite:///{path}")
    assert path.read_bytes() == content


def test_a_folder_in_place_of_the_file_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a path at which a file can be opened, found unable to open"):
        open_warehouse(f"sqlite:///{tmp_path}")


def test_a_damaged_file_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.db"
    warehouse = open_warehouse(f"sqlite:///{path}")
    sync(warehouse.sessions)
    with warehouse.engine.connect() as connection:
        connection.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]
    warehouse.close()
    damaged = bytearray(path.read_bytes())
    damaged[4096:] = b"\xff" * (len(damaged) - 4096)
    path.write_bytes(damaged)
    with (
        disposed(open_engine(f"sqlite:///{path}")) as engine,
        pytest.raises(ConfigError, match="not damaged: restore it from a copy, found database disk image"),
    ):
        SqlSessionStore(engine).latest_sessions(["acme"])


def test_a_table_that_is_not_there_is_told_at_once(sqlite_engine: sa.Engine) -> None:
    with sqlite_engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE sync_sessions")
    with pytest.raises(ConfigError, match=r"expected the tables of this version of sim_sync.*no such table"):
        SqlSessionStore(sqlite_engine).open_session_of("acme")


@pytest.mark.parametrize("statement", ["SELEC nothing", "INSERT INTO session_internals (session_id) VALUES ('s')"])
def test_what_is_refused_is_told_by_its_code_and_not_by_the_statement(sqlite_engine: sa.Engine, statement: str) -> None:
    def do() -> None:
        with transaction(sqlite_engine, "trying") as connection:
            connection.exec_driver_sql(statement)

    with pytest.raises(WriteRefused, match=r"while trying .*, SQLITE_") as refused:
        do()
    assert "session_id" not in str(refused.value)
    assert refused.value.__suppress_context__


def test_a_failed_migration_is_told_and_done_later(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/warehouse.db"
    with disposed(open_engine(url)) as other, disposed(open_engine(url, lock_seconds=0)) as engine:
        with transaction(other, "holding the lock") as holder:
            holder.exec_driver_sql("CREATE TABLE something_else (x)")
            with pytest.raises(WarehouseUnavailable, match="while bringing the schema up to date: database is locked"):
                migrate(engine)
        migrate(engine)
        assert sa.inspect(engine).has_table(session_internals.name)
