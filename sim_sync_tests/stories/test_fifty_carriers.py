"""Fifty carriers at once, on one machine, into one warehouse: all come to their turn, and to their end."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml

from sim_sync.core.session import State
from sim_sync.simulator.control import RunningSimulator, running_simulator
from sim_sync.simulator.messages import MountOptions
from sim_sync.warehouse import Warehouse, open_warehouse
from sim_sync.warehouse.engine import reading
from sim_sync.warehouse.tables import carrier_sims, sync_sessions
from sim_sync_tests.stories.place import PROJECT, a_carrier

pytestmark = pytest.mark.slow

CARRIERS = [f"carrier-{number:02}" for number in range(50)]
PROCESSES = 5
#: Their limits make each walk last for seconds, so that all of them are at work at once however fast the machine is.
PAGES, PAGE_SIZE, REQUESTS_PER_SECOND = 6, 10, 1

#: Walks the carriers that it is given, each in a thread with connections of its own; tells all warnings at the end.
_WALK = """
import json, logging, sys
from concurrent.futures import ThreadPoolExecutor
from sim_sync.config import load_config
from sim_sync.warehouse import open_warehouse
from sim_sync.worker.processes import armed_crash_point
from sim_sync.worker.work import sync_once

warnings = []
handler = logging.Handler(logging.WARNING)
handler.emit = lambda record: warnings.append(record.getMessage())
logging.getLogger().addHandler(handler)
config, at = load_config(), armed_crash_point()
warehouses = {name: open_warehouse(config.warehouse_url, at=at) for name in sys.argv[1:]}

def walk(name):
    sessions = warehouses[name].sessions
    return sync_once(config.carrier(name), sessions, owner=f"run-of-{name}", gone_owners=[])

print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(len(warehouses)) as threads:
    ended = [session.state.value for session in threads.map(walk, warehouses)]
print(json.dumps([sorted(set(ended)), warnings]), flush=True)
"""

Walkers = subprocess.Popen[str]


@pytest.fixture
def carriers() -> Iterator[RunningSimulator]:
    """Fifty lists, each of an account of its own."""
    with running_simulator(*(MountOptions(name=name, sims=PAGES * PAGE_SIZE) for name in CARRIERS)) as simulator:
        yield simulator


@pytest.fixture
def place(tmp_path: Path, carriers: RunningSimulator, warehouse_url: str) -> Path:
    """A folder with the configuration of all of them."""
    more = {"page_size": PAGE_SIZE, "lease_seconds": 30, "rate_limit": {"requests_per_second": REQUESTS_PER_SECOND}}
    accounts = {name: a_carrier(carriers.base_urls[name]) | more for name in CARRIERS}
    document = {"warehouse": {"url": warehouse_url}, "carriers": accounts}
    (tmp_path / "carriers.yaml").write_text(yaml.safe_dump(document))
    return tmp_path


@pytest.fixture
def warehouse(warehouse_url: str) -> Iterator[Warehouse]:
    """What all of them write into."""
    opened = open_warehouse(warehouse_url)
    yield opened
    opened.close()


@contextmanager
def walkers(place: Path, names: Sequence[str], crash_at: str = "") -> Iterator[Walkers]:
    """Have a process ready to walk some of the carriers."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "SIM_SYNC_CRASH_AT": crash_at}
    command = [sys.executable, "-c", _WALK, *names]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=place, env=environment
    ) as process:
        yield process
        process.kill()


def told(process: Walkers) -> str:
    """Wait for a line of a process."""
    assert process.stdout is not None
    return process.stdout.readline()


def go(process: Walkers) -> None:
    """Tell a process to walk."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def walked(place: Path, parts: Sequence[Sequence[str]], *crashes: str) -> list[str]:
    """Walk carriers by as many processes as there are parts, all at once; return the last line of each."""
    with ExitStack() as stack:
        processes = [
            stack.enter_context(walkers(place, part, crash_at))
            for part, crash_at in zip(parts, [*crashes, *[""] * (len(parts) - len(crashes))], strict=True)
        ]
        assert [told(process) for process in processes] == ["ready\n"] * len(parts)
        for process in processes:
            go(process)
        lines = [told(process) for process in processes]
        assert [process.wait() for process in processes] == [0 if line else -signal.SIGKILL for line in lines]
        return lines


def test_fifty_carriers_walk_at_once_and_a_death_in_the_middle_holds_up_none_of_them(
    place: Path, warehouse: Warehouse
) -> None:
    parts = [CARRIERS[start::PROCESSES] for start in range(PROCESSES)]
    killed, others = parts[0], [name for part in parts[1:] for name in part]

    # It dies inside of a transaction: where there is one writer at a time, it is this one.
    ended, *lines = walked(place, parts, "commit_page:rows_written:35")

    assert ended == ""
    assert [json.loads(line) for line in lines] == [[["completed"], []]] * (PROCESSES - 1), "in peace, and to the end"
    assert_that_all_came_to_their_turn(warehouse, others)

    assert_that_each_kept_its_own_limit(warehouse, others)

    (line,) = walked(place, [killed])

    assert json.loads(line) == [["completed"], []]
    assert states_of(warehouse) == {State.COMPLETED.value: len(CARRIERS)}
    assert sims_of(warehouse) == dict.fromkeys(CARRIERS, PAGES * PAGE_SIZE)


def assert_that_all_came_to_their_turn(warehouse: Warehouse, names: Sequence[str]) -> None:
    """Let the slowest have begun long before the first was through: its first page comes before anybody's end."""
    began = sa.select(carrier_sims.c.carrier, sa.func.min(carrier_sims.c.first_seen_at)).group_by(
        carrier_sims.c.carrier
    )
    ended = sa.select(sa.func.min(sync_sessions.c.finished_at)).where(sync_sessions.c.carrier.in_(names))
    with reading(warehouse.engine, "reading when they began") as connection:
        first_pages = dict(row for row in connection.execute(began).all() if row[0] in names)
        first_end = connection.execute(ended).scalar_one()
    late = {name: time for name, time in first_pages.items() if time >= first_end}
    assert (len(first_pages), late) == (len(names), {}), f"the first had ended at {first_end}"


def assert_that_each_kept_its_own_limit(warehouse: Warehouse, names: Sequence[str]) -> None:
    """Let no walk be quicker than its limit allows, by its own times: when requests arrive is not up to us."""
    times = sa.select(sync_sessions.c.carrier, sync_sessions.c.started_at, sync_sessions.c.finished_at)
    with reading(warehouse.engine, "reading how long they took") as connection:
        took = {name: end - start for name, start, end in connection.execute(times).all() if name in names}
    shortest = timedelta(seconds=(PAGES - 1) / REQUESTS_PER_SECOND)
    assert (len(took), {name: time for name, time in took.items() if time < shortest}) == (len(names), {})


def states_of(warehouse: Warehouse) -> dict[str, int]:
    """Count the sessions by their state."""
    with reading(warehouse.engine, "reading the sessions") as connection:
        return dict(Counter(connection.execute(sa.select(sync_sessions.c.state)).scalars()))


def sims_of(warehouse: Warehouse) -> dict[str, int]:
    """Count the SIMs by carrier."""
    query = sa.select(carrier_sims.c.carrier, sa.func.count()).group_by(carrier_sims.c.carrier)
    with reading(warehouse.engine, "counting the SIMs") as connection:
        return dict(connection.execute(query).all())
