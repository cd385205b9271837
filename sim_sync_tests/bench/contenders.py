"""Who is measured against whom: this build, another revision of this repository, and a peer, each in its environment.

An environment is built once and kept under `build/bench`. A contender's work is done in a process of its own, which
says how long it took; what it took to start is not in that.
"""

import json
import os
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sim_sync.simulator.credentials import SIMULATED_CREDENTIALS

THIS = Path(__file__).resolve().parents[2]
PLACE = THIS / "build" / "bench"
CARRIER = "bench"
#: The peers that can be asked for, and the packages that are installed for each.
PEERS: Mapping[str, Sequence[str]] = {"dlt": ("dlt[postgres,sqlalchemy]==1.31.0",)}
_PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")

_WALK = """
import json, os, resource, sys, time
from pathlib import Path
from sim_sync.config import load_config
from sim_sync.warehouse import open_warehouse
try:
    from sim_sync.worker.work import sync_once
except ImportError:  # its module's name until 2026-11
    from sim_sync.worker.carrier_work import sync_once

config = load_config(Path(sys.argv[1]), environ=os.environ)
warehouse = open_warehouse(config.warehouse_url)
carrier = config.carrier(sys.argv[2])
import sim_sync.carriers.source  # loaded with the first carrier by now, with the config until 2026-11
cpu, started = time.process_time(), time.perf_counter()
session = sync_once(carrier, warehouse.sessions, owner="bench", gone_owners=())
seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
if session.state.value != "completed":
    sys.exit(f"the measured walk ended {session.state.value}: {session.last_error}")
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": seconds, "cpu": cpu, "records": session.records_seen, "megabytes": peak}))
"""


@dataclass(frozen=True, slots=True)
class Took:
    """What a walk took: seconds, the CPU seconds among them of its own process, records, and its peak memory in MB."""

    seconds: float
    cpu: float
    records: int
    megabytes: float

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds


@dataclass(frozen=True, slots=True)
class Contender(ABC):
    """Somebody who can walk a simulated Super SIM carrier into a database."""

    name: str
    python: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @abstractmethod
    def walk(self, carrier_url: str, database_url: str, *, page_size: int = 1000) -> Took:
        """Walk the whole carrier once."""

    def run(self, *arguments: str, folder: Path) -> dict[str, Any]:
        """Run a script with this contender's interpreter; its last line is what it found, as JSON."""
        command = [str(self.python), *arguments]
        ended = subprocess.run(
            command, cwd=folder, env=dict(self.environment), capture_output=True, text=True, check=False
        )
        if ended.returncode:
            raise RuntimeError(f"{self.name}: {ended.stderr[-2000:]}")
        found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
        return found


@dataclass(frozen=True, slots=True)
class Build(Contender):
    """A checkout of this repository."""

    def walk(self, carrier_url: str, database_url: str, *, page_size: int = 1000) -> Took:
        """Walk the whole carrier once, without Dagster."""
        with tempfile.TemporaryDirectory(prefix="sim-sync-bench-") as name:
            config = write_config(Path(name), carrier_url, database_url, page_size=page_size)
            return Took(**self.run("-c", _WALK, str(config), CARRIER, folder=Path(name)))


@dataclass(frozen=True, slots=True)
class Dlt(Contender):
    """The peer dlt: its `rest_api` source, merged by the SIM's id."""

    def walk(self, carrier_url: str, database_url: str, *, page_size: int = 1000) -> Took:
        """Load the whole list once."""
        script = str(Path(__file__).parent / "dlt_walk.py")
        username, password = (SIMULATED_CREDENTIALS[key] for key in ("username", "password"))
        with tempfile.TemporaryDirectory(prefix="sim-sync-bench-") as name:
            arguments = (carrier_url, database_url, name, str(page_size), username, password)
            return Took(**self.run(script, *arguments, folder=Path(name)))


def write_config(folder: Path, carrier_url: str, database_url: str, *, page_size: int = 1000) -> Path:
    """Write a `carriers.yaml` of one Super SIM carrier, in words that every revision knows, and return its path."""
    carrier = {
        "type": "twilio_super_sim",
        "base_url": carrier_url,
        "auth": {key: SIMULATED_CREDENTIALS[key] for key in ("username", "password")},
        "page_size": page_size,
    }
    path = folder / "carriers.yaml"
    document = {"warehouse": {"url": database_url}, "carriers": {CARRIER: carrier}}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def this_build() -> Build:
    """Return the build whose bench this is, in the environment that it runs in."""
    return Build("this build", Path(sys.executable), _environment(THIS))


def build_of(revision: str) -> Build:
    """Return another revision of this repository: a worktree of it, with its own environment by its own constraints."""
    commit = _git("rev-parse", "--short=7", f"{revision}^{{commit}}")
    tree = PLACE / commit
    if not tree.exists():
        _git("worktree", "prune")
        _git("worktree", "add", "--detach", str(tree), commit)
    python = _environment_of(tree / ".venv", ["--constraint", str(tree / "constraints.txt"), "--editable", str(tree)])
    return Build(commit, python, _environment(tree))


def peer(name: str) -> Contender:
    """Return a peer in an environment of its own, of the version that is pinned here."""
    (requirement,) = PEERS[name]
    python = _environment_of(PLACE / requirement.replace("[postgres,sqlalchemy]==", "-"), [requirement])
    return Dlt(name, python, _environment(None))


def _environment_of(place: Path, wanted: Sequence[str]) -> Path:
    """Return the interpreter of an environment; it is made unless it was made to its end before."""
    python, finished = place / "bin" / "python", place / "finished"
    if not finished.exists():
        sys.stderr.write(f"building {place}\n")
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        subprocess.run([str(python), *_PIP, *wanted], check=True)
        finished.touch()
    return python


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=THIS, check=True, capture_output=True, text=True).stdout.strip()


def _environment(tree: Path | None) -> Mapping[str, str]:
    """Return the environment variables of a contender: none that sim_sync, Dagster or another Python would obey."""
    strange = ("SIM_SYNC_", "DAGSTER_", "PYTHON", "VIRTUAL_ENV")
    found = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
    return found if tree is None else {**found, "PYTHONPATH": str(tree)}
