"""A folder in which a story happens: its own config, warehouse, Dagster home and simulated carrier."""

import csv
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
import psutil
import sqlalchemy as sa
import yaml
from dagster._core.scheduler.instigation import InstigatorTick, TickStatus

from sim_sync.config import load_config
from sim_sync.core.opening import Trigger
from sim_sync.core.session import Event, Release, Session, State
from sim_sync.simulator.control import RunningSimulator
from sim_sync.simulator.credentials import SIMULATED_CREDENTIALS
from sim_sync.simulator.messages import TrueSim
from sim_sync.warehouse import Warehouse, open_warehouse
from sim_sync.warehouse.tables import metadata
from sim_sync.worker.processes import this_process
from sim_sync.worker.stopping import StopSignal
from sim_sync.worker.work import close_carrier, open_carrier, walk_carrier

CARRIER = "acme-eu"
PROJECT = Path(__file__).parents[2]
#: Nothing in a story takes longer than this.
PATIENCE_SECONDS = 120.0

Found = TypeVar("Found")


@dataclass
class Workspace:
    """Where a story happens."""

    folder: Path
    simulator: RunningSimulator
    warehouse_url: str
    settings: dict[str, Any] = field(default_factory=dict)
    extra_carriers: dict[str, Any] = field(default_factory=dict)
    #: Our own list where it is not a file.
    inventory: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "dagster_home").mkdir(exist_ok=True)
        self.write_dagster_yaml(shipped_dagster_settings())
        self.warehouse: Warehouse = open_warehouse(self.warehouse_url)
        self._numbers = itertools.count(1)
        self.write_inventory([])
        self.write_config()

    # --- its files ---------------------------------------------------------------------------------------------

    def write_config(self, **settings: Any) -> None:
        """Write `carriers.yaml` again, with some settings of the carrier changed."""
        self.settings |= settings
        carrier = a_carrier(self.simulator.url) | self.settings
        inventory = self.inventory or {"type": "csv", "path": "inventory.csv"}
        config = {
            "inventory": {
                "columns": {"iccid": "ICCID", "carrier": "Carrier", "status": "State"},
                "statuses": {"LIVE": "active"},
                **inventory,
            },
            "carriers": {CARRIER: carrier, **self.extra_carriers},
        }
        (self.folder / "carriers.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")

    def write_dagster_yaml(self, settings: Mapping[str, Any]) -> None:
        """Write the `dagster.yaml` of the story's home."""
        path = self.folder / "dagster_home" / "dagster.yaml"
        path.write_text(yaml.safe_dump(dict(settings)), encoding="utf-8")

    def write_inventory(self, rows: Sequence[tuple[str, str]]) -> None:
        """Write our own list: pairs of an ICCID and a state, and one SIM that no carrier knows: it is never empty."""
        with (self.folder / "inventory.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["ICCID", "Carrier", "State"])
            writer.writerow(["89000000000000000000", CARRIER, "LIVE"])
            writer.writerows([iccid, CARRIER, state] for iccid, state in rows)

    # --- syncs in this process ---------------------------------------------------------------------------------

    def open(self, carrier: str = CARRIER, *, owner: str = "run-0", trigger: Trigger = Trigger.OPERATOR) -> Session:
        """Open or take over a carrier's session, whoever owned it before; where that is refused, return it as it is."""
        config = load_config(self.folder / "carriers.yaml", environ=self.environment)
        open_now = self.warehouse.sessions.open_session_of(carrier)
        gone = [] if open_now is None or open_now.owner is None else [open_now.owner]
        sessions = self.warehouse.sessions
        return open_carrier(
            config.carrier(carrier), sessions, owner=owner, process=this_process(), trigger=trigger, gone_owners=gone
        ).session

    def sync(
        self, carrier: str = CARRIER, *, max_pages: int | None = None, trigger: Trigger = Trigger.OPERATOR
    ) -> Session:
        """Do a whole run's share without Dagster, and return the session as it is left."""
        owner = f"run-{next(self._numbers)}"
        session = self.open(carrier, owner=owner, trigger=trigger)
        if session.owner != owner or not session.is_open or session.lease_expires_at is None:
            return session
        settings = load_config(self.folder / "carriers.yaml", environ=self.environment).carrier(carrier)
        outcome = walk_carrier(
            settings,
            self.warehouse.sessions,
            session,
            stop=StopSignal(),
            max_pages=max_pages,
            on_checkpoint=lambda _session: None,
        )
        if outcome.stopped_by is not None:
            return outcome.session
        return close_carrier(settings, self.warehouse.sessions, outcome.session)

    def leave_interrupted(self, carrier: str = CARRIER) -> Session:
        """Open a session and leave it at once, so that a sensor that looks finds something to do."""
        return self.warehouse.sessions.release(self.open(carrier).claim, Release(Event.STOPPED_BY_MACHINE))

    # --- its processes -----------------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every process of the story."""
        return {
            **os.environ,
            "DAGSTER_HOME": str(self.folder / "dagster_home"),
            "SIM_SYNC_CONFIG": str(self.folder / "carriers.yaml"),
            "SIM_SYNC_WAREHOUSE_URL": self.warehouse_url,
            "PYTHONPATH": str(PROJECT),
        }

    def sim_sync(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of `sim-sync` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "sim_sync", *arguments],
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    @contextmanager
    def process(self, *command: str, log: str, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Run any command in the background, in a group of its own; all of it is gone at the end of the block."""
        with (self.folder / log).open("ab") as output:
            process = subprocess.Popen(
                command,
                cwd=PROJECT,
                env=self.environment | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            end_group(process)

    @contextmanager
    def daemon(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Run Dagster's daemon with its code server, as `make dev` does; the UI is not needed."""
        with self.process(
            sys.executable, "-m", "dagster._daemon", "run", "-w", "workspace.yaml", log="daemon.log"
        ) as process:
            yield process

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """The Dagster instance of the story's processes."""
        with dg.DagsterInstance.from_config(str(self.folder / "dagster_home")) as instance:
            yield instance

    def runs(self, carrier: str = CARRIER) -> Sequence[dg.DagsterRun]:
        """Return the carrier's runs in the Dagster instance, newest first."""
        with self.instance() as instance:
            return instance.get_runs(dg.RunsFilter(tags={"dagster/partition": carrier}))

    def run(self, run_id: str) -> dg.DagsterRun:
        """Return a run as it is now."""
        with self.instance() as instance:
            run = instance.get_run_by_id(run_id)
        assert run is not None
        return run

    def wait_for_run(self, run_id: str, status: dg.DagsterRunStatus) -> dg.DagsterRun:
        """Wait until a run has a status."""

        def there() -> dg.DagsterRun | None:
            run = self.run(run_id)
            return run if run.status is status else None

        return self.wait_for(there, f"run {run_id} to be {status.value}")

    def ticks(self) -> Sequence[InstigatorTick]:
        """Return the looks of the sensor that are over, newest first."""
        with self.instance() as instance:
            found = [one for one in instance.all_instigator_state() if one.name == "resume_interrupted_syncs"]
            ticks = [tick for one in found for tick in instance.get_ticks(one.instigator_origin_id, one.selector_id)]
        return [tick for tick in ticks if tick.status is not TickStatus.STARTED]

    def wait_for_looks(self, number: int) -> Sequence[InstigatorTick]:
        """Wait until the sensor has looked that many times more, and return these looks, newest first."""
        seen = {tick.tick_id for tick in self.ticks()}

        def new() -> Sequence[InstigatorTick] | None:
            ticks = [tick for tick in self.ticks() if tick.tick_id not in seen]
            return ticks if len(ticks) >= number else None

        return self.wait_for(new, f"{number} looks of the sensor")

    def worker(self, carrier: str = CARRIER) -> psutil.Process:
        """The process that owns, or last owned, the carrier's session."""
        session = self.session(carrier)
        process = None if session is None else self.warehouse.sessions.internals(session.session_id).process
        assert process is not None
        return psutil.Process(process.pid)

    # --- its tables --------------------------------------------------------------------------------------------

    def session(self, carrier: str = CARRIER) -> Session | None:
        """The carrier's open or else newest session."""
        latest = self.warehouse.sessions.latest_sessions([carrier])
        return latest[0] if latest else None

    def rows(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        """Return some columns of a table, sorted."""
        chosen = metadata.tables[table]
        with self.warehouse.engine.connect() as connection:
            query = sa.select(*(chosen.c[column] for column in columns))
            return sorted((tuple(row) for row in connection.execute(query)), key=repr)

    def true_sims(self) -> list[TrueSim]:
        """Return what is true at the carrier."""
        return list(self.simulator.fetch_sims())

    def page_requests(self) -> int:
        """Return how many list requests the carrier has seen."""
        return sum(entry.is_list for entry in self.simulator.fetch_requests())

    def wait_for(self, look: Callable[[], Found | None], what: str, *, seconds: float = PATIENCE_SECONDS) -> Found:
        """Look again and again until something is there; the story fails where it never comes."""
        deadline = time.monotonic() + seconds
        while (began := time.monotonic()) < deadline:
            if (found := look()) is not None:
                return found
            # A look that costs much is taken less often: the processes of the story need the machine.
            time.sleep(0.02 + 2 * (time.monotonic() - began))
        raise AssertionError(f"waited {seconds:.0f} s in vain for {what}; the session is {self.session()}")

    def wait_for_pages(self, pages: int, carrier: str = CARRIER) -> Session:
        """Wait until the carrier's session has committed that many pages."""

        def far_enough() -> Session | None:
            session = self.session(carrier)
            return session if session is not None and session.pages_done >= pages else None

        return self.wait_for(far_enough, f"{pages} committed pages of {carrier}")

    def wait_for_state(self, state: State, carrier: str = CARRIER) -> Session:
        """Wait until the carrier's session is in a state."""

        def there() -> Session | None:
            session = self.session(carrier)
            return session if session is not None and session.state is state else None

        return self.wait_for(there, f"{carrier} to be {state.value}")


def a_carrier(url: str) -> dict[str, Any]:
    """Return the plain settings of a simulated carrier, whose walks are short and whose waits are shorter."""
    return {
        "type": "twilio_super_sim",
        "base_url": url,
        "auth": {key: SIMULATED_CREDENTIALS[key] for key in ("username", "password")},
        "page_size": 10,
        "lease_seconds": 3,
        "retry": {"base_seconds": 0.05, "ceiling_seconds": 0.2, "max_attempts": 4},
    }


def end_group(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process that leads a group, and everything in its group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.wait(PATIENCE_SECONDS)


def shipped_dagster_settings() -> Mapping[str, Any]:
    """Return the project's `dagster.yaml` with its files in the story's own home."""
    settings: Mapping[str, Any] = yaml.safe_load((PROJECT / "dagster.yaml").read_text(encoding="utf-8"))
    its_files = {"storage", "local_artifact_storage", "compute_logs"}
    return {name: value for name, value in settings.items() if name not in its_files}
