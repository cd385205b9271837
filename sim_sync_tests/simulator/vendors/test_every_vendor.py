"""What every simulated vendor has to show, over real HTTP, to a client that does what the vendor's documents say."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any, Literal

import pytest

from sim_sync.core.errors import InputError
from sim_sync.simulator.control import SimulatorControl
from sim_sync.simulator.faults import (
    VENDOR_FAULTS,
    CursorExpiry,
    EarlyEnd,
    ErrorInSuccess,
    ErrorStatus,
    FleetChange,
    ForeignLink,
    MalformedRecord,
    RepeatedLink,
    Throttled,
    TokenExpiry,
    Trigger,
    WrongTotal,
)
from sim_sync.simulator.fleet import FleetEdit, SimChange
from sim_sync.simulator.messages import MountOptions
from sim_sync.simulator.server import SimulatorServer
from sim_sync.simulator.simulated_carrier import vendor_spec
from sim_sync.simulator.vendors import VENDORS
from sim_sync_tests.simulator.raw_http import Client, Seen, client
from sim_sync_tests.simulator.vendors.dialects import DIALECTS
from sim_sync_tests.simulator.vendors.rest_dialects import REST_DIALECTS
from sim_sync_tests.simulator.vendors.walking import Call, Dialect, Headers, ask, pages, read_walk, with_query

Start = Callable[..., SimulatorServer]
EVERY = [*DIALECTS, *REST_DIALECTS]
every_vendor = pytest.mark.parametrize("dialect", EVERY, ids=str)


@contextmanager
def carrier_of(
    start: Start, dialect: Dialect, sims: int = 103, **options: Any
) -> Iterator[tuple[Client, SimulatorControl]]:
    mount = MountOptions(vendor=dialect.vendor, sims=sims, seed=7, options={**dialect.options, **options})
    server = start(mount)
    with client(server.url) as carrier:
        yield carrier, SimulatorControl(server.url)


def having(kind: str) -> pytest.MarkDecorator:
    found = [dialect for dialect in EVERY if kind in VENDORS[dialect.vendor].faults and tells(dialect, kind)]
    return pytest.mark.parametrize("dialect", found, ids=str)


def tells(dialect: Dialect, kind: str) -> bool:
    """Return whether the chosen shape of the API has what a fault spoils."""
    if dialect.vendor == "tmf639":
        return {"wrong_total": "offset", "early_end": "offset"}.get(kind, "cursor") in str(dialect)
    if dialect.vendor != "rest":
        return kind != "wrong_total" or dialect.vendor != "cisco_control_center"
    style = dialect.options["pagination"]
    told: Mapping[str, bool] = {
        "wrong_total": style in ("page_number", "offset") and dialect.options.get("total", "total") == "total",
        "early_end": dialect.options.get("total", "total") not in ("none", "header") and style != "keyset",
        "repeated_link": style in ("next_link", "cursor"),
        "foreign_link": style == "next_link",
        "cursor_expiry": style in ("next_link", "cursor"),
        "token_expiry": dialect.options.get("authentication") == "oauth2_client_credentials",
        "error_in_success": True,
    }
    return told[kind]


def walked(carrier: Client, dialect: Dialect, headers: Headers) -> Iterator[tuple[int, Seen]]:
    """Yield the pages of a walk with their numbers, from 1."""
    return enumerate(pages(carrier, dialect, page_size=50, headers=headers), 1)


def told_total(seen: Seen) -> int:
    found = re.search(
        r"(?:x-total-count|total_results|totalCount|total)\W+(\d+)", f"{seen.headers}{seen.body.decode()}", re.I
    )
    assert found is not None
    return int(found[1])


def test_every_vendor_is_walked() -> None:
    assert {dialect.vendor for dialect in EVERY} == set(VENDORS)


class TestWalks:
    @every_vendor
    def test_a_walk_lists_each_sim_once_as_the_truth_tells_it(self, start: Start, dialect: Dialect) -> None:
        with carrier_of(start, dialect) as (carrier, control):
            control.edit(FleetEdit(add=5, remove=[0, 17, 50, 51]))
            walked = read_walk(carrier, dialect)
            truth = [(sim.sim_id, sim.carrier_status, sim.listed) for sim in control.fetch_sims()]
        assert len(walked) == 104
        assert sorted(walked, key=lambda sim: sim[0]) == sorted(truth, key=lambda sim: sim[0])

    @every_vendor
    def test_the_end_comes_whatever_the_page_size(self, start: Start, dialect: Dialect) -> None:
        with carrier_of(start, dialect, sims=24) as (carrier, _):
            walks = [read_walk(carrier, dialect, page_size=size) for size in (1, 8, 12, 23, 24, 25)]
        assert [len(walk) for walk in walks] == [24] * 6
        assert all(walk == walks[0] for walk in walks)

    @every_vendor
    def test_an_account_without_sims_lists_none(self, start: Start, dialect: Dialect) -> None:
        with carrier_of(start, dialect, sims=0) as (carrier, _):
            assert read_walk(carrier, dialect) == []

    @every_vendor
    def test_edits_arrive_and_a_changed_sim_is_written_like_an_unchanged_one(
        self, start: Start, dialect: Dialect
    ) -> None:
        with carrier_of(start, dialect) as (carrier, control):
            before = {sim[0]: sim for sim in read_walk(carrier, dialect)}
            truth = list(control.fetch_sims())
            control.edit(FleetEdit(change=[SimChange([n], {"rate_plan": truth[n].sim.rate_plan}) for n in range(40)]))
            control.change_sims([60], vendor_status="Ünheard-of", label='A "new" name')
            after = {sim[0]: sim for sim in read_walk(carrier, dialect)}
            changed = next(sim for sim in control.fetch_sims() if sim.sim.index == 60)
        assert after[changed.sim_id] == (changed.sim_id, "Ünheard-of", changed.listed)
        for sim_id in after.keys() - {changed.sim_id}:
            told, earlier = dict(after[sim_id][2]), dict(before[sim_id][2])
            assert told | {"carrier_updated_at": ""} == earlier | {"carrier_updated_at": ""}

    @every_vendor
    def test_a_million_sims_are_there_at_once(self, start: Start, dialect: Dialect) -> None:
        with carrier_of(start, dialect, sims=1_000_000) as (carrier, control):
            listed = [dialect.records(seen) for seen in islice(pages(carrier, dialect, page_size=50), 3)]
            assert control.fetch_mount_state().live == 1_000_000
        assert any(listed)


class TestRefusals:
    @every_vendor
    def test_wrong_and_missing_credentials_are_refused(self, start: Start, dialect: Dialect) -> None:
        if dialect.options.get("authentication") == "none":
            pytest.skip("this API is open")
        with carrier_of(start, dialect) as (carrier, control):
            good = dialect.login(carrier)
            control.clear_requests()
            wrong = {name: f"{value}x" for name, value in good.items()}
            answers = [ask(carrier, dialect.first(10), headers) for headers in ({}, wrong)]
            seen = [entry.authentication for entry in control.fetch_requests()]
        assert [response.status for response in answers] == [401, 401]
        assert seen == ["missing", "wrong"]
        assert not any(value.split()[-1].encode() in response.body for value in good.values() for response in answers)

    @every_vendor
    def test_an_unknown_path_or_method_is_refused(self, start: Start, dialect: Dialect) -> None:
        with carrier_of(start, dialect) as (carrier, _):
            headers = dialect.login(carrier)
            call = dialect.first(10)
            assert ask(carrier, Call("/v1/nothing"), headers).status == 404
            assert ask(carrier, Call(call.target, "PUT", call.body), headers).status == 405

    @every_vendor
    def test_a_page_larger_than_the_vendors_cap_is_refused(self, start: Start, dialect: Dialect) -> None:
        with carrier_of(start, dialect) as (carrier, _):
            headers = dialect.login(carrier)
            assert ask(carrier, dialect.first(dialect.largest_page), headers).status in (200, 202)
            for size in (dialect.largest_page + 1, 0):
                assert ask(carrier, dialect.first(size), headers).status == 400

    @every_vendor
    def test_an_unknown_parameter_is_refused(self, start: Start, dialect: Dialect) -> None:
        with carrier_of(start, dialect) as (carrier, _):
            headers, call = dialect.login(carrier), dialect.first(10)
            if call.body is None:
                odd = with_query(call, colour="red")
            else:
                odd = Call(call.target, call.method, json.dumps({**json.loads(call.body), "colour": "red"}).encode())
            response = ask(carrier, odd, headers)
        assert response.status == 400
        assert b"colour" in response.body

    def test_an_option_that_a_vendor_does_not_have_is_refused(self) -> None:
        with pytest.raises(InputError, match="options of telnyx: paging: Unexpected keyword argument"):
            SimulatorServer([MountOptions(vendor="telnyx", options={"paging": "cursor"})])


class TestFaults:
    @every_vendor
    def test_a_fault_that_makes_no_sense_for_a_vendor_is_refused(self, start: Start, dialect: Dialect) -> None:
        absent = VENDOR_FAULTS - vendor_spec(dialect.vendor).faults
        with carrier_of(start, dialect) as (_, control):
            if "token_expiry" in absent:
                with pytest.raises(InputError, match=f"{dialect.vendor} cannot have the fault token_expiry"):
                    control.arm(TokenExpiry())
            if "wrong_total" in absent:
                with pytest.raises(InputError, match="cannot have the fault wrong_total"):
                    control.arm(WrongTotal())

    @every_vendor
    def test_every_error_status_has_a_body(self, start: Start, dialect: Dialect) -> None:
        with carrier_of(start, dialect) as (carrier, control):
            headers = dialect.login(carrier)
            for status in (400, 403, 429, 500, 503, 599):
                control.arm(ErrorStatus(status=status))
                response = ask(carrier, dialect.first(10), headers)
                assert response.status == status
                assert response.json()

    @every_vendor
    def test_a_throttle_is_a_429_and_the_list_continues_after_it(self, start: Start, dialect: Dialect) -> None:
        with carrier_of(start, dialect) as (carrier, control):
            headers = dialect.login(carrier)
            control.arm(Throttled(wait_seconds=7, quota_gone=True))
            assert ask(carrier, dialect.first(10), headers).status == 429
            assert ask(carrier, dialect.first(10), headers).status in (200, 202)

    @every_vendor
    def test_a_malformed_record_stands_among_good_ones(self, start: Start, dialect: Dialect) -> None:
        forms: tuple[Literal["no_id", "not_an_object", "null_iccid"], ...] = ("no_id", "not_an_object", "null_iccid")
        with carrier_of(start, dialect) as (carrier, control):
            headers = dialect.login(carrier)
            # The first page that lists anything: a window or a page may be empty.
            honest, nth = next((seen, n) for n, seen in walked(carrier, dialect, headers) if dialect.records(seen))
            for form in forms:
                control.arm(MalformedRecord(position=1, form=form), Trigger(nth=nth))
                spoiled = next(seen for n, seen in walked(carrier, dialect, headers) if n == nth)
                pairs = zip(dialect.records(honest), dialect.records(spoiled), strict=True)
                differing = [(place, pair[1]) for place, pair in enumerate(pairs) if pair[0] != pair[1]]
                assert [place for place, _ in differing] == [1]
                assert isinstance(differing[0][1], int) == (form == "not_an_object")

    @having("early_end")
    def test_an_early_end_ends_the_walk_of_a_client_that_believes_it(self, start: Start, dialect: Dialect) -> None:
        with carrier_of(start, dialect) as (carrier, control):
            control.arm(EarlyEnd(records_kept="all"), Trigger(nth=3))
            assert len(read_walk(carrier, dialect, page_size=3)) < 103
            assert len(read_walk(carrier, dialect, page_size=3)) == 103

    @having("token_expiry")
    def test_expired_tokens_are_refused_until_the_client_logs_in_again(self, start: Start, dialect: Dialect) -> None:
        with carrier_of(start, dialect) as (carrier, control):
            old = dialect.login(carrier)
            control.arm(TokenExpiry(), Trigger(nth=2))
            statuses = [ask(carrier, dialect.first(10), old).status for _ in range(3)]
            assert statuses[0] in (200, 202)
            assert statuses[1:] == [401, 401]
            assert [entry.authentication for entry in control.fetch_requests()][-2:] == ["wrong", "wrong"]
            assert ask(carrier, dialect.first(10), dialect.login(carrier)).status in (200, 202)
            assert ask(carrier, dialect.first(10), old).status == 401

    @having("token_expiry")
    def test_a_token_is_good_for_as_many_requests_as_the_mount_says(self, start: Start, dialect: Dialect) -> None:
        with carrier_of(start, dialect, token_uses=4) as (carrier, _):
            headers = dialect.login(carrier)
            statuses = [ask(carrier, dialect.first(10), headers).status for _ in range(6)]
            again = ask(carrier, dialect.first(10), dialect.login(carrier)).status
        uses_left = 3 if dialect.vendor == "thingspace" else 4
        assert [status in (200, 202) for status in statuses] == [n < uses_left for n in range(6)]
        assert again in (200, 202)

    @having("cursor_expiry")
    @pytest.mark.parametrize("status", [400, 404, 410])
    def test_expired_cursors_are_refused_and_new_ones_are_good(
        self, start: Start, dialect: Dialect, status: Literal[400, 404, 410]
    ) -> None:
        with carrier_of(start, dialect) as (carrier, control):
            headers = dialect.login(carrier)
            walk = pages(carrier, dialect, headers=headers)
            for _ in range(3):
                next(walk)
            control.arm(CursorExpiry(status=status))
            with pytest.raises(AssertionError, match="expired"):
                next(walk)
            assert control.fetch_requests()[-1].status == status
            assert len(read_walk(carrier, dialect)) == 103

    @having("repeated_link")
    def test_a_repeated_link_or_cursor_lists_a_page_again(self, start: Start, dialect: Dialect) -> None:
        with carrier_of(start, dialect) as (carrier, control):
            honest = [dialect.records(seen) for seen in pages(carrier, dialect)]
            control.arm(RepeatedLink(), Trigger(nth=4))
            looped = [dialect.records(seen) for seen in pages(carrier, dialect)]
        # Where the client makes the cursor from the page, the carrier can only repeat the page before.
        repeated = 2 if dialect.vendor == "thingspace" else 3
        assert looped == [*honest[: repeated + 1], *honest[repeated:]]

    @having("foreign_link")
    def test_a_foreign_link_names_another_origin_and_the_same_page(self, start: Start, dialect: Dialect) -> None:
        with carrier_of(start, dialect) as (carrier, control):
            control.arm(ForeignLink(origin="http://evil.example"), Trigger(nth=2))
            _, seen, *_ = pages(carrier, dialect)
            assert "evil.example" in seen.body.decode() + seen.headers.get("Link", "")
            assert len(read_walk(carrier, dialect)) == 103

    @having("wrong_total")
    def test_a_wrong_total_changes_what_is_told_and_not_what_is_listed(self, start: Start, dialect: Dialect) -> None:
        with carrier_of(start, dialect) as (carrier, control):
            honest = next(pages(carrier, dialect))
            control.arm(WrongTotal(records=5))
            seen = next(pages(carrier, dialect))
        assert dialect.records(seen) == dialect.records(honest)
        assert (told_total(honest), told_total(seen)) == (103, 108)

    @having("error_in_success")
    @pytest.mark.parametrize("reason", ["failure", "rate_limit"])
    def test_an_error_in_a_200_lists_nothing(
        self, start: Start, dialect: Dialect, reason: Literal["failure", "rate_limit"]
    ) -> None:
        with carrier_of(start, dialect) as (carrier, control):
            control.arm(ErrorInSuccess(reason=reason))
            response = ask(carrier, dialect.first(10), dialect.login(carrier))
        assert response.status == 200
        assert "error" in response.json()
        assert "data" not in response.json()

    @every_vendor
    def test_the_fleet_changes_between_two_pages(self, start: Start, dialect: Dialect) -> None:
        with carrier_of(start, dialect) as (carrier, control):
            control.arm(FleetChange(edit=FleetEdit(add=3, remove=[2, 3])), Trigger(nth=2))
            control.arm(FleetChange(edit=FleetEdit(restore=[2]), when="after"), Trigger(nth=3))
            walked = {sim[0] for sim in read_walk(carrier, dialect)}
            truth = {sim.sim_id for sim in control.fetch_sims()}
            assert [fault.applied for fault in control.fetch_faults()] == [1, 1]
            assert len(truth) == 105
        assert len(walked & truth) > 90

    @every_vendor
    def test_a_fleet_change_that_has_become_impossible_is_told(self, start: Start, dialect: Dialect) -> None:
        with carrier_of(start, dialect) as (carrier, control):
            control.arm(FleetChange(edit=FleetEdit(remove=[102])))
            control.remove_sims([102])
            response = ask(carrier, dialect.first(10), dialect.login(carrier))
        assert response.status == 500
        assert "found 102" in response.json()["error"]


class TestRateLimits:
    @every_vendor
    def test_list_requests_beyond_the_limit_are_throttled_and_counted(self, start: Start, dialect: Dialect) -> None:
        options = MountOptions(
            vendor=dialect.vendor, sims=20, options=dialect.options, requests_per_second=0.001, burst=2
        )
        server = start(options)
        with client(server.url) as carrier:
            headers = dialect.login(carrier)
            statuses = [ask(carrier, dialect.first(10), headers).status for _ in range(4)]
        state = SimulatorControl(server.url).fetch_mount_state()
        assert [status == 429 for status in statuses] == [False, False, True, True]
        assert (state.list_requests, state.rate_limited, state.peak_in_flight) == (4, 2, 1)
        assert 1 <= state.peak_list_requests_per_second <= 4
