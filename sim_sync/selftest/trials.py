"""The trials: kill at every commit point, kill at random times, freeze and wake; each against an undisturbed sync.

Three things are asked of every trial: the outcome is the same, a kill costs at most the page in hand and those that
were asked for ahead, and a worker that was taken over wrote nothing.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from sim_sync.core.session import Session, State
from sim_sync.core.sync import CRASH_POINTS
from sim_sync.core.text import counted
from sim_sync.selftest.victims import (
    CARRIER,
    GONE_SIMS,
    LEASE_SECONDS,
    SyncProcess,
    SyncScenario,
    TrialFailed,
    write_night_before,
    write_scene,
)
from sim_sync.simulator.control import RunningSimulator, running_simulator
from sim_sync.simulator.credentials import simulated_credentials
from sim_sync.simulator.messages import MountOptions
from sim_sync.warehouse import Warehouse
from sim_sync.warehouse.scratch import exact_digests, outcome_digests, scratch_warehouse

_KILLED = -9
#: The ends of the names of those crash points that are not inside of a transaction.
_OUTSIDE_OF_TRANSACTIONS = (":fetched", ":answered", ":committed")
_STEP_SECONDS = 0.01
_PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Walk:
    """The walk that a trial disturbs."""

    sims: int
    page_size: int
    latency_ms: float = 0.0
    vendor: str = "twilio_super_sim"
    max_in_flight: int = 1

    @property
    def pages(self) -> int:
        """How many pages it has."""
        return -(-self.sims // self.page_size)

    @property
    def pages_a_kill(self) -> int:
        """How many pages a kill may cost: the one in hand, and those that were asked for ahead."""
        return 1 + self.max_in_flight


SMALL = Walk(sims=20, page_size=5)
LARGE = Walk(sims=6_000, page_size=100, latency_ms=2)


@dataclass(slots=True)
class TrialResult:
    """What came of one kind of trial."""

    name: str
    trials: int = 0
    kills: int = 0
    #: How many of the kills hit a process inside of a transaction.
    kills_in_transactions: int = 0
    pages_fetched_again: int = 0
    frozen_and_woken: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TrialEnvironment:
    """One trial's scene, its carrier and its empty warehouse."""

    scene: SyncScenario
    simulator: RunningSimulator
    warehouse: Warehouse
    walk: Walk

    def session(self) -> Session | None:
        """Return the session of the walk, if it has begun: not that of the night before."""
        latest = self.warehouse.sessions.latest_sessions([CARRIER])
        return latest[0] if latest and latest[0].session_number > 1 else None

    def outcome(self) -> Mapping[str, str]:
        """Return the digests of what the tables hold, blind to ids and times."""
        return outcome_digests(self.warehouse.engine)

    def run(self, crash_at: str | None = None) -> int:
        """Run a victim to its end, and return its exit code."""
        with self.scene.process(crash_at) as process:
            return finished(process)

    def pages_fetched_again(self) -> int:
        """Return how many page requests more than pages the carrier has answered."""
        return sum(entry.is_list for entry in self.simulator.fetch_requests()) - self.walk.pages


def finished(process: SyncProcess) -> int:
    """Wait for a victim's end, and return its exit code.

    Raises:
        TrialFailed: it ended neither by itself nor by a kill.
    """
    ended = process.finish()
    if ended.code not in {0, 3, _KILLED}:
        raise TrialFailed(f"a sync process ended with exit code {ended.code}: {ended.complaints[-500:]}")
    return ended.code


class TrialRunner:
    """Sets up stages: one simulated carrier a walk, a fresh warehouse for every trial."""

    def __init__(self, server_url: str | None) -> None:
        self._server_url = server_url

    @contextmanager
    def carrier(self, walk: Walk) -> Iterator[RunningSimulator]:
        """Run the simulated carrier of a walk."""
        mount = MountOptions(vendor=walk.vendor, sims=walk.sims, latency_ms=walk.latency_ms)
        with running_simulator(mount) as simulator:
            yield simulator

    @contextmanager
    def stage(self, walk: Walk, simulator: RunningSimulator) -> Iterator[TrialEnvironment]:
        """Yield a warehouse that knows SIMs that are gone, with victims ready to sync the carrier into it."""
        simulator.clear_requests()
        with TemporaryDirectory(prefix="sim-sync-selftest-") as name:
            folder = Path(name)
            with scratch_warehouse(self._server_url, folder) as (url, warehouse):
                scene = write_scene(
                    folder,
                    carrier_url=simulator.url,
                    warehouse_url=url,
                    settings={
                        "type": walk.vendor,
                        "auth": dict(simulated_credentials(walk.vendor)),
                        "page_size": walk.page_size,
                        "rate_limit": {"max_in_flight": walk.max_in_flight},
                    },
                )
                write_night_before(warehouse)
                yield TrialEnvironment(scene, simulator, warehouse, walk)

    def undisturbed(self, walk: Walk, simulator: RunningSimulator) -> Mapping[str, str]:
        """Return the outcome that every disturbed sync has to equal."""
        with self.stage(walk, simulator) as stage:
            if stage.run() != 0:
                raise TrialFailed("an undisturbed sync did not complete")
            return stage.outcome()


def every_commit_point(walk: Walk) -> Sequence[str]:
    """Return each moment of a walk at which a crash is armed: a point, and how often it has been passed by then."""
    return [f"{point}:{passed}" for point in CRASH_POINTS for passed in range(1, _passes(point, walk) + 1)]


def _passes(point: str, walk: Walk) -> int:
    """Return how often a whole walk passes a point."""
    match point.partition(":")[0]:
        case "commit_page" | "fetch_page":
            return walk.pages
        case "look_up_sim" | "commit_lookup":
            return GONE_SIMS
        case _:
            return 1


def kill_at_every_commit_point(runner: TrialRunner, tell: Callable[[str], None], walk: Walk = SMALL) -> TrialResult:
    """Kill a sync at each commit point in turn, resume it, and compare."""
    result = TrialResult("kill -9 at every commit point")
    with runner.carrier(walk) as simulator:
        expected = runner.undisturbed(walk, simulator)
        for moment in every_commit_point(walk):
            with runner.stage(walk, simulator) as stage:
                _kill_and_resume_at(stage, moment, result, expected)
            tell(f"killed at {moment}")
    return result


def _kill_and_resume_at(stage: TrialEnvironment, moment: str, result: TrialResult, expected: Mapping[str, str]) -> None:
    result.trials += 1
    if stage.run(crash_at=moment) != _KILLED:
        result.problems.append(f"{moment}: the process was not killed there")
        return
    result.kills += 1
    result.kills_in_transactions += not moment.rpartition(":")[0].endswith(_OUTSIDE_OF_TRANSACTIONS)
    # What was completed already needs no resume; a sync after it would be another night.
    if not _is_completed(stage) and stage.run() != 0:
        result.problems.append(f"{moment}: the resumed sync did not complete")
    _compare(stage, moment, result, expected, kills=1)


def kill_at_random_times(
    runner: TrialRunner, tell: Callable[[str], None], kills: int, *, seed: int = 1, walk: Walk = LARGE
) -> TrialResult:
    """Kill syncs at random times until there were `kills`; each walk is killed again and again until it ends."""
    result = TrialResult("kill -9 at random times")
    chance = random.Random(seed)  # noqa: S311 - reproducible, no secret
    with runner.carrier(walk) as simulator:
        expected = runner.undisturbed(walk, simulator)
        while result.kills < kills:
            with runner.stage(walk, simulator) as stage:
                before = result.kills
                while result.kills < kills and _kill_somewhere(stage, chance, result):
                    pass
                result.trials += 1
                if not _is_completed(stage) and stage.run() != 0:
                    result.problems.append(f"walk {result.trials}: the resumed sync did not complete")
                _compare(stage, f"walk {result.trials}", result, expected, kills=result.kills - before)
            tell(counted(result.kills, "kill"))
    return result


def _kill_somewhere(stage: TrialEnvironment, chance: random.Random, result: TrialResult) -> bool:
    """Start a sync and kill it some pages on, inside of a transaction or a fetch; False if the walk is at its end."""
    with stage.scene.process() as process:
        _wait_for_pages(stage, process, chance.randint(0, 12))
        time.sleep(chance.random() * 0.02)
        in_transaction = _freeze_where(stage, process, chance, in_transaction=chance.random() < 0.5)
        process.kill()
        if finished(process) != _KILLED:
            return False
    result.kills += 1
    result.kills_in_transactions += in_transaction
    # One that was killed between its last commit and its end left nothing to continue with: a sync after it would be
    # another night.
    return not _is_completed(stage)


def _is_completed(stage: TrialEnvironment) -> bool:
    session = stage.session()
    return session is not None and session.state is State.COMPLETED


def _wait_for_pages(stage: TrialEnvironment, process: SyncProcess, pages: int) -> None:
    """Wait until the victim has committed some pages, or has ended."""
    start = _pages_done(stage)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not process.has_ended and _pages_done(stage) < start + pages:
        if time.monotonic() > deadline:
            raise TrialFailed(f"a sync did not commit {counted(pages, 'page')} in {_PATIENCE_SECONDS:.0f} s")
        time.sleep(_STEP_SECONDS)


def _pages_done(stage: TrialEnvironment) -> int:
    session = stage.session()
    return 0 if session is None else session.pages_done


def freeze_and_wake(
    runner: TrialRunner, tell: Callable[[str], None], times: int, *, seed: int = 1, walk: Walk = LARGE
) -> TrialResult:
    """Freeze a worker in the middle, let another finish its walk, wake it, and see that it writes nothing."""
    result = TrialResult("freeze (SIGSTOP), take over, wake")
    chance = random.Random(seed)  # noqa: S311 - reproducible, no secret
    with runner.carrier(walk) as simulator:
        expected = runner.undisturbed(walk, simulator)
        for number in range(1, times + 1):
            with runner.stage(walk, simulator) as stage:
                _freeze_and_wake_once(stage, chance, result, expected)
            tell(f"{number} frozen and woken")
    return result


def _freeze_and_wake_once(
    stage: TrialEnvironment, chance: random.Random, result: TrialResult, expected: Mapping[str, str]
) -> None:
    result.trials += 1
    trial = f"freeze {result.trials}"
    with stage.scene.process() as sleeper:
        _wait_for_pages(stage, sleeper, chance.randint(1, stage.walk.pages // 2))
        # A process that is frozen inside of a transaction keeps SQLite's one write lock forever, whoever wants to
        # write; and PostgreSQL ends such a transaction only after its time-out.
        _freeze_where(stage, sleeper, chance, in_transaction=False)
        frozen_after = _pages_done(stage)
        _take_over(stage)
        before = exact_digests(stage.warehouse.engine)
        sleeper.wake()
        ended = sleeper.finish()
        result.frozen_and_woken += 1
        if ended.code != 3 or exact_digests(stage.warehouse.engine) != before:
            result.problems.append(f"{trial}: the woken worker wrote something ({ended})")
    if frozen_after >= stage.walk.pages:
        result.problems.append(f"{trial}: the worker was frozen too late")
    _compare(stage, trial, result, expected, kills=1)


def _freeze_where(
    stage: TrialEnvironment, process: SyncProcess, chance: random.Random, *, in_transaction: bool
) -> bool:
    """Freeze a worker again and again until it is inside (or outside) of a transaction; return whether it is inside."""
    while not process.has_ended:
        process.freeze()
        if stage.warehouse.sessions.can_write_now() is not in_transaction:
            return in_transaction
        process.wake()
        time.sleep(chance.random() * 0.01)
    return False


def _take_over(stage: TrialEnvironment) -> None:
    """Run syncs until one completes: the first ones are refused while the sleeper's lease lasts."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while stage.run() != 0:
        if time.monotonic() > deadline:
            raise TrialFailed(f"nobody took over within {_PATIENCE_SECONDS:.0f} s; the lease is {LEASE_SECONDS} s")
        time.sleep(0.2)


def _compare(
    stage: TrialEnvironment, trial: str, result: TrialResult, expected: Mapping[str, str], *, kills: int
) -> None:
    found = stage.outcome()
    different = [name for name, digest in expected.items() if found[name] != digest]
    if different:
        result.problems.append(f"{trial}: other content in {', '.join(different)}")
    again = stage.pages_fetched_again()
    result.pages_fetched_again += again
    if not 0 <= again <= kills * stage.walk.pages_a_kill:
        result.problems.append(f"{trial}: {counted(again, 'page')} fetched again after {counted(kills, 'kill')}")
