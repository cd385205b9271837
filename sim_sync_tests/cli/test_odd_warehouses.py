"""A warehouse in a state that nobody expects: one sentence that says what to do, in each command, and never a guess."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from sim_sync.warehouse import open_warehouse
from sim_sync.warehouse.migrate import VERSION_TABLE
from sim_sync.warehouse.tables import sim_discrepancies, sync_sessions
from sim_sync_tests.cli.command_line import CommandLine, assert_one_message
from sim_sync_tests.fakes.fleet import a_request

SECRET = "a-secret-word"
COMMANDS = [("status",), ("status", "--json"), ("discrepancies",), ("pause", "acme")]


@pytest.fixture
def engine(command_line: CommandLine, migrated_url: str) -> Iterator[sa.Engine]:
    """The warehouse of the commands, SQLite and PostgreSQL, with an open session of acme and one of zeta."""
    command_line.set(SIM_SYNC_WAREHOUSE_URL=migrated_url)
    warehouse = open_warehouse(migrated_url)
    for carrier in ("acme", "zeta"):
        warehouse.sessions.open_session(a_request(carrier=carrier))
    yield warehouse.engine
    warehouse.close()


def assert_checked(command_line: CommandLine, code: int, *words: str) -> str:
    """Assert that `check` reports the same of the warehouse, and return what it prints."""
    said = command_line.type_in("check", "--json")
    warehouse = said.document["warehouse"]
    assert (warehouse["ok"], warehouse["exit_code"]) == (False, code)
    for word in words:
        assert word in warehouse["told"]
    return said.out + said.err


def run(engine: sa.Engine, *statements: str | sa.Executable) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement) if isinstance(statement, str) else statement)
    engine.dispose()


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (["INSERT INTO sim_sync_schema_version VALUES ('0999')"], ("one version in the table", VERSION_TABLE, "0999")),
        (["UPDATE sim_sync_schema_version SET version_num = '0999'"], ("upgrade sim_sync", "version 0999")),
        (["DELETE FROM sim_sync_schema_version"], (VERSION_TABLE, "already exists without one", "another database")),
        ([f"DROP TABLE {VERSION_TABLE}"], (VERSION_TABLE, "already exists without one", "restore it from a copy")),
        ([f"ALTER TABLE {VERSION_TABLE} RENAME COLUMN version_num TO number"], ("sim-sync check", "version_num")),
    ],
    ids=["two heads", "newer", "no version", "no table of versions", "another table of versions"],
)
def test_a_schema_of_which_nobody_knows_the_version(
    command_line: CommandLine, engine: sa.Engine, statements: list[str], words: tuple[str, ...]
) -> None:
    run(engine, *statements)
    for command in COMMANDS:
        assert_one_message(command_line.type_in(*command), 2, *words)
    assert_checked(command_line, 2, *words)


@pytest.mark.parametrize("statement", ["DROP TABLE sim_changes", "ALTER TABLE sim_changes DROP COLUMN old_value"])
def test_check_tells_which_tables_and_columns_are_missing(
    command_line: CommandLine, engine: sa.Engine, statement: str
) -> None:
    run(engine, statement)
    assert_checked(command_line, 2, "restore them from a copy", "none called sim_changes")


def test_a_session_in_a_state_of_another_version_is_listed_with_the_others_and_left_alone(
    command_line: CommandLine, engine: sa.Engine
) -> None:
    hibernating = sync_sessions.update().where(sync_sessions.c.carrier == "acme").values(state="hibernating")
    run(engine, hibernating)
    said = command_line.type_in("status")
    assert said.code == 0
    assert [line.split()[:2] for line in said.out.splitlines()[1:3]] == [["acme", "hibernating"], ["zeta", "running"]]
    assert "acme: this version of sim_sync does not know the state that it is in; upgrade sim_sync here" in said.out
    states = [carrier["state"] for carrier in command_line.type_in("status", "--json").document]
    assert states == ["hibernating", "running"]
    for command in ("pause", "resume"):
        said = command_line.type_in(command, "acme")
        assert_one_message(said, 2, "the session of carrier acme is 'hibernating'", "upgrade sim_sync here")
    assert command_line.type_in("pause", "zeta").code == 0


def test_a_sweep_with_a_word_of_another_version_is_shown(command_line: CommandLine, engine: sa.Engine) -> None:
    run(engine, sync_sessions.update().values(state="completed", sweep_state="composted", finished_at=sa.func.now()))
    said = command_line.type_in("status")
    assert said.code == 0
    assert "sweep composted" in said.out
    assert command_line.type_in("status", "--json").document[0]["sweep_state"] == "composted"


def test_a_difference_with_words_of_another_version_is_listed(command_line: CommandLine, engine: sa.Engine) -> None:
    row = {"carrier": "acme", "iccid": "1", "kind": "borrowed", "field": "", "severity": "extreme", "times_seen": 1}
    run(engine, sim_discrepancies.insert().values(first_seen_at=sa.func.now(), last_seen_at=sa.func.now(), **row))
    (found,) = command_line.type_in("discrepancies", "--json").document
    assert (found["kind"], found["severity"]) == ("borrowed", "extreme")
    assert "borrowed" in command_line.type_in("discrepancies").out


@pytest.mark.parametrize(
    "statement", ["UPDATE sync_sessions SET started_at = 'yesterday'", "UPDATE sync_sessions SET cursor = '{oops'"]
)
def test_a_stored_value_that_cannot_be_read(command_line: CommandLine, statement: str) -> None:
    command_line.open_session()
    with closing(sqlite3.connect(command_line.folder / ".sim_sync" / "warehouse.db")) as connection:
        connection.execute(statement)
        connection.commit()
    said = command_line.type_in("status")
    assert_one_message(said, 2, "correct the row", "while reading the sessions")
    assert not any(word in said.err for word in ("yesterday", "oops", "SELECT", "sqlalche"))


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [
        ("postgresql://sync:{}@127.0.0.1:9/sims?sslmode=requier", 2, ("options", 'invalid sslmode value: "requier"')),
        ("postgresql://sync:{}@127.0.0.1:9/sims?sslmod=require", 2, ("'sslmod'; did you mean sslmode?",)),
        ("postgresql://sync@127.0.0.1:9/sims?passwrd={}", 2, ("'passwrd'; did you mean password?",)),
        ("postgresql://sync:{}@127.0.0.1:99999/sims", 2, ('invalid port number: "99999"',)),
        ("postgresql://sync:{}@127.0.0.1:port/sims", 2, ("a SQLAlchemy URL such as",)),
        ("postgresql://sync:a@{}@127.0.0.1/sims", 2, ("an @ in the password is written as %40",)),
        ("postgresql://sync:{}@127.0.0.1:9/sims?service=nosuch", 2, ('definition of service "nosuch" not found',)),
        ("postgresql://sync:{}@127.0.0.1:9/sims", 1, ("Connection refused", "127.0.0.1")),
        ("postgresql://sync:{}@nosuch.invalid/sims", 1, ("nosuch.invalid",)),
        ("postgresql:///sims?host=/nowhere&password={}", 1, ("/nowhere",)),
        ("mysql://sync:{}@db/sims", 2, ("a SQLAlchemy URL such as", "mysql")),
        ("http://sync:{}@db/sims", 2, ("a SQLAlchemy URL such as", "http")),
        ("sqlite:///w.db?foo=bar", 2, ("the unknown option 'foo'",)),
        ("sqlite:///w.db?mode=ro", 2, ("the unknown option 'mode'",)),
        ("sqlite:///w.db?timeout=soon", 2, ("could not convert string to float: 'soon'",)),
        ("sqlite:///file:w.db?mode=nosuch&uri=true", 2, ("no such access mode: nosuch",)),
        ("sqlite://host/w.db", 2, ("Invalid SQLite URL",)),
        ("sqlite://", 2, ("a URL that names a file", "in memory")),
        ("sqlite:///:memory:", 2, ("a URL that names a file", "in memory")),
        ("sqlite+nosuch:///w.db", 2, ("a SQLAlchemy URL such as", "sqlite+nosuch")),
    ],
)
def test_a_url_with_which_nothing_can_be_opened(
    command_line: CommandLine, url: str, code: int, words: tuple[str, ...]
) -> None:
    command_line.set(SIM_SYNC_WAREHOUSE_URL=url.format(SECRET))
    said = command_line.type_in("status")
    assert_one_message(said, code, *words)
    assert SECRET not in said.err
    assert len(said.err.splitlines()) == 1
    assert SECRET not in assert_checked(command_line, code, *words)


def garbage(path: Path) -> None:
    path.write_bytes(b"hello, I am no database" * 1000)


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def damaged(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))


def cut_short(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2 + 100])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (garbage, ("expected a SQLite database", "file is not a database")),
        (directory, ("a path at which a file can be opened",)),
        (damaged, ("not damaged: restore it from a copy",)),
        (cut_short, ("not damaged: restore it from a copy",)),
    ],
)
def test_a_file_that_is_no_warehouse_any_more(
    command_line: CommandLine, change: Callable[[Path], None], words: tuple[str, ...]
) -> None:
    command_line.open_session()
    path = command_line.folder / ".sim_sync" / "warehouse.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for log in path.parent.glob("*.db-*"):
        log.unlink()
    change(path)
    for command in COMMANDS:
        assert_one_message(command_line.type_in(*command), 2, *words)
    assert_checked(command_line, 2, *words)
