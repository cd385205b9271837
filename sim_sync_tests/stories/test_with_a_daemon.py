"""Five carriers under one Dagster daemon: one is throttled, one broken, one paused, one terminated, one is well."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from sim_sync.core.session import State
from sim_sync.simulator.control import SimulatorControl, running_simulator
from sim_sync.simulator.faults import ErrorStatus, Trigger
from sim_sync.simulator.messages import MountOptions
from sim_sync_tests.stories.place import Workspace, a_carrier

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

THROTTLED, BROKEN, PAUSED, TERMINATED, WELL = "throttled", "broken", "paused", "terminated", "well"
#: The carriers with a long walk: there is time to speak to it.
LONG = {PAUSED, TERMINATED}
_RETRY_AFTER_SECONDS = 12


@dataclass
class CarrierHarness:
    """The place, and the simulated carrier behind each name."""

    place: Workspace
    carriers: dict[str, SimulatorControl]

    def runs(self, carrier: str) -> list[dg.DagsterRun]:
        """The carrier's runs, newest first."""
        with self.place.instance() as instance:
            return list(instance.get_runs(dg.RunsFilter(tags={"sim_sync/carrier": carrier})))

    def materializations(self, carrier: str) -> int:
        with self.place.instance() as instance:
            counts = instance.get_materialized_partitions(dg.AssetKey("carrier_sims"))
        return int(carrier in counts)

    def sims(self, carrier: str) -> int:
        return sum(name == carrier for (name,) in self.place.rows("carrier_sims", "carrier"))

    def page_requests(self, carrier: str) -> int:
        return sum(entry.is_list for entry in self.carriers[carrier].fetch_requests())

    def looks(self) -> int:
        """How often the sensor has looked."""
        with self.place.instance() as instance:
            (state,) = [one for one in instance.all_instigator_state() if one.name == "resume_interrupted_syncs"]
            return len(instance.get_ticks(state.instigator_origin_id, state.selector_id))

    def wait_for_looks(self, number: int) -> None:
        """Wait until the sensor has looked that many times more."""
        seen = self.looks()
        self.place.wait_for(lambda: self.looks() >= seen + number or None, f"{number} looks of the sensor")


@contextmanager
def five_carriers(folder: Path) -> Iterator[CarrierHarness]:
    names = (WELL, THROTTLED, BROKEN, PAUSED, TERMINATED)
    mounts = [
        MountOptions(name=name, sims=10_000 if name in LONG else 100, latency_ms=100 if name in LONG else 0)
        for name in names
    ]
    with running_simulator(*mounts) as simulator:
        settings = {name: a_carrier(simulator.base_urls[name]) for name in names}
        settings[THROTTLED]["retry"] = {"base_seconds": 0.05, "ceiling_seconds": 1, "park_after_seconds": 2}
        place = Workspace(folder, simulator, f"sqlite:///{folder / 'warehouse.db'}", extra_carriers=settings)
        carriers = {name: simulator.carrier(name) for name in names}
        carriers[THROTTLED].arm(ErrorStatus(status=429, retry_after_seconds=_RETRY_AFTER_SECONDS), Trigger(nth=5))
        carriers[BROKEN].arm(ErrorStatus(status=500), Trigger(nth=7, times=None))
        for name in names:
            place.leave_interrupted(name)
        with place.daemon():
            yield CarrierHarness(place, carriers)
        place.warehouse.close()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CarrierHarness]:
    """One daemon for all of this file: the sensor starts all carriers at once."""
    with five_carriers(tmp_path_factory.mktemp("five-carriers")) as stage:
        yield stage


def test_a_pause_reaches_a_running_sync_within_one_page(stage: CarrierHarness) -> None:
    place = stage.place
    place.wait_for_pages(3, PAUSED)
    assert place.sim_sync("pause", PAUSED).returncode == 0
    requested = stage.page_requests(PAUSED)

    place.wait_for(lambda: stage.runs(PAUSED)[0].status is dg.DagsterRunStatus.SUCCESS or None, "the run to end green")
    session = place.session(PAUSED)
    assert session is not None
    assert session.state is State.PAUSED
    assert stage.page_requests(PAUSED) <= requested + 2  # the page in hand, and the one that was asked for ahead
    assert (stage.sims(PAUSED), stage.materializations(PAUSED)) == (session.records_seen, 0)


def test_a_terminated_run_is_a_pause_that_only_an_operator_ends(stage: CarrierHarness) -> None:
    place = stage.place
    at_work = place.wait_for_pages(3, TERMINATED)
    with place.instance() as instance:
        assert instance.run_coordinator.cancel_run(str(at_work.owner))

    paused = place.wait_for_state(State.PAUSED, TERMINATED)
    place.wait_for(
        lambda: stage.runs(TERMINATED)[0].status is dg.DagsterRunStatus.CANCELED or None, "the run to be canceled"
    )
    stage.wait_for_looks(2)
    still = place.session(TERMINATED)
    assert still == paused
    assert stage.sims(TERMINATED) == paused.records_seen

    assert place.sim_sync("resume", TERMINATED).returncode == 0
    resumed = place.wait_for_pages(paused.pages_done + 1, TERMINATED)
    assert (resumed.session_id, resumed.state, resumed.fence) == (paused.session_id, State.RUNNING, paused.fence + 1)


def test_a_long_retry_after_parks_the_sync_frees_the_worker_and_is_never_cut_short(stage: CarrierHarness) -> None:
    place = stage.place
    completed = place.wait_for_state(State.COMPLETED, THROTTLED)
    place.wait_for(lambda: stage.runs(THROTTLED)[0].is_finished or None, "the resuming run to end")

    resumed, parked = stage.runs(THROTTLED)
    with place.instance() as instance:
        parked_record, resumed_record = (
            record
            for run in (parked, resumed)
            for record in instance.get_run_records(dg.RunsFilter(run_ids=[run.run_id]))
        )
        first_steps = {
            entry.step_key
            for entry in instance.all_logs(parked.run_id, of_type=dg.DagsterEventType.STEP_SKIPPED)
            if entry.dagster_event is not None
        }
    assert parked.status is resumed.status is dg.DagsterRunStatus.SUCCESS
    assert {"carrier_sims.close_session", "sim_discrepancies"} <= first_steps
    # The worker was free long before the wait was over, and nobody asked in between.
    assert parked_record.end_time is not None
    assert resumed_record.start_time is not None
    throttled, *_ = [entry for entry in stage.carriers[THROTTLED].fetch_requests() if entry.fault is not None]
    after = [entry for entry in stage.carriers[THROTTLED].fetch_requests() if entry.number > throttled.number]
    assert min(entry.arrived_ns for entry in after) - throttled.answered_ns >= _RETRY_AFTER_SECONDS * 1e9
    assert (completed.pages_done, completed.records_seen, completed.fence) == (10, 100, 3)
    assert completed.last_error is not None
    assert "page 5: " in completed.last_error
    assert (stage.sims(THROTTLED), stage.page_requests(THROTTLED), stage.materializations(THROTTLED)) == (100, 11, 1)


def test_a_page_that_is_always_broken_ends_in_failed_and_names_itself_and_continues_once_healed(
    stage: CarrierHarness,
) -> None:
    place = stage.place
    failed = place.wait_for_state(State.FAILED, BROKEN)

    assert failed.pages_done == 6
    assert failed.last_error is not None
    for told in ("gave up after 5 resumes without one committed page", "page 7: ", "500", "4 attempts"):
        assert told in failed.last_error
    assert (stage.sims(BROKEN), stage.materializations(BROKEN)) == (60, 0)
    requests = stage.page_requests(BROKEN)
    assert requests == 6 + 6 * 4  # the first run and five resumes, four attempts each

    stage.carriers[BROKEN].disarm()
    assert place.sim_sync("resume", BROKEN).returncode == 0
    completed = place.wait_for_state(State.COMPLETED, BROKEN)
    assert (completed.session_id, completed.pages_done) == (failed.session_id, 10)
    assert (stage.page_requests(BROKEN), stage.sims(BROKEN)) == (requests + 4, 100)


def test_the_carrier_that_is_well_was_not_harmed(stage: CarrierHarness) -> None:
    completed = stage.place.wait_for_state(State.COMPLETED, WELL)

    assert (completed.pages_done, completed.records_seen, completed.retries) == (10, 100, 0)
    assert (stage.sims(WELL), stage.page_requests(WELL)) == (100, 10)
