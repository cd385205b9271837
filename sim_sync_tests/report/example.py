"""An invented company's sixty nights, for the picture of the report: rows as walks and reconciliations leave them."""

import random
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import sqlalchemy as sa

from sim_sync.report.page import collect, page
from sim_sync.warehouse import open_warehouse
from sim_sync.warehouse.engine import transaction
from sim_sync.warehouse.tables import (
    carrier_internals,
    carrier_sims,
    inventory_findings,
    inventory_sims,
    quarantined_records,
    reconciliations,
    session_internals,
    sim_discrepancies,
    sync_sessions,
)
from sim_sync_tests.fakes.fleet import a_sim

#: How many SIMs the company has at each carrier.
FLEETS: Mapping[str, int] = MappingProxyType({"nordlink": 6200, "globalsim": 4150, "move-m2m": 1480})
_NIGHTS = 60
_PLANS = (*("IoT 5 MB",) * 9, *("IoT 50 MB",) * 6, "Pilot 2024")
_PRICE = Decimal("3.4500")
_ADVICE = {
    ("unknown_to_us", "active"): "Find out whose it is: put it on our list, or have the carrier deactivate it.",
    ("missing_at_carrier", None): "Take it off our list, or ask the carrier where it is.",
    ("mismatch", "suspended"): "Have the carrier activate it, or write down that it is suspended.",
    ("mismatch", "active"): "Have the carrier deactivate it: it is on the bill.",
    ("mismatch", "IoT 50 MB"): "Have the carrier change the plan, or correct our list.",
}
_HELD = "112 of 1,480 known SIMs (7.6 %) were missing at once, more than 5 % and 20"
_REASON = "expected an ICCID of 18 to 22 digits, found 8.98E+19"


class Found(NamedTuple):
    """A discrepancy that some night opened, and a later one has resolved or not."""

    carrier: str
    number: int
    kind: str
    field: str
    ours: str | None
    theirs: str | None
    severity: str
    opened: int
    resolved: int | None


_KINDS = (
    ("unknown_to_us", "", None, "active", "high"),
    ("missing_at_carrier", "", "suspended", None, "medium"),
    ("mismatch", "status", "active", "suspended", "medium"),
    ("mismatch", "status", "deactivated", "active", "high"),
    ("mismatch", "rate_plan", "IoT 5 MB", "IoT 50 MB", "medium"),
    ("mismatch", "label", None, None, "low"),
)


def write_example(folder: Path) -> Path:
    """Write the report on the example into a folder, and return where it is."""
    warehouse = open_warehouse(f"sqlite:///{folder / 'example.db'}")
    try:
        now = warehouse.sessions.now()
        fill(warehouse.engine, now)
        report = collect(
            warehouse, dict.fromkeys(FLEETS, 36.0), now - timedelta(days=_NIGHTS // 2), with_list=list(FLEETS)
        )
    finally:
        warehouse.close()
    path = folder / "report.html"
    path.write_text(page(report), encoding="utf-8")
    return path


def fill(engine: sa.Engine, now: datetime) -> None:
    """Fill an empty warehouse with the nights before this moment."""
    chance = random.Random(2026)
    found = list(_found(chance))
    with transaction(engine, "filling the example") as connection:
        for carrier, size in FLEETS.items():
            connection.execute(carrier_sims.insert(), [_theirs(carrier, number, now) for number in range(size)])
            connection.execute(inventory_sims.insert(), [_ours(carrier, number, now) for number in range(size - 9)])
            noted = {"carrier": carrier, "comparison_number": _NIGHTS, "compared_at": now}
            noted |= {"compared_session_number": _NIGHTS, "list_changed_at": now}
            connection.execute(carrier_internals.insert().values(**noted))
        connection.execute(sim_discrepancies.insert(), [_discrepancy(one, now) for one in found])
        connection.execute(reconciliations.insert(), list(_reconciliations(found, now)))
        walks = [_walk(chance, carrier, night, now) for night in range(_NIGHTS) for carrier in FLEETS]
        connection.execute(sync_sessions.insert(), walks)
        seen = [
            {"session_id": walk["session_id"], "lease_seconds": 30.0, "sims_seen": walk["records_seen"]}
            for walk in walks
        ]
        connection.execute(session_internals.insert(), seen)
        rows = [
            {"source": "inventory.csv", "row_number": row, "column_name": "ICCID", "reason": _REASON, "payload": {}}
            for row in range(3)
        ]
        connection.execute(inventory_findings.insert(), [{**row, "found_at": now} for row in rows])
        unread = {"carrier": "move-m2m", "session_id": f"move-m2m-{_NIGHTS - 1}", "page_number": 3, "payload": {}}
        connection.execute(
            quarantined_records.insert().values(**unread, position=7, reason="no sim_id", quarantined_at=now)
        )


def _found(chance: random.Random) -> Iterator[Found]:
    numbers = iter(range(600, 10_000))
    for night in range(_NIGHTS):
        for carrier in FLEETS:
            burst = 31 if (carrier, night) == ("globalsim", 52) else chance.randrange(4 if night else 12)
            for place in range(burst):
                is_pilot = burst > 30
                number = 15 + 16 * place if is_pilot else next(numbers)
                kind = _KINDS[2] if is_pilot else chance.choice(_KINDS)
                left = chance.randrange(2, 24)
                resolved = night + left if night + left < _NIGHTS and not is_pilot else None
                yield Found._make((carrier, number, *kind, night, resolved))


def _at(night: int, now: datetime) -> datetime:
    return now - timedelta(days=_NIGHTS - 1 - night, minutes=9)


def _plan(number: int) -> str:
    return _PLANS[number % len(_PLANS)]


def _theirs(carrier: str, number: int, now: datetime) -> dict[str, Any]:
    sim = a_sim(number)
    told: dict[str, Any] = {"carrier": carrier, "sim_id": sim.sim_id, "iccid": sim.iccid, "status": "active"}
    told |= {"rate_plan": _plan(number), "attributes": {}, "quality_flags": [], "last_seen_session": "s"}
    return {**told, "first_seen_at": now, "last_changed_at": now}


def _ours(carrier: str, number: int, now: datetime) -> dict[str, Any]:
    told: dict[str, Any] = {
        "carrier": carrier,
        "iccid": a_sim(number).iccid,
        "status": "active",
        "rate_plan": _plan(number),
    }
    return {**told, "label": f"meter {number:05}", "attributes": {}, "loaded_at": now}


def _discrepancy(one: Found, now: datetime) -> dict[str, Any]:
    last = _NIGHTS - 1 if one.resolved is None else one.resolved - 1
    return {
        **{name: getattr(one, name) for name in ("carrier", "kind", "field", "ours", "theirs", "severity")},
        "iccid": a_sim(one.number).iccid,
        "advice": _ADVICE.get((one.kind, one.theirs)),
        "first_seen_at": _at(one.opened, now),
        "last_seen_at": _at(last, now),
        "times_seen": last - one.opened + 1,
        "resolved_at": None if one.resolved is None else _at(one.resolved, now),
        "monthly_cost": _PRICE if one.theirs == "active" else None,
    }


def _reconciliations(found: list[Found], now: datetime) -> Iterator[dict[str, Any]]:
    for carrier in FLEETS:
        for night in range(_NIGHTS):
            of_carrier = [one for one in found if one.carrier == carrier and one.opened <= night]
            is_open = [one for one in of_carrier if one.resolved is None or one.resolved > night]
            counts = {name: sum(one.severity == name for one in is_open) for name in ("high", "medium", "low")}
            yield {
                **counts,
                "carrier": carrier,
                "reconciled_at": _at(night, now),
                "session_id": f"{carrier}-{night}",
                "comparison_number": night + 1,
                "open": len(is_open),
                "monthly_cost": _PRICE * sum(one.theirs == "active" for one in is_open),
                "currency": "EUR",
                "counts": {},
            }


def _walk(chance: random.Random, carrier: str, night: int, now: datetime) -> dict[str, Any]:
    pages = -(-FLEETS[carrier] // 100)
    waited = chance.choice((0, 0, 0, 40, 310))
    began = _at(night, now) - timedelta(seconds=pages * 21 + waited + chance.randrange(120))
    is_held = (carrier, night) == ("move-m2m", _NIGHTS - 1)
    return {
        "session_id": f"{carrier}-{night}",
        "session_number": night + 1,
        "carrier": carrier,
        "state": "completed",
        "pages_done": pages,
        "records_seen": FLEETS[carrier],
        "records_changed": chance.randrange(40),
        "retries": chance.choice((0, 0, 0, 2, 5)),
        "throttled_seconds": float(waited),
        "fence": chance.choice((1, 1, 1, 2)),
        "started_at": began,
        "updated_at": _at(night, now),
        "finished_at": _at(night, now),
        "config_hash": "example",
        "sweep_state": "held" if is_held else "done",
        "sweep_reason": "112 of 1,480 known SIMs (7.6 %) were missing at once, more than 5 % and 20"
        if is_held
        else None,
    }
