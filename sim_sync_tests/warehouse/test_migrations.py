"""Migrations: they make the tables that the program expects, wholly or not at all, whoever else is at it."""

import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from sim_sync.core.errors import ConfigError
from sim_sync.warehouse.engine import open_engine, reading, transaction
from sim_sync.warehouse.knowledge import Compared, compared_of
from sim_sync.warehouse.migrate import (
    VERSION_TABLE,
    SchemaState,
    alembic_config,
    known_versions,
    migrate,
    schema_state,
)
from sim_sync.warehouse.sessions import read_last_completed, read_latest_sessions
from sim_sync.warehouse.tables import carrier_sims, inventory_sims, metadata, sim_discrepancies, sync_sessions
from sim_sync.warehouse.warehouse import open_warehouse
from sim_sync_tests.fakes.clock import START
from sim_sync_tests.fakes.crash_points import SimulatedCrash
from sim_sync_tests.fakes.databases import fresh_postgres_database
from sim_sync_tests.warehouse.databases import disposed

NEWEST = "0023"
VERSION = sa.table(VERSION_TABLE, sa.column("version_num"))


@pytest.fixture
def bare_engine(warehouse_url: str) -> Iterator[sa.Engine]:
    """Each database in turn, without any table."""
    with disposed(open_engine(warehouse_url)) as engine:
        yield engine


def test_the_migrated_schema_is_the_one_of_the_program(bare_engine: sa.Engine) -> None:
    migrate(bare_engine)
    with bare_engine.connect() as connection:
        options = {
            "compare_type": True,
            "compare_server_default": True,
            "include_name": lambda name, kind, _parents: kind != "table" or name != VERSION_TABLE,
        }
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


def test_the_migrated_schema_is_described_as_the_program_would_create_it(bare_engine: sa.Engine) -> None:
    """What the comparison above does not look at: names of constraints, conditions of indexes, defaults, keys, room."""
    migrate(bare_engine)
    migrated = _description(bare_engine)
    with transaction(bare_engine, "starting again") as connection:
        metadata.drop_all(connection)
        metadata.create_all(connection)
    assert migrated == _description(bare_engine)
    assert len(migrated) == len(metadata.tables)


def _description(engine: sa.Engine) -> dict[str, Any]:
    inspector = sa.inspect(engine)
    return {
        name: {
            "columns": [(column | {"type": repr(column["type"])}) for column in inspector.get_columns(name)],
            "key": inspector.get_pk_constraint(name),
            "unique": sorted(inspector.get_unique_constraints(name), key=str),
            "indexes": sorted((_plain(index) for index in inspector.get_indexes(name)), key=str),
            "checks": inspector.get_check_constraints(name),
            "options": inspector.get_table_options(name),
        }
        for name in sorted(metadata.tables)
    }


def _plain(index: Any) -> dict[str, Any]:
    options = {name: str(value).strip("()") for name, value in index.get("dialect_options", {}).items()}
    return {**index, "dialect_options": options}


def test_a_second_open_session_is_refused_by_the_database_itself(engine: sa.Engine) -> None:
    numbers = count(1)

    def insert(session_id: str, state: str) -> None:
        given = {"session_id": session_id, "carrier": "acme", "state": state, "fence": 1, "config_hash": "c"}
        given |= {"session_number": next(numbers)}
        times = {"started_at": START, "updated_at": START}
        with engine.begin() as connection:
            connection.execute(sync_sessions.insert().values(**given, **times, sweep_state="pending"))

    insert("old-1", "completed")
    insert("old-2", "superseded")
    insert("first", "paused")
    with pytest.raises(sa.exc.IntegrityError):
        insert("second", "running")


#: What a migration of an empty database creates: tables with their version's, and indexes, one of them only for a time.
CREATED = len(metadata.tables) + 1 + sum(len(table.indexes) for table in metadata.tables.values()) + 1


@pytest.mark.parametrize("cut_at", range(1, CREATED + 1))
def test_a_migration_that_is_cut_short_leaves_nothing_and_can_be_done_again(sqlite_url: str, cut_at: int) -> None:
    with disposed(open_engine(sqlite_url)) as engine:
        _cut_short(engine, cut_at)


def test_a_migration_in_postgresql_that_is_cut_short_leaves_nothing_and_can_be_done_again(postgres_url: str) -> None:
    with disposed(open_engine(postgres_url)) as engine:
        _cut_short(engine, CREATED)


def _cut_short(engine: sa.Engine, cut_at: int) -> None:
    created: list[str] = []

    def die_in_the_middle(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.lstrip().upper().startswith("CREATE"):
            created.append(statement)
            if len(created) == cut_at:
                raise SimulatedCrash(statement)

    sa.event.listen(engine, "before_cursor_execute", die_in_the_middle)
    with pytest.raises(SimulatedCrash):
        migrate(engine)
    assert sa.inspect(engine).get_table_names() == []
    migrate(engine)
    assert set(sa.inspect(engine).get_table_names()) == {*metadata.tables, VERSION_TABLE}
    assert len(created) == cut_at + CREATED


def test_a_migration_whose_record_fails_leaves_nothing(bare_engine: sa.Engine) -> None:
    def refuse_the_record(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith(f"INSERT INTO {VERSION_TABLE}"):
            raise SimulatedCrash(statement)

    sa.event.listen(bare_engine, "before_cursor_execute", refuse_the_record)
    with pytest.raises(SimulatedCrash):
        migrate(bare_engine)
    assert sa.inspect(bare_engine).get_table_names() == []


def test_the_versions_that_the_files_are_named_by_are_the_revisions_that_alembic_finds_in_them() -> None:
    revisions = [script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()]
    assert list(known_versions()) == revisions[::-1]


def _at_version(engine: sa.Engine, revision: str) -> None:
    """Bring an empty database to the schema of an earlier version."""
    with transaction(engine, "an earlier version") as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def test_sessions_from_before_they_had_numbers_are_numbered_by_their_times_and_the_open_one_is_the_newest(
    bare_engine: sa.Engine,
) -> None:
    _at_version(bare_engine, "0002")
    days = {"first": -3, "second": -2, "open": -5, "last": -1}
    common = {"fence": 1, "config_hash": "c", "sweep_state": "pending", "updated_at": START}
    rows = [
        {"session_id": name, "carrier": "acme", "state": "running" if name == "open" else "completed"}
        | {"started_at": START + timedelta(days=ago)}
        for name, ago in days.items()
    ]
    rows.append({"session_id": "other", "carrier": "other", "state": "superseded", "started_at": START})
    sims = [
        {"sim_id": "old", "last_seen_session": "last", "first_seen_at": START},
        {"sim_id": "old, seen again", "last_seen_session": "open", "first_seen_at": START - timedelta(days=9)},
        {"sim_id": "new", "last_seen_session": "open", "first_seen_at": START - timedelta(days=4)},
    ]
    plain = {"carrier": "acme", "status": "active", "attributes": {}, "quality_flags": [], "last_changed_at": START}
    without = {"session_number", "first_session_number", "stored_digest", "record_digest", "sim_number"}
    with bare_engine.begin() as connection:
        for table, values in (
            (sync_sessions, [row | common for row in rows]),
            (carrier_sims, [s | plain for s in sims]),
        ):
            columns = [sa.column(column.name, column.type) for column in table.columns if column.name not in without]
            connection.execute(sa.table(table.name, *columns).insert(), values)

    migrate(bare_engine)

    with bare_engine.connect() as connection:
        numbers = {row.session_id: row.session_number for row in connection.execute(sa.select(sync_sessions))}
        seen = {row.sim_id: row.first_session_number for row in connection.execute(sa.select(carrier_sims))}
        assert [session.session_id for session in read_latest_sessions(connection, ["acme", "other"])] == [
            "open",
            "other",
        ]
        assert [session.session_id for session in read_last_completed(connection, ["acme", "other"])] == ["last"]
    assert numbers == {"first": 1, "second": 2, "last": 3, "open": 4, "other": 1}
    assert seen == {"old": 0, "old, seen again": 0, "new": 4}


def test_what_was_compared_before_comparisons_had_numbers_is_the_first_comparison(bare_engine: sa.Engine) -> None:
    _at_version(bare_engine, "0006")
    day = timedelta(days=1)
    walk = {"carrier": "acme", "state": "completed", "fence": 1, "config_hash": "c", "sweep_state": "done"}
    walk |= {"started_at": START, "updated_at": START}
    ours: dict[str, Any] = {"carrier": "acme", "attributes": {}, "removed_at": None}
    kept = {"carrier": "acme", "kind": "mismatch", "field": "label", "severity": "low", "times_seen": 2}
    given = {
        sync_sessions: [
            walk | {"session_id": f"{number}", "session_number": number, "finished_at": START + number * day}
            for number in (1, 2, 3)
        ],
        inventory_sims: [
            ours | {"iccid": "1", "loaded_at": START},
            ours | {"iccid": "2", "carrier": "never compared", "loaded_at": START},
        ],
        sim_discrepancies: [
            kept | {"iccid": "1", "first_seen_at": START + day, "last_seen_at": START + 2 * day},
            kept | {"iccid": "2", "first_seen_at": START + 2 * day, "last_seen_at": START + 2 * day},
            kept | {"iccid": "3", "first_seen_at": START, "last_seen_at": START, "resolved_at": START + day},
        ],
    }
    for row in given[sim_discrepancies]:
        row.setdefault("resolved_at", None)
    with bare_engine.begin() as connection:
        for table, rows in given.items():
            columns = [sa.column(name, table.c[name].type) for name in rows[0]]
            connection.execute(sa.table(table.name, *columns).insert(), rows)

    migrate(bare_engine)

    assert compared_of(bare_engine, ["acme", "never compared", "other"]) == {
        "acme": Compared(START + 2 * day, walk_is_newer=True, list_is_newer=False),
        "never compared": Compared(None, walk_is_newer=False, list_is_newer=True),
        "other": Compared(None, walk_is_newer=False, list_is_newer=False),
    }
    with bare_engine.connect() as connection:
        numbers = {
            row.iccid: (row.first_comparison_number, row.last_comparison_number)
            for row in connection.execute(sa.select(sim_discrepancies))
        }
    assert numbers == {"1": (0, 1), "2": (1, 1), "3": (0, 0)}


def test_a_newer_schema_is_refused_and_left_alone(bare_engine: sa.Engine) -> None:
    migrate(bare_engine)
    with bare_engine.begin() as connection:
        connection.execute(VERSION.update().values(version_num="9999"))
    with pytest.raises(ConfigError) as refused:
        migrate(bare_engine)
    assert f"a schema of version {NEWEST} or older; upgrade sim_sync" in str(refused.value)
    assert "found version 9999" in str(refused.value)
    with bare_engine.connect() as connection:
        assert connection.execute(sa.select(VERSION.c.version_num)).scalar_one() == "9999"


def test_another_programs_table_of_the_same_name_is_told_and_left_alone(bare_engine: sa.Engine) -> None:
    with bare_engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE inventory_sims (theirs int)")
    with pytest.raises(ConfigError, match="a database in which no other program has tables of the same names"):
        migrate(bare_engine)
    assert sa.inspect(bare_engine).get_table_names() == ["inventory_sims"]


def test_the_state_of_a_schema_is_told_without_changing_it(bare_engine: sa.Engine) -> None:
    with reading(bare_engine, "looking") as connection:
        assert schema_state(connection, bare_engine) is SchemaState.MISSING
    assert sa.inspect(bare_engine).get_table_names() == []
    migrate(bare_engine)
    with reading(bare_engine, "looking") as connection:
        assert schema_state(connection, bare_engine) is SchemaState.CURRENT


def test_an_up_to_date_warehouse_opens_while_somebody_writes(engine: sa.Engine) -> None:
    url = engine.url.render_as_string(hide_password=False)
    with transaction(engine, "writing for long") as writer:
        writer.execute(metadata.tables["session_internals"].insert().values(session_id="s", lease_seconds=1))
        with disposed(open_engine(url, lock_seconds=0)) as another:
            migrate(another)


def test_an_up_to_date_warehouse_is_only_read(bare_engine: sa.Engine) -> None:
    migrate(bare_engine)
    statements: list[str] = []
    sa.event.listen(
        bare_engine, "before_cursor_execute", lambda _c, _u, statement, *_rest: statements.append(statement)
    )
    migrate(bare_engine)
    written = ("INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "BEGIN IMMEDIATE")
    assert statements
    assert [statement for statement in statements if statement.lstrip().upper().startswith(written)] == []


def _open_at_the_same_moment(urls: Sequence[str], gate: Any, answers: Any) -> None:
    for url in urls:
        gate.wait()
        try:
            open_warehouse(url).close()
            answers.put("opened")
        except BaseException as error:  # noqa: BLE001 - told to the test
            answers.put(repr(error))


def _all_at_once(urls: Sequence[str]) -> list[str]:
    context = multiprocessing.get_context("spawn")
    gate, answers = context.Barrier(4), context.Queue()
    processes = [context.Process(target=_open_at_the_same_moment, args=(urls, gate, answers)) for _ in range(4)]
    for process in processes:
        process.start()
    told = [answers.get(timeout=60) for _ in urls for _ in processes]
    for process in processes:
        process.join()
    return told


def test_processes_that_make_a_new_file_at_once_all_find_it_ready(tmp_path: Path) -> None:
    assert set(_all_at_once([f"sqlite:///{tmp_path}/{number}.db" for number in range(12)])) == {"opened"}


def test_processes_that_fill_an_empty_database_at_once_all_find_it_ready(postgres_server_url: str) -> None:
    with ExitStack() as databases:
        urls = [databases.enter_context(fresh_postgres_database(postgres_server_url)) for _ in range(3)]
        assert set(_all_at_once(urls)) == {"opened"}
