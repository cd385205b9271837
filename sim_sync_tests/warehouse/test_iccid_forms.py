"""Nights on any fleet that is named by its ICCIDs, in whichever form each night: what the tables come to."""

from collections.abc import Sequence
from typing import TypeAlias

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim_sync.core.sims import Sim
from sim_sync_tests.fakes.fleet import a_sim
from sim_sync_tests.warehouse.databases import SqlUnderTest, empty_tables
from sim_sync_tests.warehouse.in_memory import InMemoryUnderTest
from sim_sync_tests.warehouse.store_under_test import StoreUnderTest, night

#: The SIMs of one walk, each by its number and whether its check digit is sent; three stand on a page.
Walk: TypeAlias = list[tuple[int, bool]]

_WALKS = st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=8, unique=True)
_NIGHTS = st.lists(_WALKS, min_size=1, max_size=6)
_ANY = settings(deadline=None, suppress_health_check=list(HealthCheck), report_multiple_bugs=False)


def _iccid(number: int, is_long: bool) -> str:
    return f"8988303{number:012d}{number if is_long else ''}"


def _sim(number: int, is_long: bool) -> Sim:
    iccid = _iccid(number, is_long)
    return a_sim(number, sim_id=iccid, iccid=iccid, iccid_raw=iccid)


class _Model:
    """What is stored: of each id, the ICCID, and how many walks in a row have missed it. No rule of the program's."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[str, int]] = {}

    def walk(self, listed: set[tuple[int, bool]]) -> None:
        seen: dict[str, str] = {}
        for number in {number for number, _ in listed}:
            forms = {_iccid(number, is_long) for sort, is_long in listed if sort == number}
            stored = {_iccid(number, is_long) for is_long in (False, True)} & set(self.rows)
            is_renamed = len(forms) == 1 and len(stored) == 1
            seen |= {next(iter(stored)): next(iter(forms))} if is_renamed else {form: form for form in forms}
        missed = {sim_id: (iccid, count + 1) for sim_id, (iccid, count) in self.rows.items()}
        self.rows = missed | {sim_id: (iccid, 0) for sim_id, iccid in seen.items()}

    def told(self) -> dict[str, tuple[str, bool, bool]]:
        return {sim_id: (iccid, missed > 0, missed > 1) for sim_id, (iccid, missed) in self.rows.items()}


def live_through(under_test: StoreUnderTest, nights: Sequence[Walk]) -> None:
    """Live through the nights, and compare the SIMs after each. One SIM is always there, in its one form."""
    model = _Model()
    for walk in nights:
        listed = [(9, True), *walk]
        sims = [_sim(*one) for one in listed]
        night(under_test, *(sims[at : at + 3] for at in range(0, len(sims), 3)))
        model.walk(set(listed))
        stored = {
            row["sim_id"]: (row["iccid"], row["absent_since"] is not None, row["vanished_at"] is not None)
            for row in under_test.rows("carrier_sims")
        }
        assert stored == model.told()


@given(nights=_NIGHTS)
@settings(_ANY, max_examples=300)
def test_no_form_of_an_iccid_makes_a_sim_come_or_go(nights: Sequence[Walk]) -> None:
    live_through(InMemoryUnderTest(), nights)


@given(nights=_NIGHTS)
@settings(_ANY, max_examples=15)
def test_nor_does_one_in_sqlite(sqlite_engine: sa.Engine, nights: Sequence[Walk]) -> None:
    empty_tables(sqlite_engine)
    live_through(SqlUnderTest(sqlite_engine), nights)


@given(nights=_NIGHTS)
@settings(_ANY, max_examples=6)
def test_nor_does_one_in_postgresql(postgres_engine: sa.Engine, nights: Sequence[Walk]) -> None:
    empty_tables(postgres_engine)
    live_through(SqlUnderTest(postgres_engine), nights)
