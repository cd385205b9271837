"""A walk on two code hosts behind HAProxy, as `deploy/hosts` is shipped: the power of one is cut, then of the other.

At last a person presses *Terminate* while the balancer asks the host on which the walk is not.
"""

import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import pytest

from sim_sync.core.session import Session, State
from sim_sync.simulator.control import running_simulator
from sim_sync.simulator.messages import MountOptions
from sim_sync.warehouse.scratch import outcome_digests, scratch_warehouse
from sim_sync_tests.deploy.files import storage_environment
from sim_sync_tests.fakes.containers import needs_namespaces
from sim_sync_tests.fakes.databases import fresh_postgres_database
from sim_sync_tests.stories.hosts import ADDRESSES, Machines, seconds_since
from sim_sync_tests.stories.place import CARRIER, Workspace

pytest.importorskip("dagster_postgres", reason="dagster-postgres is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    needs_namespaces,
    pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed"),
]

PAGES, PAGE_SIZE, LATENCY_MS = 240, 10, 1_000.0
SIMS = PAGES * PAGE_SIZE
#: No page is asked for ahead: a kill costs the current page, and nothing else.
SETTINGS = {"page_size": PAGE_SIZE, "read_ahead": 0, "lease_seconds": 5}


@pytest.fixture
def machines(
    tmp_path: Path, postgres_url: str, postgres_server_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Machines]:
    with (
        running_simulator(MountOptions(sims=SIMS, latency_ms=LATENCY_MS)) as simulator,
        fresh_postgres_database(postgres_server_url) as dagsters,
        ExitStack() as stack,
    ):
        for name, value in storage_environment(dagsters).items():
            monkeypatch.setenv(name, value)
        place = Workspace(tmp_path, simulator, postgres_url, settings=dict(SETTINGS))
        yield Machines(place, stack)
        place.warehouse.close()


def test_a_walk_survives_the_death_of_each_host_and_is_paused_through_the_other_one(
    machines: Machines, tmp_path_factory: pytest.TempPathFactory, record_property: Callable[[str, object], None]
) -> None:
    place = machines.place
    place.leave_interrupted()
    machines.begin()
    place.wait_for_pages(3)
    seconds = {}

    for _ in ADDRESSES:
        victim = machines.of_the_walk()
        (survivor,) = ADDRESSES.keys() - {victim}
        seconds[f"{victim} dead"] = resumed_after_the_death_of(machines, victim)
        assert machines.of_the_walk() == survivor
        machines.switch_on(victim)
        place.wait_for(lambda: is_served(machines), "the host that is back")

    # Runs that Dagster started again itself may be in the queue: the one that walks is not among them.
    walking = place.wait_for_pages(current(place).pages_done + 1)
    (other,) = ADDRESSES.keys() - {machines.of_the_walk()}
    machines.balance(other)
    pressed = time.monotonic()
    with place.instance() as instance, pytest.raises(dg.DagsterError, match="Could not find a server for run"):
        instance.run_launcher.terminate(str(walking.owner))  # as the webserver does, which shows the error
    place.wait_for_state(State.PAUSED)
    seconds["paused"] = seconds_since(pressed)
    place.wait_for_run(str(walking.owner), dg.DagsterRunStatus.CANCELED)
    place.simulator.set_latency(0)
    machines.balance(*ADDRESSES)
    assert place.sim_sync("resume", CARRIER).returncode == 0

    completed = place.wait_for_state(State.COMPLETED)
    assert (completed.session_id, completed.stalled_resumes) == (walking.session_id, 0)
    assert (completed.pages_done, completed.records_seen) == (PAGES, SIMS)
    more = place.page_requests() - PAGES
    assert 0 <= more <= len(ADDRESSES)
    assert outcome(place) == undisturbed(place, tmp_path_factory.mktemp("undisturbed"))
    record_property("seconds", seconds)
    sys.stdout.write(f"seconds to the next page, and to the pause: {seconds}; pages fetched again: {more}\n")


def current(place: Workspace) -> Session:
    session = place.session()
    assert session is not None
    return session


def is_served(machines: Machines) -> bool | None:
    """Return whether every code host answers: what the balancer finds out by itself a few seconds later."""
    for name, address in ADDRESSES.items():
        with socket.socket() as connection:
            if connection.connect_ex((address, machines.ports[name])):
                return None
    return True


def resumed_after_the_death_of(machines: Machines, host: str) -> float:
    """Cut the power of a host, and return after how many seconds the next page of its walk is committed."""
    machines.cut_power(host)
    dead, since = current(machines.place), time.monotonic()
    assert dead.state is State.RUNNING  # nobody could say anything
    resumed = machines.place.wait_for_pages(dead.pages_done + 1)
    assert (resumed.session_id, resumed.fence > dead.fence) == (dead.session_id, True)
    return seconds_since(since)


def outcome(place: Workspace) -> dict[str, str]:
    return {name: digest for name, digest in outcome_digests(place.warehouse.engine).items() if name != "sync_sessions"}


def undisturbed(place: Workspace, folder: Path) -> dict[str, str]:
    """Return what a walk that nobody disturbs leaves: over a carrier with the same fleet, in a warehouse of its own."""
    with (
        running_simulator(MountOptions(sims=SIMS)) as simulator,
        scratch_warehouse(place.warehouse_url, folder) as (url, _),
    ):
        calm = Workspace(folder, simulator, url, settings=dict(SETTINGS))
        assert calm.sync().state is State.COMPLETED
        found = outcome(calm)
        calm.warehouse.close()
    return found
