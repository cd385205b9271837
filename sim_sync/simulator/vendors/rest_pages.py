"""The pages of a `rest` mount: a function for each style, from a request's parameters to a page and what it tells.

`meta` and `links` go into the body's objects of that name, `headers` into the header.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from sim_sync.simulator.faults import EarlyEnd, ForeignLink, PageFault, RepeatedLink, WrongTotal
from sim_sync.simulator.fleet import Fleet
from sim_sync.simulator.vendor import Request
from sim_sync.simulator.vendors.bodies import parse_number, refuse_unknown
from sim_sync.simulator.vendors.paging import Cursors, slice_at
from sim_sync.simulator.vendors.rest_options import RestOptions

#: The `id` of the first SIM of a fleet; those of the others follow.
FIRST_ID = 40_001
_DEFAULT_SIZE = 50


@dataclass
class RestPage:
    """Which SIMs a page lists, and what it tells about the whole and the next page."""

    indices: Sequence[int]
    meta: dict[str, Any] = field(default_factory=dict)
    links: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


class RestPages:
    """Finds the pages of one fleet as the options have them."""

    def __init__(self, fleet: Fleet, options: RestOptions) -> None:
        self._fleet = fleet
        self._options = options
        self.cursors = Cursors(fleet, "rest")

    def page(self, request: Request, given: Mapping[str, str], fault: PageFault | None) -> RestPage:
        """Return the page that a request asks for with these parameters.

        Raises:
            BadParameter: one of them is not what this API takes.
        """
        match self._options.pagination:
            case "page_number":
                return self._by_number(given, fault)
            case "offset":
                return self._by_offset(given, fault)
            case "keyset":
                return self._by_key(given, fault)
            case _:
                return self._by_cursor(request, given, fault)

    def _size(self, given: Mapping[str, str], name: str) -> int:
        most = self._options.max_page_size
        return parse_number(given, name, default=min(_DEFAULT_SIZE, most), lowest=1, highest=most)

    def _by_number(self, given: Mapping[str, str], fault: PageFault | None) -> RestPage:
        refuse_unknown(given, ("page", "per_page"))
        first = self._options.first_page
        number = parse_number(given, "page", default=first, lowest=first, highest=2**31)
        size = self._size(given, "per_page")
        return self._counted((number - first) * size, size, fault)

    def _by_offset(self, given: Mapping[str, str], fault: PageFault | None) -> RestPage:
        refuse_unknown(given, ("offset", "limit"))
        offset = parse_number(given, "offset", default=0, lowest=0, highest=2**62)
        return self._counted(offset, self._size(given, "limit"), fault)

    def _counted(self, offset: int, size: int, fault: PageFault | None) -> RestPage:
        total, surplus_pages = self._fleet.live_count, 0
        is_last = offset + size >= total
        match fault:
            case WrongTotal():
                total, surplus_pages = max(total + fault.records, 0), fault.pages
            case EarlyEnd():
                total, is_last = offset + size, True
        page = RestPage(slice_at(self._fleet, offset, size))
        match self._options.told_total:
            case "total_pages":
                page.meta["total_pages"] = max(-(-total // size) + surplus_pages, 0)
            case "total":
                page.meta["total"] = total
            case "header":
                page.headers["X-Total-Count"] = str(total)
            case "last_page":
                page.meta["last_page"] = is_last
        return page

    def _by_key(self, given: Mapping[str, str], fault: PageFault | None) -> RestPage:
        refuse_unknown(given, ("after", "limit"))
        after = parse_number(given, "after", default=FIRST_ID - 1, lowest=0, highest=2**62) - FIRST_ID
        size = self._size(given, "limit")
        if isinstance(fault, RepeatedLink) and after >= 0:
            # The page before: its last record's key leads to this very request again.
            return self._told(RestPage(self._fleet.live_before(after + 1, size)), more=True)
        found = self._fleet.live_after(after, size + 1)
        return self._told(RestPage(found[:size]), more=len(found) > size and not isinstance(fault, EarlyEnd))

    def _by_cursor(self, request: Request, given: Mapping[str, str], fault: PageFault | None) -> RestPage:
        refuse_unknown(given, ("cursor", "limit"))
        size, cursor = self._size(given, "limit"), given.get("cursor")
        # A cursor is how many indices lie before its page.
        before = self.cursors.position(cursor) if cursor else 0
        found = self._fleet.live_after(before - 1, size + 1)
        following = found[size - 1] + 1 if len(found) > size else None
        match fault:
            case EarlyEnd():
                following = None
            case RepeatedLink():
                following = before
        page = self._told(RestPage(found[:size]), more=following is not None)
        self._tell_next(page, request, size, following, fault)
        return page

    def _tell_next(
        self, page: RestPage, request: Request, size: int, following: int | None, fault: PageFault | None
    ) -> None:
        cursor = None if following is None else self.cursors.cursor(following)
        base = fault.origin if isinstance(fault, ForeignLink) else request.base_url
        link = None if cursor is None else f"{base}{request.path}?{urlencode({'cursor': cursor, 'limit': size})}"
        match self._options.pagination, self._options.place:
            case "next_link", "body":
                page.links["next"] = link
            case "next_link", _ if link:
                page.headers["Link"] = f'<{base}{request.path}?limit={size}>; rel="first", <{link}>; rel="next"'
            case "cursor", "body":
                page.meta["next_cursor"] = cursor
            case "cursor", _ if cursor:
                page.headers["X-Next-Cursor"] = cursor

    def _told(self, page: RestPage, *, more: bool) -> RestPage:
        if self._options.more:
            page.meta["more"] = more
        return page
