"""One step: its own cost without the network, and what a table of millions adds to it."""

import json
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from sim_sync.carriers.json_bodies import read_json
from sim_sync.carriers.registry import built_in
from sim_sync.core.pages import Page
from sim_sync.core.session import Session, SweepState
from sim_sync.core.sims import Sim
from sim_sync.core.sweep import SweepPolicy
from sim_sync.warehouse import Warehouse, open_warehouse
from sim_sync.warehouse.engine import transaction
from sim_sync.warehouse.tables import carrier_sims
from sim_sync_tests.bench.figures import Figure
from sim_sync_tests.bench.scene import databases
from sim_sync_tests.fakes.fleet import CARRIER, a_request, a_sim

_GOALS_MS = {"SQLite": 1.0, "PostgreSQL": 2.5}
#: For a million SIMs; of fewer, as many seconds less.
_GOALS_OF_SWEEP = {"SQLite": 5.0, "PostgreSQL": 3.0}
_MILLION = 1_000_000
_SIMS_A_PAGE = 50
_SIMS_A_LARGE_PAGE = 1000


def own_cost(pages: int) -> Iterator[Figure]:
    """Measure all of a step but the network, of 50 new SIMs and of 50 known ones: from the bytes to the commit."""
    with databases() as urls:
        for name, url in urls.items():
            warehouse = open_warehouse(url)
            for night in ("new SIMs", "known SIMs"):
                milliseconds = _commit_pages(warehouse, _pages(pages, start=0)) + _reading_milliseconds()
                what = f"{name}: own cost of a step of {_SIMS_A_PAGE} {night}, median"
                yield Figure(what, milliseconds, "ms", at_most=_GOALS_MS[name])
            warehouse.close()


def large_table(rows: int, pages: int) -> Iterator[Figure]:
    """Measure a step in a table of 10,000 SIMs and in one of `rows`: unchanged SIMs from all over the table."""
    with databases() as urls:
        for name, url in urls.items():
            warehouse = open_warehouse(url)
            costs, have = [], 0
            for size in (10_000, rows):
                _walk(warehouse, range(have, size))
                _analyze(warehouse)
                costs.append(_commit_pages(warehouse, _scattered_pages(pages, size)))
                _refuse_if_written(warehouse)
                have = size
            warehouse.close()
            what = f"{name}: cost of a step at {rows:,} SIMs against 10,000, unchanged"
            yield Figure(what, costs[1] / costs[0], "x", at_most=1.5)


def _walk(warehouse: Warehouse, numbers: range) -> Session:
    """Walk the SIMs of these numbers to their end, and return the session, which is still open."""
    store = warehouse.sessions
    session = store.open_session(a_request(restart=True)).session
    for first in range(numbers.start, numbers.stop, _SIMS_A_LARGE_PAGE):
        last = min(first + _SIMS_A_LARGE_PAGE, numbers.stop)
        cursor = None if last == numbers.stop else {"page": last}
        sims = [a_sim(number) for number in range(first, last)]
        assert session.cursor is not None
        session = store.commit_page(session.claim, session.cursor, Page(sims, cursor, len(sims)))
    return session


def _refuse_if_written(warehouse: Warehouse) -> None:
    """Raise where the last walk has written rows of SIMs: then it was none over unchanged ones."""
    (session,) = warehouse.sessions.latest_sessions([CARRIER])
    with warehouse.engine.connect() as connection:
        is_written = carrier_sims.c.last_seen_session == session.session_id
        written = connection.execute(sa.select(sa.func.count()).where(is_written)).scalar_one()
    if written or not session.pages_done:
        raise RuntimeError(f"the measured walk wrote {written:,} SIMs that should be unchanged")


def _analyze(warehouse: Warehouse) -> None:
    with warehouse.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()


def _pages(count: int, *, start: int) -> Iterator[list[Sim]]:
    for page in range(count):
        first = start + page * _SIMS_A_PAGE
        yield [a_sim(number) for number in range(first, first + _SIMS_A_PAGE)]


def _scattered_pages(count: int, size: int) -> Iterator[list[Sim]]:
    """Yield pages of SIMs drawn from the whole table, none twice; the same ones each time."""
    chosen = random.Random(size).sample(range(size), min(count * _SIMS_A_PAGE, size))
    for first in range(0, len(chosen), _SIMS_A_PAGE):
        yield [a_sim(number) for number in chosen[first : first + _SIMS_A_PAGE]]


def _reading_milliseconds() -> float:
    """Return the median of reading the SIMs of a page from the bytes of an answer."""
    record_map = built_in()["twilio_super_sim"].record_map
    sims = [
        {
            "sid": f"HS{number:032}",
            "iccid": f"8988303{number:012}",
            "status": "active",
            "unique_name": f"device {number}",
        }
        for number in range(_SIMS_A_PAGE)
    ]
    answer = json.dumps({"sims": sims, "meta": {"next_page_url": None}}).encode()
    milliseconds = []
    for _ in range(100):
        started = time.perf_counter()
        record_map.read_page(read_json(answer, "application/json")["sims"])
        milliseconds.append((time.perf_counter() - started) * 1000)
    return statistics.median(milliseconds)


def sweeps(sims: int) -> Iterator[Figure]:
    """Measure the end of a walk that saw so many SIMs, all that there are: nothing is missing."""
    with databases() as urls:
        for name, url in urls.items():
            warehouse = open_warehouse(url)
            session = _walk(warehouse, range(sims))
            started = time.perf_counter()
            closed = warehouse.sessions.close_session(session.claim, SweepPolicy(), session.config_hash)
            seconds = time.perf_counter() - started
            warehouse.close()
            if closed.sweep_state is not SweepState.DONE:
                raise RuntimeError(f"the measured sweep is {closed.sweep_state}: {closed.sweep_reason}")
            goal = _GOALS_OF_SWEEP[name] * sims / _MILLION
            yield Figure(f"{name}: sweep of {sims:,} seen SIMs, nothing missing", seconds, "s", at_most=goal)


def _commit_pages(warehouse: Warehouse, pages: Iterator[Sequence[Sim]]) -> float:
    """Commit pages in one session and return the median of their milliseconds."""
    session: Session = warehouse.sessions.open_session(a_request(restart=True)).session
    milliseconds = []
    for number, sims in enumerate(pages, start=1):
        page = Page(sims=sims, next_cursor={"page": number}, records=len(sims))
        assert session.cursor is not None
        started = time.perf_counter()
        session = warehouse.sessions.commit_page(session.claim, session.cursor, page)
        milliseconds.append((time.perf_counter() - started) * 1000)
    return statistics.median(milliseconds)


def fill_sims(warehouse: Warehouse, size: int) -> None:
    """Fill the table up to `size` SIMs of the numbers 0 to `size` - 1, in SQL: rows that no walk has written."""
    sim = a_sim(0)
    now = warehouse.sessions.now()
    values: dict[str, sa.ColumnElement[Any]] = {
        "carrier": sa.literal(CARRIER),
        "status": sa.literal(sim.status),
        "carrier_status": sa.literal(sim.carrier_status),
        "pending": sa.false(),
        "attributes": sa.literal({"endpoint": {"id": 7}}, carrier_sims.c.attributes.type),
        "quality_flags": sa.literal([], carrier_sims.c.quality_flags.type),
        "first_seen_at": sa.literal(now, carrier_sims.c.first_seen_at.type),
        "last_changed_at": sa.literal(now, carrier_sims.c.last_changed_at.type),
        "last_seen_session": sa.literal("filled"),
    }
    with transaction(warehouse.engine, "filling the table") as connection:
        have = connection.execute(sa.select(sa.func.count()).select_from(carrier_sims)).scalar_one()
        numbers = sa.select(sa.literal(have).label("n")).cte("numbers", recursive=True)
        numbers = numbers.union_all(sa.select(numbers.c.n + 1).where(numbers.c.n + 1 < size))
        for name, pattern in (("sim_id", "sim-{:04}"), ("iccid", "8988303{:012}"), ("imsi", "29501{:010}")):
            values[name] = _numbered(connection, pattern, numbers.c.n)
        values["iccid_raw"] = values["iccid"]
        chosen = [value.label(name) for name, value in values.items()]
        connection.execute(carrier_sims.insert().from_select(list(values), sa.select(*chosen)))
    _analyze(warehouse)


def _numbered(connection: sa.Connection, pattern: str, number: sa.ColumnElement[int]) -> sa.ColumnElement[str]:
    head, _, digits = pattern.partition("{:")
    width = int(digits.rstrip("}"))
    text = sa.cast(number, sa.Text())
    if connection.dialect.name == "sqlite":
        padded = sa.func.printf(f"%0{width}d", number)
    else:
        padded = sa.func.lpad(text, sa.func.greatest(width, sa.func.length(text)), "0")
    return sa.literal(head, sa.Text()) + sa.cast(padded, sa.Text())
