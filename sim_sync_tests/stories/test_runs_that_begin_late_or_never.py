"""Three carriers under one daemon: runs of one die at once, that of another starts late, the host of the third dies."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import dagster as dg
import pytest

from sim_sync.core.session import State
from sim_sync.simulator.control import RunningSimulator, running_simulator
from sim_sync.simulator.messages import MountOptions
from sim_sync_tests.fakes.launchers import DYING, LATE, LET_START, LOST
from sim_sync_tests.stories.place import Workspace, a_carrier, shipped_dagster_settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NAMES = (LATE, DYING, LOST)
#: So many runs may die on their way to a session.
DEATHS = 2


@dataclass(frozen=True)
class CarrierHarness:
    """The place, and the simulated carriers."""

    place: Workspace
    carriers: RunningSimulator

    def page_requests(self, carrier: str) -> int:
        return sum(entry.is_list for entry in self.carriers.carrier(carrier).fetch_requests())


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CarrierHarness]:
    """One daemon for all of this file: the sensor asks for a run of each at once."""
    folder = tmp_path_factory.mktemp("late")
    with running_simulator(*(MountOptions(name=name, sims=100) for name in NAMES)) as carriers:
        settings = {name: a_carrier(carriers.base_urls[name]) for name in NAMES}
        settings[DYING]["retry"]["max_stalled_resumes"] = DEATHS
        place = Workspace(folder, carriers, f"sqlite:///{folder / 'warehouse.db'}", extra_carriers=settings)
        # Dagster's own retries would let each run die three times.
        own = {
            "run_launcher": {"module": "sim_sync_tests.fakes.launchers", "class": "StagedLauncher"},
            "run_retries": {},
        }
        place.write_dagster_yaml({**shipped_dagster_settings(), **own})
        for name in NAMES:
            place.leave_interrupted(name)
        with place.daemon():
            yield CarrierHarness(place, carriers)
        place.warehouse.close()


def test_runs_that_die_before_they_open_the_session_are_a_few_and_status_says_why(stage: CarrierHarness) -> None:
    place = stage.place
    before = place.session(DYING)
    failed = place.wait_for_state(State.FAILED, DYING)

    assert before is not None
    assert (failed.session_id, failed.pages_done, failed.lease_expires_at) == (before.session_id, 0, None)
    why = str(failed.last_error)
    assert f"gave up after {DEATHS} runs that ended before they opened the session" in why
    assert "was terminated by signal 9 (SIGKILL)" in why
    status = json.loads(place.sim_sync("status", "--carrier", DYING, "--json").stdout)
    assert [(row["state"], row["last_error"]) for row in status] == [("failed", why)]
    place.wait_for_looks(1)
    assert [run.status for run in place.runs(DYING)] == [dg.DagsterRunStatus.FAILURE] * DEATHS
    assert stage.page_requests(DYING) == 0


def test_a_run_that_takes_long_to_start_is_waited_for_and_is_the_only_one(stage: CarrierHarness) -> None:
    place = stage.place
    place.wait_for(lambda: len(place.runs(LATE)) or None, "a run to be launched")
    (run,) = place.runs(LATE)
    place.wait_for_run(run.run_id, dg.DagsterRunStatus.STARTING)
    ticks = place.wait_for_looks(1)  # it has been starting for all of the story before, half a minute and more
    assert place.run(run.run_id).status is dg.DagsterRunStatus.STARTING
    told = [tick.skip_reason for tick in ticks if tick.skip_reason is not None]
    assert all(f"run {run.run_id} is on its way to it" in why for why in told)

    (place.folder / "dagster_home" / LET_START).touch()
    completed = place.wait_for_state(State.COMPLETED, LATE)
    place.wait_for_run(run.run_id, dg.DagsterRunStatus.SUCCESS)
    assert (completed.owner, completed.pages_done) == (run.run_id, 10)
    assert len(place.runs(LATE)) == 1


def test_a_run_whose_host_is_lost_before_it_said_a_word_is_reported_and_followed(stage: CarrierHarness) -> None:
    place = stage.place

    def followed() -> Sequence[dg.DagsterRun] | None:
        runs = place.runs(LOST)
        return runs if len(runs) >= 2 else None

    first = place.wait_for(followed, "a second run")[-1]
    assert place.run(first.run_id).status is dg.DagsterRunStatus.FAILURE
