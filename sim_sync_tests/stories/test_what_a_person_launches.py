"""Four carriers, and a person in front of the UI who launches runs of them: what was paused, parked or has failed."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pytest

from sim_sync.core.session import State
from sim_sync.simulator.control import SimulatorControl, running_simulator
from sim_sync.simulator.faults import ErrorStatus, Trigger
from sim_sync.simulator.messages import MountOptions
from sim_sync_tests.stories.people import Person, person_at_work
from sim_sync_tests.stories.place import Workspace, a_carrier

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TERMINATED, PAUSED, PARKED, FAILED = NAMES = ("terminated", "paused", "parked", "failed")
SUCCESS, FAILURE, CANCELED = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED
#: Nobody is so slow that a walk is over before he comes to it.
PAGES, SLOW_MS = 200, 2_000.0


@dataclass(frozen=True)
class CarrierHarness:
    """The place, the person, the simulated carrier behind each name, and the first run of each."""

    place: Workspace
    person: Person
    carriers: dict[str, SimulatorControl]
    first_runs: dict[str, str]

    def hurry(self, carrier: str) -> None:
        """Let the carrier answer at once from now on."""
        self.carriers[carrier].set_latency(0)

    def page_requests(self, carrier: str) -> int:
        return sum(entry.is_list for entry in self.carriers[carrier].fetch_requests())

    def events(self, run_id: str, kind: dg.DagsterEventType) -> Sequence[Any]:
        with self.place.instance() as instance:
            entries = instance.all_logs(run_id, of_type=kind)
        return [entry.dagster_event.event_specific_data for entry in entries if entry.dagster_event is not None]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CarrierHarness]:
    """One UI for all of this file; all four walks begin at once."""
    folder = tmp_path_factory.mktemp("person")
    with running_simulator(*(MountOptions(name=name, sims=PAGES * 10, latency_ms=SLOW_MS) for name in NAMES)) as there:
        carriers = {name: there.carrier(name) for name in NAMES}
        settings = {name: a_carrier(there.base_urls[name]) for name in NAMES}
        carriers[PARKED].arm(ErrorStatus(status=429, retry_after_seconds=3600), Trigger(nth=4))
        carriers[FAILED].arm(ErrorStatus(status=401), Trigger(nth=4, times=None))
        place = Workspace(folder, there, f"sqlite:///{folder / 'warehouse.db'}", extra_carriers=settings)
        with person_at_work(place) as person:
            yield CarrierHarness(place, person, carriers, {name: person.launch(name) for name in NAMES})
        place.warehouse.close()


def test_what_a_person_has_terminated_continues_with_the_next_run_that_a_person_launches(stage: CarrierHarness) -> None:
    place, person, first = stage.place, stage.person, stage.first_runs[TERMINATED]
    place.wait_for_pages(3, TERMINATED)
    person.terminate(first)
    paused = place.wait_for_state(State.PAUSED, TERMINATED)
    place.wait_for_run(first, CANCELED)

    left_alone = person.launch(TERMINATED, resume=False)
    place.wait_for_run(left_alone, SUCCESS)
    (observation,) = stage.events(left_alone, dg.DagsterEventType.ASSET_OBSERVATION)
    why = observation.asset_observation.metadata["left_alone"].value
    assert f"`sim-sync resume {TERMINATED}`" in why
    backfill = place.sim_sync("backfill", TERMINATED)
    assert (backfill.returncode, backfill.stdout) == (3, f"{TERMINATED}: left alone: {why}\n")
    assert place.session(TERMINATED) == paused

    again = person.execute_again(first, "ALL_STEPS")
    resumed = place.wait_for_pages(paused.pages_done + 1, TERMINATED)
    stage.hurry(TERMINATED)
    completed = place.wait_for_state(State.COMPLETED, TERMINATED)
    place.wait_for_run(again, SUCCESS)
    assert (resumed.session_id, resumed.owner, resumed.fence) == (paused.session_id, again, paused.fence + 1)
    assert (completed.session_id, completed.pages_done) == (paused.session_id, PAGES)
    assert stage.page_requests(TERMINATED) <= PAGES + 1


def test_what_a_person_has_paused_continues_when_a_person_materializes_the_asset(stage: CarrierHarness) -> None:
    place = stage.place
    place.wait_for_pages(3, PAUSED)
    assert place.sim_sync("pause", PAUSED).returncode == 0
    place.wait_for_run(stage.first_runs[PAUSED], SUCCESS)
    paused = place.session(PAUSED)
    assert paused is not None
    assert paused.state is State.PAUSED

    run_id = stage.person.materialize(PAUSED, ["carrier_sims"])
    stage.hurry(PAUSED)
    completed = place.wait_for_state(State.COMPLETED, PAUSED)
    place.wait_for_run(run_id, SUCCESS)
    assert (completed.session_id, completed.owner, completed.pages_done) == (paused.session_id, run_id, PAGES)
    assert len(stage.events(run_id, dg.DagsterEventType.ASSET_MATERIALIZATION)) == 1
    assert stage.page_requests(PAUSED) <= PAGES + 1


def test_what_is_parked_and_not_due_is_left_alone_by_a_persons_run_which_is_red_and_says_until_when(
    stage: CarrierHarness,
) -> None:
    place = stage.place
    parked = place.wait_for_state(State.PARKED, PARKED)
    place.wait_for_run(stage.first_runs[PARKED], SUCCESS)
    requests = stage.page_requests(PARKED)

    run_id = stage.person.launch(PARKED)
    place.wait_for_run(run_id, FAILURE)

    (told,) = [data.user_failure_data.description for data in stage.events(run_id, dg.DagsterEventType.STEP_FAILURE)]
    assert parked.not_before is not None
    assert told.startswith("left alone: ")
    assert f"{parked.not_before:%H:%M:%S} UTC" in told
    assert f"`sim-sync resume {PARKED}`" in told
    assert place.session(PARKED) == parked
    assert stage.page_requests(PARKED) == requests


def test_a_run_that_failed_is_retried_from_its_failure_where_the_first_one_has_left_no_file(
    stage: CarrierHarness,
) -> None:
    """As on another host: whatever the first run's steps have stored is gone. The first steps are not run again."""
    place, first = stage.place, stage.first_runs[FAILED]
    failed = place.wait_for_state(State.FAILED, FAILED)
    place.wait_for_run(first, FAILURE)
    stage.carriers[FAILED].disarm()
    shutil.rmtree(place.folder / "dagster_home" / "storage" / first, ignore_errors=True)

    retry = stage.person.execute_again(first, "FROM_FAILURE")
    resumed = place.wait_for_pages(failed.pages_done + 1, FAILED)
    place.wait_for_looks(2)
    at_work = place.session(FAILED)
    leases = [lease.run_id for lease in place.warehouse.runs.read()]
    status = place.run(retry).status
    stage.hurry(FAILED)
    completed = place.wait_for_state(State.COMPLETED, FAILED)
    place.wait_for_run(retry, SUCCESS)

    assert (resumed.session_id, resumed.owner, resumed.fence) == (failed.session_id, retry, failed.fence + 1)
    assert (status, retry in leases) == (dg.DagsterRunStatus.STARTED, True)
    assert at_work is not None
    assert (at_work.state, at_work.owner, at_work.fence) == (State.RUNNING, retry, resumed.fence)
    assert (completed.session_id, completed.pages_done, completed.fence) == (failed.session_id, PAGES, resumed.fence)
    assert [run.run_id for run in place.runs(FAILED)] == [retry, first]
    started = {event.step_key for event in _steps(place, retry)}
    assert {"carrier_sims.sync_pages", "carrier_sims.close_session", "sim_discrepancies"} <= started
    assert "carrier_sims.open_session" not in started


def _steps(place: Workspace, run_id: str) -> Sequence[dg.EventLogEntry]:
    with place.instance() as instance:
        return list(instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_START))
