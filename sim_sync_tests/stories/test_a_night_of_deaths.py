"""One walk under Dagster's daemon in which everything dies once: the run's process, the code server, the daemon, and
all of them together; and a deploy's SIGTERM. Nobody does anything but start Dagster again.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import psutil
import pytest

from sim_sync.core.session import Session, State
from sim_sync.simulator.control import running_simulator
from sim_sync.simulator.messages import MountOptions
from sim_sync.warehouse.scratch import outcome_digests, scratch_warehouse
from sim_sync_tests.stories.place import Workspace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

FINISHED_STATUSES = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
SIMS, PAGE_SIZE, LATENCY_MS = 1_000, 5, 100.0
PAGES = SIMS // PAGE_SIZE


@dataclass
class Night:
    """The walk, Dagster around it, and what has been killed so far."""

    place: Workspace
    stack: ExitStack
    kills: int = 0
    #: Seconds from each death (or from Dagster's return) to the next committed page.
    seconds_to_next_page: dict[str, float] = field(default_factory=dict)

    def start_dagster(self) -> None:
        self.daemon = self.stack.enter_context(self.place.daemon())

    def code_server(self) -> psutil.Process:
        """The process that the daemon has started to serve our definitions."""

        def found() -> psutil.Process | None:
            for child in psutil.Process(self.daemon.pid).children():
                if "grpc" in child.cmdline():
                    return child
            return None

        return self.place.wait_for(found, "a code server")

    def session(self) -> Session:
        session = self.place.session()
        assert session is not None
        return session

    def assert_whole(self, session: Session) -> None:
        """What is stored is exactly what the checkpoint says: no row less, no row more."""
        assert session.records_seen == session.pages_done * PAGE_SIZE
        assert len(self.place.rows("carrier_sims", "sim_id")) == session.records_seen

    def wait_for_next_page(self, after: Session, what: str, *, taken_over: bool) -> None:
        since = time.monotonic()
        session = self.place.wait_for_pages(after.pages_done + 1)
        self.seconds_to_next_page[what] = round(time.monotonic() - since, 1)
        assert session.session_id == after.session_id
        assert (session.fence > after.fence) is taken_over

    def unfinished_runs(self) -> int:
        statuses = [status for status in dg.DagsterRunStatus if status not in FINISHED_STATUSES]
        with self.place.instance() as instance:
            return instance.get_runs_count(dg.RunsFilter(statuses=statuses))

    def run_status(self, run_id: str) -> dg.DagsterRunStatus:
        with self.place.instance() as instance:
            run = instance.get_run_by_id(run_id)
        assert run is not None
        return run.status


@pytest.fixture
def night(tmp_path: Path, migrated_url: str) -> Iterator[Night]:
    """A walk of ten minutes' patience, under a daemon."""
    mount = MountOptions(sims=SIMS, latency_ms=LATENCY_MS)
    with running_simulator(mount) as simulator, ExitStack() as stack:
        place = Workspace(tmp_path, simulator, migrated_url, settings={"page_size": PAGE_SIZE, "lease_seconds": 30})
        night = Night(place, stack)
        yield night
        place.warehouse.close()


def test_a_walk_survives_every_death_and_nobody_notices(
    night: Night, tmp_path_factory: pytest.TempPathFactory, record_property: Callable[[str, object], None]
) -> None:
    place = night.place
    place.leave_interrupted()
    night.start_dagster()
    place.wait_for_pages(3)

    # kill -9 of the run's process: its run is reported failed, and another one continues after the last page.
    dead = _kill_worker(night)
    night.wait_for_next_page(dead, "run process", taken_over=True)
    assert night.run_status(str(dead.owner)) is dg.DagsterRunStatus.FAILURE

    # kill -9 of the code server: the run's process lives on as an orphan, and continues undisturbed.
    at_work = night.session()
    night.code_server().kill()
    night.wait_for_next_page(at_work, "code server", taken_over=False)

    # kill -9 of the daemon: the same.
    at_work = night.session()
    os.kill(night.daemon.pid, signal.SIGKILL)
    night.daemon.wait()
    night.wait_for_next_page(at_work, "daemon", taken_over=False)

    # Everything, then Dagster again.
    dead = _kill_worker(night)
    night.stack.close()
    night.start_dagster()
    night.wait_for_next_page(dead, "everything", taken_over=True)
    assert night.run_status(str(dead.owner)) is dg.DagsterRunStatus.FAILURE

    # A deploy: SIGTERM in mid-page. The current page is committed, and the session says who may continue.
    at_work = night.session()
    place.worker().terminate()
    stopped = place.wait_for(
        lambda: session if (session := night.session()).state is State.INTERRUPTED else None, "an interrupted session"
    )
    assert (stopped.fence, stopped.owner, stopped.lease_expires_at) == (at_work.fence, at_work.owner, None)
    assert stopped.pages_done >= at_work.pages_done
    night.wait_for_next_page(stopped, "SIGTERM", taken_over=True)
    # Interrupted is not success, and no person asked for it.
    assert night.run_status(str(stopped.owner)) is dg.DagsterRunStatus.FAILURE

    completed = place.wait_for_state(State.COMPLETED)
    # Dagster's own retries and the sensor's runs may still be in the queue: none of them walks again.
    place.wait_for(lambda: night.unfinished_runs() == 0 or None, "all runs to end")
    assert place.rows("sync_sessions", "session_id", "state") == [(completed.session_id, "completed")]
    assert (completed.pages_done, completed.records_seen, completed.stalled_resumes) == (PAGES, SIMS, 0)
    # A kill costs the page in hand and the one that was asked for ahead.
    assert PAGES <= place.page_requests() <= PAGES + 2 * night.kills
    assert place.rows("sim_changes", "field") == []
    assert _outcome(place) == _undisturbed(night, tmp_path_factory.mktemp("undisturbed"))
    assert max(night.seconds_to_next_page.values()) < 300  # patience; the figures are what is looked at
    record_property("seconds_to_next_page", night.seconds_to_next_page)
    sys.stdout.write(f"seconds to the next page after the death of: {night.seconds_to_next_page}\n")


def _kill_worker(night: Night) -> Session:
    worker = night.place.worker()
    worker.kill()
    psutil.wait_procs([worker])
    night.kills += 1
    session = night.session()
    assert (session.state, session.lease_expires_at is None) == (State.RUNNING, False)  # nobody could say anything
    night.assert_whole(session)
    return session


def _undisturbed(night: Night, folder: Path) -> dict[str, str]:
    """Return what a walk that nobody disturbs leaves: over a carrier with the same fleet, in a warehouse of its own."""
    server = None if night.place.warehouse_url.startswith("sqlite") else night.place.warehouse_url
    with running_simulator(MountOptions(sims=SIMS)) as simulator, scratch_warehouse(server, folder) as (url, _):
        place = Workspace(folder, simulator, url, settings=night.place.settings)
        assert place.sync().state is State.COMPLETED
        outcome = _outcome(place)
        place.warehouse.close()
    return outcome


def _outcome(place: Workspace) -> dict[str, str]:
    """Return digests of all that a walk writes but its session, which names another account of the same carrier."""
    return {name: digest for name, digest in outcome_digests(place.warehouse.engine).items() if name != "sync_sessions"}
