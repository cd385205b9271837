"""emnify (and BICS SIM for Things): `GET /api/v1/sim` by page number, a bare array sorted by id, counted in headers.

A login with the application token gives a short-lived token. ICCIDs come with 19 digits and again with 20. A SIM in
stock has no endpoint: no label, IMEI or address. Error bodies are `error_code`, `error_token`, `message`; their codes
are the vendor's business and clients must not depend on them. A 429 may mean that the month's quota is gone.
"""

from collections.abc import Mapping
from typing import Any

from sim_sync.core.sims import Lifecycle
from sim_sync.simulator.faults import PageFault
from sim_sync.simulator.fleet import Fleet
from sim_sync.simulator.fleet_spec import Profile
from sim_sync.simulator.sim_view import SimView
from sim_sync.simulator.vendor import ListCall, Request, Response, VendorSpec, json_response, phrase_of
from sim_sync.simulator.vendors.auth import TokenOptions, bearer_token, secret_authentication, token_endpoint
from sim_sync.simulator.vendors.bodies import (
    json_object,
    json_text,
    parse_number,
    plain_number,
    refuse_unknown,
    without_check_digit,
)
from sim_sync.simulator.vendors.paging import counted_headers, numbered_page
from sim_sync.simulator.vendors.routed import Handler, RoutedVendor

_LOGIN_PATH = "/api/v1/authenticate"
_DEFAULT_PAGE_SIZE = 2000
_MAX_PAGE_SIZE = 2500
_TOKEN_SECONDS = 4 * 3600
_FIRST_ID = 100_001
_STATUS_WORDS: Mapping[str, str] = {
    Lifecycle.INVENTORY: "Issued",
    Lifecycle.ACTIVE: "Activated",
    Lifecycle.SUSPENDED: "Suspended",
    Lifecycle.TERMINATED: "Deleted",
    Lifecycle.TEST_READY: "Factory Test",
}
_STATUS_IDS = {"Issued": 0, "Activated": 1, "Suspended": 2, "Deleted": 3, "Factory Test": 4}
_UNLISTED_STATUS_ID = 9
_PROFILE = Profile(
    iccid_prefix="89883030",
    status_weights=(
        (Lifecycle.ACTIVE, 78),
        (Lifecycle.INVENTORY, 8),
        (Lifecycle.SUSPENDED, 8),
        (Lifecycle.TERMINATED, 2),
        (Lifecycle.TEST_READY, 4),
    ),
    rate_plans=("standard",),
    imsi_prefix="29505",
    msisdn_prefix="+423663",
)
_RECORD = (
    '{"id":%d,"iccid":%s,"iccid_with_luhn":%s,"eid":%s,"imsi":%s,"msisdn":%s,"status":{"id":%d,"description":%s},'
    '"production_date":"%s","activation_date":%s,"customer_org":{"id":%d,"name":"Simulated customer","country":'
    '{"id":74,"name":"Germany"}},"issuer_org":{"id":1,"name":"Simulated issuer","country":{"id":74,"name":"Germany"}},'
    '"reseller_org":{"id":2,"name":"Simulated reseller","country":{"id":74,"name":"Germany"}},"endpoint":%s,'
    '"model":{"id":15,"description":"2FF/3FF/4FF Commercial","memory_size":128}}'
)
_ENDPOINT = (
    '{"id":%d,"name":%s,"created":"%s","last_updated":"%s","status":{"id":0,"description":"Enabled"},"ip_address":%s,'
    '"imei":%s}'
)


class Emnify(RoutedVendor):
    """The SIMs of one organisation."""

    list_path = "/api/v1/sim"
    open_paths = (_LOGIN_PATH,)
    status_words = _STATUS_WORDS
    alone = ("", "")

    def __init__(self, fleet: Fleet, credentials: Mapping[str, str], options: TokenOptions) -> None:
        super().__init__(fleet)
        self._application_token = credentials["application_token"]
        self._token_endpoint = token_endpoint(options, life_seconds=_TOKEN_SECONDS)
        self.token_endpoints = {"access": self._token_endpoint}
        self._organisation_id = 1000 + fleet.fleet_spec.seed % 1000

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return the login and the list."""
        return {("POST", _LOGIN_PATH): self._login, ("GET", self.list_path): self._list}

    def tokens_of(self, request: Request) -> Mapping[str, str | None]:
        """Return the bearer token."""
        return {"access": bearer_token(request)}

    def page_call(self, request: Request) -> ListCall:
        """Return the page number."""
        number = request.query.get("page", "1")
        return ListCall(None, int(number) if number.isdecimal() else None)

    def failure(self, status: int, message: str | None = None) -> Response:
        """Return emnify's error body."""
        phrase = phrase_of(status)
        return _error(status, phrase.replace(" ", ""), message or phrase)

    def throttled(self, wait_seconds: int, *, quota_gone: bool = False) -> Response:
        """Return a 429, the same for a moment's and a month's limit but for its text; it never reports the wait."""
        if quota_gone:
            return _error(429, "QuotaExceeded", "Monthly API call quota exceeded, it resets on the 1st of the month")
        return _error(429, "TooManyRequests", "Rate limit exceeded")

    def sim_id(self, sim: SimView) -> str:
        """Return the SIM's number at emnify, which grows along the list."""
        return str(_FIRST_ID + sim.index)

    def index_of(self, name: str) -> int | None:
        """Return the index of the SIM with this number."""
        return int(name) - _FIRST_ID if name.isascii() and name.isdigit() and int(name) >= _FIRST_ID else None

    def listed(self, sim: SimView) -> Mapping[str, str | None]:
        """Return what the list tells; `iccid` has 19 digits, `iccid_with_luhn` 20. There is no time of change."""
        has_endpoint = _has_endpoint(sim)
        return {
            "iccid": without_check_digit(sim.iccid),
            "iccid_with_luhn": sim.iccid,
            "imsi": sim.imsi,
            "msisdn": plain_number(sim.msisdn),
            "eid": sim.eid,
            "imei": sim.imei if has_endpoint else None,
            "ip_address": sim.ip_address if has_endpoint else None,
            "label": sim.label if has_endpoint else None,
            "activated_at": sim.activated_text,
        }

    def record(self, sim: SimView, base_url: str) -> str:
        """Return a SIM as JSON text."""
        word = self.carrier_status(sim)
        activated = sim.activated_text
        return _RECORD % (
            _FIRST_ID + sim.index,
            json_text(without_check_digit(sim.iccid)),
            json_text(sim.iccid),
            json_text(sim.eid),
            json_text(sim.imsi),
            json_text(plain_number(sim.msisdn)),
            _STATUS_IDS.get(word, _UNLISTED_STATUS_ID),
            json_text(word),
            _emnify_time(sim.created_text),
            f'"{_emnify_time(activated)}"' if activated else "null",
            self._organisation_id,
            _endpoint(sim) if _has_endpoint(sim) else "null",
        )

    def forget_iccid(self, record: dict[str, Any]) -> None:
        """Make both forms of the ICCID null."""
        record.update(iccid=None, iccid_with_luhn=None)

    def _login(self, request: Request, fault: PageFault | None) -> Response:
        body = json_object(request)
        refuse_unknown(body, ("application_token",))
        if secret_authentication(str(body.get("application_token")), self._application_token) != "ok":
            return _error(401, "InvalidApplicationToken", "The application token is not valid")
        return json_response(200, {"auth_token": self._token_endpoint.issue()})

    def _list(self, request: Request, fault: PageFault | None) -> Response:
        refuse_unknown(request.query, ("page", "per_page"))
        number = parse_number(request.query, "page", default=1, lowest=1, highest=2**31)
        size = parse_number(request.query, "per_page", default=_DEFAULT_PAGE_SIZE, lowest=1, highest=_MAX_PAGE_SIZE)
        page = numbered_page(self.fleet, number, size, fault)
        records = ",".join(self.records(page.indices, request.base_url, fault))
        return Response(200, f"[{records}]".encode(), headers=counted_headers(page))


def _error(status: int, token: str, message: str) -> Response:
    return json_response(status, {"error_code": status * 10, "error_token": token, "message": message})


def _has_endpoint(sim: SimView) -> bool:
    return sim.status != Lifecycle.INVENTORY


def _endpoint(sim: SimView) -> str:
    created = _emnify_time(sim.created_text)
    number = 9_000_000 + sim.index
    return _ENDPOINT % (number, json_text(sim.label), created, created, json_text(sim.ip_address), json_text(sim.imei))


def _emnify_time(text: str) -> str:
    return f"{text[:-1]}.000+0000"


#: How this vendor enters the registry.
SPEC = VendorSpec(
    name="emnify",
    profile=_PROFILE,
    status_words=_STATUS_WORDS,
    credential_keys=("application_token",),
    build=Emnify,
    faults=frozenset({"early_end", "wrong_total", "token_expiry"}),
    options=TokenOptions,
)
