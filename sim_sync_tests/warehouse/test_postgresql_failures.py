"""A PostgreSQL warehouse that fails: what passes is ridden out, what does not is told at once, and nothing is lost."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from sim_sync.core.errors import ConfigError, Fenced, WarehouseUnavailable, WriteRefused
from sim_sync.core.session import State
from sim_sync.warehouse.engine import open_engine, transaction
from sim_sync.warehouse.migrate import migrate
from sim_sync.warehouse.scratch import exact_digests
from sim_sync.warehouse.store import SqlSessionStore
from sim_sync.warehouse.warehouse import open_warehouse
from sim_sync_tests.fakes.clock import SettableClock
from sim_sync_tests.fakes.databases import bring_postgres_up, start_postgres, stop_postgres, take_postgres_down
from sim_sync_tests.fakes.fleet import a_page, a_request, a_sim
from sim_sync_tests.warehouse.crash_rules import points_of
from sim_sync_tests.warehouse.databases import disposed, empty_tables
from sim_sync_tests.warehouse.disturbed import Healing, outcome, sync, undisturbed


class Once:
    """A crash point that does something the n-th time it is passed, and lets the sync continue."""

    def __init__(self, point: str, what: Callable[[], object], *, passes: int = 1) -> None:
        self._point, self._what, self._passes = point, what, passes

    def __call__(self, point: str) -> None:
        if point == self._point:
            self._passes -= 1
            if self._passes == 0:
                self._what()


def cut_all_connections(engine: sa.Engine) -> None:
    """End every other connection to the database, whatever it is doing."""
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    # Those of the test itself that were idle in its pool are gone too.
    engine.dispose()


@pytest.fixture
def worker_engine(postgres_engine: sa.Engine) -> Iterator[sa.Engine]:
    """The connections of a worker, beside those of the test."""
    with disposed(open_engine(postgres_engine.url.render_as_string(hide_password=False))) as engine:
        yield engine


INSIDE = [
    point
    for method in ("open_session", "commit_page", "close_session")
    for point in points_of(method)
    if not point.endswith(":committed")
]


def test_a_connection_that_is_cut_inside_of_a_transaction_costs_nothing_but_time(
    postgres_engine: sa.Engine, worker_engine: sa.Engine
) -> None:
    """At every point of every transaction."""
    clock = SettableClock().now
    sync(SqlSessionStore(postgres_engine, clock=clock))
    expected = outcome(postgres_engine)
    for point in INSIDE:
        empty_tables(postgres_engine)
        cut = Once(point, lambda: cut_all_connections(postgres_engine), passes=3 if "commit_page" in point else 1)
        waiter = Healing(lambda: None)
        sync(SqlSessionStore(worker_engine, clock=clock, at=cut), waiter=waiter)
        assert waiter.waits == [0.5], point
        assert outcome(postgres_engine) == expected, point


def test_a_cut_connection_is_told_and_nothing_was_written(postgres_engine: sa.Engine, worker_engine: sa.Engine) -> None:
    cut = Once("commit_page:checkpoint_written", lambda: cut_all_connections(postgres_engine))
    store = SqlSessionStore(worker_engine, at=cut)
    session = store.open_session(a_request()).session
    before = exact_digests(postgres_engine)
    with pytest.raises(WarehouseUnavailable, match=r"failed while committing a page of carrier acme: .*terminating"):
        store.commit_page(session.claim, {"page": 0}, a_page([a_sim(1)], {"page": 1}))
    assert exact_digests(postgres_engine) == before


def test_the_transaction_of_a_frozen_worker_is_ended_and_the_woken_worker_is_fenced(
    postgres_engine: sa.Engine,
) -> None:
    url = postgres_engine.url.render_as_string(hide_password=False)
    rescuer = SqlSessionStore(postgres_engine)

    def rescue() -> None:
        # Waits for the row that the frozen worker has locked: until the server takes it away from that one.
        assert rescuer.open_session(a_request("run-2", gone_owners=["run-1"])).refusal is None

    with disposed(open_engine(url, frozen_seconds=0.1)) as engine:
        frozen = SqlSessionStore(engine, at=Once("commit_page:rows_written", rescue))
        session = frozen.open_session(a_request("run-1")).session
        page = a_page([a_sim(1)], {"page": 1})
        with pytest.raises(WarehouseUnavailable, match="idle-in-transaction timeout"):
            frozen.commit_page(session.claim, {"page": 0}, page)
        before = exact_digests(postgres_engine)
        with pytest.raises(Fenced, match="taken over by run run-2"):
            frozen.commit_page(session.claim, {"page": 0}, page)
    assert exact_digests(postgres_engine) == before
    taken_over = rescuer.session(session.session_id)
    assert (taken_over.state, taken_over.fence, taken_over.pages_done) == (State.RUNNING, 2, 0)


def _failing_with(engine: sa.Engine, sqlstate: str) -> None:
    with transaction(engine, "trying") as connection:
        connection.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'as told' USING ERRCODE = '{sqlstate}'; END $$")


@pytest.mark.parametrize(
    "sqlstate",
    ["08006", "40001", "40P01", "53100", "53200", "53300", "55P03", "57014", "57P01", "57P03", "58030", "25P03"],
)
def test_what_passes_by_itself_may_be_tried_again(postgres_engine: sa.Engine, sqlstate: str) -> None:
    with pytest.raises(WarehouseUnavailable, match="failed while trying: as told"):
        _failing_with(postgres_engine, sqlstate)


@pytest.mark.parametrize(
    ("sqlstate", "expected"),
    [
        ("42501", "a user that may create, read and write the tables"),
        ("42P01", "the tables of this version"),
        ("42703", "the tables of this version"),
        ("25006", "a database that can be written"),
        ("3F000", "a schema that exists"),
    ],
)
def test_what_somebody_has_to_put_right_is_told_at_once(
    postgres_engine: sa.Engine, sqlstate: str, expected: str
) -> None:
    with pytest.raises(ConfigError, match=rf"expected {expected}.* found as told \(while trying\)"):
        _failing_with(postgres_engine, sqlstate)


@pytest.mark.parametrize("sqlstate", ["22001", "22021", "23502", "23505", "42601", "54000", "P0001", "XX000"])
def test_what_is_refused_is_told_by_its_code_and_in_no_word_that_may_quote_a_row(
    postgres_engine: sa.Engine, sqlstate: str
) -> None:
    with pytest.raises(WriteRefused, match=f"while trying .*, {sqlstate}") as refused:
        _failing_with(postgres_engine, sqlstate)
    assert "as told" not in f"{refused.value}{refused.value.__cause__}"
    assert refused.value.__suppress_context__


def test_a_table_that_is_not_there_is_told_at_once(postgres_url: str) -> None:
    with (
        disposed(open_engine(postgres_url)) as engine,
        pytest.raises(ConfigError, match=r"expected the tables of this version.*sync_sessions"),
    ):
        SqlSessionStore(engine).open_session_of("acme")


def test_a_database_that_does_not_exist_is_told_at_once(postgres_server_url: str) -> None:
    url = sa.make_url(postgres_server_url).set(database="nowhere").render_as_string(hide_password=False)
    with pytest.raises(
        ConfigError, match=r'expected a database that exists, found .*database "nowhere" does not exist'
    ):
        open_warehouse(url)


def test_a_server_that_is_not_there_may_come_and_no_password_is_told() -> None:
    with pytest.raises(WarehouseUnavailable, match="failed while reading the schema's version: ") as failed:
        open_warehouse("postgresql://user:s3cret@127.0.0.1:1/db?password=s3cret")
    assert "s3cret" not in str(failed.value)


@pytest.fixture(scope="module")
def own_server() -> Iterator[Path]:
    """A PostgreSQL server that nobody else needs."""
    folder = Path(tempfile.mkdtemp(prefix="sim-sync-own-"))
    start_postgres(folder)
    yield folder
    bring_postgres_up(folder)
    stop_postgres(folder)


@pytest.fixture
def own_url(own_server: Path) -> str:
    return start_postgres(own_server)


def test_a_server_that_is_restarted_in_mid_page_or_stays_away_for_a_while_costs_nothing_but_time(
    own_server: Path, own_url: str, postgres_url: str
) -> None:
    expected = undisturbed(postgres_url)
    restart = Once("commit_page:rows_written", lambda: take_postgres_down(own_server), passes=2)
    with disposed(open_engine(own_url)) as engine:
        migrate(engine)
        waiter = Healing(lambda: bring_postgres_up(own_server), at_wait=3)
        sync(SqlSessionStore(engine, clock=SettableClock().now, at=restart), waiter=waiter)
        assert waiter.waits == [0.5, 1.0, 2.0]
        assert outcome(engine) == expected


def test_wrong_credentials_are_told_at_once_and_not_shown(own_server: Path, own_url: str) -> None:
    with disposed(open_engine(own_url)) as engine, engine.begin() as connection:
        connection.exec_driver_sql("DROP ROLE IF EXISTS reader")
        connection.exec_driver_sql("CREATE ROLE reader LOGIN PASSWORD 'right'")
    rules = own_server / "pg_hba.conf"
    trusting = rules.read_text()
    rules.write_text(f"local all reader scram-sha-256\n{trusting}")
    try:
        _reload(own_url)
        url = sa.make_url(own_url).set(username="reader")
        with pytest.raises(
            ConfigError, match=r"with these credentials, found .*password authentication failed"
        ) as wrong:
            open_warehouse(url.set(password="s3cret").render_as_string(hide_password=False))
        assert "s3cret" not in str(wrong.value)
        with pytest.raises(ConfigError, match=r"with these credentials, found .*no password supplied"):
            open_warehouse(url.render_as_string(hide_password=False))
        with pytest.raises(ConfigError, match=r'with these credentials, found .*role "nobody-here" does not exist'):
            open_warehouse(url.set(username="nobody-here").render_as_string(hide_password=False))
        right = url.set(password="right").render_as_string(hide_password=False)
        with (
            disposed(open_engine(right)) as engine,
            pytest.raises(ConfigError, match="may create, read and write the tables, found permission denied"),
        ):
            _create_something(engine)
    finally:
        rules.write_text(trusting)
        _reload(own_url)


def _create_something(engine: sa.Engine) -> None:
    with transaction(engine, "trying") as connection:
        connection.exec_driver_sql("CREATE TABLE something (x int)")


def _reload(url: str) -> None:
    with disposed(open_engine(url)) as engine, engine.begin() as connection:
        connection.exec_driver_sql("SELECT pg_reload_conf()")
