"""How quickly a carrier's tables are exported, and in how much memory: so many SIMs, to Parquet and to a Delta table.

Each database is filled first, in SQL. An export runs in a process of its own, so that its peak is its own; the second
one replaces the first.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from sim_sync.warehouse import open_warehouse
from sim_sync_tests.bench.figures import Figure
from sim_sync_tests.bench.scene import databases
from sim_sync_tests.bench.steps import fill_sims
from sim_sync_tests.fakes.fleet import CARRIER

#: Seen with ADBC into Parquet, on a busy machine of two cores.
_ROWS_A_SECOND = 250_000.0
_MOST_MEGABYTES = 400.0
_EXPORT = """
import json, resource, sys, time
from pathlib import Path
from sim_sync.config.export import Export
from sim_sync.export import export_carrier
from sim_sync.warehouse import open_warehouse

url, carrier, form, folder = sys.argv[1:]
warehouse = open_warehouse(url)
section = Export.model_validate({form: {"path": form}})
started = time.perf_counter()
done = export_carrier(warehouse, section, Path(folder), carrier, "bench")
seconds, cpu = time.perf_counter() - started, time.process_time()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
rows = sum(one.rows for one in done)
print(json.dumps({"seconds": seconds, "megabytes": peak, "cpu": cpu, "rows": rows}))
"""


def exports(sims: int) -> Iterator[Figure]:
    """Measure a first export and one that replaces it, in both forms, out of both databases."""
    with databases() as urls, tempfile.TemporaryDirectory(prefix="sim-sync-bench-") as folder:
        for database, url in urls.items():
            warehouse = open_warehouse(url)
            fill_sims(warehouse, sims)
            warehouse.close()
            for form in ("parquet", "delta"):
                for number in ("first", "next"):
                    what = f"{number} export of {sims:,} SIMs to {form}, {database}"
                    yield from _measured(what, url, form, f"{folder}/{database}")


def _measured(what: str, url: str, form: str, folder: str) -> Iterator[Figure]:
    command = [sys.executable, "-c", _EXPORT, url, CARRIER, form, folder]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(ended.stderr)
    told: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    yield Figure(what, told["rows"] / told["seconds"], "rows/s", at_least=_ROWS_A_SECOND)
    yield Figure(f"{what}: CPU of this program, its imports too", told["cpu"], "s")
    yield Figure(f"{what}: peak memory", told["megabytes"], "MB", at_most=_MOST_MEGABYTES)
