"""Cisco IoT Control Center (Jasper): `GET /rws/api/v1/devices` over windows of modification dates, a year at most.

HTTP Basic with an API key as password. Sorted by modification date: a SIM that is modified during a walk moves to the
end, and everything behind it one place forward. The list tells ICCID, status and plans only; the rest is told of one
SIM, at `/rws/api/v1/devices/{iccid}`. `total_count` adds `totalCount`, which some operators' releases have.
`modifiedSince` is inclusive, `modifiedTill` exclusive. Error bodies are `errorMessage` and `errorCode`.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from sim_sync.core.sims import Lifecycle
from sim_sync.simulator.faults import EarlyEnd, PageFault, WrongTotal
from sim_sync.simulator.fleet import Fleet
from sim_sync.simulator.fleet_spec import Profile
from sim_sync.simulator.sim_view import SimView
from sim_sync.simulator.vendor import Authentication, ListCall, Request, Response, VendorSpec, json_response, phrase_of
from sim_sync.simulator.vendors.auth import basic_authentication
from sim_sync.simulator.vendors.bodies import BadParameter, json_text, parse_number, plain_number, refuse_unknown
from sim_sync.simulator.vendors.paging import ModificationWindow
from sim_sync.simulator.vendors.routed import Handler, RoutedVendor

_MAX_PAGE_SIZE = 50
_PARAMETERS = ("modifiedSince", "modifiedTill", "pageSize", "pageNumber")
_CODES = {400: "10000003", 401: "10000001", 404: "20000001", 429: "400101"}
_MESSAGES = {401: "Invalid credentials", 429: "License has exceeded the rate limit for API calls"}
_STATUS_WORDS: Mapping[str, str] = {
    Lifecycle.INVENTORY: "INVENTORY",
    Lifecycle.TEST_READY: "TEST_READY",
    Lifecycle.ACTIVATION_READY: "ACTIVATION_READY",
    Lifecycle.ACTIVE: "ACTIVATED",
    Lifecycle.DEACTIVATED: "DEACTIVATED",
    Lifecycle.TERMINATED: "RETIRED",
    Lifecycle.REPLACED: "REPLACED",
}
_PROFILE = Profile(
    iccid_prefix="89011704",
    status_weights=(
        (Lifecycle.ACTIVE, 76),
        (Lifecycle.INVENTORY, 8),
        (Lifecycle.TEST_READY, 4),
        (Lifecycle.ACTIVATION_READY, 4),
        (Lifecycle.DEACTIVATED, 4),
        (Lifecycle.TERMINATED, 2),
        (Lifecycle.REPLACED, 2),
    ),
    rate_plans=("Monthly 1MB", "Monthly 10MB", "Event plan"),
)


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class CiscoOptions:
    """The options of a Control Center mount."""

    total_count: bool = False


class CiscoControlCenter(RoutedVendor):
    """The devices of one operator's account."""

    list_path = "/rws/api/v1/devices"
    status_words = _STATUS_WORDS
    id_field = "iccid"
    alone = ("", "")

    def __init__(self, fleet: Fleet, credentials: Mapping[str, str], options: CiscoOptions) -> None:
        super().__init__(fleet)
        self._username = credentials["username"]
        self._api_key = credentials["api_key"]
        self._total_count = options.total_count
        self._account_id = str(100_000_000 + fleet.fleet_spec.seed)

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return the list call."""
        return {("GET", self.list_path): self._list}

    def worth(self, request: Request) -> Authentication:
        """Return whether the request carries user and API key in HTTP Basic."""
        return basic_authentication(request, username=self._username, password=self._api_key)

    def page_call(self, request: Request) -> ListCall:
        """Return the page number within its window, and the window's start as the token."""
        number = request.query.get("pageNumber", "1")
        return ListCall(request.query.get("modifiedSince"), int(number) if number.isdecimal() else None)

    def failure(self, status: int, message: str | None = None) -> Response:
        """Return Control Center's error body."""
        message = message or _MESSAGES.get(status) or phrase_of(status)
        return json_response(status, {"errorMessage": message, "errorCode": _CODES.get(status, f"3000{status:04}")})

    def sim_id(self, sim: SimView) -> str:
        """Return the SIM's ICCID; there is no other id."""
        return sim.iccid or ""

    def listed(self, sim: SimView) -> Mapping[str, str | None]:
        """Return what the list tells: ICCID and plan."""
        return {"iccid": sim.iccid, "rate_plan": sim.rate_plan}

    def record(self, sim: SimView, base_url: str) -> str:
        """Return a device of the list as JSON text."""
        return (
            f'{{"iccid":{json_text(sim.iccid)},"status":{json_text(self.carrier_status(sim))},'
            f'"ratePlan":{json_text(sim.rate_plan)},"communicationPlan":"Data and SMS"}}'
        )

    def _list(self, request: Request, fault: PageFault | None) -> Response:
        refuse_unknown(request.query, _PARAMETERS)
        since, until = _parse_window(request.query)
        number = parse_number(request.query, "pageNumber", default=1, lowest=1, highest=2**31)
        size = parse_number(request.query, "pageSize", default=_MAX_PAGE_SIZE, lowest=1, highest=_MAX_PAGE_SIZE)
        window = ModificationWindow(self.fleet, since, until)
        records = self.records(window.page((number - 1) * size, size), request.base_url, fault)
        total = window.total + (fault.records if isinstance(fault, WrongTotal) else 0)
        envelope = {
            "pageNumber": number,
            "lastPage": number * size >= window.total or isinstance(fault, EarlyEnd),
            **({"totalCount": max(total, 0)} if self._total_count else {}),
        }
        return Response(200, f'{json.dumps(envelope)[:-1]},"devices":[{",".join(records)}]}}'.encode())

    def _one(self, iccid: str, request: Request, fault: PageFault | None) -> Response:
        index = self.fleet.index_of_iccid(iccid)
        if index is None:
            return self.failure(404, "Resource not found")
        sim = self.fleet.views([index])[0]
        document = {
            "iccid": sim.iccid,
            "imsi": sim.imsi,
            "msisdn": plain_number(sim.msisdn),
            "imei": sim.imei,
            "status": self.carrier_status(sim),
            "ratePlan": sim.rate_plan,
            "communicationPlan": "Data and SMS",
            "dateActivated": _cisco_time(sim.activated_text),
            "dateAdded": _cisco_time(sim.created_text),
            "dateUpdated": _cisco_time(sim.updated_text),
            "accountId": self._account_id,
            "fixedIPAddress": sim.ip_address,
            "deviceID": sim.label,
        }
        return json_response(200, document)


def _parse_window(query: Mapping[str, str]) -> tuple[datetime, datetime]:
    if "modifiedSince" not in query:
        raise BadParameter("modifiedSince is required")
    since = _parse_moment(query, "modifiedSince")
    latest = _a_year_after(since)
    until = _parse_moment(query, "modifiedTill") if "modifiedTill" in query else latest
    if not since <= until <= latest:
        raise BadParameter("modifiedTill must be at most one year after modifiedSince")
    return since, until


def _parse_moment(query: Mapping[str, str], name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(query[name])
    except ValueError:
        raise BadParameter(f"{name} must be a time such as 2016-04-18T17:31:34+00:00") from None
    if moment.tzinfo is None:
        raise BadParameter(f"{name} must have a time zone")
    return moment.astimezone(UTC)


def _a_year_after(moment: datetime) -> datetime:
    try:
        return moment.replace(year=moment.year + 1)
    except ValueError:  # 29 February
        return moment.replace(year=moment.year + 1, month=3, day=1)


def _cisco_time(text: str | None) -> str | None:
    return None if text is None else f"{text[:-1].replace('T', ' ')}.000+0000"


#: How this vendor enters the registry.
SPEC = VendorSpec(
    name="cisco_control_center",
    profile=_PROFILE,
    status_words=_STATUS_WORDS,
    credential_keys=("username", "api_key"),
    build=CiscoControlCenter,
    faults=frozenset({"early_end", "wrong_total"}),
    options=CiscoOptions,
)
