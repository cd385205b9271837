"""The report on a large fleet: a tenth of it differs, or all of it."""

import resource
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from sim_sync.report.page import collect, page
from sim_sync.warehouse import Warehouse, open_warehouse
from sim_sync.warehouse.engine import transaction
from sim_sync.warehouse.tables import carrier_sims, inventory_sims, sim_changes, sim_discrepancies
from sim_sync_tests.bench.figures import Figure
from sim_sync_tests.bench.scene import databases
from sim_sync_tests.bench.steps import fill_sims
from sim_sync_tests.fakes.fleet import CARRIER

_GOAL_SECONDS = 10.0
_GOAL_MIB = 500.0


def report(sims: int) -> Iterator[Figure]:
    """Measure a report on so many SIMs, from the query to the finished page."""
    with databases() as urls:
        for name, url in urls.items():
            warehouse = open_warehouse(url)
            fill_sims(warehouse, sims)
            _fill_our_list(warehouse)
            for share, remainders in (("a tenth", (0,)), ("all", tuple(range(1, 10)))):
                _fill_differences(warehouse, remainders)
                cpu = time.process_time()
                seconds, size = _write(warehouse)
                cpu = time.process_time() - cpu
                what = f"{name}: report on {sims:,} SIMs, {share} of them differing"
                yield Figure(what, seconds, "s", at_most=_GOAL_SECONDS)
                yield Figure(f"{what}: processor time of its own process", cpu, "s")
                yield Figure(f"{what}: its size", size / 1024, "KiB")
            warehouse.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield Figure("peak memory of the process that wrote the reports", peak, "MiB", at_most=_GOAL_MIB)


def _write(warehouse: Warehouse) -> tuple[float, int]:
    started = time.perf_counter()
    since = warehouse.sessions.now() - timedelta(days=30)
    document = page(collect(warehouse, {CARRIER: 36.0}, since, with_list=[CARRIER]))
    return time.perf_counter() - started, len(document)


def _fill_our_list(warehouse: Warehouse) -> None:
    names = ("carrier", "iccid", "iccid_raw", "status", "attributes", "loaded_at")
    theirs = carrier_sims.c
    chosen = (theirs.carrier, theirs.iccid, theirs.iccid, theirs.status, theirs.attributes, theirs.first_seen_at)
    with transaction(warehouse.engine, "filling our list") as connection:
        connection.execute(inventory_sims.insert().from_select(names, sa.select(*chosen)))
        plan = sa.literal("plan ", sa.Text()) + sa.func.substr(theirs.iccid, 18, 1)
        connection.execute(carrier_sims.update().values(rate_plan=plan))


def _fill_differences(warehouse: Warehouse, remainders: tuple[int, ...]) -> None:
    """Let the SIMs differ whose ICCID ends in one of these digits."""
    theirs = carrier_sims.c
    which = sa.func.substr(theirs.iccid, -1 if warehouse.engine.dialect.name == "sqlite" else 19, 1)
    told: dict[str, Any] = {
        "carrier": theirs.carrier,
        "iccid": theirs.iccid,
        "kind": sa.literal("mismatch", sa.Text()),
        "field": sa.literal("status", sa.Text()),
        "ours": theirs.status,
        "theirs": sa.literal("suspended", sa.Text()),
        "severity": sa.case((which < "3", "high"), (which < "6", "medium"), else_="low"),
        "first_seen_at": theirs.first_seen_at,
        "last_seen_at": theirs.first_seen_at,
        "monthly_cost": sa.literal(1.2) if warehouse.engine.dialect.name == "sqlite" else sa.literal(1.2, sa.Numeric()),
    }
    changed: dict[str, Any] = {
        "carrier": theirs.carrier,
        "sim_id": theirs.sim_id,
        "session_id": sa.literal("filled", sa.Text()),
        "field": sa.literal("status", sa.Text()),
        "changed_at": theirs.first_seen_at,
    }
    rows = which.in_([str(remainder) for remainder in remainders])
    with transaction(warehouse.engine, "filling what differs") as connection:
        for table, values in ((sim_discrepancies, told), (sim_changes, changed)):
            connection.execute(table.insert().from_select(list(values), sa.select(*values.values()).where(rows)))
    with warehouse.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()
