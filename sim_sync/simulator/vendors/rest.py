"""A carrier without a connector of its own: a usual REST API whose shape the mount's options choose.

Records are flat. Errors are an object under `error`. With OAuth 2.0, the token call is `POST /oauth2/token`, with a
form; the client's credentials come in the form or in HTTP Basic. Each record lists a PIN.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked_dataclass

from sim_sync.core.errors import InputError
from sim_sync.core.sims import Lifecycle
from sim_sync.simulator.credentials import LISTED_SECRET_MARK
from sim_sync.simulator.faults import EarlyEnd, ErrorInSuccess, ForeignLink, PageFault, RepeatedLink, WrongTotal
from sim_sync.simulator.fleet import Fleet
from sim_sync.simulator.fleet_spec import Profile
from sim_sync.simulator.sim_view import SimView
from sim_sync.simulator.vendor import Authentication, ListCall, Request, Response, VendorSpec, json_response, phrase_of
from sim_sync.simulator.vendors.auth import (
    TokenOptions,
    basic_authentication,
    bearer_token,
    is_client,
    secret_authentication,
    token_endpoint,
    token_response,
)
from sim_sync.simulator.vendors.bodies import BadParameter, form, json_object, json_text, parse_number, refuse_unknown
from sim_sync.simulator.vendors.paging import Cursors, slice_at
from sim_sync.simulator.vendors.routed import Handler, RoutedVendor

# --- the options: which of the usual shapes its API has --------------------------------------------------------------

Pagination = Literal["page_number", "offset", "next_link", "cursor", "keyset"]
Total = Literal["total_pages", "total", "header", "last_page", "none"]
Place = Literal["body", "header"]


@checked_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class RestOptions(TokenOptions):
    """The shape of the API.

    | `pagination` | parameters | what the answer tells |
    |---|---|---|
    | `page_number` | `page`, `per_page` | by `total` |
    | `offset` | `offset`, `limit` | by `total` |
    | `next_link` | `cursor`, `limit` | `links.next` (null at the end), or a header `Link` (absent at the end) |
    | `cursor` | `cursor`, `limit` | `meta.next_cursor` (null at the end), or a header `X-Next-Cursor` (absent) |
    | `keyset` | `after`, `limit` | nothing but `meta.more`; the next key is the last record's `id` |

    `total`: `total_pages` and `total` stand under `meta`, `header` is `X-Total-Count`, `last_page` a flag under `meta`;
    `none` tells nothing and an empty page is the end; not given, it is `total_pages` for page numbers and `total` for
    offsets. `place`: where the next link or cursor stands. `more`: `meta.more` says whether the list continues.
    `records`: the dotted path of the array, empty where the body is the array itself. With `method` POST, the
    parameters come in the JSON body; they may come in the query as well.
    """

    path: Annotated[str, Field(pattern=r"^/[A-Za-z0-9/_.-]+$")] = "/v1/sims"
    method: Literal["GET", "POST"] = "GET"
    pagination: Pagination = "page_number"
    first_page: Literal[0, 1] = 1
    total: Total | None = None
    place: Place = "body"
    more: bool = False
    records: Annotated[str, Field(pattern=r"^([a-z_]+(\.[a-z_]+)*)?$")] = "data"
    max_page_size: Annotated[int, Field(ge=1, le=5000)] = 500
    authentication: Literal["bearer", "basic", "header", "oauth2_client_credentials", "none"] = "bearer"
    header: str = "X-API-Key"

    @property
    def told_total(self) -> Total:
        """How the whole is told where pages are counted."""
        return self.total or ("total_pages" if self.pagination == "page_number" else "total")


# --- its pages -------------------------------------------------------------------------------------------------------

#: The `id` of the first SIM of a fleet; those of the others follow.
FIRST_ID = 40_001
_DEFAULT_SIZE = 50


@dataclass
class RestPage:
    """Which SIMs a page lists, and what it tells about the whole and the next page.

    `meta` and `links` go into the body's objects of that name, `headers` into the header.
    """

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


# --- the carrier -----------------------------------------------------------------------------------------------------

_TOKEN_PATH = "/oauth2/token"  # noqa: S105  # a path
_TOKEN_SECONDS = 3600
_STATUS_WORDS: Mapping[str, str] = {
    Lifecycle.INVENTORY: "STOCK",
    Lifecycle.ACTIVE: "ENABLED",
    Lifecycle.SUSPENDED: "DISABLED",
    Lifecycle.TERMINATED: "CLOSED",
}
_PROFILE = Profile(
    iccid_prefix="89370000",
    status_weights=(
        (Lifecycle.ACTIVE, 80),
        (Lifecycle.INVENTORY, 8),
        (Lifecycle.SUSPENDED, 8),
        (Lifecycle.TERMINATED, 4),
    ),
    rate_plans=("basic", "plus"),
)
_RECORD = (
    '{"id":%d,"iccid":%s,"imsi":%s,"msisdn":%s,"imei":%s,"eid":%s,"state":%s,"plan":%s,"name":%s,"ip":%s,'
    '"activated_at":%s,"updated_at":"%s","pin":"%spin-%d"}'
)


class Rest(RoutedVendor):
    """The SIMs of one account, behind an API of the chosen shape."""

    open_paths = (_TOKEN_PATH,)
    status_words = _STATUS_WORDS
    alone = ("", "")

    def __init__(self, fleet: Fleet, credentials: Mapping[str, str], options: RestOptions) -> None:
        _check(options)
        self._options = options
        self._credentials = credentials
        self.list_method, self.list_path = options.method, options.path
        super().__init__(fleet)
        self._pages = RestPages(fleet, options)
        self.cursors = self._pages.cursors
        self._token_endpoint = token_endpoint(options, life_seconds=_TOKEN_SECONDS)
        self.token_endpoints = {"access": self._token_endpoint}

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return the list, and the token call where there is one."""
        listing: dict[tuple[str, str], Handler] = {(self.list_method, self.list_path): self._list}
        if self._options.authentication != "oauth2_client_credentials":
            return listing
        return {**listing, ("POST", _TOKEN_PATH): self._token}

    def page_call(self, request: Request) -> ListCall:
        """Return which page a list request asks for: its number, or its cursor, key or offset as the token."""
        try:
            given = self._given(request)
        except BadParameter:
            return ListCall()
        number = given.get("page", "")
        token = given.get("cursor") or given.get("after") or given.get("offset")
        return ListCall(token, int(number) if number.isdecimal() else None)

    def tokens_of(self, request: Request) -> Mapping[str, str | None]:
        """Return the bearer token, where tokens are issued at all."""
        is_issued = self._options.authentication == "oauth2_client_credentials"
        return {"access": bearer_token(request)} if is_issued else {}

    def worth(self, request: Request) -> Authentication:
        """Return what the request's credentials are worth, in the way that the options choose."""
        known = self._credentials
        match self._options.authentication:
            case "bearer":
                return secret_authentication(bearer_token(request), known["token"])
            case "basic":
                return basic_authentication(request, username=known["username"], password=known["password"])
            case "header":
                return secret_authentication(request.headers.get(self._options.header.lower()), known["api_key"])
            case "none":
                return "not needed"
            case _:
                return super().worth(request)

    def failure(self, status: int, message: str | None = None) -> Response:
        """Return an error object."""
        return json_response(status, {"error": {"code": status, "message": message or phrase_of(status)}})

    def throttled(self, wait_seconds: int, *, quota_gone: bool = False) -> Response:
        """Return a 429 with `Retry-After`."""
        response = self.failure(429)
        return Response(429, response.body, headers={"Retry-After": str(wait_seconds)})

    def sim_id(self, sim: SimView) -> str:
        """Return the SIM's number, which grows along the list."""
        return str(FIRST_ID + sim.index)

    def index_of(self, name: str) -> int | None:
        """Return the index of the SIM with this number."""
        return int(name) - FIRST_ID if name.isascii() and name.isdigit() and int(name) >= FIRST_ID else None

    def listed(self, sim: SimView) -> Mapping[str, str | None]:
        """Return what the list tells, which is everything but an account."""
        return {
            "iccid": sim.iccid,
            "imsi": sim.imsi,
            "msisdn": sim.msisdn,
            "imei": sim.imei,
            "eid": sim.eid,
            "rate_plan": sim.rate_plan,
            "ip_address": sim.ip_address,
            "label": sim.label,
            "activated_at": sim.activated_text,
            "carrier_updated_at": sim.updated_text,
        }

    def record(self, sim: SimView, base_url: str) -> str:
        """Return a SIM as JSON text."""
        return _RECORD % (
            FIRST_ID + sim.index,
            json_text(sim.iccid),
            json_text(sim.imsi),
            json_text(sim.msisdn),
            json_text(sim.imei),
            json_text(sim.eid),
            json_text(self.carrier_status(sim)),
            json_text(sim.rate_plan),
            json_text(sim.label),
            json_text(sim.ip_address),
            json_text(sim.activated_text),
            sim.updated_text,
            LISTED_SECRET_MARK,
            sim.index,
        )

    def _given(self, request: Request) -> Mapping[str, str]:
        """Return the parameters of the query and, with POST, of the body."""
        if self._options.method == "GET" or not request.body:
            return request.query
        return {**request.query, **{key: str(value) for key, value in json_object(request).items()}}

    def _token(self, request: Request, fault: PageFault | None) -> Response:
        given, known = form(request), self._credentials
        in_form = is_client(
            given.get("client_id"),
            given.get("client_secret"),
            client_id=known["client_id"],
            client_secret=known["client_secret"],
        )
        in_header = basic_authentication(request, username=known["client_id"], password=known["client_secret"])
        is_known = in_form or in_header == "ok"
        return token_response(self._token_endpoint, grant_type=given.get("grant_type"), client_is_known=is_known)

    def _list(self, request: Request, fault: PageFault | None) -> Response:
        page = self._pages.page(request, self._given(request), fault)
        if isinstance(fault, ErrorInSuccess):
            reason = "rate limit exceeded" if fault.reason == "rate_limit" else "internal error"
            return json_response(200, {"error": {"code": 500, "message": reason}})
        records = ",".join(self.records(page.indices, request.base_url, fault))
        return Response(200, self._body(page, f"[{records}]").encode(), headers=page.headers)

    def _body(self, page: RestPage, records: str) -> str:
        if not self._options.records:
            return records
        first, *inner = self._options.records.split(".")
        for name in reversed(inner):
            records = f'{{"{name}":{records}}}'
        told = {name: told for name, told in (("meta", page.meta), ("links", page.links)) if told}
        return f'{json.dumps(told)[:-1]}{"," if told else ""}"{first}":{records}}}'


def _check(options: RestOptions) -> None:
    """Refuse shapes that no client could walk.

    Raises:
        InputError: the body is a bare array, and something has to be told in it.
    """
    tells_in_body = {
        "page_number": options.told_total in ("total_pages", "total", "last_page"),
        "offset": options.told_total in ("total_pages", "total", "last_page"),
        "next_link": options.place == "body",
        "cursor": options.place == "body",
        "keyset": False,
    }
    if not options.records and (options.more or tells_in_body[options.pagination]):
        raise InputError("options of rest: expected records to name the array, where the body has to tell more than it")


#: How this vendor enters the registry.
SPEC = VendorSpec(
    name="rest",
    profile=_PROFILE,
    status_words=_STATUS_WORDS,
    credential_keys=("token", "username", "password", "api_key", "client_id", "client_secret"),
    build=Rest,
    faults=frozenset(
        {
            "early_end",
            "repeated_link",
            "foreign_link",
            "wrong_total",
            "error_in_success",
            "token_expiry",
            "cursor_expiry",
        }
    ),
    options=RestOptions,
)
