"""Telnyx: `GET /v2/sim_cards` by page number, after developers.telnyx.com; errors as a list under `errors`.

The current IMEI and IP address are told of one SIM only, not in the list. Codes but 10011 (throttled) are as Telnyx's
error list shows them: clients must not depend on them.
"""

from collections.abc import Mapping

from sim_sync.core.sims import Lifecycle
from sim_sync.simulator.faults import PageFault
from sim_sync.simulator.fleet import Fleet
from sim_sync.simulator.fleet_spec import Profile
from sim_sync.simulator.sim_view import SimView
from sim_sync.simulator.vendor import (
    Authentication,
    ListCall,
    NoOptions,
    Request,
    Response,
    VendorSpec,
    json_response,
    phrase_of,
)
from sim_sync.simulator.vendors.auth import bearer_token, secret_authentication
from sim_sync.simulator.vendors.bodies import json_text, parse_number, refuse_unknown, uuid_text
from sim_sync.simulator.vendors.paging import numbered_page
from sim_sync.simulator.vendors.routed import Handler, RoutedVendor

_DEFAULT_PAGE_SIZE = 20
_MAX_PAGE_SIZE = 250
_LIMIT_PER_SECOND = 200
_CODES = {400: "10015", 401: "10009", 404: "10005", 405: "10008", 429: "10011", 500: "10007", 503: "10016"}
_TITLES = {401: "Authentication failed", 429: "Too many requests"}
_STATUS_WORDS: Mapping[str, str] = {
    Lifecycle.INVENTORY: "registering",
    Lifecycle.ACTIVE: "enabled",
    Lifecycle.SUSPENDED: "disabled",
}
_PROFILE = Profile(
    iccid_prefix="89311210",
    status_weights=((Lifecycle.ACTIVE, 84), (Lifecycle.SUSPENDED, 10), (Lifecycle.INVENTORY, 6)),
    rate_plans=("fleet-eu", "fleet-us"),
)
_RECORD = (
    '{"record_type":"sim_card","id":"%s","iccid":%s,"imsi":%s,"msisdn":%s,"eid":%s,"status":{"value":%s,'
    '"reason":"Changed by the customer."},"type":"physical","sim_card_group_id":%s,"tags":[%s],"authorized_imeis":null,'
    '"data_limit":{"amount":"2048.0","unit":"MB"},"current_billing_period_consumed_data":{"amount":"%d.%d","unit":"MB"},'
    '"actions_in_progress":%s,"created_at":"%s","updated_at":"%s"}'
)


class Telnyx(RoutedVendor):
    """The SIM cards of one account."""

    list_path = "/v2/sim_cards"
    status_words = _STATUS_WORDS
    alone = ('{"data":', "}")

    def __init__(self, fleet: Fleet, credentials: Mapping[str, str], options: NoOptions) -> None:
        super().__init__(fleet)
        self._api_key = credentials["api_key"]

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return the one call that it has."""
        return {("GET", self.list_path): self._list}

    def worth(self, request: Request) -> Authentication:
        """Return whether the request carries the API key as a bearer token."""
        return secret_authentication(bearer_token(request), self._api_key)

    def page_call(self, request: Request) -> ListCall:
        """Return the page number."""
        number = request.query.get("page[number]", "1")
        return ListCall(None, int(number) if number.isdecimal() else None)

    def failure(self, status: int, message: str | None = None) -> Response:
        """Return Telnyx's list of errors, with one in it."""
        title = _TITLES.get(status) or phrase_of(status)
        error = {"code": _CODES.get(status, str(status)), "title": title, "detail": message or f"{title}."}
        return json_response(status, {"errors": [error]})

    def throttled(self, wait_seconds: int, *, quota_gone: bool = False) -> Response:
        """Return a 429 whose `x-ratelimit-reset` says in how many seconds the client may come again."""
        response = self.failure(429, "You have exceeded the maximum number of allowed requests.")
        return Response(429, response.body, headers=_limit_headers(remaining=0, reset_seconds=wait_seconds))

    def sim_id(self, sim: SimView) -> str:
        """Return the SIM card's UUID."""
        return uuid_text(self.fingerprint(sim))

    def index_of(self, name: str) -> int | None:
        """Return the index of the card with this UUID."""
        digits = name.replace("-", "")[:16]
        try:
            index = self.fleet_spec.index_of_fingerprint(int(digits, 16))
        except ValueError:
            return None
        return index if uuid_text(self.fleet_spec.fingerprint(index)) == name else None

    def listed(self, sim: SimView) -> Mapping[str, str | None]:
        """Return the identifiers and the time of the last change; there is no plan, label, IMEI or address."""
        return {
            "iccid": sim.iccid,
            "imsi": sim.imsi,
            "msisdn": sim.msisdn,
            "eid": sim.eid,
            "carrier_updated_at": sim.updated_text,
        }

    def record(self, sim: SimView, base_url: str) -> str:
        """Return a SIM card as JSON text."""
        word = self.carrier_status(sim)
        group = self.fleet_spec.other_id("", sim.rate_plan) if sim.rate_plan else None
        return _RECORD % (
            self.sim_id(sim),
            json_text(sim.iccid),
            json_text(sim.imsi),
            json_text(sim.msisdn),
            json_text(sim.eid),
            json_text(word),
            json_text(group),
            json_text(sim.label) if sim.label else "",
            sim.index % 2048,
            sim.index % 10,
            "true" if word.endswith("ing") else "false",
            sim.created_text,
            sim.updated_text,
        )

    def _list(self, request: Request, fault: PageFault | None) -> Response:
        refuse_unknown(request.query, ("page[number]", "page[size]"))
        number = parse_number(request.query, "page[number]", default=1, lowest=1, highest=2**31)
        size = parse_number(request.query, "page[size]", default=_DEFAULT_PAGE_SIZE, lowest=1, highest=_MAX_PAGE_SIZE)
        page = numbered_page(self.fleet, number, size, fault)
        records = ",".join(self.records(page.indices, request.base_url, fault))
        meta = (
            f'{{"page_number":{number},"page_size":{size},"total_pages":{page.total_pages},'
            f'"total_results":{page.total}}}'
        )
        headers = _limit_headers(remaining=_LIMIT_PER_SECOND - 1, reset_seconds=1)
        return Response(200, f'{{"data":[{records}],"meta":{meta}}}'.encode(), headers=headers)


def _limit_headers(*, remaining: int, reset_seconds: int) -> Mapping[str, str]:
    return {
        "x-ratelimit-limit": str(_LIMIT_PER_SECOND),
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-reset": str(reset_seconds),
    }


#: How this vendor enters the registry.
SPEC = VendorSpec(
    name="telnyx",
    profile=_PROFILE,
    status_words=_STATUS_WORDS,
    credential_keys=("api_key",),
    build=Telnyx,
    faults=frozenset({"early_end", "wrong_total"}),
)
