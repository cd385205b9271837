"""Real sync processes: started with or without an armed crash point, killed, frozen, woken, and waited for.

Each victim is an operating-system process of its own. It is forked from one that has imported everything already:
starting an interpreter for each would take longer than most trials do.

`python -m sim_sync.selftest.victims CARRIER` does a victim's work: it syncs one carrier in this process, without
Dagster, and prints one JSON line about the session it leaves. Exit code 0: completed by this process; 3: not; 1: an
error.
"""

import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import FrameType
from typing import Any

import yaml

from sim_sync.config import load_config
from sim_sync.core.errors import SimSyncError
from sim_sync.core.opening import OpenRequest, Trigger
from sim_sync.core.pages import Page
from sim_sync.core.session import State
from sim_sync.core.sims import Sim
from sim_sync.core.sweep import SweepPolicy
from sim_sync.processes import handled_by
from sim_sync.warehouse import Warehouse, open_warehouse
from sim_sync.worker.processes import VARIABLE as CRASH_VARIABLE
from sim_sync.worker.processes import armed_crash_point, is_known_dead
from sim_sync.worker.work import sync_once

#: The carrier's name in the config of a trial.
CARRIER = "selftest"
#: Short, so that a frozen worker is taken over soon.
LEASE_SECONDS = 1
#: So many SIMs of the night before are gone: few enough that nobody has to look at it.
GONE_SIMS = 2
_PATIENCE_SECONDS = 120

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["__main__", "sim_sync.selftest.victims"])


class TrialFailed(SimSyncError):
    """A trial came out otherwise than promised."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a victim ended: its exit code (below 0: the signal that killed it), what it told, and its complaints."""

    code: int
    told: Mapping[str, Any]
    complaints: str


@dataclass(frozen=True, slots=True)
class SyncProcess:
    """One running sync process."""

    process: ForkServerProcess
    folder: Path

    @property
    def has_ended(self) -> bool:
        """Whether it is gone."""
        return self.process.exitcode is not None

    def freeze(self) -> None:
        """Stop it in its tracks, as a suspended laptop or a starved host does."""
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let it continue, if it was frozen."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it with SIGKILL, frozen or not."""
        self.process.kill()

    def finish(self) -> Ended:
        """Wait for its end."""
        self.process.join(_PATIENCE_SECONDS)
        if self.process.exitcode is None:
            raise TrialFailed(f"a sync process did not end within {_PATIENCE_SECONDS} s")
        told = (self.folder / "told").read_text(encoding="utf-8") if (self.folder / "told").exists() else ""
        complaints = self.folder / "complaints"
        return Ended(
            code=self.process.exitcode,
            told=json.loads(told) if told.strip() else {},
            complaints=complaints.read_text(encoding="utf-8", errors="replace") if complaints.exists() else "",
        )

    def _signal(self, number: signal.Signals) -> None:
        if not self.has_ended and self.process.pid is not None:
            os.kill(self.process.pid, number)


@dataclass(slots=True)
class SyncScenario:
    """Where victims work: the folder with their config, and the environment that names it and their warehouse."""

    folder: Path
    environment: Mapping[str, str]
    victims: int = 0

    @contextmanager
    def process(self, crash_at: str | None = None) -> Iterator[SyncProcess]:
        """Start a sync process; whatever becomes of it, it is gone at the end of the block."""
        self.victims += 1
        folder = self.folder / f"victim-{self.victims}"
        folder.mkdir()
        environment = dict(self.environment) | ({CRASH_VARIABLE: crash_at} if crash_at else {})
        process = _processes.Process(target=be_victim, args=(environment, CARRIER, folder), daemon=True)
        process.start()
        try:
            yield SyncProcess(process, folder)
        finally:
            process.kill()
            process.join(_PATIENCE_SECONDS)


def write_scene(folder: Path, *, carrier_url: str, warehouse_url: str, settings: Mapping[str, Any]) -> SyncScenario:
    """Write the config of a trial and return the scene for its victims. `settings` are the carrier's keys."""
    path = folder / "carriers.yaml"
    carrier = {
        **settings,
        "base_url": carrier_url,
        "lease_seconds": LEASE_SECONDS,
        "retry": {"base_seconds": 0.05, "ceiling_seconds": 1, "max_attempts": 8},
    }
    path.write_text(yaml.safe_dump({"carriers": {CARRIER: carrier}}), encoding="utf-8")
    return SyncScenario(folder, {**os.environ, "SIM_SYNC_CONFIG": str(path), "SIM_SYNC_WAREHOUSE_URL": warehouse_url})


def write_night_before(warehouse: Warehouse) -> None:
    """Write a night of which some SIMs are gone in the next, so that these are asked for one by one."""
    store = warehouse.sessions
    request = OpenRequest(
        carrier=CARRIER,
        owner="the night before",
        process=None,
        trigger=Trigger.NIGHTLY,
        first_cursor={},
        config_hash="the night before",
        lease_seconds=LEASE_SECONDS,
        max_session_age_hours=24.0,
        max_stalled_resumes=1,
    )
    session = store.open_session(request).session
    sims = [Sim(sim_id=f"HS{number:032x}", iccid=f"8988307{number:012d}") for number in range(GONE_SIMS)]
    session = store.commit_page(session.claim, {}, Page(sims=sims, next_cursor=None, records=GONE_SIMS))
    store.close_session(session.claim, SweepPolicy(), session.config_hash)


@contextmanager
def ended_like_ctrl_c() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that everything in it cleans up after itself."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with handled_by(interrupt, [signal.SIGTERM]):
        yield


# --- a victim's work ------------------------------------------------------------------------------------------------


def main(carrier_name: str) -> int:
    """Sync the carrier, and return the exit code."""
    config = load_config()
    warehouse = open_warehouse(config.warehouse_url, at=armed_crash_point())
    owner = f"selftest-{os.getpid()}"
    session = sync_once(
        config.carrier(carrier_name),
        warehouse.sessions,
        owner=owner,
        gone_owners=dead_owners(warehouse, carrier_name),
    )
    told = {"state": session.state.value, "fence": session.fence, "pages_done": session.pages_done}
    print(json.dumps(told), flush=True)
    return 0 if session.state is State.COMPLETED and session.owner == owner else 3


def be_victim(environment: Mapping[str, str], carrier_name: str, folder: Path) -> None:
    """Do the same in a process that was forked for it: with an environment and with output files of its own."""
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, name in ((1, "told"), (2, "complaints")):
        file = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, descriptor)
        os.close(file)
    sys.exit(main(carrier_name))


def dead_owners(warehouse: Warehouse, carrier: str) -> frozenset[str]:
    """Return the owner of the carrier's open session if its process on this host is certainly dead."""
    session = warehouse.sessions.open_session_of(carrier)
    if session is None or session.owner is None:
        return frozenset()
    is_dead = is_known_dead(warehouse.sessions.internals(session.session_id).process)
    return frozenset({session.owner}) if is_dead else frozenset()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
