"""Databases of this folder's tests: made once for each worker of the test run where that is dear."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from sim_sync.warehouse.engine import open_engine
from sim_sync.warehouse.migrate import migrate
from sim_sync_tests.fakes.databases import fresh_postgres_database
from sim_sync_tests.warehouse.databases import disposed, empty_tables


@pytest.fixture(scope="session")
def _migrated_postgres(postgres_server_url: str) -> Iterator[sa.Engine]:
    with fresh_postgres_database(postgres_server_url) as url, disposed(open_engine(url)) as engine:
        migrate(engine)
        yield engine


@pytest.fixture
def postgres_engine(_migrated_postgres: sa.Engine) -> sa.Engine:
    """PostgreSQL with the migrated tables, all empty."""
    empty_tables(_migrated_postgres)
    return _migrated_postgres


@pytest.fixture
def sqlite_engine(tmp_path: Path) -> Iterator[sa.Engine]:
    """A SQLite file with the migrated tables."""
    with disposed(open_engine(f"sqlite:///{tmp_path / 'migrated.db'}")) as engine:
        migrate(engine)
        yield engine


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> sa.Engine:
    """Each database in turn, with the migrated tables, all empty."""
    name = {"sqlite": "sqlite_engine", "postgresql": "postgres_engine"}[request.param]
    given: sa.Engine = request.getfixturevalue(name)
    return given
