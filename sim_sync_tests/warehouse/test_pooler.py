"""A warehouse behind PgBouncer: pools of sessions and of transactions work, and the rest says what to set."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from sim_sync.core.errors import ConfigError
from sim_sync.core.inventory import InventorySim
from sim_sync.core.session import State
from sim_sync.core.sweep import SweepPolicy
from sim_sync.warehouse.engine import open_engine, reading, transaction
from sim_sync.warehouse.inventory import load_inventory
from sim_sync.warehouse.postgresql import BEHIND_POOLER
from sim_sync.warehouse.reconcile import reconcile
from sim_sync.warehouse.scratch import outcome_digests
from sim_sync.warehouse.warehouse import open_warehouse
from sim_sync_tests.fakes.databases import fresh_postgres_database
from sim_sync_tests.fakes.fleet import a_fleet, a_page, a_request
from sim_sync_tests.fakes.pooler import PGBOUNCER, pooled
from sim_sync_tests.warehouse.databases import disposed
from sim_sync_tests.warehouse.store_under_test import cursor_of

pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="no pgbouncer on this machine (Debian: pgbouncer)")

#: More of them than a driver waits for before it prepares a statement; each large enough for COPY.
PAGES, PAGE_SIZE = 8, 300


@pytest.fixture(params=["transaction", "session"])
def pooled_url(request: pytest.FixtureRequest, postgres_url: str) -> Iterator[str]:
    """An empty database behind PgBouncer as it is installed, which has fewer connections than the test."""
    size = {"transaction": 2, "session": 8}[request.param]
    with pooled(postgres_url, pool_mode=request.param, pool_size=size) as url:
        yield url


def a_night(url: str, carrier: str) -> dict[str, dict[str, int]]:
    """Load our list, walk over the carrier and compare, through connections of its own; return the differences."""
    fleet = a_fleet(PAGES * PAGE_SIZE)
    warehouse = open_warehouse(url)
    try:
        ours = [InventorySim(carrier, str(sim.iccid), str(sim.iccid)) for sim in fleet[5:]]
        load_inventory(warehouse.engine, carrier, ours)
        store = warehouse.sessions
        session = store.open_session(a_request(carrier=carrier)).session
        for number in range(PAGES):
            part = fleet[number * PAGE_SIZE : (number + 1) * PAGE_SIZE]
            page = a_page(part, {"page": number + 1} if number < PAGES - 1 else None)
            session = store.commit_page(session.claim, cursor_of(session), page)
            store.renew_lease(session.claim)
        assert store.close_session(session.claim, SweepPolicy(), session.config_hash).state is State.COMPLETED
        return reconcile(warehouse.engine, carrier, ["status", "imsi"]).by_kind()
    finally:
        warehouse.close()


def test_three_nights_at_once_leave_what_they_leave_without_a_pooler(
    pooled_url: str, postgres_url: str, postgres_server_url: str
) -> None:
    carriers = ["one", "two", "three"]
    with ThreadPoolExecutor(len(carriers)) as threads:
        found = list(threads.map(lambda carrier: a_night(pooled_url, carrier), carriers))
    with fresh_postgres_database(postgres_server_url) as url:
        assert found == [a_night(url, carrier) for carrier in carriers]
        with disposed(open_engine(url)) as plain, disposed(open_engine(postgres_url)) as behind:
            assert outcome_digests(behind) == outcome_digests(plain)


def test_nothing_is_left_behind_on_a_connection_that_others_use(pooled_url: str, postgres_url: str) -> None:
    with disposed(open_engine(pooled_url)) as engine:
        a_night(pooled_url, "acme")
        with reading(engine, "looking") as connection:
            assert connection.info[BEHIND_POOLER]
            assert connection.exec_driver_sql("SHOW TimeZone").scalar_one() == "UTC"
            assert connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar_one() == "30s"
            left = "SELECT count(*) FROM pg_class WHERE relpersistence = 't'"
            assert connection.exec_driver_sql(left).scalar_one() == 0
            assert connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements").scalar_one() == 0
    with disposed(open_engine(postgres_url)) as engine, transaction(engine, "looking") as connection:
        assert not connection.info[BEHIND_POOLER], "a server without a pooler before it is noticed, too"


def test_pooling_of_statements_is_refused_with_what_to_set(postgres_url: str) -> None:
    with (
        pooled(postgres_url, pool_mode="statement") as url,
        pytest.raises(ConfigError, match=r"expected PgBouncer with `pool_mode = transaction` or `session`, found"),
    ):
        open_warehouse(url)


def test_options_that_the_pooler_does_not_let_through_are_told_with_what_to_set(postgres_url: str) -> None:
    with pooled(postgres_url, pool_mode="transaction") as url:
        given = sa.make_url(url).update_query_dict({"options": "-csearch_path=public"})
        with pytest.raises(ConfigError, match=r"leave `options` out of the URL, or set PgBouncer's"):
            open_warehouse(given.render_as_string(hide_password=False))
