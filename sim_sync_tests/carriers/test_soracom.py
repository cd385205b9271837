"""Soracom, after its OpenAPI file: two headers, and a key in a response header whose absence is the end."""

import json
from typing import Any

import pytest

from sim_sync.carriers.registry import connectors
from sim_sync_tests.carriers.walking import documented_parameters, iccid, settings, told, walk
from sim_sync_tests.fakes.moving_time import MovingTime
from sim_sync_tests.fakes.raw_server import Received, Script, in_turn, reply, serving

AUTH = {"auth_key_id": "keyId-abc", "auth_key": "secret-of-soracom"}
RECORDS = connectors()["soracom"].record_map


def sim(number: int, **more: Any) -> dict[str, Any]:
    first, second = iccid(number), iccid(1_000_000 + number)
    return {
        "simId": f"8942310000000{number:06d}",
        "operatorId": "OP0012345678",
        "type": "eSIM",
        "status": "active",
        "speedClass": "s1.standard",
        "groupId": None,
        "tags": {"name": f"meter {number}"},
        "activeProfileId": second,
        "profiles": {
            first: {"iccid": first, "primaryImsi": f"29505{number:010d}", "subscribers": {}},
            second: {
                "iccid": second,
                "primaryImsi": f"44010{number:010d}",
                "subscribers": {
                    f"44010{number:010d}": {
                        "msisdn": f"8190{number:08d}",
                        "status": "active",
                        "subscription": "plan-D",
                    },
                    f"45400{number:010d}": {"msisdn": None, "status": "ready", "subscription": "planX1"},
                },
                "arcClientPeerPrivateKey": "cHJpdmF0ZSBrZXk=",
                "arcClientPeerPublicKey": "cHVibGljIGtleQ==",
            },
        },
        "sessionStatus": {"online": True, "imei": "352099001761481", "ueIpAddress": "10.145.2.7"},
        "createdTime": 1537953993105,
        "lastModifiedTime": 1537953993105,
        **more,
    }


def soracom(pages: list[list[dict[str, Any]]]) -> Script:
    def script(received: Received) -> bytes:
        if received.path == "/v1/auth":
            assert received.method == "POST"
            assert received.json() == {"authKeyId": "keyId-abc", "authKey": "secret-of-soracom"}
            return reply(
                200, {"apiKey": "api-123456", "operatorId": "OP0012345678", "token": "token-123456", "userName": "x"}
            )
        assert (received.method, received.path) == ("GET", "/v1/sims")
        if (received.headers.get("x-soracom-api-key"), received.headers.get("x-soracom-token")) != (
            "api-123456",
            "token-123456",
        ):
            return reply(401, {"code": "AUM0001", "message": "Invalid API key"})
        assert "authorization" not in received.headers
        asked = told(received)
        assert set(asked) <= {"limit", "last_evaluated_key"}
        here = int(asked.get("last_evaluated_key", "key/0").partition("/")[2])
        headers = {"X-Soracom-Next-Key": f"key/{here + 1}"} if here + 1 < len(pages) else {}
        return reply(200, pages[here], headers)

    return script


def test_the_requests_are_as_documented() -> None:
    with serving(soracom([[sim(1)]])) as server:
        walk("soracom", settings("soracom", server.url, AUTH))
    assert [(received.method, received.target) for received in server.received] == [
        ("POST", "/v1/auth"),
        ("GET", "/v1/sims?limit=100"),
    ]
    assert documented_parameters("soracom/sim_list.openapi.json", "/sims") == {"limit", "last_evaluated_key"}


def test_a_short_or_empty_page_is_not_the_end_and_a_missing_header_is() -> None:
    pages = [[sim(1), sim(2)], [], [sim(3)], [], [sim(4), sim(5)]]
    with serving(soracom(pages)) as server:
        found = walk("soracom", settings("soracom", server.url, AUTH, page_size=2))
        asked = [told(received).get("last_evaluated_key") for received in server.asked("/v1/sims")]
    assert len(found.sims) == 5
    assert asked == [None, "key/1", "key/2", "key/3", "key/4"]


def test_the_active_profile_is_the_sim_and_the_others_are_kept() -> None:
    read = RECORDS.read(sim(7))
    assert (read.iccid, read.imsi, read.msisdn) == (iccid(1_000_007), "440100000000007", "+819000000007")
    assert (read.imei, read.ip_address, read.rate_plan) == ("352099001761481", "10.145.2.7", "plan-D")
    assert (read.label, read.account) == ("meter 7", "OP0012345678")
    assert read.carrier_updated_at is not None
    assert read.carrier_updated_at.isoformat() == "2018-09-26T09:26:33.105000+00:00"
    assert set(json.loads(read.attributes)["profiles"]) == {iccid(7), iccid(1_000_007)}


def test_the_private_key_is_stored_nowhere() -> None:
    sims, rejected = RECORDS.read_page([sim(7), sim(8, simId=None)])
    assert "cHJpdmF0ZSBrZXk=" not in sims[0].attributes + rejected[0].payload
    assert "cHVibGljIGtleQ==" in sims[0].attributes


@pytest.mark.parametrize("profiles", [None, {}, [], "none", {iccid(1): None}, {iccid(1): {"subscribers": 7}}])
def test_odd_profiles_do_not_stop_a_page(profiles: Any) -> None:
    sims, rejected = RECORDS.read_page([sim(1, profiles=profiles, activeProfileId=None), sim(2)])
    assert len(sims) + len(rejected) == 2
    assert sims[-1].iccid == iccid(1_000_002)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("ready", "activation_ready"),
        ("active", "active"),
        ("inactive", "suspended"),
        ("standby", "suspended"),
        ("suspended", "suspended"),
        ("terminated", "terminated"),
        ("instock", "inventory"),
        ("shipped", "inventory"),
    ],
)
def test_the_vendors_words_have_their_place_in_the_lifecycle(word: str, status: str) -> None:
    read = RECORDS.read(sim(1, status=word))
    assert (read.status, read.pending, read.quality_flags) == (status, False, "[]")


def test_its_own_header_tells_how_long_to_wait() -> None:
    time = MovingTime()
    responses = in_turn(
        reply(200, {"apiKey": "api-123456", "token": "token-123456"}),
        reply(429, {"code": "COM0001"}, {"X-Soracom-Ratelimit-Seconds-Before-Refresh": "42"}),
        reply(200, []),
    )
    with serving(responses) as server:
        walk("soracom", settings("soracom", server.url, AUTH), time=time)
    assert time.monotonic() - 1000 >= 42
