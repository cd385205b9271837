"""Whatever the process dies of and wherever: the tables end as if nothing had happened."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from sim_sync.core.errors import CarrierUnavailable, WarehouseUnavailable
from sim_sync.core.opening import Trigger
from sim_sync.core.session import Session
from sim_sync.core.sweep import SweepPolicy
from sim_sync.core.sync import CRASH_POINTS, QuarantineLimit, StepRules, walk
from sim_sync_tests.fakes.carrier import Record, ScriptedCarrier, Unreadable, paged
from sim_sync_tests.fakes.crash_points import ArmedPoints, SimulatedCrash
from sim_sync_tests.fakes.fleet import a_fleet, a_request, a_sim
from sim_sync_tests.fakes.stopping import never_stop
from sim_sync_tests.fakes.warehouse import InMemoryWarehouse

#: What a run dies of: a crash, or an error that nobody rides out for it.
DEATHS = st.sampled_from([SimulatedCrash("kill -9"), CarrierUnavailable("HTTP 500"), WarehouseUnavailable("locked")])


def nobody_watches(_session: Session) -> None:
    """Let a checkpoint pass."""


@dataclass(frozen=True)
class Death:
    """Where one run dies: at a point, after passing it `skip` times."""

    point: str
    skip: int
    error: BaseException


class NightsHarness:
    """A carrier walked night after night; the clock moves between the nights only, so that tables can be compared."""

    def __init__(self) -> None:
        self.points = ArmedPoints()
        self.warehouse = InMemoryWarehouse(at=self.points)
        self.owners: list[str] = []
        self.rules = StepRules(
            should_stop=never_stop,
            on_checkpoint=nobody_watches,
            quarantine=QuarantineLimit(max_percent=100.0),
            at=self.points,
        )

    def walk(self, pages: list[list[Record]], deaths: list[Death]) -> ScriptedCarrier:
        """Walk once over the pages; the first runs die as they are told, the last one lives."""
        self.warehouse.clock.advance(3600)
        started_at = self.warehouse.now()
        carrier = ScriptedCarrier(pages=pages)
        for death in deaths:
            self.points.arm(death.point, skip=death.skip, error=death.error)
            with suppress(SimulatedCrash, CarrierUnavailable, WarehouseUnavailable):
                self._run(carrier)
            self.points.disarm()
            if self._completed_since(started_at):
                return carrier
        self._run(carrier)
        return carrier

    def _run(self, carrier: ScriptedCarrier) -> None:
        gone, owner = list(self.owners), f"run-{len(self.owners)}"
        self.owners.append(owner)
        opened = self.warehouse.open_session(a_request(owner, Trigger.OPERATOR, gone_owners=gone))
        assert opened.refusal is None
        walk(opened.session, carrier, self.warehouse, self.rules)
        session = self.warehouse.session(opened.session.session_id)
        self.warehouse.close_session(session.claim, SweepPolicy(), session.config_hash)

    def _completed_since(self, started_at: datetime) -> bool:
        (session,) = self.warehouse.latest_sessions(["acme"]) or (None,)
        return session is not None and session.finished_at is not None and session.finished_at >= started_at

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Return all tables, without what says who did the work and what it died of."""
        of_the_runs = {"fence", "owner", "last_error", "last_error_at"}
        sessions = [
            {name: value for name, value in row.items() if name not in of_the_runs}
            for row in self.warehouse.rows("sync_sessions")
        ]
        kept = ("carrier_sims", "sim_changes", "quarantined_records")
        return {"sync_sessions": sessions} | {name: sorted(self.warehouse.rows(name), key=repr) for name in kept}


def changed_fleet(size: int, *, unreadable: bool) -> list[Record]:
    """Return the fleet of the second night: some gone, some changed, some new, and some perhaps unreadable."""
    records: list[Record] = []
    for sim in a_fleet(size):
        match int(sim.sim_id[-1]):
            case 3:
                continue
            case 5:
                records.append(sim._replace(status="suspended", label="changed"))
            case 7 if unreadable:
                records.append(Unreadable())
            case _:
                records.append(sim)
    return [*records, a_sim(size), a_sim(size + 1)]


deaths = st.builds(Death, point=st.sampled_from(CRASH_POINTS), skip=st.integers(0, 6), error=DEATHS)


@given(
    size=st.integers(0, 25),
    page_size=st.integers(1, 6),
    unreadable=st.booleans(),
    first_night=st.lists(deaths, max_size=4),
    second_night=st.lists(deaths, max_size=4),
)
@example(12, 3, False, [], [Death(point, 0, SimulatedCrash(point)) for point in CRASH_POINTS])
@example(12, 3, False, [], [Death(point, 1, SimulatedCrash(point)) for point in CRASH_POINTS])
@example(12, 3, True, [], [Death(point, 1, SimulatedCrash(point)) for point in CRASH_POINTS])
def test_a_sync_that_dies_at_any_point_ends_with_the_tables_of_an_undisturbed_one(
    size: int, page_size: int, unreadable: bool, first_night: list[Death], second_night: list[Death]
) -> None:
    undisturbed, disturbed = NightsHarness(), NightsHarness()
    for fleet, night in (
        (list[Record](a_fleet(size)), first_night),
        (changed_fleet(size, unreadable=unreadable), second_night),
    ):
        pages = paged(fleet, page_size)
        undisturbed.walk(pages, [])
        carrier = disturbed.walk(pages, night)
        assert disturbed.tables() == undisturbed.tables()
        # Each death costs at most the current page.
        assert len(carrier.fetched) <= len(pages) + len(night)
        assert sorted(set(carrier.fetched_pages)) == list(range(len(pages)))
