"""What becomes of a walk whose cursor lost its meaning, is refused, comes twice, or is a day old."""

from datetime import timedelta

import sqlalchemy as sa

from sim_sync.core.session import Session, State, SweepState
from sim_sync.simulator.faults import CursorExpiry, ErrorStatus, ForeignLink, RepeatedLink, Trigger
from sim_sync.warehouse.tables import sync_sessions
from sim_sync_tests.stories.place import CARRIER, Workspace


def sim_ids(place: Workspace) -> list[str]:
    return [sim_id for (sim_id,) in place.rows("carrier_sims", "sim_id")]


def true_ids(place: Workspace) -> list[str]:
    return sorted((sim.sim_id for sim in place.true_sims()), key=lambda sim_id: repr((sim_id,)))


def test_a_changed_config_supersedes_the_session_with_a_named_reason(place: Workspace) -> None:
    old = place.sync(max_pages=4)
    place.write_config(page_size=20)

    new = place.sync()

    given_up = place.warehouse.sessions.session(old.session_id)
    assert (given_up.state, given_up.pages_done, given_up.last_error) == (
        State.SUPERSEDED,
        4,
        "the carrier's configuration changed, so the cursor means nothing any more",
    )
    assert (new.state, new.pages_done, new.sweep_state) == (State.COMPLETED, 5, SweepState.DONE)
    assert new.session_id != old.session_id
    assert sim_ids(place) == true_ids(place)


def test_other_limits_and_passwords_leave_the_session_as_it_is(place: Workspace) -> None:
    old = place.sync(max_pages=4)
    place.write_config(rate_limit={"requests_per_second": 1000}, lease_seconds=5)

    new = place.sync()

    assert (new.session_id, new.state, new.pages_done) == (old.session_id, State.COMPLETED, 10)
    assert place.page_requests() == 10


def test_a_cursor_that_the_carrier_no_longer_takes_sets_the_walk_back_within_its_session(place: Workspace) -> None:
    old = place.sync(max_pages=6)
    place.simulator.arm(CursorExpiry(status=400))

    new = place.sync()

    assert (new.session_id, new.state, new.pages_done, new.records_seen) == (old.session_id, State.COMPLETED, 10, 100)
    assert place.warehouse.sessions.internals(new.session_id).walk_restarts == 1
    assert new.last_error is not None
    assert new.last_error.startswith("the walk started again from its first page: page 7: ")
    assert sim_ids(place) == true_ids(place)
    assert place.rows("sim_changes", "field") == []  # the pages walked twice changed nothing
    assert place.page_requests() == 6 + 1 + 10


def test_a_cursor_that_is_refused_again_and_again_fails_instead_of_looping(place: Workspace) -> None:
    place.simulator.arm(ErrorStatus(status=400), Trigger(nth=7, times=None))
    place.sync(max_pages=6)

    session = place.sync()

    assert session.state is State.FAILED
    assert session.last_error is not None
    assert "page 1:" in session.last_error  # even the first page is refused by now
    assert "400" in session.last_error
    assert len(sim_ids(place)) == 60


def test_a_cursor_that_comes_twice_stops_the_walk(place: Workspace) -> None:
    place.simulator.arm(RepeatedLink(), Trigger(nth=5))

    session = place.sync()

    assert (session.state, session.pages_done, len(sim_ids(place))) == (State.FAILED, 4, 40)
    assert session.last_error is not None
    assert "page 5 leads back to a page that this walk has already fetched" in session.last_error
    assert place.page_requests() <= 5 + 1  # where it leads to may have been asked for before that was known


def test_a_link_to_another_origin_is_not_followed_and_no_credentials_go_there(place: Workspace) -> None:
    place.simulator.arm(ForeignLink(), Trigger(nth=5))

    session = place.sync()

    assert session.state is State.FAILED
    assert session.last_error is not None
    assert "page 5" in session.last_error
    assert (len(sim_ids(place)), place.page_requests()) == (40, 5)


def test_a_session_that_is_older_than_it_may_be_is_superseded_by_a_fresh_one(place: Workspace) -> None:
    old = place.sync(max_pages=4)
    _age(place, old, hours=25)

    new = place.sync()

    given_up = place.warehouse.sessions.session(old.session_id)
    assert (given_up.state, given_up.last_error) == (State.SUPERSEDED, "the session is older than 24 hours")
    assert (new.state, new.pages_done) == (State.COMPLETED, 10)
    assert sim_ids(place) == true_ids(place)


def test_a_cursor_in_the_warehouse_holds_no_secret(place: Workspace) -> None:
    place.sync(max_pages=4)

    (stored,) = place.rows("sync_sessions", "cursor")
    for secret in ("simulated-password", "AC51500000000000000000000000000515:"):
        assert secret not in repr(stored)


def _age(place: Workspace, session: Session, *, hours: float) -> None:
    with place.warehouse.engine.begin() as connection:
        connection.execute(
            sync_sessions.update()
            .where(sync_sessions.c.session_id == session.session_id)
            .values(started_at=sa.bindparam("then", session.started_at - timedelta(hours=hours)))
        )
    assert place.session(CARRIER) is not None
