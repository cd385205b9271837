"""Two hosts, one account: processes with state of their own keep one limit in one PostgreSQL, as a carrier sees it."""

import os
import subprocess
import sys
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from sim_sync.simulator.control import RunningSimulator, running_simulator
from sim_sync.simulator.messages import MountOptions
from sim_sync.warehouse import open_warehouse
from sim_sync_tests.stories.place import PROJECT, a_carrier

pytestmark = pytest.mark.slow

RATE, REQUESTS = 40, 140
#: A machine that stalls does not use the limit up: it is given that many rounds, and may exceed it in none of them.
ROUNDS = 4
#: So many processes that want to run, a core: too many to say anything about a rate.
TOO_BUSY = 3.0
HOSTS = ("one", "two")

#: What a walk does to fetch its pages, from `carriers.yaml` to the wire, by three threads.
_FETCH = """
import sys
from concurrent.futures import ThreadPoolExecutor
from sim_sync.config import load_config
from sim_sync.worker.stopping import StopSignal

carrier = load_config().carrier(sys.argv[1]).build(StopSignal())
carrier.fetch_page(carrier.first_cursor())
with ThreadPoolExecutor(3) as threads:
    print("ready", flush=True)
    while sys.stdin.readline():
        list(threads.map(lambda _: carrier.fetch_page(carrier.first_cursor()), range(int(sys.argv[2]))))
        print("ready", flush=True)
"""


@pytest.fixture
def carriers() -> Iterator[RunningSimulator]:
    """Two lists of one account."""
    with running_simulator(*(MountOptions(name=name, sims=1) for name in HOSTS)) as simulator:
        yield simulator


@contextmanager
def host(name: str, folder: Path, simulator: RunningSimulator, url: str) -> Iterator["subprocess.Popen[str]"]:
    """Let a host with a folder and a state of its own fetch pages of one of the lists, as soon as it is told."""
    (folder / name).mkdir()
    limit = {"requests_per_second": RATE, "max_in_flight": 6, "shared_key": "the-account"}
    account = a_carrier(simulator.base_urls[name]) | {"rate_limit": limit}
    (folder / name / "carriers.yaml").write_text(yaml.safe_dump({"carriers": {name: account}}))
    environment = {
        **os.environ,
        "SIM_SYNC_STATE_DIR": str(folder / name / "state"),
        "SIM_SYNC_WAREHOUSE_URL": url,
        "PYTHONPATH": str(PROJECT),
    }
    with subprocess.Popen(
        [sys.executable, "-c", _FETCH, name, str(REQUESTS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder / name,
        env=environment,
    ) as process:
        ready(process)
        yield process
        process.kill()


def ready(process: "subprocess.Popen[str]") -> None:
    """Wait until a host has fetched what it was told to."""
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def go(process: "subprocess.Popen[str]") -> None:
    """Tell a host to fetch."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_two_hosts_use_one_limit_up_and_never_exceed_it(
    tmp_path: Path, carriers: RunningSimulator, postgres_url: str
) -> None:
    open_warehouse(postgres_url).close()
    found: list[tuple[int, float]] = []
    with host("one", tmp_path, carriers, postgres_url) as one, host("two", tmp_path, carriers, postgres_url) as two:
        while not found or (is_kept(*found[-1]) and not is_used(*found[-1]) and len(found) < ROUNDS):
            carriers.clear_requests()
            go(one)
            go(two)
            ready(one)
            ready(two)
            found.append(seen_by(carriers))
    assert is_kept(*found[-1]), found
    busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    if busy > TOO_BUSY and not is_used(*found[-1]):
        pytest.skip(f"{busy:.0f} processes a core want to run: {RATE} requests a second cannot be sent here: {found}")
    assert is_used(*found[-1]), found
    assert not list(tmp_path.rglob("*.sqlite")), "nothing is kept by one host alone"


def seen_by(carriers: RunningSimulator) -> tuple[int, float]:
    """Return the most requests of both in any second, and the share of the limit that both used together."""
    entries = [entry for entry in carriers.fetch_requests() if entry.is_list]
    times = {name: [entry.arrived_ns / 1e9 for entry in entries if entry.mount == name] for name in HOSTS}
    together = sorted(times["one"] + times["two"])
    peak = max(bisect_left(together, first + 1) - place for place, first in enumerate(together))
    begun, ended = max(map(min, times.values())), min(map(max, times.values()))
    sent = sum(begun <= time < ended for time in together)
    return peak, sent / (ended - begun) / RATE


def is_kept(peak: int, _used: float) -> bool:
    """Return whether no second had more than the limit allows."""
    return peak <= RATE


def is_used(_peak: int, used: float) -> bool:
    """Return whether nine tenths of the limit were used, at least."""
    return used >= 0.9
