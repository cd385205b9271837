"""A thousand walks with lookups, killed and disturbed: no SIM that is there vanishes, and one that has left does."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_sync.config.carrier import CarrierConfig
from sim_sync.core.errors import CarrierError, ParkRequired
from sim_sync.core.looking_up import look_up_missing
from sim_sync.core.lookups import LookupLimits
from sim_sync.core.opening import Trigger
from sim_sync.core.session import Event, Release, Session, State, SweepState
from sim_sync.core.sync import CRASH_POINTS, StepRules, walk
from sim_sync_tests.carriers.declared import declared
from sim_sync_tests.carriers.odd_lists import BEHIND, COUNTS, ORDERS, PARAMETERS, Night, OddList
from sim_sync_tests.carriers.test_walks_that_cannot_lie import STYLES
from sim_sync_tests.carriers.walking import iccid
from sim_sync_tests.fakes.crash_points import ArmedPoints, SimulatedCrash
from sim_sync_tests.fakes.fleet import a_request
from sim_sync_tests.fakes.moving_time import MovingTime
from sim_sync_tests.fakes.raw_server import RawServer, Received, reply
from sim_sync_tests.fakes.stopping import never_stop
from sim_sync_tests.fakes.warehouse import InMemoryWarehouse

NIGHTS = 4
#: What one lookup may bring, and what all of a night may.
NOTHING = "nothing"
FAULTS = ("500", "403", "429", "gateway", "garbage", "another SIM", NOTHING)


@dataclass
class LookedUpList(OddList):
    """An odd list whose SIMs can be asked for one by one; it may hide some that are there.

    `faults` are what lookups of the night bring by their numbers, `broken` what all of them do. `hidden` are places in
    the fleet; of a SIM that the list has hidden in one night, it does not lie in the next.
    """

    faults: dict[int, str] = field(default_factory=dict)
    broken: str | None = None
    hidden: frozenset[int] = frozenset()
    lookups: int = 0

    def begin_with(self, night: Night, disturbed: "Disturbance") -> None:
        """Begin a night in which lookups are disturbed, too."""
        before = self.hidden
        self.begin(night)
        self.faults, self.broken, self.lookups = disturbed.faults, disturbed.broken, 0
        places = {self.fleet[place] for place in disturbed.hides if place < len(self.fleet)}
        self.hidden = frozenset(places - before)

    def __call__(self, received: Received) -> bytes:
        """Answer a request, of the list or of one SIM."""
        path, _, name = received.path.rpartition("/")
        return self._one(int(name)) if path == "/v1/sims" else super().__call__(received)

    def _ordered(self) -> list[int]:
        return [row for row in super()._ordered() if row not in self.hidden]

    def _one(self, row: int) -> bytes:
        self.lookups += 1
        fault = self.broken or self.faults.get(self.lookups)
        none, sim = reply(404, {"code": "NO_SUCH_SIM"}), {"id": str(row), "iccid": iccid(row), "state": "active"}
        answers = {
            "gateway": reply(404, raw=b"<html>404</html>", headers={"Content-Type": "text/html"}),
            "garbage": reply(200, raw=b'{"id": "'),
            "another SIM": reply(200, {"id": str(row + 1), "iccid": iccid(row + 1), "state": "active"}),
        }
        if fault in {"500", "403", "429"}:
            return reply(int(fault), {"code": "NO_SUCH_SIM"})
        if fault == NOTHING and self.broken:  # of every SIM, there or not: the path is gone
            return none
        return answers.get(fault or "", reply(200, sim) if row in self.fleet else none)


@dataclass(frozen=True)
class Disturbance:
    """What happens to the lookups of a night, and where its runs die."""

    faults: dict[int, str] = field(default_factory=dict)
    broken: str | None = None
    hides: frozenset[int] = frozenset()
    deaths: tuple[tuple[str, int], ...] = ()


disturbances = st.builds(
    Disturbance,
    faults=st.dictionaries(st.integers(1, 12), st.sampled_from(FAULTS), max_size=4),
    broken=st.sampled_from([None, None, None, NOTHING, *FAULTS]),
    hides=st.frozensets(st.integers(0, 29), max_size=3),
    deaths=st.lists(st.tuples(st.sampled_from(CRASH_POINTS), st.integers(0, 3)), max_size=3).map(tuple),
)
odd_nights = st.builds(
    Night,
    counts=st.sampled_from(COUNTS),
    order=st.sampled_from(ORDERS),
    parameters=st.sampled_from(PARAMETERS),
    behind=st.sampled_from(BEHIND),
    removed_before=st.integers(0, 2),
    added_before=st.integers(0, 2),
    grows_at=st.frozensets(st.integers(1, 6), max_size=2),
)
#: The list is whole, but for the SIMs that it hides: its walk is certified, and the lookups decide.
whole_nights = st.builds(Night, removed_before=st.integers(0, 2), added_before=st.integers(0, 2))
nights = st.one_of(whole_nights, whole_nights, odd_nights)
lists = st.builds(
    lambda listed, size, seed: LookedUpList(size, seed, list(range(listed))),
    st.integers(1, 30),
    st.integers(1, 9),
    st.integers(0, 2**32),
)


class Deployment:
    """A carrier's nights, in as many runs as they take; every one that dies is followed by another."""

    #: How many walks were begun and how many runs have died, in all tests.
    walks = kills = 0

    def __init__(self, folder: Path, url: str, pagination: str, page_size: int) -> None:
        self.points = ArmedPoints()
        self.warehouse = InMemoryWarehouse(at=self.points)
        self.owners: list[str] = []
        self.config: CarrierConfig = declared(
            folder,
            f"""
            type: rest
            base_url: {url}
            auth: {{type: none}}
            page_size: {page_size}
            retry: {{base_seconds: 0.1, ceiling_seconds: 0.1, max_attempts: 2}}
            list:
              path: /v1/sims
              records: data
              pagination: {pagination}
              lookup: {{path: '/v1/sims/{{sim_id}}', not_found: {{status: 404, path: code, equals: NO_SUCH_SIM}}}}
            fields: {{sim_id: id, iccid: iccid, status: state}}
            """,
        )

    def night(self, deaths: tuple[tuple[str, int], ...] = (), *, restart: bool = False) -> Session:
        """Walk, look up and close once, whatever comes of it."""
        Deployment.walks += 1
        self.warehouse.clock.advance(3600)
        number = len(self.warehouse.rows("sync_sessions"))
        for point, skip in deaths:
            self.points.arm(point, skip=skip)
            try:
                return self._run(restart=restart)
            except SimulatedCrash:
                Deployment.kills += 1
                restart = restart and len(self.warehouse.rows("sync_sessions")) == number
            finally:
                self.points.disarm()
        (newest,) = self.warehouse.latest_sessions(["acme"]) or (None,)
        is_over = newest is not None and newest.state is State.COMPLETED and newest.session_number > number
        return newest if is_over and newest is not None else self._run(restart=restart)

    def _run(self, *, restart: bool) -> Session:
        carrier, warehouse, gone = self.config.build(MovingTime()), self.warehouse, list(self.owners)
        self.owners.append(f"run-{len(gone)}")
        request = a_request(
            self.owners[-1],
            Trigger.OPERATOR,
            first_cursor=carrier.first_cursor(),
            config_hash=carrier.config_hash,
            gone_owners=gone,
            restart=restart,
            max_idle_pages=20,
        )
        session = warehouse.open_session(request).session
        rules = StepRules(
            should_stop=never_stop,
            on_checkpoint=lambda _session: None,
            lookups=LookupLimits(self.config.sweep),
            at=self.points,
        )
        try:
            walk(session, carrier, warehouse, rules)
            look_up_missing(session.claim, carrier, warehouse, rules)
        except (CarrierError, ParkRequired) as error:
            event = Event.WAIT_TOO_LONG if isinstance(error, ParkRequired) else Event.GAVE_UP
            return warehouse.release(session.claim, Release(event, str(error)))
        return warehouse.close_session(session.claim, self.config.sweep, carrier.config_hash)

    def vanished(self) -> set[int]:
        """Return the SIMs that are marked as gone."""
        return {int(row["sim_id"]) for row in self.warehouse.rows("carrier_sims") if row["vanished_at"]}

    def known(self) -> set[int]:
        """Return every SIM that was ever seen."""
        return {int(row["sim_id"]) for row in self.warehouse.rows("carrier_sims")}


class Harness:
    """One server for all carriers of a test: it gives the list that is put on it."""

    def __init__(self) -> None:
        self.given = LookedUpList(1, 0)
        self.server = RawServer(self._response)

    def _response(self, received: Received) -> bytes:
        return self.given(received)


@pytest.fixture(scope="module")
def harness() -> Iterator[Harness]:
    found = Harness()
    found.server.start()
    yield found
    found.server.stop()


@pytest.mark.parametrize("style", STYLES)
@given(
    sims=lists,
    kept=st.lists(st.tuples(nights, disturbances), min_size=NIGHTS, max_size=NIGHTS),
    last=disturbances.map(lambda found: Disturbance(deaths=found.deaths)),
)
@settings(max_examples=15, deadline=None)
def test_no_sim_that_is_there_vanishes_and_one_that_has_left_does_in_one_night(
    harness: Harness, style: str, sims: LookedUpList, kept: list[tuple[Night, Disturbance]], last: Disturbance
) -> None:
    harness.given = sims
    sims.by_key = style == "keyset"
    with TemporaryDirectory() as folder:
        deployment = Deployment(Path(folder), harness.server.url, STYLES[style], sims.size)
        for night, disturbed in [(Night(), Disturbance()), *kept]:
            sims.begin_with(night, disturbed)
            session = deployment.night(disturbed.deaths)
            lied_about = deployment.vanished() & sims.there_all_night & set(sims.fleet)
            assert not lied_about, (night, disturbed, session, sorted(lied_about))
        sims.begin_with(Night(removed_before=1), last)
        session = deployment.night(last.deaths, restart=True)
        assert session.state is State.COMPLETED
        if sims.fleet:
            assert session.sweep_state is SweepState.DONE
            assert deployment.vanished() == deployment.known() - set(sims.fleet), session
        else:  # of a carrier that lists nothing at all, a person decides
            assert session.sweep_state is SweepState.HELD
