from datetime import UTC, datetime

import sqlalchemy as sa

from sim_sync.core.pages import Page
from sim_sync.core.sweep import SweepPolicy
from sim_sync.warehouse.tables import inventory_sims
from sim_sync_tests.fakes.fleet import a_request, a_sim
from sim_sync_tests.warehouse.databases import SqlUnderTest


def test_a_first_walk_expects_as_many_sims_as_our_list_has_and_the_next_as_many_as_it_saw(engine: sa.Engine) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    ours = [{"carrier": "acme", "iccid": str(number), "attributes": {}, "loaded_at": now} for number in range(7)]
    with engine.begin() as connection:
        connection.execute(inventory_sims.insert(), ours)
    store = SqlUnderTest(engine).store
    session = store.open_session(a_request()).session
    assert session.records_expected == 7
    session = store.commit_page(session.claim, {"page": 0}, Page([a_sim(1), a_sim(2)], None, 2))
    store.close_session(session.claim, SweepPolicy(), session.config_hash)
    assert store.open_session(a_request("run-2")).session.records_expected == 2
