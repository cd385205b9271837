"""Telnyx, after developers.telnyx.com: page numbers in brackets, totals in `meta`."""

from typing import Any

import pytest

from sim_sync.carriers.registry import connectors
from sim_sync.core.errors import AuthenticationFailed
from sim_sync_tests.carriers.walking import iccid, settings, told, walk
from sim_sync_tests.fakes.moving_time import MovingTime
from sim_sync_tests.fakes.raw_server import Received, Script, in_turn, reply, serving

AUTH = {"api_key": "KEY0123-telnyx"}


def card(number: int) -> dict[str, Any]:
    return {
        "record_type": "sim_card",
        "id": f"6a09cdc3-8948-47f0-aa62-{number:012d}",
        "iccid": iccid(number),
        "imsi": f"310410{number:09d}",
        "msisdn": f"+1310997{number:04d}",
        "eid": None,
        "status": {"value": "enabled", "reason": "Enabled by the customer."},
        "type": "physical",
        "tags": ["fleet"],
        "authorized_imeis": ["106516771852751"],
        "pin_puk_codes": {"pin": "1111", "puk": "22222222"},
        "current_billing_period_consumed_data": {"amount": "2049.0", "unit": "MB"},
        "actions_in_progress": number == 3,
        "created_at": "2018-02-02T22:25:27.521Z",
        "updated_at": "2018-02-02T22:25:27.521Z",
    }


def telnyx(count: int) -> Script:
    def script(received: Received) -> bytes:
        if received.headers.get("authorization") != "Bearer KEY0123-telnyx":
            return reply(401, {"errors": [{"code": "10009", "title": "Authentication failed"}]})
        asked = told(received)
        assert set(asked) == {"page[number]", "page[size]"}
        page, size = int(asked["page[number]"]), int(asked["page[size]"])
        rows = [card(number) for number in range(count)][(page - 1) * size : page * size]
        meta = {"page_number": page, "page_size": size, "total_pages": -(-count // size), "total_results": count}
        return reply(200, {"data": rows, "meta": meta})

    return script


def test_the_first_request_is_as_documented() -> None:
    with serving(telnyx(3)) as server:
        found = walk("telnyx", settings("telnyx", server.url, AUTH))
    assert [received.target for received in server.received] == ["/v2/sim_cards?page%5Bnumber%5D=1&page%5Bsize%5D=250"]
    assert server.received[0].method == "GET"
    assert (found.pages[0].records_total, found.pages[0].pages_total) == (3, 1)


def test_a_list_takes_one_request_a_page() -> None:
    with serving(telnyx(11)) as server:
        found = walk("telnyx", settings("telnyx", server.url, AUTH, page_size=3))
    assert found.column("iccid") == [iccid(number) for number in range(11)]
    assert [told(received)["page[number]"] for received in server.received] == ["1", "2", "3", "4"]


def test_what_the_list_tells_stands_in_its_columns() -> None:
    sim = connectors()["telnyx"].record_map.read(card(3))
    assert (sim.imsi, sim.msisdn, sim.status, sim.carrier_status) == (
        "310410000000003",
        "+13109970003",
        "active",
        "enabled",
    )
    assert sim.pending
    assert (sim.imei, sim.ip_address) == (None, None)
    assert "2049.0" in sim.attributes
    assert "22222222" not in sim.attributes


@pytest.mark.parametrize(
    ("word", "status", "pending"),
    [
        ("registering", "inventory", True),
        ("enabling", "active", True),
        ("enabled", "active", False),
        ("disabling", "suspended", True),
        ("disabled", "suspended", False),
        ("data_limit_exceeded", "suspended", False),
        ("setting_standby", "suspended", True),
        ("standby", "suspended", False),
        ("unauthorized_imei", "suspended", False),
    ],
)
def test_the_vendors_words_have_their_place_in_the_lifecycle(word: str, status: str, pending: bool) -> None:
    sim = connectors()["telnyx"].record_map.read({**card(1), "status": {"value": word, "reason": None}})
    assert (sim.status, sim.pending, sim.quality_flags) == (status, pending, "[]")


def test_its_header_tells_the_seconds_that_are_left() -> None:
    time = MovingTime()
    throttled = reply(
        429,
        {"errors": [{"code": "10011", "title": "Too many requests"}]},
        {"x-ratelimit-reset": "7", "x-ratelimit-limit": "1"},
    )
    with serving(
        in_turn(throttled, reply(200, {"data": [], "meta": {"total_pages": 0, "total_results": 0}}))
    ) as server:
        walk("telnyx", settings("telnyx", server.url, AUTH), time=time)
    assert time.monotonic() - 1000 >= 7


def test_a_wrong_key_stops_the_carrier() -> None:
    with serving(telnyx(3)) as server, pytest.raises(AuthenticationFailed):
        walk("telnyx", settings("telnyx", server.url, {"api_key": "KEY-of-somebody-else"}))
    assert len(server.received) == 1
