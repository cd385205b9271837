"""How long a reconciliation takes, and how much memory: so many SIMs with as many rows, all, half or none alike.

Each database is filled first, in SQL: neither walks nor loads are measured here. A reconciliation runs in a process of
its own, so that its peak is its own.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from sim_sync.warehouse import Warehouse, open_warehouse
from sim_sync.warehouse.engine import transaction
from sim_sync.warehouse.tables import carrier_internals, carrier_sims, inventory_sims, metadata, sync_sessions
from sim_sync_tests.bench.figures import Figure
from sim_sync_tests.bench.scene import databases
from sim_sync_tests.bench.steps import fill_sims
from sim_sync_tests.fakes.fleet import CARRIER

_MOST_SECONDS = {"PostgreSQL": 60.0, "SQLite": 90.0}
_MOST_MEGABYTES = 500.0
#: The part of our list that the carrier does not have, as many SIMs as of the carrier's are not on the list.
_SHARES = {"all alike": 0.0, "half alike": 0.5, "none alike": 1.0}
_RECONCILE = """
import json, resource, sys, time
from decimal import Decimal
from sim_sync.core.discrepancies import CompanyRules, Prices
from sim_sync.warehouse import open_warehouse
from sim_sync.warehouse.reconcile import reconcile

rules = CompanyRules(carriers=(sys.argv[2],), prices=Prices(currency="EUR", plans={}, default=Decimal("1.20")))
warehouse = open_warehouse(sys.argv[1])
started = time.perf_counter()
reconcile(warehouse.engine, sys.argv[2], ("status", "msisdn", "imsi", "rate_plan"), rules)
seconds, cpu = time.perf_counter() - started, time.process_time()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": seconds, "megabytes": peak, "cpu": cpu}))
"""


def reconciliations(sims: int) -> Iterator[Figure]:
    """Measure the first reconciliation of each share, and the one of the next night, on both databases."""
    with databases() as urls:
        for database, url in urls.items():
            warehouse = open_warehouse(url)
            fill_sims(warehouse, sims)
            for share, part in _SHARES.items():
                _fill_list(warehouse, round(part * sims))
                for number, night in enumerate(("first", "next"), start=1):
                    _add_walk(warehouse, number)
                    what = f"{night} reconciliation of {sims:,} SIMs with as many rows, {share}, {database}"
                    yield from _measured(what, url, _MOST_SECONDS[database])
            warehouse.close()


def _measured(what: str, url: str, most_seconds: float) -> Iterator[Figure]:
    command = [sys.executable, "-c", _RECONCILE, url, CARRIER]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(ended.stderr)
    told: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    yield Figure(what, told["seconds"], "s", at_most=most_seconds)
    yield Figure(f"{what}: CPU of this program, its imports too", told["cpu"], "s")
    yield Figure(f"{what}: peak memory", told["megabytes"], "MB", at_most=_MOST_MEGABYTES)


def _fill_list(warehouse: Warehouse, others: int) -> None:
    """Make our list as long as the carrier's, that many of it with ICCIDs that the carrier does not have."""
    sims = carrier_sims.c
    other = sa.literal("8988304", sa.Text()) + sa.func.substr(sims.iccid, 8)
    iccid = sa.case((sims.iccid < f"8988303{others:012}", other), else_=sims.iccid)
    told: dict[str, sa.ColumnElement[Any]] = {
        name: sims[name] for name in ("carrier", "imsi", "msisdn", "status", "rate_plan", "attributes")
    }
    told |= {"iccid": iccid, "iccid_raw": iccid, "loaded_at": sims.first_seen_at}
    emptied = ("inventory_sims", "sim_discrepancies", "reconciliations", "carrier_internals", "sync_sessions")
    with transaction(warehouse.engine, "filling our list") as connection:
        for name in emptied:
            connection.execute(metadata.tables[name].delete())
        connection.execute(inventory_sims.insert().from_select(list(told), sa.select(*told.values())))
        connection.execute(carrier_internals.insert().values(carrier=CARRIER, list_number=1))
    with warehouse.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()


def _add_walk(warehouse: Warehouse, number: int) -> None:
    """Write down that a walk was completed."""
    now = warehouse.sessions.now()
    times = dict.fromkeys(("started_at", "updated_at", "finished_at"), now)
    values = {"session_id": f"walk-{number}", "carrier": CARRIER, "state": "completed", "sweep_state": "done"}
    walk = sync_sessions.insert().values(**values, **times, fence=1, config_hash="bench", session_number=number)
    with transaction(warehouse.engine, "completing a walk") as connection:
        connection.execute(walk)
