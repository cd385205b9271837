"""1NCE: `GET /management-api/v2/sims` by page number, after the vendor's OpenAPI file (version 2.0).

OAuth 2.0 client credentials with HTTP Basic and a JSON body. A SIM has no id but its ICCID, which comes with 19 digits
and again with 20; it has two IMSIs. Labels, addresses and IMEIs may be missing. There is no time of change.
"""

from collections.abc import Mapping
from typing import Any

from sim_sync.core.sims import Lifecycle
from sim_sync.simulator.faults import PageFault
from sim_sync.simulator.fleet import Fleet
from sim_sync.simulator.fleet_spec import Profile
from sim_sync.simulator.sim_view import SimView
from sim_sync.simulator.vendor import ListCall, Request, Response, VendorSpec, json_response, phrase_of
from sim_sync.simulator.vendors.auth import (
    TokenOptions,
    basic_authentication,
    bearer_token,
    token_endpoint,
    token_response,
)
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

_TOKEN_PATH = "/oauth/token"  # noqa: S105  # a path
_DEFAULT_PAGE_SIZE = 10
_MAX_PAGE_SIZE = 100
_TOKEN_SECONDS = 3600
_STATUS_WORDS: Mapping[str, str] = {Lifecycle.ACTIVE: "Enabled", Lifecycle.SUSPENDED: "Disabled"}
_PROFILE = Profile(
    iccid_prefix="89882280",
    status_weights=((Lifecycle.ACTIVE, 92), (Lifecycle.SUSPENDED, 8)),
    rate_plans=("lifetime-500",),
    imsi_prefix="90140",
)
_RECORD = (
    '{"iccid":%s,"iccid_with_luhn":%s,"imsi":%s,"imsi_2":"%s","current_imsi":%s,"msisdn":%s,"imei":%s,'
    '"imei_lock":false,"status":%s,"activation_date":%s,"ip_address":%s,"current_quota":500,'
    '"quota_status":{"id":0,"description":"More than 20%% available"},"current_quota_SMS":250,'
    '"quota_status_SMS":{"id":0,"description":"More than 20%% available"}%s}'
)


class OneNce(RoutedVendor):
    """The SIMs of one customer."""

    list_path = "/management-api/v2/sims"
    open_paths = (_TOKEN_PATH,)
    status_words = _STATUS_WORDS
    alone = ("", "")

    def __init__(self, fleet: Fleet, credentials: Mapping[str, str], options: TokenOptions) -> None:
        super().__init__(fleet)
        self._client_id = credentials["client_id"]
        self._client_secret = credentials["client_secret"]
        self._token_endpoint = token_endpoint(options, life_seconds=_TOKEN_SECONDS)
        self.token_endpoints = {"access": self._token_endpoint}

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return the token call and the list."""
        return {("POST", _TOKEN_PATH): self._token, ("GET", self.list_path): self._list}

    def tokens_of(self, request: Request) -> Mapping[str, str | None]:
        """Return the bearer token."""
        return {"access": bearer_token(request)}

    def page_call(self, request: Request) -> ListCall:
        """Return the page number."""
        number = request.query.get("page", "1")
        return ListCall(None, int(number) if number.isdecimal() else None)

    def failure(self, status: int, message: str | None = None) -> Response:
        """Return 1NCE's error body."""
        phrase = phrase_of(status)
        token = phrase.replace(" ", "")
        return json_response(status, {"error_code": 1000, "error_token": token, "message": message or phrase})

    def sim_id(self, sim: SimView) -> str:
        """Return the SIM's whole ICCID: there is no other id."""
        return sim.iccid or ""

    def index_of(self, name: str) -> int | None:
        """Return the index of the SIM with this ICCID."""
        return self.index_of_digits(name)

    def listed(self, sim: SimView) -> Mapping[str, str | None]:
        """Return what the list tells; `iccid` has 19 digits, `iccid_with_luhn` 20. The IMEI is an IMEISV of 16."""
        return {
            "iccid": without_check_digit(sim.iccid),
            "iccid_with_luhn": sim.iccid,
            "imsi": sim.imsi,
            "msisdn": plain_number(sim.msisdn),
            "imei": _imeisv(sim.imei),
            "ip_address": sim.ip_address,
            "label": sim.label,
            "activated_at": sim.activated_text,
        }

    def record(self, sim: SimView, base_url: str) -> str:
        """Return a SIM as JSON text."""
        imsi, activated = json_text(sim.imsi), sim.activated_text
        return _RECORD % (
            json_text(without_check_digit(sim.iccid)),
            json_text(sim.iccid),
            imsi,
            self.fleet_spec.second_imsi(sim.index),
            imsi,
            json_text(plain_number(sim.msisdn)),
            json_text(_imeisv(sim.imei)),
            json_text(self.carrier_status(sim)),
            f'"{activated[:-1]}.000+0000"' if activated else "null",
            json_text(sim.ip_address),
            f',"label":{json_text(sim.label)}' if sim.label else "",
        )

    def forget_id(self, record: dict[str, Any]) -> None:
        """Take both forms of the ICCID out of a record."""
        del record["iccid"], record["iccid_with_luhn"]

    def forget_iccid(self, record: dict[str, Any]) -> None:
        """Make both forms of the ICCID null."""
        record.update(iccid=None, iccid_with_luhn=None)

    def _token(self, request: Request, fault: PageFault | None) -> Response:
        is_known = basic_authentication(request, username=self._client_id, password=self._client_secret) == "ok"
        return token_response(
            self._token_endpoint, grant_type=json_object(request).get("grant_type"), client_is_known=is_known
        )

    def _list(self, request: Request, fault: PageFault | None) -> Response:
        refuse_unknown(request.query, ("page", "pageSize"))
        number = parse_number(request.query, "page", default=1, lowest=1, highest=2**31)
        size = parse_number(request.query, "pageSize", default=_DEFAULT_PAGE_SIZE, lowest=1, highest=_MAX_PAGE_SIZE)
        page = numbered_page(self.fleet, number, size, fault)
        records = ",".join(self.records(page.indices, request.base_url, fault))
        return Response(200, f"[{records}]".encode(), headers=counted_headers(page))


def _imeisv(imei: str | None) -> str | None:
    """Return 16 digits: the check digit of the IMEI gives way to a software version."""
    return f"{imei[:14]}01" if imei is not None and len(imei) == 15 else imei


#: How this vendor enters the registry.
SPEC = VendorSpec(
    name="one_nce",
    profile=_PROFILE,
    status_words=_STATUS_WORDS,
    credential_keys=("client_id", "client_secret"),
    build=OneNce,
    faults=frozenset({"early_end", "wrong_total", "token_expiry"}),
    options=TokenOptions,
)
