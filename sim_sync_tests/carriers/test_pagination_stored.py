"""Every style, walked by the real step loop into a warehouse: what was there all along is stored, each SIM once."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_sync.core.opening import OpenRequest, Trigger
from sim_sync.core.pages import Cursor, Page
from sim_sync.core.session import Session, State
from sim_sync.core.sync import CRASH_POINTS, StepRules, walk
from sim_sync_tests.carriers.listings import STEADY, Style, ids_in, path_of
from sim_sync_tests.fakes.crash_points import ArmedPoints, SimulatedCrash
from sim_sync_tests.fakes.fleet import a_request, a_sim
from sim_sync_tests.fakes.stopping import never_stop
from sim_sync_tests.fakes.warehouse import InMemoryWarehouse


class ListedCarrier:
    """A `CarrierSource` over a list in some style. `leaving` are the rows that leave before a request."""

    name = "acme"
    config_hash = "config-1"

    def __init__(self, style: Style, rows: list[int], size: int, leaving: dict[int, list[int]]) -> None:
        self._style = style
        self._rows = rows
        self._size = size
        self._leaving = leaving
        self._requests = 0

    def first_cursor(self) -> Cursor:
        """Return the cursor of the first page."""
        return self._style.rule(self._size).first_cursor()

    def reading_ahead(self, pages_left: Callable[[], int | None]) -> AbstractContextManager[None]:
        return nullcontext()

    def fetch_page(self, cursor: Cursor) -> Page:
        """Give a page as the list stands now."""
        for row in self._leaving.get(self._requests, []):
            self._rows.remove(row)
        self._requests += 1
        rule = self._style.rule(self._size)
        found = self._style.give(rule.request(cursor), self._rows, self._size)
        ids = ids_in(found)
        return Page(
            sims=[a_sim(row) for row in ids], next_cursor=rule.next_cursor(cursor, found, path_of), records=len(ids)
        )


def nobody_watches(_session: Session) -> None:
    """Let a checkpoint pass."""


def request_of(owner: str, gone: list[str]) -> OpenRequest:
    """Return a run's wish to continue, for the first time or after deaths."""
    return a_request(owner, Trigger.OPERATOR, gone_owners=gone, first_cursor={}, max_stalled_resumes=20)


RULES = StepRules(should_stop=never_stop, on_checkpoint=nobody_watches)
deaths = st.lists(
    st.tuples(st.sampled_from([point for point in CRASH_POINTS if "close" not in point]), st.integers(0, 6)), max_size=4
)


@pytest.mark.parametrize("style", STEADY, ids=str)
@given(
    listed=st.lists(st.integers(0, 60), unique=True, max_size=25).map(sorted),
    size=st.integers(1, 8),
    deaths=deaths,
    removals=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 24)), max_size=5),
)
@settings(max_examples=25)
def test_all_sims_that_were_there_all_along_are_stored_once(
    style: Style, listed: list[int], size: int, deaths: list[tuple[str, int]], removals: list[tuple[int, int]]
) -> None:
    there, leaving = list(listed), dict[int, list[int]]()
    for received, place in removals:
        if place < len(there):
            leaving.setdefault(received, []).append(there.pop(place))
    points = ArmedPoints()
    warehouse = InMemoryWarehouse(at=points)
    carrier = ListedCarrier(style, list(listed), size, leaving)
    owners: list[str] = []

    def run() -> Session:
        gone, owner = list(owners), f"run-{len(owners)}"
        owners.append(owner)
        opened = warehouse.open_session(request_of(owner, gone))
        walk(opened.session, carrier, warehouse, RULES)
        return warehouse.session(opened.session.session_id)

    for point, skip in deaths:
        points.arm(point, skip=skip, error=SimulatedCrash(point))
        with suppress(SimulatedCrash):
            run()
        points.disarm()
    session = run()
    assert session.cursor is None
    assert session.state is State.RUNNING
    rows = warehouse.rows("carrier_sims")
    stored = [row["sim_id"] for row in rows]
    assert len(stored) == len(set(stored))
    assert set(stored) >= {a_sim(row).sim_id for row in there}
    assert {row["last_seen_session"] for row in rows} <= {session.session_id}
