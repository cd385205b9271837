"""What is known of every carrier's walks, as both databases tell it."""

import pytest
import sqlalchemy as sa

from sim_sync.core.session import Session, SweepState
from sim_sync.core.sweep import SweepPolicy
from sim_sync.warehouse.overviews import carrier_overviews
from sim_sync.warehouse.store import SqlSessionStore
from sim_sync_tests.fakes.fleet import a_page, a_rejected, a_request, a_sim


def walked(engine: sa.Engine, carrier: str, *, rejected: int = 0, is_closed: bool = True) -> Session:
    """Walk over one SIM, and so many records that cannot be read."""
    store = SqlSessionStore(engine)
    session = store.open_session(a_request(carrier=carrier)).session
    assert session.cursor is not None
    page = a_page([a_sim(1)], rejected=[a_rejected(place) for place in range(rejected)])
    session = store.commit_page(session.claim, session.cursor, page)
    return store.close_session(session.claim, SweepPolicy(), session.config_hash) if is_closed else session


def test_each_carrier_has_its_own_walks_in_the_order_that_was_asked_for(engine: sa.Engine) -> None:
    certified, skipped = walked(engine, "acme"), walked(engine, "acme", rejected=2)
    still_open = walked(engine, "zeta", rejected=3, is_closed=False)
    zeta, never, acme = carrier_overviews(engine, ["zeta", "never", "acme"])
    assert (acme.newest, acme.last_completed, acme.sweeps.last) == (skipped, skipped, certified)
    assert skipped.sweep_state is SweepState.SKIPPED
    assert (zeta.newest, zeta.last_completed, zeta.sweeps.last) == (still_open, None, None)
    assert (never.carrier, never.newest, never.quarantined) == ("never", None, 0)
    assert (acme.quarantined, zeta.quarantined) == (2, 3)


def test_records_that_an_earlier_walk_could_not_read_count_until_a_walk_is_complete(engine: sa.Engine) -> None:
    walked(engine, "acme", rejected=2)
    walked(engine, "acme", rejected=1, is_closed=False)
    assert carrier_overviews(engine, ["acme"])[0].quarantined == 3
    store = SqlSessionStore(engine)
    (open_one,) = store.latest_sessions(["acme"])
    store.close_session(open_one.claim, SweepPolicy(), open_one.config_hash)
    assert carrier_overviews(engine, ["acme"])[0].quarantined == 1


@pytest.mark.parametrize("carriers", [1, 20])
def test_the_number_of_queries_does_not_grow_with_the_carriers(engine: sa.Engine, carriers: int) -> None:
    names = [f"carrier-{number}" for number in range(carriers)]
    for name in names:
        walked(engine, name)
    seen: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda _c, _cu, text, *_: seen.append(text))
    assert len(carrier_overviews(engine, names)) == carriers
    assert len([text for text in seen if text.startswith("SELECT")]) == 5
