"""Real sync processes: started with or without an armed crash point, killed, frozen, woken, and waited for.

Each victim is an operating-system process of its own. It is forked from one that has imported everything already:
starting an interpreter anew would take longer than most trials do.
"""

import json
import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import yaml

from sim_sync.core.errors import SimSyncError
from sim_sync.selftest.process import be_victim
from sim_sync.worker.crash import VARIABLE as CRASH_VARIABLE

#: The carrier's name in the config of a trial.
CARRIER = "selftest"
#: Short, so that a frozen worker is taken over soon.
LEASE_SECONDS = 1
_PATIENCE_SECONDS = 120

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["__main__", "sim_sync.selftest.process"])


class TrialFailed(SimSyncError):
    """A trial came out otherwise than promised."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a victim ended: its exit code (below 0: the signal that killed it), what it told, and its complaints."""

    code: int
    told: Mapping[str, Any]
    complaints: str


@dataclass(frozen=True, slots=True)
class Victim:
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
        """Let it go on, if it was frozen."""
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
class Scene:
    """Where victims work: the folder with their config, and the environment that names it and their warehouse."""

    folder: Path
    environment: Mapping[str, str]
    victims: int = 0

    @contextmanager
    def victim(self, crash_at: str | None = None) -> Iterator[Victim]:
        """Start a sync process; whatever becomes of it, it is gone at the end of the block."""
        self.victims += 1
        folder = self.folder / f"victim-{self.victims}"
        folder.mkdir()
        environment = dict(self.environment) | ({CRASH_VARIABLE: crash_at} if crash_at else {})
        process = _processes.Process(target=be_victim, args=(environment, CARRIER, folder), daemon=True)
        process.start()
        try:
            yield Victim(process, folder)
        finally:
            process.kill()
            process.join(_PATIENCE_SECONDS)


def write_scene(
    folder: Path, *, carrier_url: str, warehouse_url: str, credentials: Mapping[str, str], page_size: int
) -> Scene:
    """Write the config of a trial and return the scene for its victims."""
    path = folder / "carriers.yaml"
    carrier = {
        "type": "twilio_super_sim",
        "base_url": carrier_url,
        "auth": dict(credentials),
        "page_size": page_size,
        "lease_seconds": LEASE_SECONDS,
        "retry": {"base_seconds": 0.05, "ceiling_seconds": 1, "max_attempts": 8},
    }
    path.write_text(yaml.safe_dump({"carriers": {CARRIER: carrier}}), encoding="utf-8")
    return Scene(folder, {**os.environ, "SIM_SYNC_CONFIG": str(path), "SIM_SYNC_WAREHOUSE_URL": warehouse_url})
