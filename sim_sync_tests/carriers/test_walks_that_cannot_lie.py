"""A thousand walks over lists that are not what they seem: no SIM that is there is marked as gone, and each ends."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_sync.config.carrier import CarrierConfig
from sim_sync.core.errors import CarrierError, ParkRequired
from sim_sync.core.opening import Trigger
from sim_sync.core.session import Event, Release, Session, State
from sim_sync.core.sync import StepRules, walk
from sim_sync_tests.carriers.declared import declared
from sim_sync_tests.carriers.odd_lists import BEHIND, COUNTS, ORDERS, PARAMETERS, Night, OddList
from sim_sync_tests.fakes.fleet import a_request
from sim_sync_tests.fakes.moving_time import MovingTime
from sim_sync_tests.fakes.raw_server import RawServer, Received
from sim_sync_tests.fakes.stopping import never_stop
from sim_sync_tests.fakes.warehouse import InMemoryWarehouse

NIGHTS = 5
SIZED = "size_param: size"
STYLES = {
    "page number": f"{{type: page_number, page_param: page, {SIZED}}}",
    "page number and total": f"{{type: page_number, page_param: page, {SIZED}, total: total}}",
    "page number and pages": f"{{type: page_number, page_param: page, {SIZED}, total_pages: pages}}",
    "page number and both": f"{{type: page_number, page_param: page, {SIZED}, total: total, total_pages: pages}}",
    "page number and flag": f"{{type: page_number, page_param: page, {SIZED}, last_page: last}}",
    "page number without a size": "{type: page_number, page_param: page, total: total}",
    "offset": "{type: offset, offset_param: offset, limit_param: size}",
    "offset and total": "{type: offset, offset_param: offset, limit_param: size, total: total}",
    "links": f"{{type: next_link, path: next, {SIZED}}}",
    "links and total": f"{{type: next_link, path: next, {SIZED}, total: total}}",
    "cursor": f"{{type: cursor, path: cursor, to_query: page, {SIZED}}}",
    "keyset": f"{{type: keyset, field: id, to_query: after, {SIZED}}}",
}

nights = st.builds(
    Night,
    counts=st.sampled_from(COUNTS),
    order=st.sampled_from(ORDERS),
    parameters=st.sampled_from(PARAMETERS),
    behind=st.sampled_from(BEHIND),
    removed_before=st.integers(0, 2),
    added_before=st.integers(0, 2),
    grows_at=st.frozensets(st.integers(1, 6), max_size=2),
)


class WalkHarness:
    """One server for all carriers of a test: it gives the list that is put on it."""

    def __init__(self) -> None:
        self.given = OddList(1, 0)
        self.server = RawServer(self._response)

    def _response(self, received: Received) -> bytes:
        return self.given(received)


@pytest.fixture(scope="module")
def harness() -> Iterator[WalkHarness]:
    found = WalkHarness()
    found.server.start()
    yield found
    found.server.stop()


class Deployment:
    """A carrier's walks, night after night, into one warehouse."""

    def __init__(self, folder: Path, url: str, pagination: str, page_size: int) -> None:
        self.warehouse = InMemoryWarehouse()
        self.config: CarrierConfig = declared(
            folder,
            f"""
            type: rest
            base_url: {url}
            auth: {{type: none}}
            page_size: {page_size}
            retry: {{base_seconds: 0.1, ceiling_seconds: 0.1, max_attempts: 2}}
            list: {{path: /v1/sims, records: data, pagination: {pagination}}}
            fields: {{sim_id: id, iccid: iccid, status: state}}
            """,
        )

    def night(self, number: int) -> Session:
        """Walk once, whatever comes of it."""
        carrier, warehouse = self.config.build(MovingTime()), self.warehouse
        warehouse.clock.advance(3600)
        received = a_request(
            f"run-{number}",
            Trigger.OPERATOR,
            first_cursor=carrier.first_cursor(),
            config_hash=carrier.config_hash,
            max_idle_pages=20,
        )
        session = warehouse.open_session(received).session
        rules = StepRules(should_stop=never_stop, on_checkpoint=lambda _session: None)
        try:
            walk(session, carrier, warehouse, rules)
        except (CarrierError, ParkRequired) as error:
            parked = isinstance(error, ParkRequired)
            event = Event.WAIT_TOO_LONG if parked else Event.GAVE_UP
            return warehouse.release(session.claim, Release(event, str(error)))
        return warehouse.close_session(session.claim, self.config.sweep, carrier.config_hash)

    def marked(self) -> set[int]:
        """Return the SIMs that are marked as absent or gone."""
        rows = self.warehouse.rows("carrier_sims")
        return {int(row["sim_id"]) for row in rows if row["absent_since"] or row["vanished_at"]}


def live_through(harness: WalkHarness, style: str, sims: OddList, kept: Sequence[Night]) -> None:
    """Live through a first night that is what it seems, and then through others."""
    harness.given = sims
    sims.by_key = style == "keyset"
    with TemporaryDirectory() as folder:
        deployment = Deployment(Path(folder), harness.server.url, STYLES[style], sims.size)
        for number, night in enumerate([Night(), *kept]):
            sims.begin(night)
            session = deployment.night(number)
            assert sims.requests < 400, (night, session)
            assert session.state in {State.COMPLETED, State.FAILED, State.PARKED}
            assert session.state is State.COMPLETED or session.last_error
            lied_about = deployment.marked() & sims.there_all_night & set(sims.fleet)
            assert not lied_about, (night, session, sorted(lied_about))


lists = st.builds(
    lambda listed, size, seed: OddList(size, seed, list(range(listed))),
    st.integers(0, 30),
    st.integers(1, 9),
    st.integers(0, 2**32),
)


@pytest.mark.parametrize("style", STYLES)
@given(sims=lists, kept=st.lists(nights, min_size=NIGHTS - 1, max_size=NIGHTS - 1))
@settings(max_examples=17, deadline=None)
def test_no_sim_that_is_there_is_marked_as_gone_and_every_walk_ends(
    harness: WalkHarness, style: str, sims: OddList, kept: list[Night]
) -> None:
    live_through(harness, style, sims, kept)


#: Styles that are told how many SIMs there are, and a key, which stays where it is.
TOLD = [name for name in STYLES if "total" in STYLES[name] and "pages" not in name] + ["page number and both", "keyset"]
honest_nights = st.builds(
    Night,
    order=st.sampled_from(ORDERS),
    parameters=st.sampled_from(["obeyed", "size capped"]),
    behind=st.sampled_from(BEHIND),
    removed_before=st.integers(0, 2),
    added_before=st.integers(0, 2),
    grows_at=st.frozensets(st.integers(1, 6), max_size=1),
    shrinks_at=st.dictionaries(st.integers(1, 8), st.integers(0, 29), max_size=3),
)


@pytest.mark.parametrize("style", TOLD)
@given(sims=lists, kept=st.lists(honest_nights, min_size=NIGHTS - 1, max_size=NIGHTS - 1))
@settings(max_examples=10, deadline=None)
def test_nor_is_one_that_moved_up_because_others_left_while_the_list_was_walked(
    harness: WalkHarness, style: str, sims: OddList, kept: list[Night]
) -> None:
    live_through(harness, style, sims, kept)


@pytest.mark.parametrize("style", STYLES)
def test_what_has_left_an_honest_list_is_marked(harness: WalkHarness, style: str) -> None:
    sims = OddList(4, 1, list(range(10)), by_key=style == "keyset")
    harness.given = sims
    with TemporaryDirectory() as folder:
        deployment = Deployment(Path(folder), harness.server.url, STYLES[style], sims.size)
        for number in range(3):
            sims.begin(Night(removed_before=number == 1))
            assert deployment.night(number).state is State.COMPLETED
        assert len(deployment.marked()) == 1
