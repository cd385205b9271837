"""What a person may have got wrong: one clear message on standard error, the right exit code, and no traceback."""

import os
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from sim_sync_tests.cli.command_line import CommandLine, assert_one_message


def test_a_config_that_is_not_there(command_line: CommandLine) -> None:
    command_line.set(SIM_SYNC_CONFIG="elsewhere.yaml")
    assert_one_message(
        command_line.type_in("status"),
        2,
        "elsewhere.yaml: there is no such file here",
        "SIM_SYNC_CONFIG",
        "sim-sync init",
    )


@pytest.mark.parametrize("text", ["carriers: [", "carriers: {acme: {type: t", "\tcarriers: 1", ""])
def test_a_config_that_is_no_yaml(command_line: CommandLine, text: str) -> None:
    (command_line.folder / "carriers.yaml").write_text(text)
    assert_one_message(command_line.type_in("status"), 2, "carriers.yaml", "expected")


def test_all_problems_of_a_config_at_once(command_line: CommandLine) -> None:
    command_line.write_config(
        {
            "schedule": {"cron": "whenever"},
            "reconcile": {"fields": ["shoe_size"]},
            "carriers": {
                "acme": {"type": "pigeon_post"},
                "zeta": {"type": "twilio_super_sim", "auth": {"username": "AC1", "password": {"env": "ZETA_TOKEN"}}},
            },
        }
    )
    said = command_line.type_in("status")
    places = ("schedule.cron", "reconcile.fields", "carriers.acme.type", "carriers.zeta.auth.password")
    assert_one_message(said, 2, *places, "ZETA_TOKEN")


def test_a_carrier_with_a_problem_does_not_keep_the_others_from_being_watched(command_line: CommandLine) -> None:
    account = {"username": "AC1", "password": {"env": "ZETA_TOKEN"}}
    command_line.write_carriers(acme={"type": "twilio_super_sim"}, zeta={"type": "twilio_super_sim", "auth": account})
    assert command_line.type_in("status").code == 0
    said = command_line.type_in("backfill", "--all")
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
def test_a_warehouse_that_cannot_be_one(command_line: CommandLine, url: str, words: tuple[str, ...]) -> None:
    command_line.set(SIM_SYNC_WAREHOUSE_URL=url)
    said = command_line.type_in("status")
    assert_one_message(said, 2, *words)
    assert "a-secret-word" not in said.err


def test_a_database_in_which_another_program_has_tables_of_the_same_name(command_line: CommandLine) -> None:
    with sqlite3.connect(command_line.folder / "theirs.db") as connection:
        connection.execute("CREATE TABLE carrier_sims (their_column)")
    command_line.set(SIM_SYNC_WAREHOUSE_URL="sqlite:///theirs.db")
    assert_one_message(command_line.type_in("status"), 2, "theirs.db", "carrier_sims already exists")


def test_a_postgresql_database_in_which_another_program_has_tables(
    command_line: CommandLine, postgres_url: str
) -> None:
    engine = sa.create_engine(sa.make_url(postgres_url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE sync_sessions (their_column int)")
    engine.dispose()
    command_line.set(SIM_SYNC_WAREHOUSE_URL=postgres_url)
    assert_one_message(command_line.type_in("status"), 2, "sync_sessions", "already exists")


def test_a_postgresql_server_that_does_not_answer_is_a_failure_and_not_a_usage_error(command_line: CommandLine) -> None:
    command_line.set(SIM_SYNC_WAREHOUSE_URL="postgresql://sync:a-secret-word@127.0.0.1:9/sims")
    said = command_line.type_in("status")
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
    command_line: CommandLine, postgres_url: str, part: dict[str, str], words: tuple[str, ...]
) -> None:
    url = sa.make_url(postgres_url).set(**part)  # type: ignore[arg-type]  # any of its parts
    command_line.set(SIM_SYNC_WAREHOUSE_URL=url.render_as_string(hide_password=False))
    said = command_line.type_in("status")
    assert_one_message(said, 2, *words)
    assert "a-secret-word" not in said.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(command_line: CommandLine) -> None:
    folder = command_line.folder / "locked"
    folder.mkdir(mode=0o500)
    command_line.set(SIM_SYNC_WAREHOUSE_URL=f"sqlite:///{folder / 'sims.db'}")
    assert_one_message(command_line.type_in("status"), 2, "locked")


@pytest.mark.parametrize("home", ["a/relative/path", "/nowhere/at/all"])
def test_a_dagster_home_that_cannot_be_one(command_line: CommandLine, home: str) -> None:
    command_line.set(DAGSTER_HOME=home)
    assert_one_message(command_line.type_in("backfill", "acme"), 2, "DAGSTER_HOME", home, "absolute path")


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
def test_carriers_that_cannot_be_meant(
    command_line: CommandLine, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    assert_one_message(command_line.type_in(*arguments), 2, *words)


def test_nothing_is_started_where_one_of_several_carriers_is_unknown(command_line: CommandLine) -> None:
    command_line.type_in("backfill", "acme", "acne")
    assert not Path(command_line.folder, ".sim_sync").exists()
