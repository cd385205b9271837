"""Twilio's and KORE's lists: the next page stands in `meta.next_page_url`."""

from collections.abc import Callable
from typing import Any

import pytest

from sim_sync.carriers.registry import connectors
from sim_sync.carriers.vendors.kore_super_sim import token_url_of
from sim_sync.core.errors import ForeignOrigin, UnexpectedResponse
from sim_sync_tests.carriers.walking import documented_parameters, iccid, settings, told, walk
from sim_sync_tests.fakes.moving_time import MovingTime
from sim_sync_tests.fakes.raw_server import Received, reply, serving

AUTH = {"username": "AC0001", "password": "wireless-password"}
BASIC = "Basic QUMwMDAxOndpcmVsZXNzLXBhc3N3b3Jk"
KEYS = {"client_id": "kore-client", "client_secret": "kore-secret/+", "token_url": ""}


def twilio(number: int) -> dict[str, Any]:
    return {
        "sid": f"DE{number:032x}",
        "iccid": iccid(number),
        "status": "active",
        "unique_name": f"meter {number}" if number % 2 else None,
        "friendly_name": "a meter",
        "account_sid": "AC0001",
        "rate_plan_sid": "WP1",
        "e_id": None,
        "ip_address": None,
        "date_updated": "2019-07-30T20:00:00Z",
        "date_created": "2019-07-30T20:00:00Z",
        "url": "https://wireless.twilio.com/v1/Sims/DE1",
        "links": {"usage_records": "https://wireless.twilio.com/v1/Sims/DE1/UsageRecords"},
    }


def listing(count: int, authorization: str) -> Callable[[Received], bytes]:
    """Give SIMs by `PageToken`; `Page` is only for show."""

    def script(received: Received) -> bytes:
        if received.headers.get("authorization") != authorization:
            return reply(401, {"code": 20003, "message": "Authenticate", "status": 401})
        asked = told(received)
        size, start = int(asked["PageSize"]), int(asked.get("PageToken", "PA0")[2:])
        rows = [twilio(number) for number in range(count)][start : start + size]
        following = f"PageSize={size}&Page={start // size + 1}&PageToken=PA{start + size}"
        url = f"http://{received.headers['host']}/v1/Sims?{following}"
        return reply(
            200, {"sims": rows, "meta": {"next_page_url": url if start + size < count else None, "key": "sims"}}
        )

    return script


@pytest.mark.parametrize("kind", ["twilio_super_sim", "twilio_wireless"])
def test_a_list_is_walked_by_its_links_with_basic_auth(kind: str) -> None:
    with serving(listing(7, BASIC)) as server:
        found = walk(kind, settings(kind, server.url, AUTH, page_size=2))
        asked = [told(received) for received in server.received]
    assert found.column("iccid") == [iccid(number) for number in range(7)]
    assert asked[0] == {"PageSize": "2"}
    assert [entry.get("PageToken") for entry in asked] == [None, "PA2", "PA4", "PA6"]
    assert {received.path for received in server.received} == {"/v1/Sims"}


def test_what_the_wireless_list_tells_stands_in_its_columns() -> None:
    with serving(listing(2, BASIC)) as server:
        first, second = walk("twilio_wireless", settings("twilio_wireless", server.url, AUTH)).sims
    assert (first.sim_id, first.rate_plan, first.account) == (f"DE{0:032x}", "WP1", "AC0001")
    assert (first.label, second.label) == ("a meter", "meter 1")
    assert (first.imsi, first.msisdn, first.imei, first.eid, first.ip_address) == (None,) * 5
    assert "https" not in first.attributes


def test_kore_exchanges_its_keys_in_a_form_on_another_host() -> None:
    def token(_request: Received) -> bytes:
        return reply(200, {"access_token": "kore-token", "expires_in": 3600, "token_type": "Bearer"})

    with serving(token) as login, serving(listing(5, "Bearer kore-token")) as server:
        keys = {**KEYS, "token_url": f"{login.url}/api-services/v1/auth/token"}
        found = walk("kore_super_sim", settings("kore_super_sim", server.url, keys, page_size=2))
        asked = login.received[0]
    assert len(found.sims) == 5
    assert len(server.received) == 3
    assert (asked.method, asked.path) == ("POST", "/api-services/v1/auth/token")
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.form() == {
        "grant_type": "client_credentials",
        "client_id": "kore-client",
        "client_secret": "kore-secret/+",
    }


def test_kores_login_is_the_vendors_by_default_and_on_base_url_where_that_is_this_machine() -> None:
    keys = {"client_id": "kore-client", "client_secret": "kore-secret"}

    def url(base_url: str, **more: str) -> str:
        return token_url_of(settings("kore_super_sim", base_url, keys | more))

    login = "https://api.korewireless.com/api-services/v1/auth/token"
    assert url("https://supersim.api.korewireless.com") == login
    assert url("https://localhost.example.com") == login
    assert url("http://127.0.0.1:8080") == "/api-services/v1/auth/token"
    assert url("http://127.0.0.1:8080", token_url="https://login.example.com/t") == "https://login.example.com/t"


def test_a_link_to_another_host_gets_no_request_and_no_credentials() -> None:
    def script(_request: Received) -> bytes:
        return reply(200, {"sims": [twilio(1)], "meta": {"next_page_url": elsewhere.url + "/v1/Sims?PageToken=x"}})

    with serving(script) as elsewhere, serving(script) as server:
        with pytest.raises(ForeignOrigin, match="no request and no credentials were sent there"):
            walk("twilio_wireless", settings("twilio_wireless", server.url, AUTH))
        assert elsewhere.received == []


def test_an_answer_of_another_api_is_refused() -> None:
    with (
        serving(lambda _request: reply(200, {"devices": []})) as server,
        pytest.raises(UnexpectedResponse, match="expected a list under 'sims' in the answer, found nothing"),
    ):
        walk("twilio_wireless", settings("twilio_wireless", server.url, AUTH), time=MovingTime())


@pytest.mark.parametrize(
    ("word", "status", "pending"),
    [
        ("new", "inventory", False),
        ("ready", "activation_ready", False),
        ("active", "active", False),
        ("suspended", "suspended", False),
        ("deactivated", "deactivated", False),
        ("canceled", "terminated", False),
        ("deleted", "terminated", False),
        ("scheduled", "unknown", True),
        ("updating", "unknown", True),
    ],
)
def test_the_vendors_words_have_their_place_in_the_lifecycle(word: str, status: str, pending: bool) -> None:
    sim = connectors()["twilio_wireless"].record_map.read({**twilio(1), "status": word})
    assert (sim.carrier_status, sim.status, sim.pending, sim.quality_flags) == (word, status, pending, "[]")


@pytest.mark.parametrize(
    "spec",
    [
        "twilio/sim_list.openapi.json",
        "twilio/wireless_sim_list.openapi.json",
        "kore/sim_list.openapi.json",
        "kore/wireless_sim_list.openapi.json",
    ],
)
def test_the_vendors_own_files_know_our_parameters(spec: str) -> None:
    assert documented_parameters(spec, "/v1/Sims") >= {"PageSize", "PageToken", "Page"}
