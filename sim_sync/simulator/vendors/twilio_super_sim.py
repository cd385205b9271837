"""Twilio Super SIM: `GET /v1/Sims` and `GET /v1/Sims/{Sid}`, after the vendor's own OpenAPI file of April 2026.

Lists no IMSI, MSISDN, IMEI or plan: those stay in the fleet. The status `scheduled` is only ever set by an edit.
"""

import json
import re
from collections.abc import Mapping, Sequence

from sim_sync.core.sims import Lifecycle
from sim_sync.simulator.blueprint import Profile, SimulatedSim
from sim_sync.simulator.faults import EarlyEnd, MalformedRecord, PageFault
from sim_sync.simulator.fleet import Fleet
from sim_sync.simulator.mixing import MASK64
from sim_sync.simulator.vendor import Answer, Authentication, ListCall, Request, VendorSpec, spoil_record
from sim_sync.simulator.vendors.basic_auth import basic_authentication
from sim_sync.simulator.vendors.twilio_errors import error_answer
from sim_sync.simulator.vendors.twilio_pages import (
    BadParameter,
    PageRequest,
    PageTokens,
    neighbours,
    page_meta,
    parse_page_request,
)

_LIST_PATH = "/v1/Sims"
_STATUS_WORDS: Mapping[Lifecycle, str] = {
    Lifecycle.INVENTORY: "new",
    Lifecycle.ACTIVATION_READY: "ready",
    Lifecycle.ACTIVE: "active",
    Lifecycle.DEACTIVATED: "inactive",
}
_STATUSES = ("new", "ready", "active", "inactive", "scheduled")
_PROFILE = Profile(
    iccid_prefix="89883070",
    status_weights=(
        (Lifecycle.ACTIVE, 80),
        (Lifecycle.INVENTORY, 8),
        (Lifecycle.ACTIVATION_READY, 6),
        (Lifecycle.DEACTIVATED, 6),
    ),
    rate_plans=("trackers-eu", "meters-eu", "gateways-us"),
)
_ACCOUNT_SID = re.compile(r"AC[0-9a-fA-F]{32}")
_SIM_SID = re.compile(r"HS[0-9a-f]{32}")
# Half of a SIM's id is its fingerprint, the other half is made of it by this odd number: neither half ever repeats.
_SID_MULTIPLIER = 0x9E3779B97F4A7C15
# Filled in twice: once for a page, once for each of its SIMs.
_RECORD = (
    '{"sid":"%%s","unique_name":%%s,"account_sid":"%(account_sid)s","iccid":%%s,"status":%%s,"fleet_sid":%%s,'
    '"date_created":"%%s","date_updated":"%%s","url":"%(sims)s/%%s","links":{'
    '"billing_periods":"%(sims)s/%%s/BillingPeriods","sim_ip_addresses":"%(sims)s/%%s/IpAddresses"}}'
)


class TwilioSuperSim:
    """The Super SIM API over one fleet. The username is the account's SID, or the SID of an API key."""

    def __init__(self, fleet: Fleet, credentials: Mapping[str, str]) -> None:
        self._fleet = fleet
        self._blueprint = fleet.blueprint
        self._username = credentials["username"]
        self._password = credentials["password"]
        self._tokens = PageTokens(fleet)
        is_account = _ACCOUNT_SID.fullmatch(self._username)
        self._account_sid = self._username if is_account else fleet.blueprint.other_id("AC", "account")
        self._fleet_sids = {plan: fleet.blueprint.other_id("HF", plan) for plan in _PROFILE.rate_plans}

    def list_call(self, request: Request) -> ListCall | None:
        """Return the page token and the page number that a list request carries."""
        if request.method != "GET" or request.path != _LIST_PATH:
            return None
        number = request.query.get("Page", "0")
        return ListCall(request.query.get("PageToken"), int(number) if number.isdecimal() else None)

    def authentication(self, request: Request) -> Authentication:
        """Return whether the request carries the account's credentials in HTTP Basic."""
        return basic_authentication(request, username=self._username, password=self._password)

    def answer(self, request: Request, fault: PageFault | None = None) -> Answer:
        """Answer as Super SIM would: 401 before 404 before 405 before 400."""
        match self.authentication(request):
            case "missing":
                return error_answer(401, "Authentication Error - No credentials provided")
            case "wrong":
                return error_answer(401)
        sid = _sid_in_path(request.path)
        if sid is None and request.path != _LIST_PATH:
            return _not_found(request.path)
        if request.method != "GET":
            return error_answer(405)
        return self._list(request, fault) if sid is None else self._one(sid, request)

    def failure(self, status: int) -> Answer:
        """Return Twilio's answer for an error status."""
        return error_answer(status)

    def sim_id(self, sim: SimulatedSim) -> str:
        """Return the SIM's SID."""
        return _sid(self._blueprint.fingerprint(sim.index))

    def carrier_status(self, sim: SimulatedSim) -> str:
        """Return Twilio's word for the SIM's status."""
        return sim.vendor_status or _STATUS_WORDS[Lifecycle(sim.status)]

    def _list(self, request: Request, fault: PageFault | None) -> Answer:
        try:
            page = parse_page_request(request.query, self._tokens, ("Status", "Fleet", "Iccid"))
            _check_status_filter(page.filters)
        except BadParameter as problem:
            return error_answer(400, str(problem))
        # One more than the page holds tells whether the list goes on.
        indices = self._indices(page, page.page_size + 1)
        more = len(indices) > page.page_size
        indices = indices[: page.page_size] if page.place.side == "after" else indices[-page.page_size :]
        records = self._records(indices, request.base_url, fault)
        url = request.base_url + _LIST_PATH
        meta = page_meta(url, "sims", page, neighbours(page, indices, more=more), tokens=self._tokens, fault=fault)
        return Answer(200, f'{{"sims":[{",".join(records)}],"meta":{meta}}}'.encode(), headers=_headers(request))

    def _one(self, sid: str, request: Request) -> Answer:
        index = self._index_of_sid(sid)
        if index is None:
            return _not_found(request.path)
        record = self._records([index], request.base_url, None)[0]
        return Answer(200, record.encode(), headers=_headers(request))

    def _indices(self, page: PageRequest, count: int) -> list[int]:
        fleet, position, after = self._fleet, page.place.position, page.place.side == "after"
        if "Iccid" in page.filters:
            return self._index_of_iccid(page)
        if not page.filters:
            return fleet.live_after(position, count) if after else fleet.live_before(position, count)
        listing = fleet.matching_after if after else fleet.matching_before
        return listing(position, count, lambda index: self._matches(index, page.filters))

    def _index_of_iccid(self, page: PageRequest) -> list[int]:
        """Return the one SIM with the ICCID asked for, without looking at the others; there is never a next page."""
        index = self._fleet.index_of_iccid(page.filters["Iccid"])
        others = {name: value for name, value in page.filters.items() if name != "Iccid"}
        return [] if index is None or page.page_token or not self._matches(index, others) else [index]

    def _matches(self, index: int, filters: Mapping[str, str]) -> bool:
        sim = self._fleet.sim(index)
        if "Status" in filters and self.carrier_status(sim) != filters["Status"]:
            return False
        sid = self._fleet_sid(sim.status, sim.rate_plan)
        return "Fleet" not in filters or (sid is not None and filters["Fleet"] in (sid, sim.rate_plan))

    def _records(self, indices: Sequence[int], base_url: str, fault: PageFault | None) -> list[str]:
        if isinstance(fault, EarlyEnd):
            kept = {"all": len(indices), "half": len(indices) // 2, "none": 0}
            indices = indices[: kept[fault.records_kept]]
        template = _RECORD % {"account_sid": self._account_sid, "sims": base_url + _LIST_PATH}
        changed = self._fleet.changed_among(indices)
        records = [self._record(template, index, changed.get(index)) for index in indices]
        if isinstance(fault, MalformedRecord):
            spoil_record(records, fault, id_field="sid", iccid_field="iccid")
        return records

    def _record(self, template: str, index: int, sim: SimulatedSim | None) -> str:
        """Return a SIM as JSON text; `sim` is given only where it is no longer what the blueprint says."""
        blueprint = self._blueprint
        chance = blueprint.fingerprint(index)
        sid = _sid(chance)
        if sim is not None:
            return template % (
                sid,
                json.dumps(sim.label),
                json.dumps(sim.iccid),
                json.dumps(self.carrier_status(sim)),
                json.dumps(self._fleet_sid(sim.status, sim.rate_plan)),
                f"{sim.created_at:%Y-%m-%dT%H:%M:%SZ}",
                f"{sim.updated_at:%Y-%m-%dT%H:%M:%SZ}",
                *(sid, sid, sid),
            )
        status = blueprint.status(chance)
        # Blueprint values need no escaping, and a page of a thousand has to be cheap.
        label = blueprint.label(index, chance)
        fleet_sid = self._fleet_sid(status, blueprint.rate_plan(chance))
        return template % (
            sid,
            f'"{label}"' if label else "null",
            f'"{blueprint.iccid(index)}"',
            f'"{_STATUS_WORDS[status]}"',
            f'"{fleet_sid}"' if fleet_sid else "null",
            blueprint.created_text(chance),
            blueprint.updated_text(chance),
            *(sid, sid, sid),
        )

    def _fleet_sid(self, status: str, rate_plan: str | None) -> str | None:
        """Return the SID of the SIM's Fleet, which is its plan; a new SIM has none yet."""
        if status == Lifecycle.INVENTORY or rate_plan is None:
            return None
        return self._fleet_sids.get(rate_plan) or self._blueprint.other_id("HF", rate_plan)

    def _index_of_sid(self, sid: str) -> int | None:
        if not _SIM_SID.fullmatch(sid):
            return None
        index = self._blueprint.index_of_fingerprint(int(sid[2:18], 16))
        return index if _sid(self._blueprint.fingerprint(index)) == sid and self._fleet.is_live(index) else None


def _sid(fingerprint: int) -> str:
    return f"HS{fingerprint << 64 | fingerprint * _SID_MULTIPLIER & MASK64:032x}"


def _sid_in_path(path: str) -> str | None:
    match path.split("/"):
        case ["", "v1", "Sims", sid] if sid:
            return sid
        case _:
            return None


def _check_status_filter(filters: Mapping[str, str]) -> None:
    if "Status" in filters and filters["Status"] not in _STATUSES:
        raise BadParameter(f"Status must be one of {', '.join(_STATUSES)}.")


def _not_found(path: str) -> Answer:
    return error_answer(404, f"The requested resource {path} was not found")


def _headers(request: Request) -> Mapping[str, str]:
    return {"Access-Control-Allow-Origin": "*", "Twilio-Concurrent-Requests": str(request.in_flight)}


#: How this vendor enters the registry.
SPEC = VendorSpec(
    name="twilio_super_sim",
    profile=_PROFILE,
    status_words=_STATUS_WORDS,
    credential_keys=("username", "password"),
    build=TwilioSuperSim,
)
