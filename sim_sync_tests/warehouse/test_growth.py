"""Loading and comparing grow with the fleet and not with its square: whatever matches, whatever the statistics say.

Counted on small fleets, and four times as large ones: four times the rows are about four times the work, and a join
that looks at every row once a row makes it sixteen.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pytest
import sqlalchemy as sa

from sim_sync.core.discrepancies import COMPARABLE_FIELDS
from sim_sync.core.inventory import InventorySim
from sim_sync.core.sims import Sim
from sim_sync.core.sweep import SweepPolicy
from sim_sync.warehouse.discrepancies import Wanted, discrepancies
from sim_sync.warehouse.engine import open_engine
from sim_sync.warehouse.inventory import load_inventory
from sim_sync.warehouse.reconcile import reconcile
from sim_sync_tests.fakes.fleet import CARRIER, a_sim
from sim_sync_tests.warehouse.databases import SqlUnderTest, disposed, empty_tables
from sim_sync_tests.warehouse.store_under_test import night, opened, walked
from sim_sync_tests.warehouse.work_counts import counted_work

SMALL = 500
TIMES = 4
#: Sorting and searching add a little to four times the work; a square would make it sixteen.
MOST = 6.0
#: Rows handled for each SIM that are few in any case: where a small fleet got a still better plan, that is no growth.
FEW = 16
#: Carriers of before, in whose time the statistics were taken.
_OTHERS = 3


class Share(NamedTuple):
    """Which SIMs of a fleet the carrier has and our list has, as parts of it: from, to. None is a single SIM."""

    theirs: tuple[float, float] | None
    ours: tuple[float, float] | None
    #: Our list leaves the check digit out.
    short: bool = False


SHARES = {
    "all match": Share((0, 1), (0, 1)),
    "half match": Share((0, 1), (0.5, 1.5)),
    "none match": Share((0, 1), (1, 2)),
    "one of theirs is ours": Share((0, 1), None),
    "one of ours is theirs": Share(None, (0, 1)),
    "all match in the other form": Share((0, 1), (0, 1), short=True),
}
#: What the database believes; the worst that it did with that was to `none match`.
CASES = [
    *((share, "none") for share in SHARES),
    *(("none match", statistics) for statistics in ("fresh", "of an empty table", "of other carriers")),
    *((share, "fresh") for share in ("one of theirs is ours", "one of ours is theirs")),
]


@pytest.fixture
def bare_engine(migrated_url: str) -> Iterator[sa.Engine]:
    """Each database in turn, migrated, where nobody takes statistics but the test."""
    with disposed(open_engine(migrated_url)) as engine:
        if engine.dialect.name == "postgresql":
            with engine.begin() as connection:
                for table in ("carrier_sims", "inventory_sims", "sim_discrepancies"):
                    connection.exec_driver_sql(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
        yield engine


@pytest.mark.parametrize(("share", "statistics"), CASES)
def test_the_work_of_a_night_grows_with_the_fleet(bare_engine: sa.Engine, share: str, statistics: str) -> None:
    small = _work_of_nights(bare_engine, SHARES[share], SMALL, statistics)
    large = _work_of_nights(bare_engine, SHARES[share], TIMES * SMALL, statistics)
    growth = [round(more / max(less, FEW * SMALL), 1) for less, more in zip(small, large, strict=True)]
    assert max(growth) <= MOST, f"the first night, the next one, the one that resolves: {growth}"


def test_the_work_of_listing_what_differs_grows_with_the_list(sqlite_engine: sa.Engine) -> None:
    small, large = (_work_of_listing(sqlite_engine, size) for size in (SMALL, TIMES * SMALL))
    assert large / small <= MOST


def _work_of_listing(engine: sa.Engine, size: int) -> int:
    empty_tables(engine)
    under_test = SqlUnderTest(engine)
    night(under_test, [_sim(number) for number in range(size)])
    load_inventory(engine, CARRIER, [_listed(size + number) for number in range(size)], now=under_test.clock.now())
    reconcile(engine, CARRIER, COMPARABLE_FIELDS)
    with counted_work(engine) as work:
        listed = list(discrepancies(engine, Wanted(carriers=[CARRIER])))
    assert len(listed) == 2 * size
    return work.done


def _work_of_nights(engine: sa.Engine, share: Share, size: int, statistics: str) -> list[int]:
    """Return the work of a first night, of one that finds the same, and of one in which nobody has anything left."""
    empty_tables(engine)
    under_test = SqlUnderTest(engine)
    if statistics == "of an empty table":
        _analyze(engine)
    if statistics == "of other carriers":
        _live_before(under_test)
        _analyze(engine)
    fleet = [_sim(number) for number in _numbers(share.theirs, size)]
    listed = [_listed(number, short=share.short) for number in _numbers(share.ours, size)]
    night(under_test, fleet)
    done = []
    for rows in (listed, listed, listed[:1]):
        if statistics == "fresh":
            _analyze(engine)
        night(under_test, fleet)
        with counted_work(engine) as work:
            load_inventory(engine, CARRIER, rows, now=under_test.clock.now(), min_percent=0)
            reconcile(engine, CARRIER, COMPARABLE_FIELDS)
        done.append(work.done)
    return done


def _numbers(part: tuple[float, float] | None, size: int) -> Sequence[int]:
    return range(1) if part is None else range(round(part[0] * size), round(part[1] * size))


def _sim(number: int) -> Sim:
    return a_sim(number, iccid=_iccid(number))


def _listed(number: int, *, short: bool = False, carrier: str = CARRIER) -> InventorySim:
    iccid = _iccid(number)
    return InventorySim(carrier, iccid[:19] if short else iccid, iccid, status="suspended")


def _iccid(number: int) -> str:
    return f"{a_sim(number).iccid}7"


def _live_before(under_test: SqlUnderTest) -> None:
    for carrier in (f"other-{number}" for number in range(_OTHERS)):
        load_inventory(under_test.engine, carrier, [_listed(1, carrier=carrier)], now=under_test.clock.now())
        session = walked(under_test, opened(under_test, carrier=carrier), [_sim(2)])
        under_test.store.close_session(session.claim, SweepPolicy(), session.config_hash)
        reconcile(under_test.engine, carrier, COMPARABLE_FIELDS)


def _analyze(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE")
