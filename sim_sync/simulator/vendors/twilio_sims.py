"""The list and the single fetch that Twilio Super SIM, Programmable Wireless and KORE share, and their records."""

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

from sim_sync.core.sims import Lifecycle
from sim_sync.simulator.faults import CursorExpiry, PageFault, TokenExpiry
from sim_sync.simulator.fleet import Fleet
from sim_sync.simulator.fleet_spec import Profile
from sim_sync.simulator.sim_view import BlueprintSim, SimView
from sim_sync.simulator.vendor import Authentication, ListCall, Request, Response
from sim_sync.simulator.vendors.bodies import BadParameter, json_text, wide_id
from sim_sync.simulator.vendors.routed import Handler, RoutedVendor
from sim_sync.simulator.vendors.twilio_pages import (
    PageRequest,
    PageTokens,
    error_response,
    neighbours,
    page_meta,
    parse_page_request,
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

    def handlers(self, path: str) -> Mapping[str, Handler]:
        """Return who answers on a path, which may name a SIM."""
        match path.split("/"):
            case ["", "v1", "Sims", sid] if sid:
                return {"GET": partial(self._one, sid)}
            case _:
                return super().handlers(path)

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

    def _one(self, sid: str, request: Request, fault: PageFault | None) -> Response:
        index = self._index_of_sid(sid)
        if index is None:
            return self.not_found(request)
        record = self.records([index], request.base_url)[0]
        return Response(200, record.encode(), headers=_headers(request))

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

    def _index_of_sid(self, sid: str) -> int | None:
        if not _SID.fullmatch(sid) or not sid.startswith(self.sid_prefix):
            return None
        fingerprint = int(sid[2:18], 16)
        index = self.fleet_spec.index_of_fingerprint(fingerprint)
        return index if self.sid_prefix + wide_id(fingerprint) == sid and self.fleet.is_live(index) else None


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
