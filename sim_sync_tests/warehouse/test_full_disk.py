"""A database without room for another byte: it is reported by its name, can be read, and costs nothing but time."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa

from sim_sync.core.errors import WarehouseFull
from sim_sync.warehouse import open_warehouse
from sim_sync.warehouse.store import SqlSessionStore
from sim_sync.warehouse.warehouse import look_at_warehouse, require_room
from sim_sync_tests.fakes.clock import SettableClock
from sim_sync_tests.fakes.databases import fresh_postgres_database
from sim_sync_tests.fakes.fleet import a_request
from sim_sync_tests.fakes.small_disk import SmallDisk, mounted_disk
from sim_sync_tests.warehouse.databases import disposed
from sim_sync_tests.warehouse.disturbed import Healing, outcome, sync, undisturbed

WHAT_TO_DO = "then everything continues by itself"


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    """A file system of which the server, another user of this machine, may have a folder."""
    with tempfile.TemporaryDirectory() as parent, ExitStack() as stack:
        Path(parent).chmod(0o755)
        try:
            yield stack.enter_context(mounted_disk(Path(parent) / "disk", megabytes=40))
        except PermissionError as refused:
            pytest.skip(f"no file system can be mounted here: {refused}")


@pytest.fixture
def url_on_disk(disk: SmallDisk, postgres_server_url: str) -> Iterator[str]:
    """A PostgreSQL database whose tables are on the disk; the server's own files are elsewhere."""
    folder = disk.folder / "tables"
    folder.mkdir(mode=0o700)
    server = sa.make_url(postgres_server_url).set(drivername="postgresql+psycopg")
    with (
        disposed(sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)) as engine,
        engine.connect() as connection,
    ):
        owner = Path(connection.exec_driver_sql("SHOW data_directory").scalar_one()).stat()
        os.chown(folder, owner.st_uid, owner.st_gid)
        connection.exec_driver_sql(f"CREATE TABLESPACE small LOCATION '{folder}'")
        try:
            with fresh_postgres_database(postgres_server_url) as url:
                name = sa.make_url(url).database
                connection.exec_driver_sql(f"ALTER DATABASE {name} SET TABLESPACE small")
                yield url
        finally:
            connection.exec_driver_sql("DROP TABLESPACE small")


def test_a_full_postgresql_is_told_and_can_be_read_and_a_sync_continues_when_there_is_room(
    disk: SmallDisk, url_on_disk: str, tmp_path: Path
) -> None:
    warehouse = open_warehouse(url_on_disk)
    require_room(warehouse.engine)
    disk.fill()
    with pytest.raises(WarehouseFull, match=f"No space left on device: make room on the database server, {WHAT_TO_DO}"):
        require_room(warehouse.engine)
    with pytest.raises(WarehouseFull, match=WHAT_TO_DO):
        look_at_warehouse(url_on_disk)
    assert warehouse.sessions.open_session_of("acme") is None
    waiter = Healing(disk.make_room)
    sync(SqlSessionStore(warehouse.engine, clock=SettableClock().now), waiter=waiter)
    assert waiter.waits[:1] == [0.5]
    assert outcome(warehouse.engine) == undisturbed(f"sqlite:///{tmp_path}/undisturbed.db")
    require_room(warehouse.engine)
    warehouse.close()


def test_looking_for_room_leaves_nothing_behind(engine: sa.Engine) -> None:
    def names() -> set[str]:  # Temporary ones of other connections, too: those may go meanwhile.
        seen = sa.inspect(engine)
        return {*seen.get_table_names(), *seen.get_temp_table_names()}

    before = names()
    require_room(engine)
    require_room(engine)
    assert names() <= before


def test_a_sqlite_file_on_a_full_disk_is_told_with_its_folder_and_a_sync_continues_when_there_is_room(
    small_disk: SmallDisk, tmp_path: Path
) -> None:
    url = f"sqlite:///{small_disk.folder}/warehouse.db"
    warehouse = open_warehouse(url)
    small_disk.fill()
    with pytest.raises(WarehouseFull, match=f"the file system of {small_disk.folder}: make room there, {WHAT_TO_DO}"):
        require_room(warehouse.engine)
    with pytest.raises(WarehouseFull, match=f"while opening the session of carrier acme: no space .*{WHAT_TO_DO}"):
        warehouse.sessions.open_session(a_request())
    waiter = Healing(small_disk.make_room)
    sync(SqlSessionStore(warehouse.engine, clock=SettableClock().now), waiter=waiter)
    assert waiter.waits == [0.5]
    assert outcome(warehouse.engine) == undisturbed(f"sqlite:///{tmp_path}/undisturbed.db")
    warehouse.close()
