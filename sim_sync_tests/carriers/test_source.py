"""A configured account, asked for a page: the building blocks together, over real sockets."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from sim_sync.carriers.dialect import Dialect, ErrorInBody, Throttling, body_says, wait_header
from sim_sync.carriers.messages import Response
from sim_sync.carriers.settings import CarrierSettings, Options, RateLimit, Retry, Timeouts
from sim_sync.carriers.source import RestCarrier
from sim_sync.core.errors import (
    AuthenticationFailed,
    CursorRejected,
    ForeignOrigin,
    ParkRequired,
    StopRequested,
    UnexpectedResponse,
)
from sim_sync.core.sims import Lifecycle, StatusMeaning
from sim_sync_tests.carriers import plain
from sim_sync_tests.fakes.moving_time import MovingTime
from sim_sync_tests.fakes.raw_server import Received, in_turn, reply, serving


def test_a_page_is_asked_for_with_the_page_size_and_leads_to_the_next() -> None:
    with serving(in_turn(plain.page("1", "2", next_url="/v1/sims?after=2"), plain.page("3"))) as server:
        source = plain.carrier(server.url, MovingTime())
        first = source.fetch_page(source.first_cursor())
        assert first.next_cursor is not None
        second = source.fetch_page(first.next_cursor)
    assert [received.target for received in server.received] == ["/v1/sims?limit=2", "/v1/sims?after=2"]
    assert [sim.sim_id for sim in (*first.sims, *second.sims)] == ["1", "2", "3"]
    assert (first.records, second.records, second.next_cursor) == (2, 1, None)


def test_a_page_may_come_with_any_success() -> None:
    response = plain.page("1").replace(b"HTTP/1.1 200", b"HTTP/1.1 202")
    with serving(in_turn(response)) as server:
        assert plain.carrier(server.url, MovingTime()).fetch_page({}).records == 1


def test_what_passes_by_itself_is_ridden_out_and_its_cost_told() -> None:
    time = MovingTime()
    script = in_turn(reply(500), lambda _connection: False, reply(429, headers={"Retry-After": "20"}), plain.page("1"))
    with serving(script) as server:
        page = plain.carrier(server.url, time).fetch_page({})
    assert time.waits == [1.5, 2.5, 20.5]
    assert (page.effort.retries, page.effort.throttled_seconds) == (3, 20.5)
    assert "HTTP 429" in (page.effort.last_error or "")


def test_a_long_wait_gives_the_worker_back_and_a_later_request_is_held_as_long() -> None:
    time = MovingTime()
    with serving(in_turn(reply(503, headers={"Retry-After": "7200"}), plain.page("1"))) as server:
        source = plain.carrier(server.url, time)
        with pytest.raises(ParkRequired) as caught:
            source.fetch_page({})
        assert caught.value.wait_seconds == 7200.5
        time.advance(200)
        with pytest.raises(ParkRequired) as caught:
            source.fetch_page({})
        assert caught.value.wait_seconds == 7000
        time.advance(7000)
        assert source.fetch_page({}).records == 1
    assert len(server.received) == 2
    assert time.waits == []


def test_a_retry_after_that_is_a_point_in_time_is_waited_for() -> None:
    time = MovingTime()
    due = str(int(time.now().timestamp()) + 20)
    with serving(in_turn(reply(429, headers={"Retry-After": due}), plain.page("1"))) as server:
        plain.carrier(server.url, time).fetch_page({})
    assert time.waits == [20.5]


def test_a_wait_of_years_is_tried_again_after_the_longest_that_is_allowed() -> None:
    time = MovingTime()
    with serving(in_turn(reply(429, headers={"Retry-After": "1e8"}), plain.page("1"))) as server:
        given = plain.settings(server.url, retry=Retry(max_wait_seconds=7200))
        source = plain.carrier(server.url, time, given=given)
        with pytest.raises(ParkRequired, match=r"asks for a wait of 27,778 hours.* 2 hours \(retry.max_wait") as caught:
            source.fetch_page({})
        assert caught.value.wait_seconds == 7200.5
        time.advance(7200.5)
        assert source.fetch_page({}).records == 1


def test_a_retry_after_that_one_request_got_holds_those_of_every_thread() -> None:
    time = MovingTime()
    came: list[float] = []
    lock = threading.Lock()

    def script(_request: Received) -> bytes:
        with lock:
            came.append(time.monotonic())
            return plain.page("1") if len(came) > 1 else reply(429, headers={"Retry-After": "60"})

    with serving(script) as server:
        limit, one_attempt = RateLimit(max_in_flight=4), Retry(max_attempts=1)
        source = plain.carrier(server.url, time, given=plain.settings(server.url, rate_limit=limit, retry=one_attempt))
        with pytest.raises(ParkRequired):  # whoever got it has not waited itself
            source.fetch_page({})
        assert time.waits == []
        with ThreadPoolExecutor(4) as threads:
            pages = list(threads.map(lambda _: source.fetch_page({}), range(4)))
    assert came[0] == 1000.0
    assert min(came[1:]) >= 1060.0
    assert max(page.effort.throttled_seconds for page in pages) == 60.0


def test_a_slowed_carrier_is_asked_half_as_often_until_its_answers_are_good_again() -> None:
    time = MovingTime()
    came: list[float] = []

    def script(_request: Received) -> bytes:
        came.append(time.monotonic())
        return reply(429) if len(came) == 11 else plain.page("1")

    with serving(script) as server:
        given = plain.settings(server.url, rate_limit=RateLimit(requests_per_second=10))
        source = plain.carrier(server.url, time, given=given)
        for _ in range(60):
            source.fetch_page({})
    assert 0.095 < _gap(came[:11]) < 0.105
    assert 0.18 < _gap(came[12:16]) < 0.21
    assert _gap(came[12:16]) > _gap(came[20:24]) > _gap(came[30:34])
    assert 0.095 < _gap(came[-10:]) < 0.105


def _gap(times: list[float]) -> float:
    return (times[-1] - times[0]) / (len(times) - 1)


def test_a_stop_is_heard_while_a_carrier_is_waited_for() -> None:
    time = MovingTime(stop_at_wait=1)
    with serving(in_turn(reply(503))) as server, pytest.raises(StopRequested):
        plain.carrier(server.url, time).fetch_page({})
    assert len(server.received) == 2


# Dialects


def test_a_vendors_own_reset_header_is_obeyed() -> None:
    time = MovingTime()
    dialect = Dialect(throttling=Throttling(waits=(wait_header("X-Acme-Reset"),)))
    with serving(in_turn(reply(429, headers={"X-Acme-Reset": "17"}), plain.page("1"))) as server:
        plain.carrier(server.url, time, of=plain.connector(dialect=dialect)).fetch_page({})
    assert time.waits == [17.5]


def test_a_success_that_reports_an_error_is_no_empty_page() -> None:
    time = MovingTime()
    dialect = Dialect(error_in_body=ErrorInBody(sign=body_says("success == `false`")))
    body = {"success": False, "error": "backend away", "sims": [], "next": None}
    with serving(in_turn(reply(200, body), plain.page("1"))) as server:
        page = plain.carrier(server.url, time, of=plain.connector(dialect=dialect)).fetch_page({})
    assert page.records == 1
    assert time.waits == [1.5]
    assert "backend away" in (page.effort.last_error or "")


@pytest.mark.parametrize(
    "given", [reply(403, {"error": "slow down"}, {"Retry-After": "20"}), reply(403, raw=b"Over QPS")]
)
def test_a_403_that_means_slower_is_ridden_out(given: bytes) -> None:
    time = MovingTime()
    with serving(in_turn(given, plain.page("1"))) as server:
        page = plain.carrier(server.url, time).fetch_page({})
    assert (page.records, page.effort.retries) == (1, 1)
    assert time.waits == [20.5 if b"Retry-After" in given else 1.5]


@pytest.mark.parametrize("body", [{"error": "backend away", "sims": []}, {"success": False, "sims": [], "next": None}])
def test_an_error_document_is_no_empty_page_even_where_no_dialect_says_so(body: Any) -> None:
    time = MovingTime()
    with serving(in_turn(reply(200, body), plain.page("1"))) as server:
        assert plain.carrier(server.url, time).fetch_page({}).records == 1
    assert time.waits == [1.5]


def test_an_error_document_that_refuses_the_credentials_is_final() -> None:
    with serving(in_turn(reply(200, {"error": "Invalid API key"}))) as server, pytest.raises(AuthenticationFailed):
        plain.carrier(server.url, MovingTime()).fetch_page({})
    assert len(server.received) == 1


def test_a_quota_that_is_gone_parks_instead_of_trying_again() -> None:
    time = MovingTime()
    dialect = Dialect(throttling=Throttling(quota_gone=body_says("contains(message, 'quota')")))
    with serving(in_turn(reply(429, {"message": "monthly quota used up"}, {"Retry-After": "1"}))) as server:
        source = plain.carrier(server.url, time, of=plain.connector(dialect=dialect))
        for _ in range(3):
            with pytest.raises(ParkRequired) as caught:
                source.fetch_page({})
        assert len(server.received) == 1
    assert caught.value.wait_seconds > 29 * 86_400
    assert time.waits == []


def test_a_vendors_error_body_stands_in_the_message() -> None:
    body = {"errorMessage": "Invalid pageSize", "errorCode": "10000023"}  # Cisco's shape
    with serving(in_turn(reply(400, body))) as server, pytest.raises(UnexpectedResponse) as caught:
        plain.carrier(server.url, MovingTime()).fetch_page({})
    for part in ("carrier acme: GET http://127.0.0.1", "/v1/sims: HTTP 400", "Invalid pageSize", "10000023"):
        assert part in str(caught.value)


# Cursors and links


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_cursor_that_is_no_longer_taken_is_told_apart_from_a_wrong_request(status: int) -> None:
    with serving(in_turn(reply(status, {"message": "bad PageToken"}))) as server:
        source = plain.carrier(server.url, MovingTime())
        with pytest.raises(CursorRejected, match="no longer takes its own cursor: carrier acme"):
            source.fetch_page({"next": "/v1/sims?after=2"})
        with pytest.raises(UnexpectedResponse):
            source.fetch_page({})


def test_a_foreign_next_link_gets_no_request() -> None:
    with serving(in_turn(plain.page("9"))) as elsewhere:
        page = plain.page("1", next_url=f"{elsewhere.url}/v1/sims?after=1")
        with serving(in_turn(page)) as server, pytest.raises(ForeignOrigin, match="no request and no credentials"):
            plain.carrier(server.url, MovingTime()).fetch_page({})
        assert elsewhere.received == []


def test_a_foreign_redirect_gets_no_request_and_is_not_tried_again() -> None:
    with serving(in_turn(plain.page("9"))) as elsewhere:
        with serving(in_turn(reply(302, headers={"Location": elsewhere.url}))) as server, pytest.raises(ForeignOrigin):
            plain.carrier(server.url, MovingTime()).fetch_page({})
        assert (len(server.received), elsewhere.received) == (1, [])


# A connector's own code


@pytest.mark.parametrize("error", [KeyError("s3cret"), TypeError("s3cret"), ZeroDivisionError("s3cret")])
def test_an_error_in_a_connectors_code_is_told_without_its_text(error: Exception) -> None:
    def records(_response: Response) -> list[Any]:
        raise error

    with serving(in_turn(plain.page("1"))) as server, pytest.raises(UnexpectedResponse) as caught:
        plain.carrier(server.url, MovingTime(), of=plain.connector(records=records)).fetch_page({})
    assert "the connector 'plain' did not expect this" in str(caught.value)
    assert f"({type(error).__name__} in records, line" in str(caught.value)
    assert "test_source.py)" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_an_answer_that_is_no_page_names_carrier_and_request() -> None:
    with serving(in_turn(reply(200, {"devices": []}))) as server, pytest.raises(UnexpectedResponse) as caught:
        plain.carrier(server.url, MovingTime()).fetch_page({})
    assert str(caught.value) == f"carrier acme: GET {server.url}/v1/sims: expected a list under 'sims', found none"


def test_an_empty_answer_is_not_an_empty_list() -> None:
    given = {"retry": Retry(max_attempts=2)}
    with serving(in_turn(reply(raw=b""))) as server, pytest.raises(ParkRequired, match="the answer is empty"):
        plain.carrier(server.url, MovingTime(), given=plain.settings(server.url, **given)).fetch_page({})  # type: ignore[arg-type]
    with serving(in_turn(b"HTTP/1.1 204 No Content\r\n\r\n")) as server, pytest.raises(UnexpectedResponse):
        plain.carrier(server.url, MovingTime()).fetch_page({})


# What gives a cursor its meaning


class RegionOptions(Options):
    """An option that filters the list."""

    region: str = "eu"


def hash_of(given: CarrierSettings, *, version: int = 1) -> str:
    return RestCarrier(plain.connector(version=version), given, MovingTime()).config_hash


BASE = plain.settings("https://api.acme.example")


@pytest.mark.parametrize(
    "other",
    [
        replace(BASE, auth=plain.AccountAuth(password=SecretStr("rotated"))),
        replace(BASE, rate_limit=RateLimit(requests_per_second=1, shared_key="k")),
        replace(BASE, retry=Retry(max_attempts=3)),
        replace(BASE, timeouts=Timeouts(read_seconds=1)),
        replace(BASE, statuses={"active": StatusMeaning(Lifecycle.SUSPENDED)}),
        replace(BASE, name="another-name"),
    ],
)
def test_a_rotated_password_or_other_limits_leave_the_cursor_its_meaning(other: CarrierSettings) -> None:
    assert hash_of(other) == hash_of(BASE)


@pytest.mark.parametrize(
    "other",
    [
        replace(BASE, auth=plain.AccountAuth(username="another-account")),
        replace(BASE, base_url="https://api.other.example"),
        replace(BASE, page_size=3),
        replace(BASE, options=RegionOptions()),
        replace(BASE, options=RegionOptions(region="us")),
    ],
)
def test_another_account_place_page_size_or_filter_changes_it(other: CarrierSettings) -> None:
    assert hash_of(other) != hash_of(BASE)


def test_a_new_version_of_a_connector_changes_it() -> None:
    assert hash_of(BASE, version=2) != hash_of(BASE)


def test_an_error_that_stays_gives_up_after_all_attempts() -> None:
    time = MovingTime()
    with serving(in_turn(reply(502, raw=b"<html>Bad gateway</html>"))) as server:
        given = plain.settings(server.url, retry=Retry(max_attempts=3))
        with pytest.raises(ParkRequired, match=r"Bad gateway.*; no better after 3 attempts"):
            plain.carrier(server.url, time, given=given).fetch_page({})
        assert len(server.received) == 3
