from pathlib import Path

import pytest
import sqlalchemy as sa

from sim_sync.core.errors import ConfigError
from sim_sync.warehouse.engine import open_engine
from sim_sync.warehouse.knowledge import present_sims
from sim_sync.warehouse.scratch import scratch_warehouse


def schemas(url: str) -> set[str]:
    engine = open_engine(url)
    try:
        return {name for name in sa.inspect(engine).get_schema_names() if name.startswith("sim_sync_selftest")}
    finally:
        engine.dispose()


def test_on_postgresql_a_trial_has_a_schema_of_its_own_that_is_gone_afterwards(
    postgres_url: str, tmp_path: Path
) -> None:
    with scratch_warehouse(postgres_url, tmp_path) as (url, warehouse):
        assert len(schemas(postgres_url)) == 1
        assert present_sims(warehouse.engine, "nobody") == 0
        with scratch_warehouse(postgres_url, tmp_path) as (another_url, _):
            assert another_url != url

    assert schemas(postgres_url) == set()
    engine = open_engine(postgres_url)
    assert sa.inspect(engine).get_table_names() == []  # nobody's own tables were touched
    engine.dispose()


def test_it_is_gone_after_a_failure_too(postgres_url: str, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), scratch_warehouse(postgres_url, tmp_path):
        raise KeyboardInterrupt

    assert schemas(postgres_url) == set()


def test_without_a_url_it_is_a_file_in_the_given_folder(tmp_path: Path) -> None:
    with scratch_warehouse(None, tmp_path) as (url, _):
        assert url.startswith(f"sqlite:///{tmp_path}/sim_sync_selftest_")


def test_another_database_than_postgresql_is_refused_without_showing_the_password(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused, scratch_warehouse("mysql://me:pa55word@host/db", tmp_path):
        pass

    assert "command line: --url: expected the URL of a PostgreSQL database, or none for SQLite, found mysql" in str(
        refused.value
    )
    assert "pa55word" not in str(refused.value)
