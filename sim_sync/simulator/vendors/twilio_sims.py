"""What Twilio Super SIM, Programmable Wireless and KORE share: account, errors, paging, list and single fetch."""

import json
import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import ClassVar, Literal
from urllib.parse import quote, urlencode

from sim_sync.core.sims import Lifecycle
from sim_sync.simulator.faults import CursorExpiry, EarlyEnd, ForeignLink, PageFault, RepeatedLink, TokenExpiry
from sim_sync.simulator.fleet import Fleet
from sim_sync.simulator.fleet_spec import FleetSpec, Profile
from sim_sync.simulator.sim_view import BlueprintSim, SimView
from sim_sync.simulator.vendor import Authentication, ListCall, Request, Response, json_response, phrase_of
from sim_sync.simulator.vendors.auth import basic_authentication
from sim_sync.simulator.vendors.bodies import BadParameter, json_text, refuse_unknown, wide_id
from sim_sync.simulator.vendors.paging import Cursors, ExpiredCursor, UnknownCursor
from sim_sync.simulator.vendors.routed import Handler, RoutedVendor

# The account of a Twilio carrier: HTTP Basic with the account's SID or an API key's, and its own SID in records.


_ACCOUNT_SID = re.compile(r"AC[0-9a-fA-F]{32}")


class TwilioAccount:
    """Who is asked and who may ask. The username is the account's SID, or the SID of an API key."""

    def __init__(self, fleet_spec: FleetSpec, credentials: Mapping[str, str]) -> None:
        self._username = credentials["username"]
        self._password = credentials["password"]
        is_account = _ACCOUNT_SID.fullmatch(self._username)
        self.sid = self._username if is_account else fleet_spec.other_id("AC", "account")

    def worth(self, request: Request) -> Authentication:
        """Return whether the request carries the account's credentials."""
        return basic_authentication(request, username=self._username, password=self._password)


# Error answers in Twilio's shape: `code`, `message`, `more_info`, `status`.
#
# Codes: 20001, 20003, 20404 and 20429 as Twilio's error dictionary and its clients' issue trackers show them. The
# codes of 5xx answers are not documented for this API: clients must not depend on them.


_CODES = {400: 20001, 401: 20003, 404: 20404, 405: 20004, 429: 20429, 500: 20500, 503: 20503}
_MESSAGES = {401: "Authenticate", 429: "Too Many Requests"}


def error_response(status: int, message: str | None = None) -> Response:
    """Return Twilio's answer for an error status; 502 and 504 come from the gateway before it, which speaks HTML."""
    if status in (HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT):
        return _gateway_page(HTTPStatus(status))
    code = _CODES.get(status, 20000 + status)
    document = {
        "code": code,
        "message": message or _MESSAGES.get(status) or phrase_of(status),
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
    headers = {"WWW-Authenticate": 'Basic realm="Twilio API"'} if status == HTTPStatus.UNAUTHORIZED else {}
    return json_response(status, document, headers)


def _gateway_page(status: HTTPStatus) -> Response:
    title = f"{status.value} {status.phrase}"
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
    return Response(status, page.encode(), content_type="text/html")


# Twilio's paging: `PageSize`, `Page`, `PageToken`, and the `meta` object with its absolute links.
#
# The page token alone says where a page lies; `Page` is carried for the client's own use and changes nothing, but a
# `Page` above 0 without a token is refused (twilio/twilio-python issue 395).


_DEFAULT_PAGE_SIZE = 50
_MAX_PAGE_SIZE = 1000


@dataclass(frozen=True, slots=True)
class PagePosition:
    """A place in the list: before or after the SIM with this index."""

    side: Literal["after", "before"]
    position: int


_START = PagePosition("after", -1)


class PageTokens:
    """Turns places of one fleet's list into opaque tokens and back. A token of another fleet is not accepted."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._after = Cursors(fleet, "page tokens after", prefix="PA")
        self._before = Cursors(fleet, "page tokens before", prefix="PB")

    def token(self, place: PagePosition) -> str:
        """Return the token of a place."""
        return (self._after if place.side == "after" else self._before).cursor(place.position)

    def place(self, token: str) -> PagePosition:
        """Return the place that a token names.

        Raises:
            BadParameter: this carrier never gave that token out, or it has expired.
        """
        before = token.startswith("PB")
        try:
            position = (self._before if before else self._after).position(token)
        except ExpiredCursor as problem:
            raise BadParameter("PageToken has expired.", problem.status) from None
        except UnknownCursor:
            raise BadParameter("PageToken is invalid.") from None
        if position >= self._fleet.end:
            raise BadParameter("PageToken is invalid.")
        return PagePosition("before" if before else "after", position)

    def expire(self, status: int) -> None:
        """Refuse all tokens given out so far, with this status."""
        self._after.expire(status)
        self._before.expire(status)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page is asked for: its place, its size, and the number and filters that its links carry on."""

    place: PagePosition
    page_size: int
    page_number: int
    filters: Mapping[str, str]
    page_token: str | None


def parse_page_request(query: Mapping[str, str], tokens: PageTokens, filter_names: Sequence[str]) -> PageRequest:
    """Read the paging parameters of a list request.

    Raises:
        BadParameter: one of them is not what Twilio takes.
    """
    refuse_unknown(query, ("PageSize", "Page", "PageToken", *filter_names))
    page_size = _parse_number(query, "PageSize", _DEFAULT_PAGE_SIZE, 1, _MAX_PAGE_SIZE)
    page_number = _parse_number(query, "Page", 0, 0, 2**31 - 1)
    token = query.get("PageToken") or None
    if token is None and page_number > 0:
        raise BadParameter("PageToken is required for paging.")
    return PageRequest(
        place=tokens.place(token) if token else _START,
        page_size=page_size,
        page_number=page_number,
        filters={name: query[name] for name in filter_names if query.get(name)},
        page_token=token,
    )


def _parse_number(query: Mapping[str, str], name: str, default: int, lowest: int, highest: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and lowest <= int(text) <= highest):
        raise BadParameter(f"{name} must be an integer from {lowest} to {highest}.")
    return int(text)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The places of the pages before and after a page, where there are SIMs."""

    previous: PagePosition | None
    next: PagePosition | None


def neighbours(request: PageRequest, indices: Sequence[int], *, more: bool) -> Neighbours:
    """Return what lies around a page of these SIMs; `more`: there are others beyond it in the direction of its walk."""
    if not indices:
        return Neighbours(None, None)
    ahead, behind = PagePosition("after", indices[-1]), PagePosition("before", indices[0])
    if request.place.side == "before":
        return Neighbours(behind if more else None, ahead)
    return Neighbours(behind if request.page_token else None, ahead if more else None)


def page_meta(
    url: str, key: str, request: PageRequest, around: Neighbours, *, tokens: PageTokens, fault: PageFault | None = None
) -> str:
    """Return the `meta` object of a page as JSON text. `url` is the list's own URL, without parameters."""

    def link(number: int, token: str | None) -> str:
        parameters = {**request.filters, "PageSize": str(request.page_size), "Page": str(number)}
        return f"{url}?{urlencode(parameters | ({'PageToken': token} if token else {}), quote_via=quote)}"

    this_page = link(request.page_number, request.page_token)
    next_page = link(request.page_number + 1, tokens.token(around.next)) if around.next else None
    match fault:
        case EarlyEnd():
            next_page = None
        case RepeatedLink():
            next_page = this_page
        case ForeignLink(origin=origin):
            next_page = origin + "/" + (next_page or this_page).split("/", 3)[3]
    return json.dumps(
        {
            "first_page_url": link(0, None),
            "key": key,
            "next_page_url": next_page,
            "page": request.page_number,
            "page_size": request.page_size,
            "previous_page_url": link(max(request.page_number - 1, 0), tokens.token(around.previous))
            if around.previous
            else None,
            "url": this_page,
        }
    )


# The list and the single fetch that Twilio Super SIM, Twilio Programmable Wireless and KORE share.
#
# The account's products differ in their records, their statuses and in what they call a plan; KORE also in
# credentials and errors. Twilio speaks of a SID where others say id.


_SID = re.compile(r"[A-Z]{2}[0-9a-f]{32}")


class TwilioSims(RoutedVendor):
    """SIMs of one account, listed along next links."""

    list_path = "/v1/Sims"
    id_field = "sid"
    alone = ("", "")
    #: What a SIM's SID begins with.
    sid_prefix: ClassVar[str]
    #: Every word that the `Status` filter takes.
    statuses: ClassVar[Sequence[str]]
    #: The parameter that filters by plan.
    plan_filter: ClassVar[str]

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(fleet)
        self._page_tokens = PageTokens(fleet)

    @abstractmethod
    def plan_sid(self, sim: SimView) -> str | None:
        """Return the SID of the SIM's plan, or None where it has none."""

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return the list call."""
        return {("GET", self.list_path): self._list}

    def page_call(self, request: Request) -> ListCall:
        """Return the page token and the page number."""
        number = request.query.get("Page", "0")
        return ListCall(request.query.get("PageToken"), int(number) if number.isdecimal() else None)

    def failure(self, status: int, message: str | None = None) -> Response:
        """Return Twilio's answer for an error status."""
        return error_response(status, message)

    def not_found(self, request: Request) -> Response:
        """Return Twilio's 404, which names the path."""
        return self.failure(404, f"The requested resource {request.path} was not found")

    def unauthorized(self, worth: Authentication) -> Response:
        """Return Twilio's 401, which says whether there were any credentials."""
        message = "Authentication Error - No credentials provided" if worth == "missing" else None
        return self.failure(401, message)

    def expire(self, fault: TokenExpiry | CursorExpiry) -> None:
        """Refuse from now on the page tokens given out so far; the tokens of a login expire as everywhere."""
        if isinstance(fault, CursorExpiry):
            self._page_tokens.expire(fault.status)
        else:
            super().expire(fault)

    def sim_id(self, sim: SimView) -> str:
        """Return the SIM's SID."""
        return self.sid_prefix + wide_id(self.fingerprint(sim))

    def index_of(self, name: str) -> int | None:
        """Return the index of the SIM with this SID."""
        if not _SID.fullmatch(name) or not name.startswith(self.sid_prefix):
            return None
        fingerprint = int(name[2:18], 16)
        index = self.fleet_spec.index_of_fingerprint(fingerprint)
        return index if self.sid_prefix + wide_id(fingerprint) == name else None

    def _list(self, request: Request, fault: PageFault | None) -> Response:
        page = parse_page_request(request.query, self._page_tokens, ("Status", self.plan_filter, "Iccid"))
        self._check_status_filter(page.filters)
        # One more than the page holds says whether the list continues.
        indices = self._indices(page, page.page_size + 1)
        more = len(indices) > page.page_size
        indices = indices[: page.page_size] if page.place.side == "after" else indices[-page.page_size :]
        records = self.records(indices, request.base_url, fault)
        url = request.base_url + self.list_path
        around = neighbours(page, indices, more=more)
        meta = page_meta(url, "sims", page, around, tokens=self._page_tokens, fault=fault)
        return Response(200, f'{{"sims":[{",".join(records)}],"meta":{meta}}}'.encode(), headers=_headers(request))

    def _one(self, name: str, request: Request, fault: PageFault | None) -> Response:
        response = super()._one(name, request, fault)
        return replace(response, headers=_headers(request)) if response.status == HTTPStatus.OK else response

    def _indices(self, page: PageRequest, count: int) -> list[int]:
        fleet, position, after = self.fleet, page.place.position, page.place.side == "after"
        if "Iccid" in page.filters:
            return self._index_of_iccid(page)
        if not page.filters:
            return fleet.live_after(position, count) if after else fleet.live_before(position, count)
        listing = fleet.matching_after if after else fleet.matching_before
        return listing(position, count, lambda index: self._matches(index, page.filters))

    def _index_of_iccid(self, page: PageRequest) -> list[int]:
        """Return the one SIM with the ICCID asked for, without looking at the others; there is never a next page."""
        index = self.fleet.index_of_iccid(page.filters["Iccid"])
        others = {name: value for name, value in page.filters.items() if name != "Iccid"}
        return [] if index is None or page.page_token or not self._matches(index, others) else [index]

    def _matches(self, index: int, filters: Mapping[str, str]) -> bool:
        sim = self.fleet.views([index])[0]
        if "Status" in filters and self.carrier_status(sim) != filters["Status"]:
            return False
        plan, sid = filters.get(self.plan_filter), self.plan_sid(sim)
        return plan is None or (sid is not None and plan in (sid, sim.rate_plan))

    def _check_status_filter(self, filters: Mapping[str, str]) -> None:
        if "Status" in filters and filters["Status"] not in self.statuses:
            raise BadParameter(f"Status must be one of {', '.join(self.statuses)}.")


def _headers(request: Request) -> Mapping[str, str]:
    return {"Access-Control-Allow-Origin": "*", "Twilio-Concurrent-Requests": str(request.in_flight)}


# The records of Super SIM, Twilio's and KORE's: no IMSI, MSISDN, IMEI or plan; those stay in the fleet.
#
# The status `scheduled` is only ever set by an edit.


#: What Super SIM calls each place in the lifecycle that it knows.
STATUS_WORDS: Mapping[str, str] = {
    Lifecycle.INVENTORY: "new",
    Lifecycle.ACTIVATION_READY: "ready",
    Lifecycle.ACTIVE: "active",
    Lifecycle.DEACTIVATED: "inactive",
}
#: What Super SIMs have in common.
PROFILE = Profile(
    iccid_prefix="89883070",
    status_weights=(
        (Lifecycle.ACTIVE, 80),
        (Lifecycle.INVENTORY, 8),
        (Lifecycle.ACTIVATION_READY, 6),
        (Lifecycle.DEACTIVATED, 6),
    ),
    rate_plans=("trackers-eu", "meters-eu", "gateways-us"),
)
_RECORD = (
    '{"sid":"%s","unique_name":%s,"account_sid":"%s","iccid":%s,"status":%s,"fleet_sid":%s,"date_created":"%s",'
    '"date_updated":"%s","url":"%s","links":{"billing_periods":"%s/BillingPeriods","sim_ip_addresses":"%s/IpAddresses"}}'
)


class SuperSims(TwilioSims):
    """Super SIMs of one account; whose account it is, the vendor says."""

    sid_prefix = "HS"
    statuses = ("new", "ready", "active", "inactive", "scheduled")
    plan_filter = "Fleet"
    status_words = STATUS_WORDS
    #: The SID of the account in each record.
    account_sid: str

    def listed(self, sim: SimView) -> Mapping[str, str | None]:
        """Return the little that the list tells: ICCID, name, account and the time of the last change."""
        return {
            "iccid": sim.iccid,
            "label": sim.label,
            "account": self.account_sid,
            "carrier_updated_at": sim.updated_text,
        }

    def plan_sid(self, sim: SimView) -> str | None:
        """Return the SID of the SIM's Fleet, which is its plan; a new SIM has none yet."""
        plan = sim.rate_plan
        return None if plan is None or sim.status == Lifecycle.INVENTORY else self.fleet_spec.other_id("HF", plan)

    def record(self, sim: SimView, base_url: str) -> str:
        """Return a Super SIM as JSON text."""
        if isinstance(sim, BlueprintSim):
            return self._unchanged_record(sim.index, sim.fingerprint, base_url)
        sid = self.sim_id(sim)
        url = f"{base_url}/v1/Sims/{sid}"
        return _RECORD % (
            sid,
            json_text(sim.label),
            self.account_sid,
            json_text(sim.iccid),
            json_text(self.carrier_status(sim)),
            json_text(self.plan_sid(sim)),
            sim.created_text,
            sim.updated_text,
            *(url, url, url),
        )

    def _unchanged_record(self, index: int, fingerprint: int, base_url: str) -> str:
        """Return what `record` returns, quicker: benchmarks list many thousands of these, none needs escaping."""
        fleet_spec = self.fleet_spec
        status, label = fleet_spec.status(fingerprint), fleet_spec.label(index, fingerprint)
        sid = f"HS{wide_id(fingerprint)}"
        url = f"{base_url}/v1/Sims/{sid}"
        fleet_sid = None
        if status is not Lifecycle.INVENTORY:
            fleet_sid = fleet_spec.other_id("HF", fleet_spec.rate_plan(fingerprint))
        return _RECORD % (
            sid,
            f'"{label}"' if label else "null",
            self.account_sid,
            f'"{fleet_spec.iccid(index)}"',
            f'"{STATUS_WORDS[status]}"',
            f'"{fleet_sid}"' if fleet_sid else "null",
            fleet_spec.created_text(fingerprint),
            fleet_spec.updated_text(fingerprint),
            *(url, url, url),
        )
