"""Every connector that can ask for one SIM, against a server that answers as its vendor documents it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from sim_sync.carriers.registry import built_in
from sim_sync.carriers.settings import Retry
from sim_sync.core.errors import AuthenticationFailed, CarrierError, ParkRequired, UnexpectedResponse
from sim_sync.core.lookups import AskedSim, LookedUp, LookupOutcome
from sim_sync_tests.carriers.walking import carrier, settings
from sim_sync_tests.fakes.moving_time import MovingTime
from sim_sync_tests.fakes.raw_server import RawServer, Received, reply, serving

ICCID = "89883070000123456789"
OTHER = "89883070000123456797"


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """How a vendor is asked for the SIM `asked`, and what it answers: with the SIM, with another one, with none."""

    kind: str
    auth: Mapping[str, Any]
    asked: AskedSim
    target: str
    found: Any
    other: Any
    not_there: tuple[int, Any]
    method: str = "GET"
    body: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def look_up(self, server: RawServer, time: MovingTime | None = None) -> LookedUp:
        """Ask the server for the SIM."""
        given = settings(self.kind, server.url, self.auth, options=self.options, retry=Retry(max_attempts=2))
        return carrier(self.kind, given, time or MovingTime()).look_up(self.asked)


#: What a login answers, whoever asks: each vendor reads its own key.
LOGIN = {
    "access_token": "tok-1",
    "token_type": "bearer",
    "expires_in": 3600,
    "auth_token": "tok-2",
    "apiKey": "api-3",
    "token": "tok-4",
    "sessionToken": "tok-5",
}
LOGINS = ("/oauth/token", "/auth/token", "/oauth2/token", "/authenticate", "/v1/auth", "/session/login")


def twilio(kind: str, auth: Mapping[str, Any], not_there: tuple[int, Any]) -> Vendor:
    sid, other = "HS" + "1" * 32, "HS" + "2" * 32
    return Vendor(
        kind=kind,
        auth=auth,
        asked=AskedSim(sid, ICCID, ICCID),
        target=f"/v1/Sims/{sid}",
        found={"sid": sid, "iccid": ICCID, "status": "active"},
        other={"sid": other, "iccid": ICCID, "status": "active"},
        not_there=not_there,
    )


ACCOUNT = {"username": "AC1", "password": "secret-of-twilio"}
CLIENT = {"client_id": "client", "client_secret": "secret-of-client"}
TWILIO_404 = {
    "code": 20404,
    "message": "The requested resource was not found",
    "more_info": "https://www.twilio.com/docs/errors/20404",
    "status": 404,
}

SORACOM = {"auth_key_id": "keyId-1", "auth_key": "secret-of-soracom"}
LISTED = {"iccid": ICCID, "status": "ACTIVATED", "ratePlan": "fleet", "communicationPlan": "Data"}


def hologram_page(*links: Mapping[str, Any]) -> Any:
    devices = [{"id": 7, "orgid": 1, "name": "pump", "links": {"cellular": [link]}} for link in links]
    return {"success": True, "limit": 500, "size": len(devices), "data": devices}


def thingspace_page(*iccids: str) -> Any:
    devices = [
        {
            "accountName": "0000123456-00001",
            "carrierInformations": [{"state": "active", "servicePlan": "m2m"}],
            "deviceIds": [{"id": iccid, "kind": "iccId"}],
        }
        for iccid in iccids
    ]
    return {"hasMoreData": False, "devices": devices}


VENDORS = [
    Vendor(
        kind="telnyx",
        auth={"api_key": "secret-of-telnyx"},
        asked=AskedSim("6a09cdc3-8948", ICCID, ICCID),
        target="/v2/sim_cards/6a09cdc3-8948",
        found={"data": {"id": "6a09cdc3-8948", "iccid": ICCID, "status": {"value": "enabled"}}},
        other={"data": {"id": "7b09cdc3-8948", "iccid": ICCID, "status": {"value": "enabled"}}},
        not_there=(404, {"errors": [{"code": "10005", "title": "Resource not found"}]}),
    ),
    Vendor(
        kind="emnify",
        auth={"application_token": "secret-of-emnify"},
        asked=AskedSim("42", ICCID, ICCID[:19]),
        target="/api/v1/sim/42",
        found={
            "id": 42,
            "iccid": ICCID[:19],
            "iccid_with_luhn": ICCID,
            "status": {"id": 1, "description": "Activated"},
        },
        other={"id": 43, "iccid": ICCID[:19], "iccid_with_luhn": ICCID, "status": {"id": 1}},
        not_there=(404, {"error_code": 4040, "error_token": "NotFound", "message": "SIM 42 not found"}),
    ),
    Vendor(
        kind="one_nce",
        auth=CLIENT,
        asked=AskedSim(ICCID, ICCID, ICCID[:19]),
        target=f"/management-api/v2/sims/{ICCID[:19]}",
        found={"iccid": ICCID[:19], "iccid_with_luhn": ICCID, "status": "Enabled"},
        other={"iccid": OTHER[:18] + "0", "iccid_with_luhn": OTHER[:18] + "00", "status": "Enabled"},
        not_there=(404, {"error_code": 1000, "error_token": "NotFound", "message": "Not Found"}),
    ),
    Vendor(
        kind="soracom",
        auth=SORACOM,
        asked=AskedSim("8942310022000012345", ICCID, ICCID),
        target="/v1/sims/8942310022000012345",
        found={"simId": "8942310022000012345", "status": "active", "profiles": {ICCID: {"iccid": ICCID}}},
        other={"simId": "8942310022000099999", "status": "active", "profiles": {ICCID: {"iccid": ICCID}}},
        not_there=(404, {"code": "SIM0003", "message": "No such SIM found"}),
    ),
    Vendor(
        kind="cisco_control_center",
        auth={"username": "portal", "api_key": "secret-of-cisco"},
        asked=AskedSim(ICCID, ICCID, ICCID),
        target=f"/rws/api/v1/devices/{ICCID}",
        found={**LISTED, "imsi": "310410123456789", "accountId": "100", "dateUpdated": "2026-01-01"},
        other={**LISTED, "iccid": OTHER},
        not_there=(404, {"errorMessage": "Resource not found - Invalid ICCID.", "errorCode": "20000001"}),
    ),
    Vendor(
        kind="hologram",
        auth={"api_key": "secret-of-hologram"},
        asked=AskedSim("900", ICCID, ICCID),
        target=f"/api/1/devices?sim={ICCID}",
        found=hologram_page({"id": 900, "sim": ICCID, "state": "LIVE"}),
        other=hologram_page({"id": 901, "sim": ICCID, "state": "LIVE"}),
        not_there=(200, hologram_page()),
    ),
    Vendor(
        kind="thingspace",
        auth={**CLIENT, "username": "user", "password": "secret-of-verizon"},
        options={"account": "0000123456-00001"},
        asked=AskedSim(ICCID, ICCID, ICCID),
        target="/api/m2m/v1/devices/actions/list",
        method="POST",
        body={"accountName": "0000123456-00001", "deviceId": {"id": ICCID, "kind": "iccid"}},
        found=thingspace_page(ICCID),
        other=thingspace_page(OTHER),
        not_there=(400, {"errorCode": "UnifiedWebService.REQUEST_FAILED.DeviceNotFound", "errorMessage": "none"}),
    ),
    twilio("twilio_super_sim", ACCOUNT, (404, TWILIO_404)),
    twilio("twilio_wireless", ACCOUNT, (404, TWILIO_404)),
    twilio("kore_super_sim", CLIENT, (404, {"status": 404, "message": "SIM not found"})),
]

#: Those that are asked for a SIM by a path that its id is a part of.
IN_THE_PATH = [vendor for vendor in VENDORS if vendor.kind not in {"hologram", "thingspace"}]
vendors = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.kind)


def answering(answer: bytes, seen: list[Received] | None = None) -> Any:
    """Return a script that lets everybody log in, and gives one answer about SIMs."""

    def script(received: Received) -> bytes:
        if received.path.endswith(LOGINS):
            return reply(200, LOGIN)
        if seen is not None:
            seen.append(received)
        return answer

    return script


def looked_up(vendor: Vendor, answer: bytes) -> LookedUp:
    with serving(answering(answer)) as server:
        return vendor.look_up(server)


def test_every_built_in_connector_with_a_lookup_is_tried_in_here() -> None:
    with_lookup = {kind for kind, connector in built_in().items() if connector.lookup is not None}
    assert with_lookup == {vendor.kind for vendor in VENDORS}


@vendors
def test_a_sim_is_asked_for_as_documented(vendor: Vendor) -> None:
    seen: list[Received] = []
    with serving(answering(reply(200, vendor.found), seen)) as server:
        vendor.look_up(server)
    (received,) = seen
    assert (received.method, received.target) == (vendor.method, vendor.target)
    assert (received.json() if received.body else None) == vendor.body


@vendors
def test_a_sim_that_is_there_is_read_as_on_its_page(vendor: Vendor) -> None:
    found = looked_up(vendor, reply(200, vendor.found))
    assert found.outcome is LookupOutcome.FOUND
    assert found.sim is not None
    assert (found.sim.sim_id, found.sim.iccid) == (vendor.asked.sim_id, vendor.asked.iccid)
    assert found.sim.status == "active"


@vendors
def test_a_sim_is_not_there_where_the_vendor_says_so_in_its_own_way(vendor: Vendor) -> None:
    assert looked_up(vendor, reply(*vendor.not_there)).outcome is LookupOutcome.NOT_FOUND


@vendors
@pytest.mark.parametrize("status", [401, 403])
def test_credentials_that_are_refused_are_no_absence(vendor: Vendor, status: int) -> None:
    with pytest.raises(AuthenticationFailed):
        looked_up(vendor, reply(status, vendor.not_there[1]))


@vendors
@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_server_in_trouble_is_asked_again_and_is_no_absence(vendor: Vendor, status: int) -> None:
    seen: list[Received] = []
    with serving(answering(reply(status, vendor.not_there[1]), seen)) as server, pytest.raises(ParkRequired):
        vendor.look_up(server)
    assert len(seen) == 2


@vendors
@pytest.mark.parametrize(
    "answer",
    [
        reply(404, raw=b"<html><h1>404 Not Found</h1></html>", headers={"Content-Type": "text/html"}),
        reply(404),
        reply(404, {"message": "no Route matched with those values"}),
        reply(200, {"hello": "world"}),
        reply(200, {"data": None, "devices": None}),
        reply(200, raw=b'{"sid": "HS1'),
        reply(204),
        reply(200, {"sims": [], "sim_cards": [1, 2]}),
        reply(400, {"message": "Bad request"}),
        reply(410, {"message": "This API is gone"}),
    ],
)
def test_an_answer_of_another_kind_is_neither(vendor: Vendor, answer: bytes) -> None:
    with pytest.raises((CarrierError, ParkRequired)):
        looked_up(vendor, answer)


@vendors
def test_another_sim_is_neither(vendor: Vendor) -> None:
    with pytest.raises(UnexpectedResponse, match="expected the SIM that was asked for, found another SIM"):
        looked_up(vendor, reply(200, vendor.other))


@pytest.mark.parametrize("vendor", IN_THE_PATH, ids=lambda one: one.kind)
@pytest.mark.parametrize("name", ["", ".", ".."])
def test_an_id_that_would_lead_elsewhere_is_not_asked_for(vendor: Vendor, name: str) -> None:
    seen: list[Received] = []
    strange = replace(vendor, asked=AskedSim(name, name, name))
    with serving(answering(reply(200, vendor.found), seen)) as server:
        assert strange.look_up(server).outcome is LookupOutcome.UNCLEAR
    assert seen == []


def test_what_a_lookup_of_cisco_tells_beyond_the_list_is_left_out() -> None:
    vendor = next(vendor for vendor in VENDORS if vendor.kind == "cisco_control_center")
    listed, _ = built_in()["cisco_control_center"].record_map.read_page([LISTED])
    assert looked_up(vendor, reply(200, vendor.found)).sim == listed[0]


def test_a_device_of_thingspace_is_not_there_by_an_empty_list_too() -> None:
    vendor = next(vendor for vendor in VENDORS if vendor.kind == "thingspace")
    assert looked_up(vendor, reply(200, thingspace_page())).outcome is LookupOutcome.NOT_FOUND


@vendors
def test_no_message_about_a_lookup_holds_a_secret(vendor: Vendor) -> None:
    secrets = [value for name, value in vendor.auth.items() if "secret" in str(value)]
    with pytest.raises(CarrierError) as refused:
        looked_up(vendor, reply(400, {"message": f"you sent {json.dumps(secrets)}"}))
    assert not any(secret in str(refused.value) for secret in secrets)
