"""Databases of this folder's tests: each engine lives as long as its worker of the test run, and gets empty tables.

A new engine would put every statement together again, which takes longer than most of these tests.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from sim_sync.warehouse.engine import open_engine
from sim_sync_tests.fakes.databases import fresh_postgres_database, make_migrated_sqlite
from sim_sync_tests.warehouse.databases import disposed, empty_tables


@pytest.fixture(scope="session")
def _migrated_postgres(postgres_server_url: str) -> Iterator[sa.Engine]:
    with (
        fresh_postgres_database(postgres_server_url, migrated=True) as url,
        disposed(open_engine(url)) as engine,
    ):
        yield engine


@pytest.fixture
def postgres_engine(_migrated_postgres: sa.Engine) -> sa.Engine:
    """PostgreSQL with the migrated tables, all empty."""
    empty_tables(_migrated_postgres)
    return _migrated_postgres


@pytest.fixture(scope="session")
def _migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    with disposed(open_engine(f"sqlite:///{path}")) as engine:
        yield engine


@pytest.fixture
def sqlite_engine(_migrated_sqlite: sa.Engine) -> Iterator[sa.Engine]:
    """A SQLite file with the migrated tables, all empty; whatever a test did to it, the next one gets another."""
    path = Path(str(_migrated_sqlite.url.database))
    for file in path.parent.iterdir():
        file.unlink()
    make_migrated_sqlite(path)
    with disposed(_migrated_sqlite) as engine:
        yield engine


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> sa.Engine:
    """Each database in turn, with the migrated tables, all empty."""
    name = {"sqlite": "sqlite_engine", "postgresql": "postgres_engine"}[request.param]
    given: sa.Engine = request.getfixturevalue(name)
    return given
