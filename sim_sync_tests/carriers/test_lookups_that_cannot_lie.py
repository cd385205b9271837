"""A thousand walks with lookups, killed and disturbed: no SIM that is there vanishes, and one that has left does."""

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_sync.core.session import Session, State, SweepState
from sim_sync.core.sync import CRASH_POINTS
from sim_sync_tests.carriers.odd_lists import Night, OddList
from sim_sync_tests.carriers.odd_nights import STYLES, Deployment, Harness, odd_nights
from sim_sync_tests.carriers.walking import iccid
from sim_sync_tests.fakes.crash_points import ArmedPoints, SimulatedCrash
from sim_sync_tests.fakes.raw_server import Received, reply

NIGHTS = 4
LOOKUP = "{path: '/v1/sims/{sim_id}', not_found: {status: 404, path: code, equals: NO_SUCH_SIM}}"
#: What one lookup may bring, and what all of a night may.
NOTHING = "nothing"
FAULTS = ("500", "403", "429", "gateway", "garbage", "another SIM", NOTHING)


@dataclass
class LookedUpList(OddList):
    """An odd list whose SIMs can be asked for one by one; it may hide some that are there.

    `faults` are what lookups of the night bring by their numbers, `broken` what all of them do. `hidden` are places in
    the fleet. The list hides a SIM once: two walks that miss it are what marks it as gone where lookups do not answer,
    and a walk that waits for its lookups may be the one before for several nights.
    """

    faults: dict[int, str] = field(default_factory=dict)
    broken: str | None = None
    hidden: frozenset[int] = frozenset()
    was_hidden: frozenset[int] = frozenset()
    lookups: int = 0

    def begin_with(self, night: Night, disturbed: "Disturbance") -> None:
        """Begin a night in which lookups are disturbed, too."""
        self.was_hidden |= self.hidden
        self.begin(night)
        self.faults, self.broken, self.lookups = disturbed.faults, disturbed.broken, 0
        places = {self.fleet[place] for place in disturbed.hides if place < len(self.fleet)}
        self.hidden = frozenset(places - self.was_hidden)

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
#: The list is whole, but for the SIMs that it hides: its walk is certified, and the lookups decide.
whole_nights = st.builds(Night, removed_before=st.integers(0, 2), added_before=st.integers(0, 2))
nights = st.one_of(whole_nights, whole_nights, odd_nights)
lists = st.builds(
    lambda listed, size, seed: LookedUpList(size, seed, list(range(listed))),
    st.integers(1, 30),
    st.integers(1, 9),
    st.integers(0, 2**32),
)


class DisturbedDeployment(Deployment):
    """A carrier's nights, in as many runs as they take; every one that dies is followed by another."""

    def __init__(self, folder: Path, url: str, pagination: str, page_size: int) -> None:
        self.points = ArmedPoints()
        super().__init__(folder, url, pagination, page_size, lookup=LOOKUP, at=self.points)

    def disturbed_night(self, deaths: tuple[tuple[str, int], ...] = (), *, restart: bool = False) -> Session:
        """Walk, look up and close once, whatever comes of it."""
        self.warehouse.clock.advance(3600)
        number = len(self.warehouse.rows("sync_sessions"))
        for point, skip in deaths:
            self.points.arm(point, skip=skip)
            try:
                return self.run(restart=restart)
            except SimulatedCrash:
                restart = restart and len(self.warehouse.rows("sync_sessions")) == number
            finally:
                self.points.disarm()
        (newest,) = self.warehouse.latest_sessions(["acme"]) or (None,)
        is_over = newest is not None and newest.state is State.COMPLETED and newest.session_number > number
        return newest if is_over and newest is not None else self.run(restart=restart)


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
        deployment = DisturbedDeployment(Path(folder), harness.server.url, STYLES[style], sims.size)
        for night, disturbed in [(Night(), Disturbance()), *kept]:
            sims.begin_with(night, disturbed)
            session = deployment.disturbed_night(disturbed.deaths)
            lied_about = deployment.vanished() & sims.there_all_night & set(sims.fleet)
            assert not lied_about, (night, disturbed, session, sorted(lied_about))
        sims.begin_with(Night(removed_before=1), last)
        session = deployment.disturbed_night(last.deaths, restart=True)
        assert session.state is State.COMPLETED
        if sims.fleet:
            assert session.sweep_state is SweepState.DONE
            assert deployment.vanished() == deployment.known() - set(sims.fleet), session
        else:  # of a carrier that lists nothing at all, a person decides
            assert session.sweep_state is SweepState.HELD
