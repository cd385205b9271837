"""Ten nights of a fleet over three carriers, and all that happens to SIMs: each table is the truth of plain Python.

The truth is worked out from the documentation, with none of the program's rules and no SQL.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa

from sim_sync.core.discrepancies import CompanyRules, Prices
from sim_sync.core.inventory import InventorySim
from sim_sync.core.sims import Sim
from sim_sync.core.sweep import SweepPolicy
from sim_sync.warehouse.inventory import load_inventory
from sim_sync.warehouse.reconcile import reconcile
from sim_sync_tests.warehouse.databases import SqlUnderTest, rows_of
from sim_sync_tests.warehouse.store_under_test import opened, walked

CARRIERS = ("a", "b", "c")
FIELDS = ("status", "msisdn", "rate_plan")
PRICES = {"P1": Decimal("1.20"), "P2": Decimal("0.0375")}
OTHER_PRICE = Decimal("0.90")
RULES = CompanyRules(carriers=CARRIERS, prices=Prices(currency="EUR", plans=PRICES, default=OTHER_PRICE))
SIMS_A_CARRIER = 12


class Facts(NamedTuple):
    """What one side says of a SIM."""

    status: str = "active"
    msisdn: str = "+49151"
    rate_plan: str = "P1"


Fleets = dict[str, dict[str, Facts]]
Key = tuple[str, str, str, str]


class Said(NamedTuple):
    """What a discrepancy says, and what it costs."""

    ours: str | None
    theirs: str | None
    cost: Decimal


@dataclass
class Life:
    """A discrepancy over the nights."""

    said: Said
    times_seen: int = 1
    is_open: bool = True


@dataclass
class Truth:
    """What is known after the nights so far."""

    theirs: Fleets = field(default_factory=lambda: {name: {} for name in CARRIERS})
    absent: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name in CARRIERS})
    ours: Fleets = field(default_factory=lambda: {name: {} for name in CARRIERS})
    lives: dict[Key, Life] = field(default_factory=dict)

    def night(self, theirs: Fleets, ours: Fleets) -> None:
        """Take a night of all carriers."""
        for carrier in CARRIERS:
            known, seen = self.theirs[carrier], theirs[carrier]
            missed = known.keys() - seen.keys()
            gone = missed & self.absent[carrier]
            self.absent[carrier] = missed - gone
            self.theirs[carrier] = {iccid: known[iccid] for iccid in self.absent[carrier]} | seen
        self.ours = {name: dict(rows) for name, rows in ours.items()}
        self._live(dict(self._found()))

    def _live(self, found: Mapping[Key, Said]) -> None:
        for key, life in self.lives.items():
            if key not in found:
                life.is_open = False
        for key, said in found.items():
            known = self.lives.get(key)
            if known is None or not known.is_open:
                self.lives[key] = Life(said)
            else:
                known.said, known.times_seen = said, known.times_seen + 1

    def _found(self) -> Iterator[tuple[Key, Said]]:
        iccids = {iccid for side in (self.theirs, self.ours) for sims in side.values() for iccid in sims}
        for iccid in iccids:
            listed = [name for name in CARRIERS if iccid in self.ours[name]]
            there = [name for name in CARRIERS if iccid in self.theirs[name]]
            having = [name for name in there if iccid not in self.absent[name]] or there
            yield from self._of_sim(iccid, having, listed)

    def _of_sim(self, iccid: str, having: list[str], listed: list[str]) -> Iterator[tuple[Key, Said]]:
        both = [name for name in having if name in listed]
        home = (both or having or [""])[0]
        is_elsewhere = bool(having and listed and not both)
        for carrier in having:
            told, mine = self.theirs[carrier][iccid], self.ours[carrier].get(iccid)
            if carrier != home:
                at = listed[0] if listed else None
                is_ours = mine is not None and mine.status == "active"
                yield (carrier, "duplicate_iccid", "", iccid), Said(at, f"{home}, {carrier}", cost(told, not is_ours))
            elif is_elsewhere:
                stopped = self.ours[listed[0]][iccid].status != "active"
                yield (carrier, "wrong_carrier", "", iccid), Said(listed[0], carrier, cost(told, stopped))
            elif mine is None:
                yield (carrier, "unknown_to_us", "", iccid), Said(None, told.status, cost(told, True))
            if mine is not None:
                yield from mismatches(carrier, iccid, mine, told)
        for carrier in listed:
            if carrier not in having and not is_elsewhere:
                said = Said(self.ours[carrier][iccid].status, None, Decimal(0))
                yield (carrier, "missing_at_carrier", "", iccid), said


def mismatches(carrier: str, iccid: str, mine: Facts, told: Facts) -> Iterator[tuple[Key, Said]]:
    for name in FIELDS:
        one, other = getattr(mine, name), getattr(told, name)
        if one != other:
            price = cost(told, name == "status" and mine.status != "active")
            yield (carrier, "mismatch", name, iccid), Said(one, other, price)


def cost(told: Facts, is_in_vain: bool) -> Decimal:
    if not is_in_vain or told.status != "active":
        return Decimal(0)
    return PRICES.get(told.rate_plan, OTHER_PRICE)


def iccid_of(carrier: str, number: int) -> str:
    return f"8988303{CARRIERS.index(carrier):02d}{number:010d}"


def the_nights() -> Iterator[tuple[Fleets, Fleets]]:
    """Yield what the carriers and our list say, night by night."""
    theirs: Fleets = {name: {iccid_of(name, n): Facts() for n in range(SIMS_A_CARRIER)} for name in CARRIERS}
    ours: Fleets = {name: dict(sims) for name, sims in theirs.items()}
    first = {n: iccid_of("a", n) for n in range(SIMS_A_CARRIER)}
    yield theirs, ours
    theirs["a"][iccid_of("a", 90)] = Facts(rate_plan="P2")  # added, and nobody has told us
    ours["b"][iccid_of("b", 91)] = Facts()  # on our list, and not at the carrier
    theirs["c"][iccid_of("c", 92)] = Facts(status="inventory")
    yield theirs, ours
    theirs["a"].pop(first[0])  # removed
    theirs["a"][first[1]] = Facts(status="suspended")
    ours["a"][first[2]] = Facts(status="suspended")  # stopped by us, and paid for
    theirs["a"][first[3]] = Facts(msisdn="+49999")  # renumbered
    yield theirs, ours
    theirs["b"][first[4]] = theirs["a"].pop(first[4])  # moved to another carrier
    theirs["b"][first[5]] = Facts(rate_plan="P9")  # at two carriers
    theirs["c"].pop(iccid_of("c", 1))  # flapping
    yield theirs, ours
    theirs["c"][iccid_of("c", 1)] = Facts()
    theirs["a"][first[3]], theirs["a"][first[6]] = Facts(msisdn="+1"), Facts(msisdn="+2")  # swapped
    theirs["a"][first[7]] = Facts(rate_plan="P2")
    yield theirs, ours
    theirs["c"].pop(iccid_of("c", 1))
    ours["b"][first[4]] = ours["a"].pop(first[4])  # our list follows
    ours["a"][iccid_of("a", 90)] = Facts(rate_plan="P2")
    theirs["b"].pop(first[5])
    yield theirs, ours
    theirs["a"][iccid_of("c", 3)] = theirs["c"].pop(iccid_of("c", 3))  # moved to one that is walked before
    ours["c"][iccid_of("c", 4)] = Facts(status="terminated")
    yield theirs, ours
    theirs["c"][iccid_of("c", 1)] = Facts()  # back after it had vanished
    ours["a"][iccid_of("c", 3)] = ours["c"].pop(iccid_of("c", 3))
    theirs["b"][iccid_of("b", 2)] = Facts(status="terminated")
    yield theirs, ours
    theirs["c"][first[4]] = theirs["b"].pop(first[4])  # moved on
    theirs["a"][first[0]] = Facts()  # back, and known all the time
    ours["b"].pop(iccid_of("b", 91))
    yield theirs, ours
    theirs["b"][first[4]] = theirs["c"].pop(first[4])  # and back again
    theirs["a"][first[1]] = Facts()
    yield theirs, ours


@pytest.mark.parametrize("order", [("a", "b", "c"), ("c", "b", "a")])
def test_after_each_of_ten_nights_every_table_is_the_truth(engine: sa.Engine, order: tuple[str, ...]) -> None:
    under_test, truth, count = SqlUnderTest(engine), Truth(), 0
    for count, (theirs, ours) in enumerate(the_nights(), start=1):
        for carrier in order:
            run(under_test, carrier, theirs[carrier], ours[carrier])
        truth.night(theirs, ours)
        assert_true(engine, truth, count)
    assert count == 10


def run(under_test: SqlUnderTest, carrier: str, theirs: Mapping[str, Facts], ours: Mapping[str, Facts]) -> None:
    now = under_test.clock.advance(60)
    listed = [InventorySim(carrier, iccid, iccid, **facts._asdict()) for iccid, facts in ours.items()]
    load_inventory(under_test.engine, carrier, listed, now=now)
    fleet = [Sim(f"id-{iccid}", iccid, iccid, **facts._asdict()) for iccid, facts in theirs.items()]
    session = walked(under_test, opened(under_test, carrier=carrier), fleet)
    under_test.store.close_session(session.claim, SweepPolicy(), session.config_hash)
    reconcile(under_test.engine, carrier, FIELDS, RULES)


def assert_true(engine: sa.Engine, truth: Truth, night: int) -> None:
    kept = {
        (row["carrier"], row["kind"], row["field"], row["iccid"]): Life(
            Said(row["ours"], row["theirs"], row["monthly_cost"]), row["times_seen"], row["resolved_at"] is None
        )
        for row in rows_of(engine, "sim_discrepancies")
    }
    assert kept == truth.lives, f"night {night}"
    there = {
        name: {row["iccid"] for row in rows_of(engine, "carrier_sims") if row["carrier"] == name and is_there(row)}
        for name in CARRIERS
    }
    assert there == {name: set(sims) for name, sims in truth.theirs.items()}
    newest: dict[str, dict[str, Any]] = {}
    for row in sorted(rows_of(engine, "reconciliations"), key=lambda row: row["comparison_number"]):
        newest[row["carrier"]] = row
    for carrier, row in newest.items():
        lives = {key: life for key, life in truth.lives.items() if key[0] == carrier and life.is_open}
        total = sum((life.said.cost for life in lives.values()), Decimal(0))
        assert (row["open"], row["monthly_cost"]) == (len(lives), total), f"night {night} of {carrier}"
        for kind in ("missing_at_carrier", "unknown_to_us", "wrong_carrier", "mismatch", "duplicate_iccid", "quality"):
            assert row[kind] == sum(key[1] == kind for key in lives)


def is_there(row: Mapping[str, Any]) -> bool:
    return row["vanished_at"] is None
