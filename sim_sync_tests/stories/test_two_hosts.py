"""Two hosts at work beside the one of Dagster's daemon, one of the same name as that; then their power is cut."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from sim_sync.core.session import Session, State
from sim_sync.simulator.control import RunningSimulator, running_simulator
from sim_sync.simulator.messages import MountOptions
from sim_sync_tests.fakes.containers import needs_namespaces, on_host
from sim_sync_tests.stories.people import Person, person_at_work
from sim_sync_tests.stories.place import Workspace, a_carrier, end_group

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), needs_namespaces]

#: The carriers, and the name of the host that walks each.
HOSTS = {"there": "another-host", "namesake": "one-host"}
DAEMON_HOST = "one-host"
#: The walks last for longer than a machine at its limits takes to come to the cut.
PAGES, SLOW_MS = 200, 2_000.0
STARTED, QUEUED = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.QUEUED


@dataclass(frozen=True)
class Rig:
    """The place, a person in front of the UI, and what cuts the power of both hosts at work."""

    place: Workspace
    carriers: RunningSimulator
    person: Person
    power: ExitStack

    def sessions(self) -> dict[str, Session]:
        found = {name: self.place.session(name) for name in HOSTS}
        return {name: session for name, session in found.items() if session is not None}


@pytest.fixture
def rig(tmp_path: Path, postgres_url: str) -> Iterator[Rig]:
    mounts = [MountOptions(name=name, sims=PAGES * 10, latency_ms=SLOW_MS) for name in HOSTS]
    with running_simulator(*mounts) as carriers, ExitStack() as power:
        settings = {name: a_carrier(carriers.base_urls[name]) for name in HOSTS}
        place = Workspace(tmp_path, carriers, postgres_url, extra_carriers=settings)
        assert (place.runs(), place.ticks()) == ([], [])  # Dagster's own programs cannot make a home side by side
        for name, host in HOSTS.items():
            command = [*on_host(host), sys.executable, "-m", "sim_sync", "backfill", name]
            process = power.enter_context(place.process(*command, log=f"{name}.log"))
            power.callback(end_group, process)
        # The daemon's host comes up later: its process 1 is younger than theirs by more than two clocks may differ.
        for name in HOSTS:
            place.wait_for_pages(3, name)
        with person_at_work(place, *on_host(DAEMON_HOST)) as person:
            yield Rig(place, carriers, person, power)
        place.warehouse.close()


def test_runs_of_other_hosts_live_until_their_power_is_cut_and_then_hold_up_nobody(rig: Rig) -> None:
    place = rig.place
    first = {name: str(session.owner) for name, session in rig.sessions().items()}

    # Each of them is process 1 of its host, as is that of the daemon: only their leases say that they live.
    ticks = [*place.wait_for_looks(1)]
    # One run a carrier: these wait for as long as Dagster takes the first ones for alive.
    second = {name: rig.person.launch(name) for name in HOSTS}
    ticks += place.wait_for_looks(1)
    living = rig.sessions()
    assert [(session.state, session.fence) for session in living.values()] == [(State.RUNNING, 1)] * len(HOSTS)
    for name in HOSTS:
        at_work = f"{name}: session {living[name].session_id} is left alone: run {first[name]} is at work on it"
        assert all(at_work in str(tick.skip_reason) for tick in ticks)
        assert (place.run(first[name]).status, place.run(second[name]).status) == (STARTED, QUEUED)

    rig.power.close()
    for name in HOSTS:
        place.wait_for_run(first[name], dg.DagsterRunStatus.FAILURE)
        rig.carriers.carrier(name).set_latency(0)
    for name in HOSTS:
        completed = place.wait_for_state(State.COMPLETED, name)
        place.wait_for_run(second[name], dg.DagsterRunStatus.SUCCESS)
        assert (completed.session_id, completed.owner) == (living[name].session_id, second[name])
        assert (completed.fence, completed.pages_done) == (2, PAGES)
        assert [run.run_id for run in place.runs(name)] == [second[name], first[name]]
        requests = [entry for entry in rig.carriers.carrier(name).fetch_requests() if entry.is_list]
        assert len(requests) <= PAGES + 2  # the current page, and the one that was asked for ahead
