"""Twilio's account, errors and paging: `PageSize`, `Page`, `PageToken`, and `meta` with its absolute links."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal
from urllib.parse import quote, urlencode

from sim_sync.simulator.faults import EarlyEnd, ForeignLink, PageFault, RepeatedLink
from sim_sync.simulator.fleet import Fleet
from sim_sync.simulator.fleet_spec import FleetSpec
from sim_sync.simulator.vendor import Authentication, Request, Response, json_response, phrase_of
from sim_sync.simulator.vendors.auth import basic_authentication
from sim_sync.simulator.vendors.bodies import BadParameter, refuse_unknown
from sim_sync.simulator.vendors.paging import Cursors, ExpiredCursor, UnknownCursor

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
