"""What looking costs: `sim-sync status` in seconds of CPU, and what a long walk leaves in Dagster's event log."""

import copy
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import yaml

from sim_sync.core.session import Event, Release
from sim_sync.core.sweep import SweepPolicy
from sim_sync.simulator.messages import MountOptions
from sim_sync.warehouse import Warehouse, open_warehouse
from sim_sync_tests.bench.figures import Figure
from sim_sync_tests.bench.scene import CARRIER, scene
from sim_sync_tests.bench.steps import fill_sims
from sim_sync_tests.fakes.fleet import a_page, a_request, a_sim

_NOT_PASSED_ON = ("SIM_SYNC_", "DAGSTER_", "PYTHONDONTWRITEBYTECODE")
#: The CPU seconds that an answer may take, by the number of carriers.
_GOALS = {50: 0.5, 500: 1.0}
_CARRIER = {
    "type": "rest",
    "base_url": "http://127.0.0.1:9",
    "auth": {"type": "bearer", "token": "none"},
    "list": {
        "path": "/v1/sims",
        "records": "data",
        "pagination": {"type": "page_number", "page_param": "page", "total_pages": "meta.total_pages"},
    },
    "fields": {"sim_id": "id", "iccid": "iccid", "status": "state"},
    "statuses": {"ENABLED": "active"},
}


def status(rows: int) -> Iterator[Figure]:
    """Measure `sim-sync status` on a warehouse of so many SIMs, with 50 carriers and with 500; the best of five."""
    for carriers, goal in _GOALS.items():
        with tempfile.TemporaryDirectory(prefix="sim-sync-bench-") as name:
            folder = Path(name)
            names = [f"acme-{number:03}" for number in range(carriers)]
            carriers_yaml = {"carriers": {each: copy.deepcopy(_CARRIER) for each in names}}
            (folder / "carriers.yaml").write_text(yaml.safe_dump(carriers_yaml, sort_keys=False), encoding="utf-8")
            warehouse = open_warehouse(f"sqlite:///{folder}/.sim_sync/warehouse.db")
            for carrier in names:
                _walk_three_nights(warehouse, carrier)
            fill_sims(warehouse, rows)
            warehouse.close()
            seconds = min(_cpu_seconds(folder, "status") for _ in range(5))
        yield Figure(f"CPU of status, {carriers} carriers, {rows:,} SIMs", seconds, "s", at_most=goal)


def _walk_three_nights(warehouse: Warehouse, carrier: str) -> None:
    """Complete two walks, and leave a third parked in the middle."""
    store = warehouse.sessions
    for night in range(3):
        session = store.open_session(a_request(carrier=carrier)).session
        for number in range(3):
            assert session.cursor is not None
            is_last = number == 2 and night < 2
            page = a_page(
                [a_sim(number)], None if is_last else {"page": number + 1}, records_total=3 if night < 2 else 30
            )
            session = store.commit_page(session.claim, session.cursor, page)
        if night < 2:
            store.close_session(session.claim, SweepPolicy(), session.config_hash)
        else:
            wait = Release(Event.WAIT_TOO_LONG, "throttled: HTTP 429", wait_seconds=3000.0)
            store.release(session.claim, wait)


def _cpu_seconds(folder: Path, *arguments: str) -> float:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_PASSED_ON)}
    # As where it is installed: its modules were compiled by the first of several runs.
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "sim_sync", *arguments]
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def events(pages: int) -> Iterator[Figure]:
    """Measure what a walk of so many pages leaves in Dagster's event log, and what an event costs after it."""
    with tempfile.TemporaryDirectory(prefix="sim-sync-bench-") as name:
        url = f"sqlite:///{name}/warehouse.db"
        with scene(url, MountOptions(sims=pages), page_size=1) as place:
            home = place.folder / "home"
            home.mkdir()
            (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
            with dg.DagsterInstance.from_config(str(home)) as instance:
                _milliseconds_of_an_event(instance)  # the first ones make its tables
                first = _milliseconds_of_an_event(instance)
                environment = {**os.environ, **place.environment, "DAGSTER_HOME": str(home)}
                command = [sys.executable, "-m", "sim_sync", "backfill", CARRIER, "--quiet"]
                subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
                (run,) = instance.get_runs()
                count = len(instance.all_logs(run.run_id))
                last = _milliseconds_of_an_event(instance)
    yield Figure(f"events that a walk of {pages:,} pages leaves", count, "", at_most=1000)
    yield Figure("cost of an event after it against before", last / first, "x", at_most=1.5)


def _milliseconds_of_an_event(instance: dg.DagsterInstance) -> float:
    taken = []
    for number in range(50):
        started = time.perf_counter()
        instance.report_runless_asset_event(dg.AssetObservation("carrier_sims", metadata={"pages_done": number}))
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)
