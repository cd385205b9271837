"""The server: connections, mounts, the request log and the control API over real HTTP."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise

import pytest

from sim_sync.core.errors import InputError
from sim_sync.simulator.control import SimulatorControl
from sim_sync.simulator.delivery import LogEntry, RequestLog
from sim_sync.simulator.faults import ErrorStatus, MalformedRecord, Stall, Trigger, TruncatedBody
from sim_sync.simulator.fleet import FleetEdit, SimChange
from sim_sync.simulator.messages import MountOptions
from sim_sync.simulator.server import SimulatorServer
from sim_sync_tests.simulator.raw_http import USERNAME, basic, client, eventually, sent_request, target_of, walk
from sim_sync_tests.simulator.vendor_schema import assert_valid

OPENAPI = "twilio/sim_list.openapi.json"
Start = Callable[..., SimulatorServer]


class TestServing:
    def test_a_page_over_http_is_what_the_vendors_schema_says(self, server: SimulatorServer) -> None:
        with client(server.url) as carrier:
            seen = carrier.get("/v1/Sims?PageSize=100")
        assert len(assert_valid(OPENAPI, "/v1/Sims", seen.body)["sims"]) == 100
        assert seen.headers["Content-Type"] == "application/json"
        assert seen.headers["Twilio-Concurrent-Requests"] == "1"

    def test_a_walk_shares_one_connection(self, server: SimulatorServer, control: SimulatorControl) -> None:
        assert len(walk(server.url, page_size=10)) == 120
        assert len({entry.client for entry in control.fetch_requests()}) == 1

    def test_links_lead_to_where_the_client_reached_the_carrier(self, server: SimulatorServer) -> None:
        port = server.server_address[1]
        with client(server.url) as carrier:
            by_name = carrier.get("/v1/Sims?PageSize=1", basic() | {"Host": f"localhost:{port}"}).json()
            injected = carrier.get("/v1/Sims?PageSize=1", basic() | {"Host": 'x","y":"'}).json()
        assert by_name["meta"]["next_page_url"].startswith(f"http://localhost:{port}/v1/Sims?")
        assert injected["meta"]["next_page_url"].startswith(f"{server.url}/v1/Sims?")

    def test_a_body_without_a_usable_length_is_refused(self, server: SimulatorServer) -> None:
        for headers in ({"Transfer-Encoding": "chunked"}, {"Content-Length": "-1"}, {"Content-Length": str(2**40)}):
            with client(server.url) as carrier:
                assert carrier.send("POST", "/v1/Sims", headers=basic() | headers).status == 411

    def test_requests_at_the_same_time_are_counted_as_in_flight(
        self, server: SimulatorServer, control: SimulatorControl
    ) -> None:
        control.arm(Stall(), Trigger(times=3))
        with ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(sent_request(server.url, "/v1/Sims"))
            eventually(lambda: len(control.fetch_requests()) == 3)
            assert control.fetch_mount_state().in_flight == 3
        assert sorted(entry.in_flight for entry in control.fetch_requests()) == [1, 2, 3]
        eventually(lambda: control.fetch_mount_state().in_flight == 0)

    def test_requests_beyond_those_that_may_be_in_flight_are_throttled(self, start: Start) -> None:
        server = start(MountOptions(max_in_flight=1))
        control = SimulatorControl(server.url)
        control.arm(Stall())
        with sent_request(server.url, "/v1/Sims"):
            eventually(lambda: len(control.fetch_requests()) == 1)
            with client(server.url) as carrier:
                assert carrier.get("/v1/Sims").json()["code"] == 20429
        eventually(lambda: control.fetch_mount_state().in_flight == 0)
        with client(server.url) as carrier:
            assert carrier.get("/v1/Sims").status == 200
        state = control.fetch_mount_state()
        assert (state.peak_in_flight, state.rate_limited) == (2, 1)

    def test_edits_and_walks_at_the_same_time_lose_no_sim_that_stays(
        self, server: SimulatorServer, control: SimulatorControl
    ) -> None:
        """SIMs leave and join before and behind the walk; the others are listed once."""

        def edit(page: int) -> None:
            control.edit(FleetEdit(add=1, remove=[page, 119 - page]))

        records = walk(server.url, page_size=10, between_pages=edit)
        listed = [record["sid"] for record in records]
        stayed = {sim.sim_id for sim in control.fetch_sims() if sim.sim.index < 120}
        assert len(listed) == len(set(listed))
        assert stayed <= set(listed)


class TestMounts:
    def test_several_carriers_live_under_their_names(self, start: Start) -> None:
        server = start(
            MountOptions(name="eu", sims=7, seed=1),
            MountOptions(name="us", sims=5, seed=2, credentials={"password": "x"}),
        )
        assert server.base_urls == {"eu": f"{server.url}/eu", "us": f"{server.url}/us"}
        assert len(walk(server.base_urls["eu"], page_size=2)) == 7
        with client(server.url) as carrier:
            assert carrier.get("/us/v1/Sims").status == 401
            page = carrier.get("/us/v1/Sims?PageSize=2", basic(password="x")).json()
            assert page["meta"]["next_page_url"].startswith(f"{server.url}/us/v1/Sims?")
            assert carrier.get(target_of(page["meta"]["next_page_url"]), basic(password="x")).status == 200
            assert carrier.get("/asia/v1/Sims").json() == {
                "error": f"no carrier has this path; expected one of {server.url}/eu, {server.url}/us"
            }

    def test_each_carrier_has_its_own_faults_edits_latency_and_log(self, start: Start) -> None:
        server = start(MountOptions(name="eu", sims=7), MountOptions(name="us", sims=5))
        eu, us = (SimulatorControl(server.url).carrier(name) for name in ("eu", "us"))
        eu.arm(TruncatedBody())
        us.remove_sims([0])
        us.set_latency(1)
        assert len(walk(server.base_urls["us"], page_size=3)) == 4
        assert ([a.seen for a in eu.fetch_faults()], us.fetch_faults()) == ([0], [])
        assert (eu.fetch_mount_state().live, us.fetch_mount_state().live) == (7, 4)
        assert (eu.fetch_mount_state().latency_ms, us.fetch_mount_state().latency_ms) == (0, 1)
        assert (len(eu.fetch_requests()), len(us.fetch_requests())) == (0, 2)
        assert len(SimulatorControl(server.url).fetch_requests()) == 2

    def test_a_carrier_has_to_be_named_where_there_are_several(self, start: Start) -> None:
        control = SimulatorControl(start(MountOptions(name="eu"), MountOptions(name="us")).url)
        with pytest.raises(InputError, match="mount: expected one of 'eu', 'us', found None"):
            control.fetch_faults()
        with pytest.raises(InputError, match="expected to find one, found 2"):
            control.fetch_mount_state()

    @pytest.mark.parametrize("names", [["", "eu"], ["eu", "eu"], ["_simulator"], ["a/b"], []])
    def test_names_that_cannot_be_told_apart_are_refused(self, names: list[str]) -> None:
        with pytest.raises(InputError):
            SimulatorServer([MountOptions(name=name) for name in names])

    def test_an_unknown_vendor_or_credential_is_refused(self) -> None:
        with pytest.raises(InputError, match=r"expected the vendor twilio_super_sim or .* or rest, found acme"):
            SimulatorServer([MountOptions(vendor="acme")])
        with pytest.raises(InputError, match="expected username, password, found api_key"):
            SimulatorServer([MountOptions(credentials={"api_key": "x"})])


class TestRequestLog:
    def test_the_log_has_each_request_without_its_secrets(
        self, server: SimulatorServer, control: SimulatorControl
    ) -> None:
        control.arm(ErrorStatus(status=503), Trigger(nth=2))
        with client(server.url) as carrier:
            link = target_of(carrier.get("/v1/Sims?PageSize=10").json()["meta"]["next_page_url"])
            carrier.get(link)
            carrier.get("/v1/Sims/HS1", basic(password="hunter2"))
            carrier.send("POST", "/v1/nothing", headers={}, body=b"secret")
        entries = control.fetch_requests()
        first = LogEntry(
            number=1,
            mount="",
            method="GET",
            path="/v1/Sims",
            query="PageSize=10",
            status=200,
            is_list=True,
            page_token=None,
            page_number=0,
            authentication="ok",
            fault=None,
            client=entries[0].client,
            in_flight=1,
            arrived_ns=0,
            answered_ns=0,
        )
        second = replace(first, number=2, query=link.partition("?")[2], status=503, fault="error_status")
        other = replace(first, query="", status=401, is_list=False, page_number=None)
        assert [replace(entry, arrived_ns=0, answered_ns=0) for entry in entries] == [
            first,
            replace(second, page_token=link.rpartition("=")[2], page_number=1),
            replace(other, number=3, path="/v1/Sims/HS1", authentication="wrong"),
            replace(other, number=4, method="POST", path="/v1/nothing", authentication="missing"),
        ]
        assert all(before.answered_ns <= after.arrived_ns for before, after in pairwise(entries))

    def test_a_part_of_the_log_is_read_and_the_log_is_emptied(
        self, server: SimulatorServer, control: SimulatorControl
    ) -> None:
        walk(server.url, page_size=20)
        assert [entry.number for entry in control.fetch_requests(after=2, limit=3)] == [3, 4, 5]
        assert control.clear_requests() == 6
        assert control.fetch_requests() == []
        walk(server.url, page_size=120)
        assert [entry.number for entry in control.fetch_requests()] == [7]

    def test_the_oldest_entries_go_where_the_log_is_full(self) -> None:
        log = RequestLog(capacity=3)
        entry = LogEntry(1, "", "GET", "/", "", 200, False, None, None, "ok", None, "", 1, 0, 0)
        for _ in range(5):
            log.append(replace(entry, number=log.next_number()))
        assert [kept.number for kept in log.entries()] == [3, 4, 5]


class TestControlApi:
    def test_the_state_tells_the_fleet_and_the_counters(
        self, server: SimulatorServer, control: SimulatorControl
    ) -> None:
        control.edit(FleetEdit(add=3, remove=[1]))
        with client(server.url) as carrier:
            carrier.get("/v1/Sims")
            carrier.get("/v1/Sims/HS1")
        state = control.fetch_mount_state()
        assert (state.vendor, state.base_url, state.seed) == ("twilio_super_sim", server.url, 5)
        assert (state.size, state.live, state.end, state.edits) == (120, 122, 123, 1)
        assert (state.requests, state.list_requests) == (2, 1)

    def test_the_truth_agrees_with_what_the_carrier_lists(
        self, server: SimulatorServer, control: SimulatorControl
    ) -> None:
        control.edit(FleetEdit(add=3, remove=[1, 2], change=[SimChange([5], {"vendor_status": "scheduled"})]))
        listed = [(r["sid"], r["iccid"], r["status"], r["unique_name"]) for r in walk(server.url, page_size=7)]
        truth = list(control.fetch_sims(page_size=11))
        assert [(t.sim_id, t.sim.iccid, t.carrier_status, t.sim.label) for t in truth] == listed
        mount = server.mounts[""]
        assert [t.sim for t in truth] == [mount.fleet.sim(i) for i in mount.fleet.live_after(-1, 200)]

    def test_sims_are_added_changed_removed_and_restored(
        self, server: SimulatorServer, control: SimulatorControl
    ) -> None:
        assert control.add_sims(2) == range(120, 122)
        control.change_sims([120], status="deactivated", label="lorry")
        control.remove_sims([0, 1])
        control.restore_sims([1])
        records = walk(server.url, page_size=1000)
        assert len(records) == 121
        assert (records[119]["unique_name"], records[119]["status"]) == ("lorry", "inactive")

    def test_what_the_vendor_has_no_word_for_is_refused(self, control: SimulatorControl) -> None:
        with pytest.raises(
            InputError, match="twilio_super_sim has no word for terminated; it knows inventory, activation"
        ):
            control.change_sims([0], status="terminated")
        assert control.fetch_mount_state().edits == 0

    def test_faults_are_armed_read_and_disarmed(self, control: SimulatorControl) -> None:
        armed = control.arm(MalformedRecord(position=2), Trigger(nth=9))
        assert control.fetch_faults() == [armed]
        assert (control.disarm(armed.id), control.disarm()) == (1, 0)

    @pytest.mark.parametrize(
        ("method", "resource", "body", "message"),
        [
            ("POST", "faults", b"{", "Invalid JSON"),
            ("POST", "faults", b'{"fault": {"kind": "meteor"}}', "meteor"),
            ("POST", "sims", b'{"delete": [1]}', "delete: Unexpected keyword argument"),
            ("POST", "sims", b'{"remove": [120]}', "found 120"),
            ("POST", "latency", b'{"milliseconds": -1}', "greater than or equal to 0"),
            ("GET", "sims?limit=0", None, "limit: expected 1 to 10000, found 0"),
            ("GET", "requests?after=x", None, "after: expected a whole number, found x"),
            ("GET", "faults?mount=eu", None, "found 'eu'"),
        ],
    )
    def test_what_cannot_be_done_is_said(
        self, server: SimulatorServer, method: str, resource: str, body: bytes | None, message: str
    ) -> None:
        with client(server.url) as control:
            seen = control.send(method, f"/_simulator/{resource}", headers={}, body=body)
        assert seen.status == 400
        assert message in seen.json()["error"]

    def test_what_the_control_api_does_not_have_is_said(self, server: SimulatorServer) -> None:
        with client(server.url) as control:
            seen = control.send("PUT", "/_simulator/state", headers={})
        assert seen.status == 404
        assert seen.json()["error"].startswith("expected one of GET state, GET requests, DELETE requests,")

    def test_the_control_api_is_no_business_of_the_carriers(
        self, server: SimulatorServer, control: SimulatorControl
    ) -> None:
        control.arm(TruncatedBody(), Trigger(scope="any"))
        control.set_latency(10)
        assert control.fetch_requests() == []
        assert control.fetch_faults()[0].seen == 0
        assert USERNAME not in repr(control.fetch_state())
