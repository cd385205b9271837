"""Databases and certificates for all tests.

The process that started the test run owns the PostgreSQL server and stops it at the end.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import settings

from sim_sync.warehouse.engine import open_engine
from sim_sync.warehouse.tables import metadata
from sim_sync_tests.fakes.certificates import Certificates, make_certificates
from sim_sync_tests.fakes.databases import (
    fresh_postgres_database,
    make_migrated_sqlite,
    start_postgres,
    stop_postgres,
)
from sim_sync_tests.fakes.small_disk import SmallDisk, mounted_disk

# A slow machine is no failure: no example has a time limit. A run of the tests says the same of a tree each time;
# `make explore` looks for examples that nobody has seen yet.
settings.register_profile("sim_sync", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, derandomize=False, print_blob=True)
settings.load_profile("sim_sync")

_postgres_folder = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Choose the folder of the run's PostgreSQL server; it is started by the first test that asks for it."""
    given = getattr(config, "workerinput", {}).get("postgres_folder")
    # In the system's own folder for such things: the path of a socket must be short.
    config.stash[_postgres_folder] = Path(given or tempfile.mkdtemp(prefix="sim-sync-pg-"))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist which server to share."""
    node.workerinput["postgres_folder"] = str(node.config.stash[_postgres_folder])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server when the whole run is over, also after an interrupt."""
    if not hasattr(config, "workerinput") and _postgres_folder in config.stash:
        stop_postgres(config.stash[_postgres_folder])


@pytest.fixture(scope="session")
def postgres_server_url(pytestconfig: pytest.Config) -> str:
    """A real PostgreSQL server, one for all workers of the test run."""
    return start_postgres(pytestconfig.stash[_postgres_folder])


@pytest.fixture
def postgres_url(postgres_server_url: str) -> Iterator[str]:
    """An empty PostgreSQL database of its own."""
    with fresh_postgres_database(postgres_server_url) as url:
        yield url


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A file system of 24 megabytes in the test's folder, where this user may mount one."""
    with ExitStack() as stack:
        try:
            disk = stack.enter_context(mounted_disk(tmp_path / "disk", megabytes=24))
        except PermissionError as refused:
            pytest.skip(f"no file system can be mounted here: {refused}")
        yield disk


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates for servers on loopback, of an issuer that nobody knows."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def trusted(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> Certificates:
    """The issuer is trusted, as an operator says it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.issuer))
    return certificates


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'warehouse.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def warehouse_url(request: pytest.FixtureRequest) -> str:
    """Each database in turn, empty."""
    name = {"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param]
    return str(request.getfixturevalue(name))


@pytest.fixture
def migrated_sqlite_url(tmp_path: Path) -> str:
    """A SQLite file with the migrated tables, all empty."""
    make_migrated_sqlite(tmp_path / "migrated.db")
    return f"sqlite:///{tmp_path / 'migrated.db'}"


@pytest.fixture
def migrated_postgres_url(postgres_server_url: str) -> Iterator[str]:
    """A PostgreSQL database of its own with the migrated tables, all empty."""
    with fresh_postgres_database(postgres_server_url, migrated=True) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated_url(request: pytest.FixtureRequest) -> str:
    """Each database in turn, with the migrated tables, all empty: a copy, since the migrations are dear."""
    name = {"sqlite": "migrated_sqlite_url", "postgresql": "migrated_postgres_url"}[request.param]
    return str(request.getfixturevalue(name))


@pytest.fixture
def engine(warehouse_url: str) -> Iterator[sa.Engine]:
    """Each database in turn, with the tables created."""
    engine = open_engine(warehouse_url)
    metadata.create_all(engine)
    yield engine
    engine.dispose()
