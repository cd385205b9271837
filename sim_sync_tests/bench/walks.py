"""Whole walks: SIMs a second, the wall time at a slow carrier, the memory of a sync."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

from sim_sync.simulator.messages import MountOptions
from sim_sync_tests.bench.figures import Figure
from sim_sync_tests.bench.scene import CARRIER, databases, scene

_GOALS = {"SQLite": 35_000, "PostgreSQL": 30_000}


def throughput(sims: int) -> Iterator[Figure]:
    """Measure a first walk and a re-walk with 1,000 SIMs a page, beside the bare fetching of the same pages."""
    with databases() as urls:
        for name, url in urls.items():
            with scene(url, MountOptions(sims=sims), page_size=1000) as place:
                place.simulator.clear_requests()
                bare = sims / _seconds(lambda: _fetch_all(place.carrier))
                first = sims / _seconds(place.sync)
                again = sims / _seconds(place.sync)
            yield Figure(f"{name}: first walk over {sims:,} SIMs", first, "SIMs/s", at_least=_GOALS[name])
            yield Figure(f"{name}: nightly re-walk, nothing changed", again, "SIMs/s", at_least=_GOALS[name])
            yield Figure(f"{name}: fetching and reading the same pages alone", bare, "SIMs/s")
            yield Figure(f"{name}: share of the bare fetching rate that a first walk keeps", first / bare, "")


def _fetch_all(carrier: object) -> None:
    from sim_sync.config import CarrierConfig
    from sim_sync.core.pages import Cursor
    from sim_sync.worker.stopping import StopSignal

    assert isinstance(carrier, CarrierConfig)
    source = carrier.build(StopSignal())
    cursor: Cursor | None = source.first_cursor()
    while cursor is not None:
        cursor = source.fetch_page(cursor).next_cursor


def latency(pages: int, latency_ms: float) -> Iterator[Figure]:
    """Measure how much longer a walk over a slow carrier takes than its answers alone."""
    for page_size in (50, 1000):
        with databases() as urls:
            mount = MountOptions(sims=pages * page_size, latency_ms=latency_ms)
            with scene(urls["SQLite"], mount, page_size=page_size) as place:
                wall = _seconds(place.sync)
        ratio = wall / (pages * latency_ms / 1000)
        yield Figure(f"wall / (pages x {latency_ms:.0f} ms), {page_size} SIMs a page", ratio, "x", at_most=1.05)


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
        yield Figure(f"peak memory of a backfill of {count:,} SIMs", usage.ru_maxrss / 1024, "MB", at_most=300)


def _seconds(work: object) -> float:
    assert callable(work)
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
