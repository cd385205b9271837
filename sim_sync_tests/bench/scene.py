"""Where figures are measured: a simulated carrier in a process of its own, an empty warehouse, a config for both."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sim_sync.config import CarrierConfig, load_config
from sim_sync.core.opening import Trigger
from sim_sync.core.session import Session, State
from sim_sync.simulator.control import RunningSimulator, running_simulator
from sim_sync.simulator.credentials import SIMULATED_CREDENTIALS
from sim_sync.simulator.messages import MountOptions
from sim_sync.warehouse import Warehouse, open_warehouse
from sim_sync.worker.stopping import StopSignal
from sim_sync.worker.work import close_carrier, open_carrier, walk_carrier
from sim_sync_tests.bench.recorded import recorded_carrier
from sim_sync_tests.fakes.databases import fresh_postgres_database, start_postgres, stop_postgres

CARRIER = "bench"


@dataclass(frozen=True, slots=True)
class BenchHarness:
    """A carrier to sync and a warehouse to sync it into."""

    folder: Path
    simulator: RunningSimulator
    carrier: CarrierConfig
    warehouse: Warehouse
    environment: dict[str, str]

    def sync(self) -> Session:
        """Walk the whole carrier once, in this process."""
        opened = open_carrier(
            self.carrier, self.warehouse.sessions, owner="bench", process=None, trigger=Trigger.OPERATOR
        )
        outcome = walk_carrier(
            self.carrier,
            self.warehouse.sessions,
            opened.session,
            stop=StopSignal(),
            max_pages=None,
            on_checkpoint=lambda _session: None,
        )
        session = close_carrier(self.carrier, self.warehouse.sessions, outcome.session)
        if session.state is not State.COMPLETED:
            raise RuntimeError(f"the measured sync ended {session.state.value}: {session.last_error}")
        return session


@contextmanager
def databases() -> Iterator[dict[str, str]]:
    """Yield the URLs of an empty SQLite and an empty PostgreSQL, the latter a server started for this."""
    with tempfile.TemporaryDirectory(prefix="sim-sync-bench-") as name:
        server = Path(name) / "pg"
        server.mkdir()
        try:
            with fresh_postgres_database(start_postgres(server)) as url:
                yield {"SQLite": f"sqlite:///{Path(name) / 'warehouse.db'}", "PostgreSQL": url}
        finally:
            stop_postgres(server)


@contextmanager
def recorded_fleet(sims: int) -> Iterator[str]:
    """Yield the URL of a Super SIM carrier of so many SIMs that costs next to nothing once it was walked."""
    with running_simulator(MountOptions(sims=sims)) as simulator, recorded_carrier(simulator.url) as url:
        yield url


@contextmanager
def scene(
    warehouse_url: str, mount: MountOptions, *, page_size: int, vendor_settings: dict[str, Any] | None = None
) -> Iterator[BenchHarness]:
    """Set everything up for syncs of one simulated carrier."""
    with tempfile.TemporaryDirectory(prefix="sim-sync-bench-") as name, running_simulator(mount) as simulator:
        folder = Path(name)
        settings: dict[str, Any] = {
            "type": mount.vendor,
            "base_url": simulator.url,
            "auth": {key: SIMULATED_CREDENTIALS[key] for key in ("username", "password")},
            "page_size": page_size,
        }
        path = folder / "carriers.yaml"
        path.write_text(yaml.safe_dump({"carriers": {CARRIER: settings | (vendor_settings or {})}}), encoding="utf-8")
        environment = {"SIM_SYNC_CONFIG": str(path), "SIM_SYNC_WAREHOUSE_URL": warehouse_url}
        warehouse = open_warehouse(warehouse_url)
        try:
            yield BenchHarness(folder, simulator, load_config(path).carrier(CARRIER), warehouse, environment)
        finally:
            warehouse.close()
