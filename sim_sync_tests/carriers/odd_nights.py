"""A declared carrier whose list is odd, walked night after night in every style of pagination into one warehouse."""

from pathlib import Path

from hypothesis import strategies as st

from sim_sync.config.carrier import CarrierConfig
from sim_sync.core.errors import CarrierError, ParkRequired
from sim_sync.core.looking_up import look_up_missing
from sim_sync.core.lookups import LookupLimits
from sim_sync.core.opening import Trigger
from sim_sync.core.session import Event, Release, Session
from sim_sync.core.sync import CrashPoint, StepRules, nothing_armed, walk
from sim_sync_tests.carriers.declared import declared
from sim_sync_tests.carriers.odd_lists import BEHIND, COUNTS, ORDERS, PARAMETERS, Night, OddList
from sim_sync_tests.fakes.fleet import a_request
from sim_sync_tests.fakes.moving_time import MovingTime
from sim_sync_tests.fakes.raw_server import RawServer, Received
from sim_sync_tests.fakes.stopping import never_stop
from sim_sync_tests.fakes.warehouse import InMemoryWarehouse

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


class Harness:
    """One server for all carriers of a test: it gives the list that is put on it."""

    def __init__(self) -> None:
        self.given = OddList(1, 0)
        self.server = RawServer(self._response)

    def _response(self, received: Received) -> bytes:
        return self.given(received)


class Deployment:
    """A carrier's walks, night after night, into one warehouse. With a `lookup`, SIMs that they miss are asked for."""

    def __init__(
        self,
        folder: Path,
        url: str,
        pagination: str,
        page_size: int,
        *,
        lookup: str | None = None,
        at: CrashPoint = nothing_armed,
    ) -> None:
        self.warehouse = InMemoryWarehouse(at=at)
        self.owners: list[str] = []
        asked = "" if lookup is None else f", lookup: {lookup}"
        self.config: CarrierConfig = declared(
            folder,
            f"""
            type: rest
            base_url: {url}
            auth: {{type: none}}
            page_size: {page_size}
            retry: {{base_seconds: 0.1, ceiling_seconds: 0.1, max_attempts: 2}}
            list: {{path: /v1/sims, records: data, pagination: {pagination}{asked}}}
            fields: {{sim_id: id, iccid: iccid, status: state}}
            """,
        )
        self.rules = StepRules(
            should_stop=never_stop,
            on_checkpoint=lambda _session: None,
            lookups=None if lookup is None else LookupLimits(self.config.sweep),
            at=at,
        )

    def night(self) -> Session:
        """Walk, look up and close once, whatever comes of it."""
        self.warehouse.clock.advance(3600)
        return self.run()

    def run(self, *, restart: bool = False) -> Session:
        """Do one run's share, after runs that are all over."""
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
        try:
            walk(session, carrier, warehouse, self.rules)
            look_up_missing(session.claim, carrier, warehouse, self.rules)
        except (CarrierError, ParkRequired) as error:
            event = Event.WAIT_TOO_LONG if isinstance(error, ParkRequired) else Event.GAVE_UP
            return warehouse.release(session.claim, Release(event, str(error)))
        return warehouse.close_session(session.claim, self.config.sweep, carrier.config_hash)

    def known(self) -> set[int]:
        """Return every SIM that was ever seen."""
        return {int(row["sim_id"]) for row in self.warehouse.rows("carrier_sims")}

    def vanished(self) -> set[int]:
        """Return the SIMs that are marked as gone."""
        return {int(row["sim_id"]) for row in self.warehouse.rows("carrier_sims") if row["vanished_at"]}

    def marked(self) -> set[int]:
        """Return the SIMs that are marked as absent or gone."""
        rows = self.warehouse.rows("carrier_sims")
        return {int(row["sim_id"]) for row in rows if row["absent_since"] or row["vanished_at"]}
