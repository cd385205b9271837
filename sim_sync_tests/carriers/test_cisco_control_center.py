"""Cisco IoT Control Center, after its developer pages: windows of modification times, pages of 50."""

from datetime import UTC, datetime, timedelta

import pytest

from sim_sync.carriers.registry import connectors
from sim_sync_tests.carriers.walking import iccid, settings, told, walk
from sim_sync_tests.fakes.clock import START
from sim_sync_tests.fakes.moving_time import MovingTime
from sim_sync_tests.fakes.raw_server import Received, in_turn, reply, serving

AUTH = {"username": "jasper-user", "api_key": "jasper-api-key"}
BASIC = "Basic amFzcGVyLXVzZXI6amFzcGVyLWFwaS1rZXk="
KIND = "cisco_control_center"


class ControlCenter:
    """The devices of an account by when they were modified; `at_request` may modify some before an answer."""

    def __init__(self, modified: dict[str, datetime], *, totals: bool, time: MovingTime | None = None) -> None:
        self.modified = modified
        self.at_request: dict[int, list[str]] = {}
        self.time = time or MovingTime()
        self._totals = totals
        self._requests = 0

    def script(self, received: Received) -> bytes:
        if received.headers.get("authorization") != BASIC:
            return reply(401, {"errorMessage": "Invalid credentials", "errorCode": "10000001"})
        for name in self.at_request.get(self._requests, []):
            self.time.advance(30)
            self.modified[name] = self.time.now()
        self._requests += 1
        asked = told(received)
        assert (received.method, received.path) == ("GET", "/rws/api/v1/devices")
        assert set(asked) == {"modifiedSince", "modifiedTill", "pageSize", "pageNumber"}
        since, until = datetime.fromisoformat(asked["modifiedSince"]), datetime.fromisoformat(asked["modifiedTill"])
        assert until <= since.replace(year=since.year + 1)
        found = sorted((at, name) for name, at in self.modified.items() if since <= at <= until)
        page, size = int(asked["pageNumber"]), int(asked["pageSize"])
        assert size <= 50
        rows = [
            {"iccid": name, "status": "ACTIVATED", "ratePlan": "plan-1", "communicationPlan": "comm-1"}
            for _, name in found[(page - 1) * size : page * size]
        ]
        total = {"totalCount": len(found)} if self._totals else {}
        return reply(200, {"pageNumber": page, "devices": rows, "lastPage": page * size >= len(found), **total})


def spread(count: int, *, since: datetime) -> dict[str, datetime]:
    return {iccid(number): since + (START - since) * number / max(count, 1) for number in range(count)}


def test_every_operator_has_its_own_host() -> None:
    assert connectors()[KIND].base_url is None


def test_the_first_request_is_as_documented() -> None:
    api = ControlCenter({}, totals=False)
    with serving(api.script) as server:
        walk(KIND, settings(KIND, server.url, AUTH))
    assert told(server.received[0]) == {
        "modifiedSince": "2000-01-01T00:00:00+00:00",
        "modifiedTill": "2000-12-31T00:00:00+00:00",
        "pageSize": "50",
        "pageNumber": "1",
    }
    assert "modifiedSince=2000-01-01T00%3A00%3A00%2B00%3A00" in server.received[0].target
    # 26 years and two months, in windows of 365 days.
    assert len(server.received) == 27


@pytest.mark.parametrize("totals", [True, False])
def test_every_window_is_walked_up_to_its_last_page(totals: bool) -> None:
    since = datetime(2024, 2, 28, tzinfo=UTC)
    api = ControlCenter(spread(23, since=since), totals=totals)
    with serving(api.script) as server:
        found = walk(KIND, settings(KIND, server.url, AUTH, options={"since": "2024-02-28"}, page_size=5))
    assert found.column("iccid") == list(spread(23, since=since))
    pages = [int(told(received)["pageNumber"]) for received in server.received]
    assert pages == [1, 2, 3, 1, 2, 3, 1]
    # The limit of five requests a second lets a second pass.
    assert told(server.received[-1])["modifiedTill"] == "2026-03-02T02:00:01+00:00"


@pytest.mark.parametrize("places", [slice(0, 3), slice(20, 22), slice(27, 30)])
def test_sims_that_are_modified_during_the_walk_are_met_and_hide_no_other(places: slice) -> None:
    since = START - timedelta(days=300)
    fleet = spread(30, since=since)
    time = MovingTime()
    api = ControlCenter(dict(fleet), totals=True, time=time)
    # They leave for the end of time, and all behind them move up by as many places.
    api.at_request = {1: list(fleet)[places], 3: list(fleet)[10:11]}
    with serving(api.script) as server:
        given = settings(KIND, server.url, AUTH, options={"since": since.isoformat()}, page_size=5)
        found = walk(KIND, given, time=time)
    assert set(found.column("iccid")) == set(fleet)


def test_at_most_five_requests_a_second_are_sent_one_at_a_time() -> None:
    limit = connectors()[KIND].rate_limit
    assert (limit.requests_per_second, limit.max_in_flight) == (5, 1)
    time = MovingTime()
    with serving(ControlCenter({}, totals=False).script) as server:
        walk(KIND, settings(KIND, server.url, AUTH), time=time, killed_after=99)
    assert time.monotonic() - 1000 >= (len(server.received) - 1) / 5 - 0.01


def test_what_the_list_tells_stands_in_its_columns() -> None:
    record = {"iccid": iccid(7), "status": "ACTIVATED", "ratePlan": "plan-1", "communicationPlan": "comm-1"}
    sim = connectors()[KIND].record_map.read(record)
    assert (sim.sim_id, sim.iccid, sim.rate_plan, sim.status) == (iccid(7), iccid(7), "plan-1", "active")
    assert sim.attributes == '{"communicationPlan":"comm-1"}'
    assert (sim.imsi, sim.msisdn, sim.imei) == (None, None, None)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("ACTIVATED", "active"),
        ("ACTIVATION_READY", "activation_ready"),
        ("DEACTIVATED", "deactivated"),
        ("INVENTORY", "inventory"),
        ("PURGED", "terminated"),
        ("REPLACED", "replaced"),
        ("RETIRED", "terminated"),
        ("TEST_READY", "test_ready"),
        ("OPERATORS_OWN_WORD", "unknown"),
    ],
)
def test_the_vendors_words_have_their_place_in_the_lifecycle(word: str, status: str) -> None:
    sim = connectors()[KIND].record_map.read({"iccid": iccid(7), "status": word})
    assert sim.status == status


def test_a_licence_that_is_asked_too_fast_is_a_throttle_whatever_the_status() -> None:
    throttled = reply(400, {"errorMessage": "License has exceeded the rate limit for API calls", "errorCode": "400101"})
    end = reply(200, {"devices": [], "lastPage": True})
    with serving(in_turn(throttled, end)) as server:
        found = walk(KIND, settings(KIND, server.url, AUTH, options={"since": START - timedelta(days=1)}))
    assert found.pages[0].effort.retries == 1
