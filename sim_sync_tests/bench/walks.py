"""Whole walks: the wall time at a slow carrier, with one request and with several in flight; the memory of a sync."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from sim_sync.simulator.credentials import simulated_credentials
from sim_sync.simulator.messages import MountOptions
from sim_sync_tests.bench.figures import Figure
from sim_sync_tests.bench.scene import CARRIER, databases, scene

_PAGE_SIZE = 100


def latency(pages: int, latency_ms: float) -> Iterator[Figure]:
    """Measure how much longer a walk over a slow carrier takes than its answers alone, with and without reading ahead.

    The processor time of a page says how much of that this machine can hide behind the answers at all.
    """
    _load_all()
    for page_size in (50, 1000):
        mount = MountOptions(sims=pages * page_size, latency_ms=latency_ms)
        walks = {ahead: _walk(mount, page_size, {"read_ahead": ahead}) for ahead in (1, 0)}
        answers = pages * latency_ms / 1000
        what = f"wall / (pages x {latency_ms:.0f} ms), {page_size} SIMs a page"
        yield Figure(what, walks[1].wall / answers, "x", at_most=1.05)
        yield Figure(f"{what}, read_ahead: 0", walks[0].wall / answers, "x")
        yield Figure(f"CPU of a walk a page, {page_size} SIMs a page", 1000 * walks[1].cpu / pages, "ms")


def in_flight(pages: int, latency_ms: float) -> Iterator[Figure]:
    """Measure how many more pages a second a walk by page number gets with four requests in flight than with one.

    The first page is asked for alone: of 100 pages no more than 3.88 times as many a second can come.
    """
    _load_all()
    mount = MountOptions(vendor="telnyx", sims=pages * _PAGE_SIZE, latency_ms=latency_ms)
    walks = {most: _walk(mount, _PAGE_SIZE, _by_number(most)) for most in (1, 4)}
    what = f"pages a second at {latency_ms:.0f} ms by page number, 4 in flight against 1"
    yield Figure(what, walks[1].wall / walks[4].wall, "x", at_least=3.6)
    yield Figure(f"CPU of a walk a page, by page number, {_PAGE_SIZE} SIMs a page", 1000 * walks[4].cpu / pages, "ms")


def _by_number(most_in_flight: int) -> dict[str, Any]:
    limit = {"requests_per_second": 1000, "max_in_flight": most_in_flight}
    return {"auth": dict(simulated_credentials("telnyx")), "rate_limit": limit}


class Took(NamedTuple):
    """The seconds that a walk took, by the wall and of the processor."""

    wall: float
    cpu: float


def _walk(mount: MountOptions, page_size: int, settings: dict[str, Any]) -> Took:
    """Walk a carrier into an empty SQLite file, in this process."""
    with tempfile.TemporaryDirectory(prefix="sim-sync-bench-") as folder:
        url = f"sqlite:///{folder}/warehouse.db"
        with scene(url, mount, page_size=page_size, vendor_settings=settings) as place:
            wall, cpu = time.perf_counter(), time.process_time()
            place.sync()
            return Took(time.perf_counter() - wall, time.process_time() - cpu)


def _load_all() -> None:
    """Walk two pages, so that no measured walk imports anything."""
    _walk(MountOptions(sims=2 * _PAGE_SIZE), _PAGE_SIZE, {})


def memory(sims: int) -> Iterator[Figure]:
    """Measure the peak memory of `sim-sync backfill`, Dagster included, for a small and a large fleet."""
    for count in (sims // 10, sims):
        with databases() as urls, scene(urls["SQLite"], MountOptions(sims=count), page_size=1000) as place:
            environment = {**os.environ, **place.environment, "DAGSTER_HOME": str(place.folder)}
            (place.folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
            command = [sys.executable, "-m", "sim_sync", "backfill", CARRIER]
            process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                raise RuntimeError(f"the measured backfill ended with exit code {process.returncode}")
        yield Figure(f"peak memory of a backfill of {count:,} SIMs", usage.ru_maxrss / 1024, "MB", at_most=200)
