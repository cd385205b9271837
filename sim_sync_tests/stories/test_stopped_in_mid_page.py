"""A page that takes its time: a deploy's SIGTERM while it is on its way, and a server that never sends it."""

import signal
import sys

import pytest

from sim_sync.core.session import State, SweepState
from sim_sync.simulator.faults import SlowDrip, SlowStart, Stall, Trigger
from sim_sync_tests.stories.place import CARRIER, PATIENCE_SECONDS, Workspace


@pytest.mark.slow
def test_sigterm_in_mid_page_commits_that_page_gives_the_lease_back_and_is_no_success(place: Workspace) -> None:
    place.simulator.arm(SlowStart(seconds=1.5), Trigger(nth=4))
    command = [sys.executable, "-m", "sim_sync", "backfill", CARRIER]
    with place.process(*command, log="backfill.log") as process:
        place.wait_for_pages(3)
        place.wait_for(lambda: place.simulator.fetch_mount_state().in_flight or None, "a page on its way")
        process.send_signal(signal.SIGTERM)
        code = process.wait(PATIENCE_SECONDS)

    stopped = place.session()
    assert stopped is not None
    assert (stopped.state, stopped.pages_done, stopped.lease_expires_at) == (State.INTERRUPTED, 4, None)
    assert (place.page_requests(), len(place.rows("carrier_sims", "sim_id"))) == (4, 40)
    assert code == 3

    completed = place.sync()

    assert (completed.session_id, completed.state, completed.sweep_state) == (
        stopped.session_id,
        State.COMPLETED,
        SweepState.DONE,
    )
    assert (place.page_requests(), len(place.rows("carrier_sims", "sim_id"))) == (10, 100)


@pytest.mark.slow
def test_sigterm_while_an_answer_drips_in_does_not_wait_for_it(place: Workspace) -> None:
    place.simulator.arm(SlowDrip(seconds=600, pieces=1000), Trigger(nth=4))
    command = [sys.executable, "-m", "sim_sync", "backfill", CARRIER]
    with place.process(*command, log="backfill.log") as process:
        place.wait_for_pages(3)
        place.wait_for(lambda: place.simulator.fetch_mount_state().in_flight or None, "a page on its way")
        process.send_signal(signal.SIGTERM)
        # The whole answer would take ten minutes.
        code = process.wait(30)

    stopped = place.session()
    assert stopped is not None
    assert (stopped.state, stopped.pages_done, stopped.lease_expires_at) == (State.INTERRUPTED, 3, None)
    assert code == 3

    place.simulator.disarm()
    completed = place.sync()

    assert (completed.session_id, completed.state, completed.pages_done) == (stopped.session_id, State.COMPLETED, 10)
    assert (place.page_requests(), len(place.rows("carrier_sims", "sim_id"))) == (11, 100)


@pytest.mark.parametrize("where", ["start", "body"])
def test_a_server_that_stalls_for_ever_costs_its_time_out_and_nothing_else(sqlite_place: Workspace, where: str) -> None:
    place = sqlite_place
    place.write_config(timeouts={"connect_seconds": 1, "read_seconds": 0.5})
    place.simulator.arm(Stall(where="body" if where == "body" else "start"), Trigger(nth=4))

    session = place.sync()

    assert (session.state, session.pages_done, session.retries) == (State.COMPLETED, 10, 1)
    assert (place.page_requests(), len(place.rows("carrier_sims", "sim_id"))) == (11, 100)
