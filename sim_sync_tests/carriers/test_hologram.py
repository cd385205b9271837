"""Hologram, after its HTTP reference: keyset paging whose end is the absence of `continues`; several SIMs a device."""

import json
from typing import Any

import pytest

from sim_sync.carriers.registry import connectors
from sim_sync.core.errors import UnexpectedResponse
from sim_sync_tests.carriers.walking import iccid, settings, told, walk
from sim_sync_tests.fakes.moving_time import MovingTime
from sim_sync_tests.fakes.raw_server import Received, Script, in_turn, reply, serving

AUTH = {"api_key": "hologram-key"}
RECORDS = connectors()["hologram"].record_map


def link(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": 10_000 + number,
        "sim": iccid(number),
        "imsi": 234507098765432 + number,  # a JSON number, as the vendor sends it
        "msisdn": f"+4477{number:08d}",
        "state": "LIVE",
        "plan": {"id": 73, "name": "pay as you go"},
        "whenclaimed": "2018-02-02 22:25:27",
        "whenexpires": None,
        "eid": None,
        "pin": "1234",
        "puk": "87654321",
        "cur_billing_data_used": 12,
        **more,
    }


def device(number: int, *links: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": number,
        "orgid": 5,
        "name": f"device {number}",
        "imei": None,
        "imei_sv": "9575200740240801",
        "links": {"cellular": list(links) or [link(number)]},
    }


def hologram(devices: list[dict[str, Any]]) -> Script:
    """Give devices newest first; `links.base` names a host of the vendor's own, which must not be asked."""

    def script(received: Received) -> bytes:
        if received.headers.get("authorization") != "Basic YXBpa2V5OmhvbG9ncmFtLWtleQ==":
            return reply(403, {"success": False, "error": "Not authorized"})
        asked = told(received)
        assert received.path == "/api/1/devices"
        assert set(asked) <= {"limit", "startafter"}
        limit = int(asked["limit"])
        newest = sorted(devices, key=lambda one: -one["id"])
        rows = [one for one in newest if "startafter" not in asked or one["id"] < int(asked["startafter"])]
        body: dict[str, Any] = {"success": True, "limit": limit, "size": len(rows[:limit]), "data": rows[:limit]}
        body["links"] = {"path": "/api/1/devices", "base": "https://staging.teamhologram.ninja"}
        if len(rows) > limit:
            body |= {"continues": True, "lastid": rows[limit - 1]["id"]}
            body["links"]["next"] = f"/api/1/devices?limit={limit}&startafter={rows[limit - 1]['id']}"
        return reply(200, body)

    return script


def test_the_first_request_has_no_startafter() -> None:
    with serving(hologram([device(1)])) as server:
        walk("hologram", settings("hologram", server.url, AUTH))
    assert [received.target for received in server.received] == ["/api/1/devices?limit=500"]


def test_a_list_ends_where_continues_is_absent() -> None:
    with serving(hologram([device(number) for number in range(9)])) as server:
        found = walk("hologram", settings("hologram", server.url, AUTH, page_size=3))
    assert sorted(found.column("iccid")) == [iccid(number) for number in range(9)]
    assert [told(received).get("startafter") for received in server.received] == [None, "6", "3"]


def test_a_page_that_continues_but_does_not_say_where_is_not_the_end() -> None:
    page = reply(200, {"success": True, "continues": True, "data": [device(1)]})
    with serving(in_turn(page)) as server, pytest.raises(UnexpectedResponse, match="says that there is more"):
        walk("hologram", settings("hologram", server.url, AUTH))


def test_one_device_is_as_many_sims_as_it_has_links() -> None:
    sims, rejected = RECORDS.read_page([device(7, link(1), link(2, state="PAUSED"))])
    assert rejected == []
    assert [(sim.sim_id, sim.iccid, sim.status) for sim in sims] == [
        ("10001", iccid(1), "active"),
        ("10002", iccid(2), "suspended"),
    ]
    assert {(sim.label, sim.account, sim.imei) for sim in sims} == {("device 7", "5", "9575200740240801")}


def test_a_device_without_a_sim_is_none() -> None:
    assert RECORDS.read_page([{**device(7), "links": {"cellular": []}}]) == ([], [])
    assert RECORDS.read_page([{**device(7), "links": {}}]) == ([], [])


@pytest.mark.parametrize("links", [None, [], "none", {"cellular": None}, {"cellular": ["89"]}])
def test_a_device_that_does_not_say_which_sims_it_has_is_put_aside(links: Any) -> None:
    sims, rejected = RECORDS.read_page([{**device(7), "links": links}, device(8)])
    assert [sim.label for sim in sims] == ["device 8"]
    assert [(one.position, one.reason) for one in rejected] == [
        (0, "expected a device with its SIMs under links.cellular, found none")
    ]


def test_one_broken_link_does_not_take_the_others_of_its_device_with_it() -> None:
    sims, rejected = RECORDS.read_page([device(7, link(1), link(2, id=None), link(3))])
    assert [sim.sim_id for sim in sims] == ["10001", "10003"]
    assert [(one.position, one.reason) for one in rejected] == [(0, "expected an id in `sim_id`, found none")]


def test_pin_and_puk_are_stored_nowhere() -> None:
    sims, rejected = RECORDS.read_page([device(7, link(1), link(2, id=None))])
    assert "1234" not in json.loads(sims[0].attributes).values()
    assert "87654321" not in sims[0].attributes + rejected[0].payload
    assert "pin" not in json.loads(rejected[0].payload)["links"]["cellular"][0]


def test_a_plan_is_its_name() -> None:
    sims, _ = RECORDS.read_page([device(7, link(1), link(2, plan="by name"), link(3, plan=None))])
    assert [sim.rate_plan for sim in sims] == ["pay as you go", "by name", None]


def test_numbers_and_times_are_kept_whole() -> None:
    sim = RECORDS.read_page([device(7, link(1))])[0][0]
    assert sim.imsi == "234507098765433"
    assert sim.activated_at is not None
    assert sim.activated_at.isoformat() == "2018-02-02T22:25:27+00:00"


@pytest.mark.parametrize(
    ("word", "status", "pending"),
    [
        ("LIVE", "active", False),
        ("LIVE-PENDING", "active", True),
        ("PAUSED", "suspended", False),
        ("PAUSED-PENDING", "suspended", True),
        ("PAUSED-PENDING-USER", "suspended", True),
        ("PAUSED-SYS", "suspended", False),
        ("DEAD", "terminated", False),
        ("INACTIVE", "inventory", False),
    ],
)
def test_the_vendors_words_are_matched_by_their_beginning(word: str, status: str, pending: bool) -> None:
    sim = RECORDS.read_page([device(7, link(1, state=word))])[0][0]
    assert (sim.carrier_status, sim.status, sim.pending, sim.quality_flags) == (word, status, pending, "[]")


def test_a_word_that_only_sounds_alike_is_unknown() -> None:
    sim = RECORDS.read_page([device(7, link(1, state="LIVELY"))])[0][0]
    assert (sim.status, sim.quality_flags) == ("unknown", '["unknown_status"]')


def test_a_throttle_that_names_no_wait_is_waited_out_for_ten_seconds() -> None:
    time = MovingTime()
    throttled = reply(429, {"success": False, "error": "API rate limit exceeded"})
    with serving(in_turn(throttled, reply(200, {"success": True, "data": []}))) as server:
        walk("hologram", settings("hologram", server.url, AUTH), time=time)
    assert time.monotonic() - 1000 >= 10


def test_an_error_that_comes_as_200_is_no_empty_page() -> None:
    time = MovingTime()
    failing = reply(200, {"success": False, "error": "Something went wrong", "data": []})
    with serving(in_turn(failing, reply(200, {"success": True, "data": [device(1)]}))) as server:
        found = walk("hologram", settings("hologram", server.url, AUTH), time=time)
    assert len(found.sims) == 1
    assert found.pages[0].effort.retries == 1
