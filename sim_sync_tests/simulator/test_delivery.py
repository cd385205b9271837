"""Each fault as a raw client on the wire sees it."""

import http.client
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

import pytest

from sim_sync.simulator.control import SimulatorControl
from sim_sync.simulator.faults import (
    ConnectionReset,
    EarlyEnd,
    ErrorStatus,
    Fault,
    MalformedJson,
    MalformedRecord,
    Redirect,
    SlowDrip,
    SlowStart,
    Stall,
    Trigger,
    TruncatedBody,
)
from sim_sync.simulator.messages import MountOptions
from sim_sync.simulator.server import SimulatorServer
from sim_sync_tests.simulator.raw_http import client, eventually, read_to_end, sent_request, walk


def head_and_body(response: bytes) -> tuple[bytes, bytes]:
    head, _, body = response.partition(b"\r\n\r\n")
    return head, body


def promised_length(head: bytes) -> int:
    lines = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    return int(lines[b"Content-Length"])


def answer_to(server: SimulatorServer, target: str = "/v1/Sims") -> tuple[bytes, bytes]:
    with sent_request(server.url, target) as raw:
        return head_and_body(read_to_end(raw))


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_an_error_status_comes_without_retry_after_and_the_connection_stays(
    server: SimulatorServer, control: SimulatorControl, status: int
) -> None:
    control.arm(ErrorStatus(status=status))
    with client(server.url) as carrier:
        seen = carrier.get("/v1/Sims")
        assert (seen.status, "Retry-After" in seen.headers) == (status, False)
        assert carrier.get("/v1/Sims").status == 200
    assert len({entry.client for entry in control.fetch_requests()}) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_comes_in_seconds(server: SimulatorServer, control: SimulatorControl, status: int) -> None:
    control.arm(ErrorStatus(status=status, retry_after_seconds=7))
    with client(server.url) as carrier:
        assert carrier.get("/v1/Sims").headers["Retry-After"] == "7"


def test_retry_after_comes_as_a_date_that_is_never_too_early(
    server: SimulatorServer, control: SimulatorControl
) -> None:
    control.arm(ErrorStatus(status=429, retry_after_seconds=3600, retry_after_form="date"))
    asked = datetime.now(UTC)
    with client(server.url) as carrier:
        headers = carrier.get("/v1/Sims").headers
    assert headers["Retry-After"].endswith(" GMT")
    assert (parsedate_to_datetime(headers["Retry-After"]) - asked).total_seconds() >= 3600


def test_a_reset_is_a_reset_and_no_polite_close(server: SimulatorServer, control: SimulatorControl) -> None:
    control.arm(ConnectionReset())
    with sent_request(server.url, "/v1/Sims") as raw, pytest.raises(ConnectionResetError):
        read_to_end(raw)


def test_a_truncated_body_ends_before_the_promised_length(server: SimulatorServer, control: SimulatorControl) -> None:
    control.arm(TruncatedBody())
    head, body = answer_to(server)
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert len(body) == promised_length(head) // 2
    control.arm(TruncatedBody())
    with client(server.url) as carrier, pytest.raises(http.client.IncompleteRead):
        carrier.get("/v1/Sims")


def test_malformed_json_is_a_whole_answer(server: SimulatorServer, control: SimulatorControl) -> None:
    control.arm(MalformedJson())
    with client(server.url) as carrier:
        seen = carrier.get("/v1/Sims")
        assert (seen.status, seen.headers["Content-Type"]) == (200, "application/json")
        with pytest.raises(json.JSONDecodeError):
            seen.json()
        assert len(carrier.get("/v1/Sims").json()["sims"]) == 50


def test_a_malformed_record_is_in_its_place(server: SimulatorServer, control: SimulatorControl) -> None:
    control.arm(MalformedRecord(position=3, form="not_an_object"))
    with client(server.url) as carrier:
        kinds = [type(record) for record in carrier.get("/v1/Sims?PageSize=5").json()["sims"]]
    assert kinds == [dict, dict, dict, int, dict]


def test_a_stall_at_the_start_sends_nothing_and_then_closes(server: SimulatorServer, control: SimulatorControl) -> None:
    control.arm(Stall(seconds=0.05))
    assert answer_to(server) == (b"", b"")
    assert control.fetch_requests()[0].status == 0


def test_a_stall_in_the_body_sends_half_of_it_and_then_closes(
    server: SimulatorServer, control: SimulatorControl
) -> None:
    control.arm(Stall(seconds=0.05, where="body"))
    head, body = answer_to(server)
    assert len(body) == promised_length(head) // 2


@pytest.mark.parametrize("where", ["start", "body"])
def test_a_stall_ends_when_the_client_goes_away(server: SimulatorServer, control: SimulatorControl, where: str) -> None:
    control.arm(Stall(where="start" if where == "start" else "body"))
    with sent_request(server.url, "/v1/Sims"):
        eventually(lambda: len(control.fetch_requests()) == 1)
        assert control.fetch_mount_state().in_flight == 1
    eventually(lambda: control.fetch_mount_state().in_flight == 0)


@pytest.mark.parametrize("fault", [Stall(), SlowStart(seconds=600)], ids=lambda fault: fault.kind)
def test_what_is_held_is_released_when_the_server_stops(fault: Fault) -> None:
    server = SimulatorServer([MountOptions()])
    server.start()
    SimulatorControl(server.url).arm(fault)
    with sent_request(server.url, "/v1/Sims") as raw:
        eventually(lambda: len(server.log.entries()) == 1)
        server.stop()
        assert read_to_end(raw) == b""


def test_a_slow_start_is_late_and_right(server: SimulatorServer, control: SimulatorControl) -> None:
    control.arm(SlowStart(seconds=0.1))
    with sent_request(server.url, "/v1/Sims") as raw:
        assert raw.recv(15) == b"HTTP/1.1 200 OK"
        received_ns = time.monotonic_ns()
    assert received_ns - control.fetch_requests()[0].answered_ns >= 100e6


def test_a_slow_drip_comes_in_pieces_and_is_right(server: SimulatorServer, control: SimulatorControl) -> None:
    control.arm(SlowDrip(seconds=0.2, pieces=4))
    with client(server.url) as carrier:
        slow, quick = (carrier.get("/v1/Sims?PageSize=20") for _ in range(2))
    assert slow.json() == quick.json()
    arrivals = [entry.arrived_ns for entry in control.fetch_requests()]
    assert arrivals[1] - arrivals[0] >= 200e6


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_leads_to_the_same_path_of_another_origin(
    start: Callable[..., SimulatorServer], status: Literal[301, 302, 307, 308]
) -> None:
    server = start(MountOptions(name="eu"), MountOptions(name="us"))
    SimulatorControl(server.url).carrier("eu").arm(Redirect(origin="http://evil.example", status=status))
    with client(server.url) as carrier:
        seen = carrier.get("/eu/v1/Sims?PageSize=5")
    assert (seen.status, seen.body) == (status, b"")
    assert seen.headers["Location"] == "http://evil.example/eu/v1/Sims?PageSize=5"


def test_latency_is_the_least_time_of_every_request(server: SimulatorServer, control: SimulatorControl) -> None:
    control.set_latency(30)
    with client(server.url) as carrier:
        carrier.get("/v1/Sims")
        carrier.get("/v1/Sims/HS1")
    assert all(entry.answered_ns - entry.arrived_ns >= 30e6 for entry in control.fetch_requests())
    assert control.fetch_mount_state().latency_ms == 30


def test_a_lying_carrier_ends_the_walk_in_the_middle(server: SimulatorServer, control: SimulatorControl) -> None:
    control.arm(EarlyEnd(records_kept="half"), Trigger(page_number=2))
    assert len(walk(server.url, page_size=20)) == 50
    assert len(walk(server.url, page_size=20)) == 120
