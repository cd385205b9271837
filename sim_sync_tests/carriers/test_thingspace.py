"""Verizon ThingSpace, after its pages: two logins, a keyset in the JSON body, pages that may come as 202."""

from typing import Any

import pytest
from pydantic import ValidationError

from sim_sync.carriers.messages import Response
from sim_sync.carriers.registry import connectors
from sim_sync.core.errors import UnexpectedResponse
from sim_sync_tests.carriers.walking import iccid, settings, walk
from sim_sync_tests.fakes.raw_server import Received, reply, serving

AUTH = {
    "client_id": "thing-app",
    "client_secret": "thing-app-secret",
    "username": "UWS-user",
    "password": "UWS-password",
}
OPTIONS = {"account": "0342077109-00001"}
KIND = "thingspace"
LIST = "/api/m2m/v1/devices/actions/list"
RECORDS = connectors()[KIND].record_map


def device(number: int, **more: Any) -> dict[str, Any]:
    return {
        "accountName": "0342077109-00001",
        "billingCycleEndDate": "2015-05-31T20:00:00-04:00",
        "carrierInformations": [{"carrierName": "Verizon Wireless", "servicePlan": "m2m4G", "state": "active"}],
        "connected": False,
        "createdAt": "2014-04-01T20:00:00-04:00",
        "deviceIds": [
            {"id": f"650555{number:04d}", "kind": "mdn"},
            {"id": "352099001761481", "kind": "imei"},
            {"id": iccid(number), "kind": "iccId"},
        ],
        "extendedAttributes": [
            {"key": "PrimaryPlaceOfUseCity", "value": "Denver"},
            {"key": "DeviceId", "value": str(1000 + number)},
        ],
        "groupNames": ["meters"],
        "ipAddress": "10.4.5.6",
        "lastActivationDate": "2014-04-01T20:00:00-04:00",
        "lastConnectionDate": "2015-03-01T20:00:00-04:00",
        **more,
    }


class ThingSpace:
    """The API. A session dies after `sessions` pages, which is told as `told_as`."""

    def __init__(self, count: int, *, session_pages: int | None = None, told_as: int = 401) -> None:
        self.count = count
        self.bodies: list[dict[str, Any]] = []
        self.sessions = 0
        self._session_pages = session_pages
        self._left = session_pages
        self._told_as = told_as

    def script(self, received: Received) -> bytes:
        assert received.method == "POST"
        if received.path == "/api/ts/v1/oauth2/token":
            assert received.headers["authorization"] == "Basic dGhpbmctYXBwOnRoaW5nLWFwcC1zZWNyZXQ="
            assert received.form() == {"grant_type": "client_credentials"}
            return reply(
                200, {"access_token": "ts-token", "token_type": "Bearer", "expires_in": 3600, "scope": "ts.mec"}
            )
        assert received.headers["authorization"] == "Bearer ts-token"
        if received.path == "/api/m2m/v1/session/login":
            assert received.json() == {"username": "UWS-user", "password": "UWS-password"}
            self.sessions += 1
            self._left = self._session_pages
            return reply(200, {"sessionToken": f"session-{self.sessions}"})
        assert received.path == LIST
        if self._left == 0 or received.headers.get("vz-m2m-token") != f"session-{self.sessions}":
            code = "UnifiedWebService.REQUEST_FAILED.SessionToken.Expired"
            return reply(self._told_as, {"errorCode": code, "errorMessage": "The session has expired."})
        self._left = None if self._left is None else self._left - 1
        return self._page(received.json())

    def _page(self, body: dict[str, Any]) -> bytes:
        self.bodies.append(body)
        size = body["maxNumberOfDevices"]
        assert size <= 2000
        left = [number for number in range(self.count) if 1000 + number > body.get("largestDeviceIdSeen", 0)]
        more = len(left) > size
        page = {"hasMoreData": True, "devices": [device(number) for number in left[:size]]} if more else {}
        return reply(202, page) if more else reply(200, {"hasMoreData": False, "devices": [device(n) for n in left]})


def test_both_logins_go_before_the_first_page_and_both_tokens_go_with_it() -> None:
    api = ThingSpace(1)
    with serving(api.script) as server:
        walk(KIND, settings(KIND, server.url, AUTH, options=OPTIONS))
    assert [received.path for received in server.received] == [
        "/api/ts/v1/oauth2/token",
        "/api/m2m/v1/session/login",
        LIST,
    ]
    assert api.bodies == [{"accountName": "0342077109-00001", "maxNumberOfDevices": 2000}]


def test_the_last_device_leads_on_though_the_page_comes_as_202() -> None:
    api = ThingSpace(8)
    with serving(api.script) as server:
        found = walk(KIND, settings(KIND, server.url, AUTH, options=OPTIONS, page_size=3))
    assert found.column("iccid") == [iccid(number) for number in range(8)]
    assert [body.get("largestDeviceIdSeen") for body in api.bodies] == [None, 1002, 1005]


@pytest.mark.parametrize("told_as", [401, 400])
def test_a_session_that_dies_during_the_walk_costs_one_login(told_as: int) -> None:
    api = ThingSpace(8, session_pages=2, told_as=told_as)
    with serving(api.script) as server:
        found = walk(KIND, settings(KIND, server.url, AUTH, options=OPTIONS, page_size=2), killed_after=99)
    assert len(found.sims) == 8
    assert api.sessions == 2


def test_a_202_that_does_not_say_whether_there_is_more_is_not_the_last_page() -> None:
    rule = connectors()[KIND].pagination(settings(KIND, "https://a.example", AUTH, options=OPTIONS))
    for status, following in ((202, {"after": 1001}), (200, None)):
        found = Response(status=status, headers={}, body={"devices": [device(1)]})
        assert rule.next_cursor({}, found, str) == following


def test_a_last_device_without_its_id_is_refused_with_what_to_do() -> None:
    rule = connectors()[KIND].pagination(settings(KIND, "https://a.example", AUTH, options=OPTIONS))
    found = Response(status=202, headers={}, body={"hasMoreData": True, "devices": [device(1, extendedAttributes=[])]})
    with pytest.raises(
        UnexpectedResponse, match=r"expected the extended attribute DeviceId in the last record.*Check that"
    ):
        rule.next_cursor({}, found, str)


def test_an_account_is_text_whose_leading_zeros_matter() -> None:
    model = connectors()[KIND].options_model
    with pytest.raises(ValidationError, match="valid string"):
        model.model_validate({"account": 342077109})
    with pytest.raises(ValidationError, match="Field required"):
        model.model_validate({})


def test_what_the_list_tells_stands_in_its_columns() -> None:
    sim = RECORDS.read(device(7))
    assert (sim.sim_id, sim.iccid, sim.msisdn, sim.imei) == (iccid(7), iccid(7), "+16505550007", "352099001761481")
    assert (sim.rate_plan, sim.ip_address, sim.account) == ("m2m4G", "10.4.5.6", "0342077109-00001")
    assert sim.activated_at is not None
    assert sim.activated_at.isoformat() == "2014-04-02T00:00:00+00:00"
    assert '"as_sent":{"msisdn":"6505550007"}' in sim.attributes


def test_a_device_without_an_iccid_is_put_aside() -> None:
    sims, rejected = RECORDS.read_page([device(1, deviceIds=[{"id": "A000002215F46B", "kind": "meid"}]), device(2)])
    assert [sim.iccid for sim in sims] == [iccid(2)]
    assert [one.reason for one in rejected] == ["expected an ICCID, which is the id here, found none"]


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("active", "active"),
        ("Activate", "active"),
        ("suspend", "suspended"),
        ("Suspended", "suspended"),
        ("deactive", "deactivated"),
        ("Deactive", "deactivated"),
        ("Pre-active", "activation_ready"),
        ("pre active", "activation_ready"),
    ],
)
def test_the_vendors_words_are_understood_in_any_spelling(word: str, status: str) -> None:
    sim = RECORDS.read(device(1, carrierInformations=[{"state": word, "servicePlan": None}]))
    assert (sim.carrier_status, sim.status, sim.quality_flags) == (word, status, "[]")
