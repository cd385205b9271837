"""emnify, after cdn.emnify.net/api/doc: a short-lived token, an array as the body, totals in headers."""

from typing import Any

import pytest

from sim_sync.carriers.registry import connectors
from sim_sync.core.errors import ParkRequired
from sim_sync_tests.carriers.walking import carrier, iccid, settings, told, walk
from sim_sync_tests.fakes.moving_time import MovingTime
from sim_sync_tests.fakes.raw_server import Received, Script, reply, serving

AUTH = {"application_token": "application.token.of.emnify"}


def sim(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": 600000 + number,
        "iccid": iccid(number, digits=19),
        "iccid_with_luhn": iccid(number),
        "eid": None,
        "imsi": f"90143{number:010d}",
        "msisdn": f"88239{number:010d}",
        "status": {"id": 1, "description": "Activated"},
        "production_date": "2016-02-05T11:57:48.000+0000",
        "activation_date": "2016-02-05T11:57:48.000+0000",
        "customer_org": {"id": 2, "name": "Demo Org."},
        "endpoint": {"id": 166, "name": "Monitoring Device", "imei": "106516771852751", "ip_address": "10.199.6.39"},
        **more,
    }


class Emnify:
    """The API. `expired` is after how many pages the token that it gave runs out."""

    def __init__(self, count: int, *, expired: int | None = None) -> None:
        self.count = count
        self.logins = 0
        self._left = expired

    def script(self, received: Received) -> bytes:
        if received.path == "/api/v1/authenticate":
            return self._authenticate(received)
        if received.headers.get("authorization") != f"Bearer auth-token-{self.logins}" or self._left == 0:
            self._left = None
            return reply(401, {"error_code": 1004, "error_token": "TokenExpired", "message": "Token expired"})
        self._left = None if self._left is None else self._left - 1
        asked = told(received)
        assert received.path == "/api/v1/sim"
        assert set(asked) == {"page", "per_page"}
        page, size = int(asked["page"]), int(asked["per_page"])
        rows = [sim(number) for number in range(self.count)][(page - 1) * size : page * size]
        pages = -(-self.count // size)
        totals = {"X-Total-Count": str(self.count), "X-Total-Pages": str(pages), "X-Current-Page": str(page)}
        return reply(200, rows, {**totals, "X-Count-Per-Page": str(size)})

    def _authenticate(self, received: Received) -> bytes:
        assert received.method == "POST"
        assert received.json() == {"application_token": "application.token.of.emnify"}
        self.logins += 1
        return reply(200, {"auth_token": f"auth-token-{self.logins}"})


def test_the_requests_are_as_documented() -> None:
    with serving(Emnify(3).script) as server:
        walk("emnify", settings("emnify", server.url, AUTH))
    assert [(received.method, received.target) for received in server.received] == [
        ("POST", "/api/v1/authenticate"),
        ("GET", "/api/v1/sim?page=1&per_page=2000"),
    ]


def test_a_list_takes_one_request_a_page_and_one_login_a_process() -> None:
    api = Emnify(10)
    with serving(api.script) as server:
        found = walk("emnify", settings("emnify", server.url, AUTH, page_size=3))
        assert [told(received)["page"] for received in server.asked("/api/v1/sim")] == ["1", "2", "3", "4"]
    assert found.column("iccid") == [iccid(number) for number in range(10)]
    assert found.column("iccid_raw") == [iccid(number, digits=19) for number in range(10)]
    assert api.logins == 2
    assert found.pages[0].records_total == 10


def test_a_token_that_runs_out_during_the_walk_costs_one_login() -> None:
    api = Emnify(10, expired=2)
    with serving(api.script) as server:
        found = walk("emnify", settings("emnify", server.url, AUTH, page_size=3), killed_after=99)
    assert len(found.sims) == 10
    assert api.logins == 2


def test_what_the_list_tells_stands_in_its_columns() -> None:
    read = connectors()["emnify"].record_map.read(sim(7))
    assert (read.sim_id, read.imsi, read.msisdn) == ("600007", "901430000000007", "+882390000000007")
    assert (read.imei, read.ip_address, read.label, read.account) == (
        "106516771852751",
        "10.199.6.39",
        "Monitoring Device",
        "2",
    )
    assert read.activated_at is not None
    assert read.activated_at.isoformat() == "2016-02-05T11:57:48+00:00"


@pytest.mark.parametrize(
    ("number", "word", "status"),
    [
        (0, "Issued", "inventory"),
        (1, "Activated", "active"),
        (2, "Suspended", "suspended"),
        (3, "Deleted", "terminated"),
        (4, "Factory Test", "test_ready"),
    ],
)
def test_the_vendors_words_have_their_place_in_the_lifecycle(number: int, word: str, status: str) -> None:
    read = connectors()["emnify"].record_map.read(sim(1, status={"id": number, "description": word}))
    assert (read.carrier_status, read.status, read.quality_flags) == (word, status, "[]")
    by_number = connectors()["emnify"].record_map.read(sim(1, status={"id": number}))
    assert (by_number.carrier_status, by_number.status) == (str(number), status)


def answering(body: Any) -> Script:
    def script(received: Received) -> bytes:
        return reply(200, {"auth_token": "auth-token-1"}) if received.method == "POST" else reply(429, body)

    return script


def test_a_months_quota_that_is_gone_gives_the_worker_back_until_the_first() -> None:
    with serving(answering({"message": "Monthly API quota exceeded"})) as server:
        here = carrier("emnify", settings("emnify", server.url, AUTH), MovingTime())
        with pytest.raises(ParkRequired) as parked:
            here.fetch_page({})
    # From the 2nd of March, two o'clock, to the 1st of April: 30 days but two hours.
    assert parked.value.wait_seconds >= 30 * 86_400 - 2 * 3600
