"""A list by time of modification, walked window by window, while its SIMs are modified and time passes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sim_sync.carriers.messages import Request
from sim_sync.carriers.pagination.windows import CAUGHT_UP, OVERLAP, Windows
from sim_sync.carriers.settings import CarrierSettings
from sim_sync.carriers.vendors.cisco_control_center import WalkOptions, list_devices
from sim_sync.core.pages import Cursor, cursor_digest
from sim_sync_tests.carriers.listings import path_of, response, stored
from sim_sync_tests.fakes.clock import START, SettableClock

SINCE = datetime(2024, 1, 1, tzinfo=UTC)
SIZE = 3


class Fleet:
    """Devices by the time of their last modification. `totals` says whether the operator tells `totalCount`."""

    def __init__(self, modified: dict[str, datetime], *, totals: bool = True) -> None:
        self.modified = dict(modified)
        self.asks: list[Request] = []
        self._totals = totals

    def give(self, request: Request) -> dict[str, object]:
        """Return a page of the devices in the window, those modified last at its end."""
        self.asks.append(request)
        since, until = (datetime.fromisoformat(request.params[name]) for name in ("modifiedSince", "modifiedTill"))
        assert until - since <= timedelta(days=365)
        found = sorted((at, name) for name, at in self.modified.items() if since <= at <= until)
        page, size = int(request.params["pageNumber"]), int(request.params["pageSize"])
        shown = found[(page - 1) * size : page * size]
        told = {"totalCount": len(found)} if self._totals else {}
        return {"devices": [{"iccid": name} for _, name in shown], "lastPage": page * size >= len(found), **told}


def rule(clock: SettableClock, since: datetime = SINCE) -> Windows:
    settings = CarrierSettings(
        name="jasper", base_url="https://operator.example", page_size=SIZE, auth=None, options=WalkOptions(since=since)
    )
    return list_devices(settings, clock.now)


def walk(
    fleet: Fleet,
    clock: SettableClock,
    *,
    before: Callable[[int], None] = lambda _request: None,
    since: datetime = SINCE,
    date: str | None = None,
) -> list[str]:
    """Return the devices of every page, walked by a new rule at each step."""
    cursor: Cursor = {}
    used = {cursor_digest(cursor)}
    seen: list[str] = []
    for received in range(300):
        before(received)
        here = rule(clock, since)
        found = response(fleet.give(here.request(cursor)), **({} if date is None else {"date": date}))
        seen += [device["iccid"] for device in found.body["devices"]]
        following = here.next_cursor(cursor, found, path_of)
        if following is None:
            return seen
        assert cursor_digest(following) not in used
        used.add(cursor_digest(following))
        cursor = stored(following)
    pytest.fail("the walk does not end")


def some(count: int, *, days: int = 700) -> dict[str, datetime]:
    """Return devices that were modified from `SINCE` on, spread evenly."""
    return {f"89{number:018}": SINCE + timedelta(days=days) * number / count for number in range(count)}


@pytest.mark.parametrize("days_behind", [0, 1, 3, 300])
def test_a_clock_of_ours_that_is_behind_hides_no_device_from_the_walk(days_behind: int) -> None:
    today = SINCE + timedelta(days=700)
    fleet = Fleet(some(30), totals=False)
    clock = SettableClock(today - timedelta(days=days_behind))
    assert set(walk(fleet, clock, date=format_datetime(today, usegmt=True))) == set(fleet.modified)


def test_a_carriers_clock_that_is_years_ahead_says_nothing() -> None:
    fleet, clock = Fleet(some(30), totals=False), SettableClock(SINCE + timedelta(days=700))
    walk(fleet, clock, date="Fri, 31 Dec 9999 23:59:59 GMT")
    assert len(fleet.asks) < 30


def test_the_first_request_is_as_the_vendor_shows_it() -> None:
    request = rule(SettableClock()).request({})
    assert (request.method, request.path) == ("GET", "/rws/api/v1/devices")
    assert dict(request.params) == {
        "modifiedSince": "2024-01-01T00:00:00+00:00",
        "modifiedTill": "2024-12-31T00:00:00+00:00",
        "pageSize": "3",
        "pageNumber": "1",
    }


def test_windows_of_at_most_a_year_lead_from_since_to_now_without_a_gap() -> None:
    fleet = Fleet({})
    walk(fleet, SettableClock())
    windows = [
        tuple(datetime.fromisoformat(request.params[name]) for name in ("modifiedSince", "modifiedTill"))
        for request in fleet.asks
    ]
    assert windows[0][0] == SINCE
    assert windows[-1][1] == START
    assert all(later[0] == earlier[1] - OVERLAP for earlier, later in pairwise(windows))
    assert len(windows) == 3


@given(count=st.integers(0, 40), totals=st.booleans())
def test_a_fleet_that_stands_still_takes_one_request_a_page_and_window(count: int, totals: bool) -> None:
    devices = some(count)
    fleet = Fleet(devices, totals=totals)
    assert walk(fleet, SettableClock()) == list(devices)
    windows = {request.params["modifiedSince"] for request in fleet.asks}
    in_window = [
        sum(
            datetime.fromisoformat(request.params["modifiedSince"])
            <= at
            <= datetime.fromisoformat(request.params["modifiedTill"])
            for at in devices.values()
        )
        for request in fleet.asks
        if request.params["pageNumber"] == "1"
    ]
    assert len(windows) == len(in_window)
    assert len(fleet.asks) == sum(max(1, -(-count // SIZE)) for count in in_window)


def test_the_second_that_has_begun_belongs_to_the_last_window() -> None:
    clock = SettableClock(START + timedelta(milliseconds=700))
    assert walk(Fleet({"8900": START + timedelta(milliseconds=500)}), clock) == ["8900"]


def test_an_account_without_a_year_of_history_is_one_window_whose_end_stays_where_it_was() -> None:
    clock = SettableClock()
    since = START - timedelta(days=10)
    fleet = Fleet({f"89{number}": since + timedelta(days=1, seconds=number) for number in range(8)})

    def before(_request: int) -> None:
        clock.advance(1)

    walk(fleet, clock, before=before, since=since)
    # The first request of a process begins its walk; what is committed then holds the end of its window.
    assert [request.params["modifiedTill"] for request in fleet.asks] == ["2026-03-02T02:00:01+00:00"] * 3


def test_a_long_walk_ends_with_a_window_for_what_was_modified_during_it() -> None:
    clock = SettableClock()
    devices = some(30)
    fleet = Fleet(devices)

    def before(received: int) -> None:
        clock.advance(600)
        if received == 5:
            fleet.modified["8999"] = clock.now()  # a new SIM

    assert "8999" in walk(fleet, clock, before=before)
    last, before_it = (
        request.params
        for request in reversed([request for request in fleet.asks if request.params["pageNumber"] == "1"][-2:])
    )
    began, ended = (datetime.fromisoformat(before_it[name]) for name in ("modifiedSince", "modifiedTill"))
    assert ended - began < timedelta(days=365)
    assert datetime.fromisoformat(last["modifiedSince"]) == ended - OVERLAP


@given(
    count=st.integers(1, 30),
    changes=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 29)), max_size=12),
    pace_seconds=st.sampled_from([0.2, 5, 45, 600]),
)
@example(count=15, changes=[(6, 14)], pace_seconds=5)
def test_a_walk_sees_every_sim_though_sims_are_modified_during_it(
    count: int, changes: list[tuple[int, int]], pace_seconds: float
) -> None:
    clock = SettableClock()
    devices = some(count, days=790)  # the last of them stand in the window that reaches the present
    fleet = Fleet(devices)
    names = list(devices)

    def before(received: int) -> None:
        clock.advance(pace_seconds)
        for at, which in changes:
            if at == received:
                fleet.modified[names[which % count]] = clock.now()
        clock.advance(1.5)

    seen = walk(fleet, clock, before=before)
    # A SIM that is modified twice may run before the walk to its end, and one that is modified in its last minute may
    # have left the window that reached the present; all others are seen.
    twice = {names[which % count] for _, which in changes if [w % count for _, w in changes].count(which % count) > 1}
    lately = {name for name, at in fleet.modified.items() if at >= clock.now() - CAUGHT_UP - timedelta(seconds=1)}
    assert set(seen) >= set(names) - twice - lately


def test_a_start_in_the_future_is_an_empty_window_and_the_end() -> None:
    fleet = Fleet({})
    assert walk(fleet, SettableClock(), since=START + timedelta(days=1)) == []
    assert len(fleet.asks) == 1
