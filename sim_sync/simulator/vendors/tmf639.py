"""TM Forum TMF639 Resource Inventory: `GET /resource`, after the forum's OpenAPI file (version 5.0.0).

Pages by `offset` and `limit` with `X-Total-Count`, or, with the option `paging` set to `cursor`, along Link headers
that carry `after`. `authentication` false needs no credentials. A resource is a SIM whose id is its ICCID; its status
letters are those of AT&T's MVNx, its other identifiers are resource characteristics.
"""

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlencode

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from sim_sync.core.sims import Lifecycle
from sim_sync.simulator.faults import EarlyEnd, ForeignLink, PageFault, RepeatedLink, WrongTotal
from sim_sync.simulator.fleet import Fleet
from sim_sync.simulator.fleet_spec import Profile
from sim_sync.simulator.sim_view import SimView
from sim_sync.simulator.vendor import Authentication, ListCall, Request, Response, VendorSpec, json_response, phrase_of
from sim_sync.simulator.vendors.auth import bearer_token, secret_authentication
from sim_sync.simulator.vendors.bodies import json_text, parse_number, plain_number, refuse_unknown
from sim_sync.simulator.vendors.paging import Cursors, slice_at
from sim_sync.simulator.vendors.routed import Handler, RoutedVendor

_DEFAULT_LIMIT = 20
_MAX_LIMIT = 100
_STATUS_WORDS: Mapping[str, str] = {
    Lifecycle.INVENTORY: "A",
    Lifecycle.ACTIVE: "U",
    Lifecycle.DEACTIVATED: "G",
    Lifecycle.TERMINATED: "Z",
}
_PROFILE = Profile(
    iccid_prefix="89014103",
    status_weights=(
        (Lifecycle.ACTIVE, 84),
        (Lifecycle.INVENTORY, 8),
        (Lifecycle.DEACTIVATED, 6),
        (Lifecycle.TERMINATED, 2),
    ),
    rate_plans=("mvnx-data", "mvnx-voice"),
)
_RECORD = (
    '{"@type":"LogicalResource","id":%s,"href":"%s/resource/%s","name":%s,"category":"Sim","resourceStatus":%s,'
    '"administrativeState":"unlocked",%s"resourceVersion":"1","resourceCharacteristic":[%s]}'
)
_CHARACTERISTIC = '{"@type":"StringCharacteristic","name":"%s","valueType":"string","value":%s}'


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Tmf639Options:
    """The options of a TMF639 mount."""

    paging: Literal["offset", "cursor"] = "offset"
    authentication: bool = True


class Tmf639(RoutedVendor):
    """The SIMs of one resource inventory."""

    list_path = "/resource"
    status_words = _STATUS_WORDS

    def __init__(self, fleet: Fleet, credentials: Mapping[str, str], options: Tmf639Options) -> None:
        self._options = options
        super().__init__(fleet)
        self._token = credentials["token"]
        self._after = self.cursors = Cursors(fleet, "tmf639")

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return the one call that it has."""
        listing = self._list_by_offset if self._options.paging == "offset" else self._list_by_cursor
        return {("GET", self.list_path): listing}

    def worth(self, request: Request) -> Authentication:
        """Return whether the request carries the bearer token, where one is needed."""
        if not self._options.authentication:
            return "not needed"
        return secret_authentication(bearer_token(request), self._token)

    def page_call(self, request: Request) -> ListCall:
        """Return the cursor, or the offset as the token."""
        return ListCall(request.query.get("after") or request.query.get("offset"))

    def failure(self, status: int, message: str | None = None) -> Response:
        """Return the forum's error body."""
        phrase = phrase_of(status)
        document = {"@type": "Error", "code": str(status), "reason": phrase, "status": str(status)}
        return json_response(status, {**document, "message": message or phrase})

    def sim_id(self, sim: SimView) -> str:
        """Return the resource's id, which is the SIM's ICCID."""
        return sim.iccid or ""

    def listed(self, sim: SimView) -> Mapping[str, str | None]:
        """Return what the list tells, characteristics among it."""
        return {
            "iccid": sim.iccid,
            "imsi": sim.imsi,
            "msisdn": plain_number(sim.msisdn),
            "imei": sim.imei,
            "rate_plan": sim.rate_plan,
            "label": sim.label,
            "activated_at": sim.activated_text,
        }

    def record(self, sim: SimView, base_url: str) -> str:
        """Return a resource as JSON text."""
        told = {
            "imsi": sim.imsi,
            "msisdn": plain_number(sim.msisdn),
            "imei": sim.imei,
            "ratePlan": sim.rate_plan,
        }
        activated = sim.activated_text
        return _RECORD % (
            json_text(sim.iccid),
            base_url,
            sim.iccid,
            json_text(sim.label or ""),
            json_text(self.carrier_status(sim)),
            f'"startOperatingDate":"{activated}",' if activated else "",
            ",".join(_CHARACTERISTIC % (name, json_text(value)) for name, value in told.items() if value is not None),
        )

    def forget_iccid(self, record: dict[str, Any]) -> None:
        """Make a resource's id null: it is its ICCID."""
        record["id"] = None

    def _list_by_offset(self, request: Request, fault: PageFault | None) -> Response:
        refuse_unknown(request.query, ("offset", "limit"))
        offset = parse_number(request.query, "offset", default=0, lowest=0, highest=2**62)
        limit = parse_number(request.query, "limit", default=_DEFAULT_LIMIT, lowest=1, highest=_MAX_LIMIT)
        total = self.fleet.live_count
        records = self.records(slice_at(self.fleet, offset, limit), request.base_url, fault)
        match fault:
            case WrongTotal():
                total = max(total + fault.records, 0)
            case EarlyEnd():
                total = offset + len(records)
        return _page(records, {"X-Total-Count": str(total), "X-Result-Count": str(len(records))})

    def _list_by_cursor(self, request: Request, fault: PageFault | None) -> Response:
        # The standard has all three: a client that does not know the server's way yet begins with the first offset.
        refuse_unknown(request.query, ("after", "limit", "offset"))
        parse_number(request.query, "offset", default=0, lowest=0, highest=0)
        limit = parse_number(request.query, "limit", default=_DEFAULT_LIMIT, lowest=1, highest=_MAX_LIMIT)
        after = request.query.get("after")
        # A cursor is how many indices lie before its page.
        before = self._after.position(after) if after else 0
        found = self.fleet.live_after(before - 1, limit + 1)
        records = self.records(found[:limit], request.base_url, fault)
        following = found[limit - 1] + 1 if len(found) > limit else None
        match fault:
            case EarlyEnd():
                following = None
            case RepeatedLink():
                following = before
        headers = {"X-Result-Count": str(len(records))}
        if following is not None:
            headers["Link"] = self._link(request, following, limit, fault)
        return _page(records, headers)

    def _link(self, request: Request, following: int, limit: int, fault: PageFault | None) -> str:
        base = fault.origin if isinstance(fault, ForeignLink) else request.base_url
        target = urlencode({"after": self._after.cursor(following), "limit": limit})
        return f'<{base}{self.list_path}?{target}>; rel="next"'


def _page(records: list[str], headers: Mapping[str, str]) -> Response:
    return Response(200, f"[{','.join(records)}]".encode(), headers=headers)


#: How this vendor enters the registry.
SPEC = VendorSpec(
    name="tmf639",
    profile=_PROFILE,
    status_words=_STATUS_WORDS,
    credential_keys=("token",),
    build=Tmf639,
    faults=frozenset({"early_end", "repeated_link", "foreign_link", "wrong_total", "cursor_expiry"}),
    options=Tmf639Options,
)
