"""Whole walks: the wall time at a slow carrier, with one request and with several in flight; the memory of a sync."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

from sim_sync.simulator.credentials import simulated_credentials
from sim_sync.simulator.messages import MountOptions
from sim_sync_tests.bench.figures import Figure
from sim_sync_tests.bench.scene import CARRIER, databases, scene

_PAGE_SIZE = 100


def latency(pages: int, latency_ms: float) -> Iterator[Figure]:
    """Measure how much longer a walk over a slow carrier takes than its answers alone."""
    for page_size in (50, 1000):
        with databases() as urls:
            mount = MountOptions(sims=pages * page_size, latency_ms=latency_ms)
            with scene(urls["SQLite"], mount, page_size=page_size) as place:
                wall = _seconds(place.sync)
        ratio = wall / (pages * latency_ms / 1000)
        yield Figure(f"wall / (pages x {latency_ms:.0f} ms), {page_size} SIMs a page", ratio, "x", at_most=1.05)


def in_flight(pages: int, latency_ms: float) -> Iterator[Figure]:
    """Measure how many more pages a second a walk by page number gets with four requests in flight than with one."""
    seconds = {}
    for most in (1, 4):
        settings = {
            "auth": dict(simulated_credentials("telnyx")),
            "rate_limit": {"requests_per_second": 1000, "max_in_flight": most},
        }
        mount = MountOptions(vendor="telnyx", sims=pages * _PAGE_SIZE, latency_ms=latency_ms)
        with (
            databases() as urls,
            scene(urls["SQLite"], mount, page_size=_PAGE_SIZE, vendor_settings=settings) as place,
        ):
            seconds[most] = _seconds(place.sync)
    what = f"pages a second at {latency_ms:.0f} ms by page number, 4 in flight against 1"
    yield Figure(what, seconds[1] / seconds[4], "x", at_least=3.6)


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


def _seconds(work: object) -> float:
    assert callable(work)
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
