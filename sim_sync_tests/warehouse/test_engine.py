"""Connections: which URLs are taken, what is shown of them, and what a reader and a writer owe each other."""

import os
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sim_sync.core.errors import ConfigError, WarehouseUnavailable
from sim_sync.warehouse.engine import can_write_now, open_engine, reading, transaction
from sim_sync.warehouse.tables import session_internals
from sim_sync_tests.fakes.crash_points import SimulatedCrash
from sim_sync_tests.warehouse.databases import disposed


@pytest.mark.parametrize(
    "url",
    [
        "warehouse.db",
        "",
        "postgresql://user:s3cret@host:no-port/db",
        "mysql://user:s3cret@host/db",
        "sqlite+aiosqlite:///x.db",
        "oracle:s3cret",
    ],
)
def test_a_url_of_another_kind_is_a_problem_of_the_configuration_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        open_engine(url)
    (problem,) = refused.value.problems
    assert problem.expected.startswith("a SQLAlchemy URL such as sqlite:///warehouse.db or postgresql://")
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:s3cret@host/db",
        "postgres://user:s3cret@host/db",
        "postgresql+psycopg://user:s3cret@host/db",
        "postgresql://user@host/db?password=s3cret",
    ],
)
def test_a_password_is_never_shown(url: str) -> None:
    with disposed(open_engine(url)) as engine:
        shown = f"{engine!r} {engine} {engine.url} {engine.url!r} {engine.url.render_as_string()}"
        assert "s3cret" not in shown
        assert engine.url.password == "s3cret"
        assert engine.dialect.driver == "psycopg"


def test_a_thread_that_finds_all_connections_in_use_is_told_that_the_warehouse_is_away_and_may_come_again() -> None:
    few: dict[str, Any] = {"poolclass": sa.QueuePool, "pool_size": 1, "max_overflow": 0, "pool_timeout": 0.01}
    with (
        disposed(sa.create_engine("sqlite://", **few)) as engine,
        transaction(engine, "being slow"),
        pytest.raises(WarehouseUnavailable, match="while coming second: all connections"),
        transaction(engine, "coming second"),
    ):
        pass


def test_the_folder_of_a_new_file_is_created(tmp_path: Path) -> None:
    with (
        disposed(open_engine(f"sqlite:///{tmp_path}/new/folder/warehouse.db")) as engine,
        transaction(engine, "trying"),
    ):
        pass
    assert (tmp_path / "new/folder/warehouse.db").is_file()


def test_a_folder_that_cannot_be_created_is_a_problem_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ConfigError, match=r"a folder that can be created, found File exists|Not a directory"):
        open_engine(f"sqlite:///{tmp_path}/file/below/warehouse.db")


def test_an_error_inside_of_a_transaction_leaves_nothing_of_it(engine: sa.Engine) -> None:
    def write_and_stumble() -> None:
        with transaction(engine, "trying") as connection:
            connection.execute(session_internals.insert().values(session_id="s", lease_seconds=1))
            raise SimulatedCrash

    with pytest.raises(SimulatedCrash):
        write_and_stumble()
    assert _notes(engine) == 0


def test_a_reader_sees_one_state_however_often_it_looks(engine: sa.Engine) -> None:
    with reading(engine, "reading") as reader:
        before = reader.execute(sa.select(sa.func.count()).select_from(session_internals)).scalar_one()
        with transaction(engine, "writing") as writer:
            writer.execute(session_internals.insert().values(session_id="s", lease_seconds=1))
        after = reader.execute(sa.select(sa.func.count()).select_from(session_internals)).scalar_one()
    assert (before, after, _notes(engine)) == (0, 0, 1)


def test_a_reader_cannot_write_by_accident_in_postgresql(postgres_engine: sa.Engine) -> None:
    def write() -> None:
        with reading(postgres_engine, "reading") as connection:
            connection.execute(session_internals.insert().values(session_id="s", lease_seconds=1))

    with pytest.raises(ConfigError, match="read-only transaction"):
        write()
    with transaction(postgres_engine, "writing after a reader of the same pool") as connection:
        connection.execute(session_internals.insert().values(session_id="s", lease_seconds=1))
    assert _notes(postgres_engine) == 1


def test_a_reader_waits_for_no_writer(engine: sa.Engine) -> None:
    with transaction(engine, "writing") as writer:
        writer.execute(session_internals.insert().values(session_id="s", lease_seconds=1))
        assert _notes(engine) == 0


def test_it_can_be_told_whether_somebody_is_writing(engine: sa.Engine) -> None:
    assert can_write_now(engine)
    with transaction(engine, "writing") as connection:
        connection.execute(session_internals.insert().values(session_id="s", lease_seconds=1))
        assert not can_write_now(engine)
    assert can_write_now(engine)


def test_sqlite_survives_the_death_of_a_process_and_lets_readers_in(sqlite_engine: sa.Engine) -> None:
    with sqlite_engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 30_000


def test_a_wait_for_a_lock_is_still_patient_after_the_question_whether_somebody_writes(
    sqlite_engine: sa.Engine,
) -> None:
    assert can_write_now(sqlite_engine)
    with sqlite_engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 30_000


def test_postgresql_hears_the_options_of_the_url_beside_ours(postgres_url: str) -> None:
    url = sa.make_url(postgres_url).update_query_dict({"options": "-cstatement_timeout=54321"})
    with (
        disposed(open_engine(url.render_as_string(hide_password=False), frozen_seconds=7)) as engine,
        engine.connect() as connection,
    ):
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar_one() == "54321ms"
        assert connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar_one() == "7s"
        assert connection.exec_driver_sql("SHOW application_name").scalar_one() == "sim_sync"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_a_problem_of_the_configuration(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigError, match="Permission denied"):
        open_engine(f"sqlite:///{tmp_path}/below/warehouse.db")


def _notes(engine: sa.Engine) -> int:
    with reading(engine, "counting") as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(session_internals)).scalar_one()
