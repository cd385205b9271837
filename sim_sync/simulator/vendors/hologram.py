"""Hologram: `GET /api/1/devices` by keyset, newest device first; one device may hold several SIMs.

HTTP Basic with the word `apikey` as user. On the last page `continues` and `lastid` are absent, not false. IMSIs are
JSON numbers; PINs and PUKs are listed. A 429 reports no wait. The body may say `success: false` in a 200.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from sim_sync.core.sims import Lifecycle
from sim_sync.simulator.credentials import LISTED_SECRET_MARK
from sim_sync.simulator.faults import EarlyEnd, ErrorInSuccess, ForeignLink, PageFault, RepeatedLink
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
from sim_sync.simulator.vendors.auth import basic_authentication
from sim_sync.simulator.vendors.bodies import (
    json_text,
    kept_part,
    parse_number,
    plain_number,
    refuse_unknown,
    spoil_record,
)
from sim_sync.simulator.vendors.routed import Handler, RoutedVendor

_DEFAULT_LIMIT = 500
_MAX_LIMIT = 5000
_THROTTLED = "API rate limit exceeded"
_FIRST_DEVICE_ID = 1_000_000
_FIRST_LINK_ID = 5_000_000
# Of eight SIMs in a row, the last two are in one device.
_SIMS_A_BLOCK, _DEVICES_A_BLOCK = 8, 7
_FIRST_DEVICE_CREATED = datetime(2015, 1, 1, tzinfo=UTC)
_STATUS_WORDS: Mapping[str, str] = {
    Lifecycle.INVENTORY: "INACTIVE",
    Lifecycle.ACTIVE: "LIVE",
    Lifecycle.SUSPENDED: "PAUSED",
    Lifecycle.TERMINATED: "DEAD",
}
_PROFILE = Profile(
    iccid_prefix="89464278",
    status_weights=(
        (Lifecycle.ACTIVE, 80),
        (Lifecycle.INVENTORY, 8),
        (Lifecycle.SUSPENDED, 10),
        (Lifecycle.TERMINATED, 2),
    ),
    rate_plans=("Flexible data zone 1", "Pilot 1MB"),
)
_DEVICE = (
    '{"id":%d,"orgid":%d,"name":%s,"type":"Unknown","whencreated":"%s","phonenumber":null,"tunnelable":1,"imei":%s,'
    '"imei_sv":%s,"hidden":0,"tags":[],"links":{"cellular":[%s]}}'
)
_LINK = (
    '{"id":%d,"sim":%s,"imsi":%s,"msisdn":%s,"state":%s,"plan":{"id":%d,"name":%s},"whenclaimed":"%s",'
    '"whenexpires":"2031-01-01 00:00:00","eid":%s,"euicc_type":null,"cur_billing_data_used":%d,'
    '"pin":"' + LISTED_SECRET_MARK + 'pin-%d","puk":"' + LISTED_SECRET_MARK + 'puk-%d"}'
)


class Hologram(RoutedVendor):
    """The devices of one organisation."""

    list_path = "/api/1/devices"
    status_words = _STATUS_WORDS

    def __init__(self, fleet: Fleet, credentials: Mapping[str, str], options: NoOptions) -> None:
        super().__init__(fleet)
        self._api_key = credentials["api_key"]
        self._organisation_id = 7000 + fleet.fleet_spec.seed % 1000

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return the one call that it has."""
        return {("GET", self.list_path): self._list}

    def worth(self, request: Request) -> Authentication:
        """Return whether the request carries the API key in HTTP Basic."""
        return basic_authentication(request, username="apikey", password=self._api_key)

    def page_call(self, request: Request) -> ListCall:
        """Return the id after which the page begins."""
        return ListCall(request.query.get("startafter"))

    def failure(self, status: int, message: str | None = None) -> Response:
        """Return Hologram's error body."""
        message = message or (_THROTTLED if status == 429 else phrase_of(status))
        return json_response(status, {"success": False, "error": message})

    def sim_id(self, sim: SimView) -> str:
        """Return the id of the SIM's link."""
        return str(_FIRST_LINK_ID + sim.index)

    def listed(self, sim: SimView) -> Mapping[str, str | None]:
        """Return what the list tells of the link, and of its device: IMEI, name and organisation."""
        holder = self._holder(_device_number(sim.index))
        return {
            "iccid": sim.iccid,
            "imsi": sim.imsi,
            "msisdn": plain_number(sim.msisdn),
            "eid": sim.eid,
            "imei": holder.imei,
            "rate_plan": sim.rate_plan,
            "label": holder.label,
            "account": str(self._organisation_id),
        }

    def record(self, sim: SimView, base_url: str) -> str:
        """Return a link as JSON text."""
        return _LINK % (
            _FIRST_LINK_ID + sim.index,
            json_text(sim.iccid),
            sim.imsi or "null",
            json_text(plain_number(sim.msisdn)),
            json_text(self.carrier_status(sim)),
            73,
            json_text(sim.rate_plan),
            _hologram_time(sim.created_text),
            json_text(sim.eid),
            sim.index % 10_000_000,
            sim.index,
            sim.index,
        )

    def forget_id(self, record: dict[str, Any]) -> None:
        """Take the ids out of a device and its first link."""
        del record["id"]
        del record["links"]["cellular"][0]["id"]

    def forget_iccid(self, record: dict[str, Any]) -> None:
        """Make the ICCID of a device's first link null."""
        record["links"]["cellular"][0]["sim"] = None

    def _list(self, request: Request, fault: PageFault | None) -> Response:
        refuse_unknown(request.query, ("limit", "startafter", "sim"))
        if "sim" in request.query:
            return self._of_iccid(request.query["sim"], request)
        limit = parse_number(request.query, "limit", default=_DEFAULT_LIMIT, lowest=1, highest=_MAX_LIMIT)
        after = parse_number(request.query, "startafter", default=-1, lowest=0, highest=2**62)
        if isinstance(fault, ErrorInSuccess):
            message = _THROTTLED if fault.reason == "rate_limit" else "An internal error occurred"
            return json_response(200, {"success": False, "error": message})
        position = self.fleet.end if after < 0 else _first_sim(max(after - _FIRST_DEVICE_ID, 0))
        # A device holds two SIMs at most: so many are sure to tell whether the list continues.
        devices = _devices(self.fleet.live_before(position, 2 * limit + 1))
        records = [self._device(*device) for device in kept_part(devices[:limit], fault)]
        spoil_record(records, fault, forget_id=self.forget_id, forget_iccid=self.forget_iccid)
        following = self._following(devices, limit, after, fault)
        envelope = _envelope(request, limit, len(records), following, fault)
        return Response(200, f'{envelope[:-1]},"data":[{",".join(records)}]}}'.encode())

    def _of_iccid(self, iccid: str, request: Request) -> Response:
        """Return the list of the one device whose SIM has the ICCID."""
        index = self.fleet.index_of_iccid(iccid)
        number = None if index is None else _device_number(index)
        beside = [] if number is None else range(_first_sim(number), _first_sim(number + 1))
        records = [] if number is None else [self._device(number, [one for one in beside if self.fleet.is_live(one)])]
        envelope = _envelope(request, _DEFAULT_LIMIT, len(records), None, None)
        return Response(200, f'{envelope[:-1]},"data":[{",".join(records)}]}}'.encode())

    def _following(
        self, devices: Sequence[tuple[int, Sequence[int]]], limit: int, after: int, fault: PageFault | None
    ) -> int | None:
        """Return the id that the next page begins after, or None at the end."""
        match fault:
            case EarlyEnd():
                return None
            case RepeatedLink() if devices:
                return after if after >= 0 else _FIRST_DEVICE_ID + devices[0][0] + 1
        return _FIRST_DEVICE_ID + devices[limit - 1][0] if len(devices) > limit else None

    def _device(self, number: int, indices: Sequence[int]) -> str:
        holder = self._holder(number)
        imei = holder.imei
        return _DEVICE % (
            _FIRST_DEVICE_ID + number,
            self._organisation_id,
            json_text(holder.label),
            f"{_FIRST_DEVICE_CREATED + timedelta(seconds=number):%Y-%m-%d %H:%M:%S}",
            json_text(imei),
            json_text(f"{imei[:14]}01" if imei else None),
            ",".join(self.record(sim, "") for sim in self.fleet.views(indices)),
        )

    def _holder(self, number: int) -> SimView:
        """Return the SIM that a device has its IMEI and name of."""
        return self.fleet.views([_first_sim(number)])[0]


def _device_number(index: int) -> int:
    block, place = divmod(index, _SIMS_A_BLOCK)
    return block * _DEVICES_A_BLOCK + min(place, _DEVICES_A_BLOCK - 1)


def _first_sim(device_number: int) -> int:
    block, place = divmod(device_number, _DEVICES_A_BLOCK)
    return block * _SIMS_A_BLOCK + place


def _devices(indices: Sequence[int]) -> Sequence[tuple[int, Sequence[int]]]:
    """Return devices and the SIMs in them, newest first."""
    devices = [(number, tuple(group)) for number, group in groupby(indices, _device_number)]
    return devices[::-1]


def _envelope(request: Request, limit: int, size: int, following: int | None, fault: PageFault | None) -> str:
    path = request.path
    origin = fault.origin if isinstance(fault, ForeignLink) else request.base_url
    links = {"path": path, "base": origin.partition("//")[2]}
    document: dict[str, Any] = {"success": True, "limit": limit, "size": size}
    if following is not None:
        links["next"] = f"{path}?limit={limit}&startafter={following}"
        document |= {"continues": True, "lastid": following}
    return json.dumps({**document, "links": links})


def _hologram_time(text: str) -> str:
    return text[:-1].replace("T", " ")


#: How this vendor enters the registry.
SPEC = VendorSpec(
    name="hologram",
    profile=_PROFILE,
    status_words=_STATUS_WORDS,
    credential_keys=("api_key",),
    build=Hologram,
    faults=frozenset({"early_end", "repeated_link", "foreign_link", "error_in_success"}),
)
