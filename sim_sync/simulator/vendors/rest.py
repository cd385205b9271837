"""A carrier without a connector of its own: a usual REST API whose shape the mount's options choose (`rest_options`).

Records are flat. Errors are an object under `error`. With OAuth 2.0, the token call is `POST /oauth2/token`, with a
form; the client's credentials come in the form or in HTTP Basic. Each record lists a PIN.
"""

import json
from collections.abc import Mapping
from functools import partial

from sim_sync.core.errors import InputError
from sim_sync.core.sims import Lifecycle
from sim_sync.simulator.credentials import LISTED_SECRET_MARK
from sim_sync.simulator.faults import ErrorInSuccess, PageFault
from sim_sync.simulator.fleet import Fleet
from sim_sync.simulator.fleet_spec import Profile
from sim_sync.simulator.sim_view import SimView
from sim_sync.simulator.vendor import Authentication, ListCall, Request, Response, VendorSpec, json_response, phrase_of
from sim_sync.simulator.vendors.auth import (
    basic_authentication,
    bearer_token,
    is_client,
    secret_authentication,
    token_endpoint,
    token_response,
)
from sim_sync.simulator.vendors.bodies import BadParameter, form, json_object, json_text
from sim_sync.simulator.vendors.rest_options import RestOptions
from sim_sync.simulator.vendors.rest_pages import FIRST_ID, RestPage, RestPages
from sim_sync.simulator.vendors.routed import Handler, RoutedVendor

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
        super().__init__(fleet)
        self._pages = RestPages(fleet, options)
        self.cursors = self._pages.cursors
        self._token_endpoint = token_endpoint(options, life_seconds=_TOKEN_SECONDS)
        self.token_endpoints = {"access": self._token_endpoint}

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return the list, and the token call where there is one."""
        listing: dict[tuple[str, str], Handler] = {(self._options.method, self._options.path): self._list}
        if self._options.authentication != "oauth2_client_credentials":
            return listing
        return {**listing, ("POST", _TOKEN_PATH): self._token}

    def list_call(self, request: Request) -> ListCall | None:
        """Return which page a request asks for: its number, or its cursor, key or offset as the token."""
        if (request.method, request.path) != (self._options.method, self._options.path):
            return None
        try:
            given = self._given(request)
        except BadParameter:
            return ListCall()
        number = given.get("page", "")
        token = given.get("cursor") or given.get("after") or given.get("offset")
        return ListCall(token, int(number) if number.isdecimal() else None)

    def page_call(self, request: Request) -> ListCall:
        """Return which page a list request asks for."""
        return self.list_call(request) or ListCall()

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

    def handlers(self, path: str) -> Mapping[str, Handler]:
        """Return who answers on a path, which may name a SIM below that of the list."""
        prefix, _, name = path.rpartition("/")
        return {"GET": partial(self._one, name)} if prefix == self._options.path and name else super().handlers(path)

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
