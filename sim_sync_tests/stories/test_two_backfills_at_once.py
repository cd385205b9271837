"""Two people, or a person and the night, work on one carrier at the same time: real processes, one writer."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import pytest

from sim_sync.core.session import State
from sim_sync.simulator.faults import SlowStart, Trigger
from sim_sync.warehouse.scratch import exact_digests
from sim_sync_tests.stories.place import CARRIER, PATIENCE_SECONDS, Workspace

pytestmark = pytest.mark.slow


@contextmanager
def backfill(place: Workspace) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `sim-sync backfill` in the background."""
    with place.process(sys.executable, "-m", "sim_sync", "backfill", CARRIER, log="backfill.log") as process:
        yield process


def slow_down(place: Workspace) -> None:
    """Let the walk take half a minute, so that there is a middle to meet in; `disarm` continues it quickly."""
    place.write_config(page_size=1)
    place.simulator.arm(SlowStart(seconds=0.3), Trigger(times=None))


def test_the_second_of_two_backfills_waits_for_nothing_and_says_what_it_would_wait_for(place: Workspace) -> None:
    slow_down(place)
    with backfill(place) as first:
        at_work = place.wait_for_pages(1)
        second = place.sim_sync("backfill", CARRIER)
        place.simulator.disarm()
        assert first.wait(PATIENCE_SECONDS) == 0

    session = place.session()
    assert session is not None
    assert (session.state, session.session_id, session.fence) == (State.COMPLETED, at_work.session_id, 1)
    assert (place.page_requests(), len(place.rows("carrier_sims", "sim_id"))) == (100, 100)
    assert second.returncode == 3, second.stderr
    with place.instance() as instance:
        statuses = [run.status for run in instance.get_runs()]
    assert statuses == [dg.DagsterRunStatus.SUCCESS] * 2


def test_a_killed_backfill_is_taken_over_by_the_next_at_once(sqlite_place: Workspace) -> None:
    place = sqlite_place
    place.write_config(lease_seconds=600)  # nobody waits for it: the process is known to be dead
    slow_down(place)
    with backfill(place) as first:
        place.wait_for_pages(3)
        first.kill()
        first.wait()
    dead = place.session()
    assert dead is not None
    assert (dead.state, len(place.rows("carrier_sims", "sim_id"))) == (State.RUNNING, dead.pages_done)
    place.simulator.disarm()

    second = place.sim_sync("backfill", CARRIER)

    session = place.session()
    assert session is not None
    assert (second.returncode, session.state) == (0, State.COMPLETED)
    assert (session.session_id, session.fence, session.pages_done) == (dead.session_id, 2, 100)
    assert 100 <= place.page_requests() <= 102  # the page in hand, and the one that was asked for ahead


def test_a_backfill_that_was_frozen_and_taken_over_writes_nothing_when_it_wakes_and_ends_fenced(
    place: Workspace,
) -> None:
    """A zombie: its run is not over, its process lives, and it believes that it is the owner."""
    slow_down(place)
    with backfill(place) as sleeper:
        frozen = place.wait_for_pages(3)
        _freeze_outside_of_a_transaction(place, sleeper)
        place.simulator.disarm()
        place.wait_for(lambda: True if place.sim_sync("backfill", CARRIER).returncode == 0 else None, "a takeover")
        taken_over = place.session()
        before = exact_digests(place.warehouse.engine)

        sleeper.send_signal(signal.SIGCONT)
        # Exit code 1: its run failed; it did not finish anything.
        assert sleeper.wait(PATIENCE_SECONDS) != 0

    assert taken_over is not None
    assert (taken_over.state, taken_over.session_id, taken_over.fence) == (State.COMPLETED, frozen.session_id, 2)
    assert exact_digests(place.warehouse.engine) == before
    assert len(place.rows("carrier_sims", "sim_id")) == 100
    assert b"fenced: " in (place.folder / "backfill.log").read_bytes()
    with place.instance() as instance:
        run = instance.get_run_by_id(str(frozen.owner))
    assert run is not None
    assert run.status is dg.DagsterRunStatus.FAILURE


def _freeze_outside_of_a_transaction(place: Workspace, process: "subprocess.Popen[bytes]") -> None:
    """SQLite has one lock for all writers: a process that is frozen while it holds it stops everybody."""
    while True:
        process.send_signal(signal.SIGSTOP)
        if place.warehouse.sessions.can_write_now():
            return
        process.send_signal(signal.SIGCONT)
        time.sleep(0.005)
