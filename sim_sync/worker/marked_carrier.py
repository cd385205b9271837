"""Marks the moment at which a page has been fetched and is not yet committed: there a crash costs the most."""

from sim_sync.core.crash_points import CrashPoint
from sim_sync.core.pages import Cursor, Page
from sim_sync.core.ports import CarrierSource


class MarkedCarrier:
    """A `CarrierSource` that passes the crash point `fetch_page:fetched` after every page of another one."""

    def __init__(self, carrier: CarrierSource, at: CrashPoint) -> None:
        self._carrier = carrier
        self._at = at

    @property
    def name(self) -> str:
        """See `CarrierSource`."""
        return self._carrier.name

    @property
    def config_hash(self) -> str:
        """See `CarrierSource`."""
        return self._carrier.config_hash

    def first_cursor(self) -> Cursor:
        """See `CarrierSource`."""
        return self._carrier.first_cursor()

    def fetch_page(self, cursor: Cursor) -> Page:
        """See `CarrierSource`."""
        page = self._carrier.fetch_page(cursor)
        self._at("fetch_page:fetched")
        return page
