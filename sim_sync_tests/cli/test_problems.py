"""What a person may have got wrong: one clear message on standard error, the right exit code, and no traceback."""

import os
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from sim_sync_tests.cli.desk import Desk, assert_one_message


def test_a_config_that_is_not_there(desk: Desk) -> None:
    desk.set(SIM_SYNC_CONFIG="elsewhere.yaml")
    assert_one_message(desk.type_in("status"), 2, "elsewhere.yaml: there is no such file here", "SIM_SYNC_CONFIG")


@pytest.mark.parametrize("text", ["carriers: [", "carriers: {acme: {type: t", "\tcarriers: 1", ""])
def test_a_config_that_is_no_yaml(desk: Desk, text: str) -> None:
    (desk.folder / "carriers.yaml").write_text(text)
    assert_one_message(desk.type_in("status"), 2, "carriers.yaml", "expected")


def test_all_problems_of_a_config_at_once(desk: Desk) -> None:
    desk.write_config(
        {
            "schedule": {"cron": "whenever"},
            "reconcile": {"fields": ["shoe_size"]},
            "carriers": {
                "acme": {"type": "pigeon_post"},
                "zeta": {"type": "twilio_super_sim", "auth": {"username": "AC1", "password": {"env": "ZETA_TOKEN"}}},
            },
        }
    )
    said = desk.type_in("status")
    places = ("schedule.cron", "reconcile.fields", "carriers.acme.type", "carriers.zeta.auth.password")
    assert_one_message(said, 2, *places, "ZETA_TOKEN")


def test_a_carrier_with_a_problem_does_not_keep_the_others_from_being_watched(desk: Desk) -> None:
    account = {"username": "AC1", "password": {"env": "ZETA_TOKEN"}}
    desk.write_carriers(acme={"type": "twilio_super_sim"}, zeta={"type": "twilio_super_sim", "auth": account})
    assert desk.type_in("status").code == 0
    said = desk.type_in("backfill", "--all")
    assert_one_message(said, 2, "carriers.acme.auth", "carriers.zeta.auth.password", "ZETA_TOKEN", "not set")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("no url at all", ("a SQLAlchemy URL such as",)),
        ("mysql://sync:a-secret-word@db/sims", ("a SQLAlchemy URL such as", "mysql")),
        ("sqlite:////proc/version/sims.db", ("/proc/version", "a folder that can be created")),
        ("sqlite:////", ("a path at which a file can be opened",)),
        ("sqlite:///carriers.yaml", ("a SQLite database", "carriers.yaml")),
    ],
)
def test_a_warehouse_that_cannot_be_one(desk: Desk, url: str, words: tuple[str, ...]) -> None:
    desk.set(SIM_SYNC_WAREHOUSE_URL=url)
    said = desk.type_in("status")
    assert_one_message(said, 2, *words)
    assert "a-secret-word" not in said.err


def test_a_database_in_which_another_program_has_tables_of_the_same_name(desk: Desk) -> None:
    with sqlite3.connect(desk.folder / "theirs.db") as connection:
        connection.execute("CREATE TABLE carrier_sims (their_column)")
    desk.set(SIM_SYNC_WAREHOUSE_URL="sqlite:///theirs.db")
    assert_one_message(desk.type_in("status"), 2, "theirs.db", "carrier_sims already exists")


def test_a_postgresql_database_in_which_another_program_has_tables(desk: Desk, postgres_url: str) -> None:
    engine = sa.create_engine(sa.make_url(postgres_url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE sync_sessions (their_column int)")
    engine.dispose()
    desk.set(SIM_SYNC_WAREHOUSE_URL=postgres_url)
    assert_one_message(desk.type_in("status"), 2, "sync_sessions", "already exists")


def test_a_postgresql_server_that_does_not_answer_is_a_failure_and_not_a_usage_error(desk: Desk) -> None:
    desk.set(SIM_SYNC_WAREHOUSE_URL="postgresql://sync:a-secret-word@127.0.0.1:9/sims")
    said = desk.type_in("status")
    assert_one_message(said, 1, "127.0.0.1", "port 9")
    assert "a-secret-word" not in said.err


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"database": "no_such_database"}, ("no_such_database", "a database that exists")),
        ({"username": "nobody_here", "password": "a-secret-word"}, ("nobody_here", "with these credentials")),
    ],
)
def test_a_postgresql_database_or_user_that_does_not_exist(
    desk: Desk, postgres_url: str, part: dict[str, str], words: tuple[str, ...]
) -> None:
    url = sa.make_url(postgres_url).set(**part)  # type: ignore[arg-type]  # any of its parts
    desk.set(SIM_SYNC_WAREHOUSE_URL=url.render_as_string(hide_password=False))
    said = desk.type_in("status")
    assert_one_message(said, 2, *words)
    assert "a-secret-word" not in said.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(desk: Desk) -> None:
    folder = desk.folder / "locked"
    folder.mkdir(mode=0o500)
    desk.set(SIM_SYNC_WAREHOUSE_URL=f"sqlite:///{folder / 'sims.db'}")
    assert_one_message(desk.type_in("status"), 2, "locked")


@pytest.mark.parametrize("home", ["a/relative/path", "/nowhere/at/all"])
def test_a_dagster_home_that_cannot_be_one(desk: Desk, home: str) -> None:
    desk.set(DAGSTER_HOME=home)
    assert_one_message(desk.type_in("backfill", "acme"), 2, "DAGSTER_HOME", home, "absolute path")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("backfill",), ("--all or some of: acme, zeta",)),
        (("backfill", "acme", "--all"), ("either --all or names of carriers",)),
        (("backfill", "acme", "acne"), ("no carrier 'acne'; carriers.yaml has: acme, zeta",)),
        (("check", "acne"), ("no carrier 'acne'; carriers.yaml has: acme, zeta",)),
    ],
    ids=["no carrier", "all and one", "unknown carrier", "check of an unknown carrier"],
)
def test_carriers_that_cannot_be_meant(desk: Desk, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    assert_one_message(desk.type_in(*arguments), 2, *words)


def test_nothing_is_started_where_one_of_several_carriers_is_unknown(desk: Desk) -> None:
    desk.type_in("backfill", "acme", "acne")
    assert not Path(desk.folder, ".sim_sync").exists()
