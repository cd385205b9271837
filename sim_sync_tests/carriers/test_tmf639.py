"""TMF639, after the standard's OpenAPI file and AT&T's use of it: offsets with a total, or `after` cursors in links."""

from typing import Any

import pytest

from sim_sync.carriers.registry import connectors
from sim_sync_tests.carriers.walking import documented_parameters, iccid, settings, told, walk
from sim_sync_tests.fakes.raw_server import Received, Script, reply, serving

AUTH = {"token": "tmf-token"}
KIND = "tmf639"
RECORDS = connectors()[KIND].record_map


def resource(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": iccid(number),
        "href": f"https://server/resourceInventory/v5/resource/{iccid(number)}",
        "@type": "LogicalResource",
        "name": f"meter {number}",
        "resourceStatus": "U",
        "startOperatingDate": "2020-08-27T10:00:00Z",
        "resourceCharacteristic": [
            {"@type": "StringCharacteristic", "name": "IMSI", "value": f"310410{number:09d}"},
            {"@type": "StringCharacteristic", "name": "msisdn", "value": f"1310997{number:04d}"},
            {"@type": "StringCharacteristic", "name": "puk", "value": "hidden?"},
        ],
        **more,
    }


def by_offset(count: int, *, totals: bool = True, links: bool = False) -> Script:
    def script(received: Received) -> bytes:
        assert received.headers.get("authorization") == "Bearer tmf-token"
        asked = told(received)
        assert (received.method, received.path) == ("GET", "/resource")
        assert set(asked) == {"offset", "limit"}
        start, limit = int(asked["offset"]), int(asked["limit"])
        rows = [resource(number) for number in range(count)][start : start + limit]
        headers = {"X-Result-Count": str(len(rows))}
        if totals:
            headers["X-Total-Count"] = str(count)
        if links and start + limit < count:
            headers["Link"] = f'</resource?offset={start + limit}&limit={limit}>; rel="next"'
        return reply(206 if len(rows) < count else 200, rows, headers)

    return script


def by_after(count: int) -> Script:
    def script(received: Received) -> bytes:
        asked = told(received)
        start, limit = int(asked.get("after", 0)), int(asked["limit"])
        rows = [resource(number) for number in range(count)][start : start + limit]
        link = f'<http://{received.headers["host"]}/resource?limit={limit}&after={start + limit}>; rel="next"'
        return reply(200, rows, {"Link": link} if start + limit < count else {})

    return script


def test_the_first_request_is_as_documented() -> None:
    with serving(by_offset(3)) as server:
        found = walk(KIND, settings(KIND, server.url, AUTH))
    assert [received.target for received in server.received] == ["/resource?offset=0&limit=100"]
    assert found.pages[0].records_total == 3
    assert documented_parameters("tmf639/sim_list.openapi.json", "/resource") >= {"offset", "limit", "after"}


@pytest.mark.parametrize(
    ("totals", "links", "requests"),
    [
        pytest.param(True, False, 4, id="a total"),
        pytest.param(True, True, 4, id="a total, and links by offset"),
        pytest.param(False, True, 4, id="links by offset: the last page has none"),
        pytest.param(False, False, 5, id="nothing told: an empty page is the end"),
    ],
)
def test_offsets_are_walked_to_the_end_that_the_server_gives(totals: bool, links: bool, requests: int) -> None:
    with serving(by_offset(11, totals=totals, links=links)) as server:
        found = walk(KIND, settings(KIND, server.url, AUTH, page_size=3))
    assert found.column("sim_id") == [iccid(number) for number in range(11)]
    assert [told(received)["offset"] for received in server.received] == ["0", "3", "6", "9", "11"][:requests]


def test_after_cursors_are_followed_where_the_server_gives_them() -> None:
    with serving(by_after(8)) as server:
        found = walk(KIND, settings(KIND, server.url, AUTH, page_size=3))
    assert len(found.sims) == 8
    assert [told(received).get("after") for received in server.received] == [None, "3", "6"]


def test_a_server_that_knows_no_offset_ends_a_list_of_one_page_by_giving_it_again() -> None:
    with serving(by_after(2)) as server:
        found = walk(KIND, settings(KIND, server.url, AUTH, page_size=3))
    assert found.column("sim_id") == [iccid(0), iccid(1)] * 2  # stored once: the warehouse knows a SIM by its id
    assert len(server.received) == 2


def test_a_token_is_sent_only_where_there_is_one() -> None:
    with serving(by_after(1)) as server:
        walk(KIND, settings(KIND, server.url, {}))
    assert "authorization" not in server.received[0].headers


def test_what_a_resource_tells_stands_in_its_columns() -> None:
    sim = RECORDS.read(resource(7))
    assert (sim.sim_id, sim.iccid, sim.imsi, sim.msisdn) == (iccid(7), iccid(7), "310410000000007", "+13109970007")
    assert (sim.label, sim.status, sim.carrier_status) == ("meter 7", "active", "U")
    assert "href" not in sim.attributes


def test_an_iccid_may_stand_in_a_characteristic() -> None:
    characteristics = [{"name": "iccid", "value": iccid(9)}]
    sim = RECORDS.read(resource(7, id="res-7", resourceCharacteristic=characteristics))
    assert (sim.sim_id, sim.iccid) == ("res-7", iccid(9))


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("A", "inventory"),
        ("R", "inventory"),
        ("L", "inventory"),
        ("U", "active"),
        ("G", "deactivated"),
        ("Z", "terminated"),
    ],
)
def test_att_words_have_their_place_in_the_lifecycle(word: str, status: str) -> None:
    assert RECORDS.read(resource(1, resourceStatus=word)).status == status


def test_the_standards_administrative_state_is_read_where_there_is_no_other_status() -> None:
    sim = RECORDS.read(resource(1, resourceStatus=None, administrativeState="locked"))
    assert (sim.status, sim.carrier_status) == ("suspended", "locked")
