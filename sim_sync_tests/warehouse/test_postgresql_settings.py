"""PostgreSQL behaves alike whatever it is set to, and a database that cannot hold every text is refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from sim_sync.core.errors import ConfigError
from sim_sync.warehouse.engine import open_engine
from sim_sync.warehouse.scratch import outcome_digests
from sim_sync.warehouse.store import SqlSessionStore
from sim_sync.warehouse.warehouse import open_warehouse
from sim_sync_tests.fakes.clock import SettableClock
from sim_sync_tests.fakes.databases import fresh_postgres_database
from sim_sync_tests.fakes.fleet import a_page, a_request, a_sim
from sim_sync_tests.warehouse.databases import disposed, rows_of
from sim_sync_tests.warehouse.store_under_test import cursor_of

#: What an administrator may have set for a database or a role, each of which changes what statements mean.
SETTINGS = [
    "TimeZone = 'Pacific/Kiritimati'",
    "TimeZone = 'America/Los_Angeles'",
    "DateStyle = 'German'",
    "DateStyle = 'SQL, DMY'",
    "client_encoding = 'LATIN1'",
    "standard_conforming_strings = off",
    "array_nulls = off",
    "extra_float_digits = -10",
    "default_transaction_isolation = 'serializable'",
    "bytea_output = 'escape'",
    "IntervalStyle = 'sql_standard'",
]

#: SIMs at the edges: of the calendar, of the letters, and of what an array holds.
SIMS = [
    a_sim(1, activated_at=datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    a_sim(2, activated_at=datetime(1, 1, 1, tzinfo=UTC), label="\\N \\ ' \" {NULL}"),
    a_sim(3, label="\N{SNOWMAN} Ω \N{ANTENNA WITH BARS}", imsi=None),
    a_sim(4, label="NULL", activated_at=datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
]


def walked(url: str) -> dict[str, str]:
    """Walk twice over the same page, so that what was written is read back; return what is stored."""
    open_warehouse(url).close()
    with disposed(open_engine(url)) as engine:
        store = SqlSessionStore(engine, clock=SettableClock().now)
        for night in range(2):
            session = store.open_session(a_request(restart=night > 0)).session
            session = store.commit_page(session.claim, cursor_of(session), a_page(SIMS, {"page": 1}))
            assert (session.records_added, session.records_changed) == ((len(SIMS), 0) if night == 0 else (0, 0))
        stored = {row["sim_id"]: row for row in rows_of(engine, "carrier_sims")}
        assert [(stored[sim.sim_id]["label"], stored[sim.sim_id]["activated_at"]) for sim in SIMS] == [
            (sim.label, sim.activated_at) for sim in SIMS
        ]
        return outcome_digests(engine)


@pytest.mark.parametrize("setting", SETTINGS)
def test_what_a_database_is_set_to_changes_nothing(postgres_url: str, postgres_server_url: str, setting: str) -> None:
    _set(postgres_server_url, postgres_url, setting)
    with fresh_postgres_database(postgres_server_url) as plain:
        assert walked(postgres_url) == walked(plain)


def test_a_limit_that_is_meant_for_people_does_not_end_a_long_statement(
    postgres_url: str, postgres_server_url: str
) -> None:
    _set(postgres_server_url, postgres_url, "statement_timeout = '5s'")
    with disposed(open_engine(postgres_url)) as engine, engine.begin() as connection:
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar_one() == "0"


def _set(server_url: str, url: str, setting: str) -> None:
    with _administering(server_url) as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {sa.make_url(url).database} SET {setting}")


@contextmanager
def database_in(server_url: str, encoding: str) -> Iterator[str]:
    """Create a database in another encoding than UTF-8, and drop it."""
    with _administering(server_url) as connection:
        connection.exec_driver_sql(
            f"CREATE DATABASE in_{encoding} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        )
    try:
        yield sa.make_url(server_url).set(database=f"in_{encoding}").render_as_string(hide_password=False)
    finally:
        with _administering(server_url) as connection:
            connection.exec_driver_sql(f"DROP DATABASE in_{encoding} WITH (FORCE)")


@contextmanager
def _administering(server_url: str) -> Iterator[sa.Connection]:
    url = sa.make_url(server_url).set(drivername="postgresql+psycopg")
    with (
        disposed(sa.create_engine(url, isolation_level="AUTOCOMMIT")) as engine,
        engine.connect() as connection,
    ):
        yield connection


@pytest.mark.parametrize("encoding", ["latin1", "sql_ascii"])
def test_a_database_that_cannot_hold_every_text_is_refused_at_the_start(
    postgres_server_url: str, encoding: str
) -> None:
    with (
        database_in(postgres_server_url, encoding) as url,
        pytest.raises(ConfigError, match=rf"expected a database in UTF-8 .*, found one in {encoding.upper()}"),
    ):
        open_warehouse(url)
