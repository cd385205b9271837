"""How carriers say "slower", "quota gone" and "this is an error", and what each answer then means."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from sim_sync.carriers.dialect import (
    Dialect,
    ErrorInBody,
    Throttling,
    body_says,
    error_for,
    retry_after_for,
    seconds_to_next_month,
    wait_header,
)
from sim_sync.carriers.messages import Response
from sim_sync.core.errors import (
    AuthenticationFailed,
    CarrierUnavailable,
    ParkRequired,
    SimSyncError,
    Throttled,
    TransientError,
    UnexpectedResponse,
)

NOW = datetime(2026, 3, 2, 2, 0, 0, tzinfo=UTC)
PLAIN = Dialect()
HOLOGRAM = Dialect(
    throttling=Throttling(
        told=body_says("success == `false` && contains(error, 'rate limit')"), default_wait_seconds=10
    ),
    error_in_body=ErrorInBody(sign=body_says("success == `false`")),
)
ESEYE = Dialect(
    error_in_body=ErrorInBody(
        sign=body_says("status.status == 'ERR'"),
        denied=body_says("status.errorCode == 'E0001'"),
        permanent=body_says("status.errorCode == 'E0002'"),
    )
)
EMNIFY = Dialect(throttling=Throttling(quota_gone=body_says("contains(message, 'monthly')")))


def response(status: int = 200, body: Any = None, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status=status, headers=headers or {}, body=body)


def failure(given: Response, dialect: Dialect = PLAIN) -> SimSyncError | None:
    return error_for(given, dialect, NOW, lambda: f"carrier acme: GET /sims: HTTP {given.status}")


# Where the wait stands


@pytest.mark.parametrize(
    ("name", "headers", "seconds"),
    [
        ("X-Soracom-Wait", {"x-soracom-wait": "42"}, 42),
        ("X-Reset", {"x-reset": str(int(NOW.timestamp()) + 25)}, 25),
        ("X-Reset", {"x-reset": str(int(NOW.timestamp()) - 25)}, 0),
        (
            "X-Reset",
            {
                "x-reset": str(int(NOW.timestamp()) + 3625),
                "date": format_datetime(NOW + timedelta(hours=1), usegmt=True),
            },
            25,
        ),
        ("X-Reset", {"x-reset": "never"}, None),
        ("X-Reset", {}, None),
    ],
)
def test_a_header_of_the_vendors_own_is_seconds_left_or_a_time(
    name: str, headers: dict[str, str], seconds: float | None
) -> None:
    assert wait_header(name)(response(429, headers=headers), NOW) == seconds


@pytest.mark.parametrize(
    ("now", "seconds"),
    [
        (datetime(2026, 2, 28, 23, 59, 0, tzinfo=UTC), 60),
        (datetime(2026, 12, 31, 23, 0, 0, tzinfo=UTC), 3600),
        (datetime(2026, 3, 1, 0, 0, 0, tzinfo=UTC), 31 * 86_400),
    ],
)
def test_a_monthly_quota_is_there_again_on_the_first(now: datetime, seconds: float) -> None:
    assert seconds_to_next_month(response(429), now) == seconds


# What an answer means


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206])
def test_any_success_is_a_page(status: int) -> None:
    assert failure(response(status, {"sims": []})) is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, Throttled),
        (500, CarrierUnavailable),
        (502, CarrierUnavailable),
        (503, CarrierUnavailable),
        (504, CarrierUnavailable),
        (599, CarrierUnavailable),
        (408, CarrierUnavailable),
        (425, CarrierUnavailable),
        (401, AuthenticationFailed),
        (403, AuthenticationFailed),
        (400, UnexpectedResponse),
        (404, UnexpectedResponse),
        (410, UnexpectedResponse),
        (422, UnexpectedResponse),
    ],
)
def test_a_status_means_wait_or_stop(status: int, kind: type[SimSyncError]) -> None:
    found = failure(response(status))
    assert type(found) is kind
    assert f"carrier acme: GET /sims: HTTP {status}" in str(found)


@pytest.mark.parametrize("status", [429, 503])
def test_what_a_carrier_asks_for_is_in_the_error(status: int) -> None:
    found = failure(response(status, headers={"retry-after": "77"}))
    assert isinstance(found, TransientError)
    assert found.retry_after_seconds == 77


@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_without_reason_is_bounded_and_the_error_says_so(status: int) -> None:
    bounded = Dialect(longest_wait_seconds=86_400)
    given = response(status, headers={"retry-after": "1798761600000"})
    found = failure(given, bounded)
    assert isinstance(found, TransientError)
    assert found.retry_after_seconds == retry_after_for(given, bounded, NOW) == 86_400
    assert "it asks for a wait of 7,318 hours; it is tried again after 24 hours (retry.max_wait_seconds)" in str(found)


def test_a_quota_is_waited_for_as_its_documentation_says_whatever_wait_is_asked_for() -> None:
    bounded = replace(EMNIFY, longest_wait_seconds=3600)
    gone = response(429, {"message": "monthly quota exceeded"}, {"retry-after": "1798761600000"})
    found = failure(gone, bounded)
    assert isinstance(found, ParkRequired)
    assert found.wait_seconds == (datetime(2026, 4, 1, tzinfo=UTC) - NOW).total_seconds()


def test_statuses_of_a_vendor_mean_slower() -> None:
    cisco = Dialect(throttling=Throttling(statuses=frozenset({429, 503, 504})))
    assert type(failure(response(503), cisco)) is Throttled


def test_slower_may_be_told_in_the_body_of_a_success() -> None:
    found = failure(response(200, {"success": False, "error": "API rate limit exceeded"}), HOLOGRAM)
    assert isinstance(found, Throttled)
    assert found.retry_after_seconds == 10


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        (HOLOGRAM, {"success": False, "error": "try again later"}),
        (HOLOGRAM, {"success": False}),
        (ESEYE, {"status": {"status": "ERR", "errorCode": "E0009", "errorMessage": "busy"}}),
    ],
)
def test_an_error_in_the_body_of_a_success_is_no_page_and_passes_by_itself(dialect: Dialect, body: Any) -> None:
    assert type(failure(response(200, body), dialect)) is CarrierUnavailable


@pytest.mark.parametrize(("code", "kind"), [("E0001", AuthenticationFailed), ("E0002", UnexpectedResponse)])
def test_an_error_in_the_body_may_be_permanent(code: str, kind: type[SimSyncError]) -> None:
    assert type(failure(response(200, {"status": {"status": "ERR", "errorCode": code}}), ESEYE)) is kind


def test_refused_credentials_may_be_told_in_the_body_of_another_status() -> None:
    body = {"status": {"status": "ERR", "errorCode": "E0001"}}
    assert type(failure(response(400, body), ESEYE)) is AuthenticationFailed


@pytest.mark.parametrize("body", [None, [], [{"success": False}], "text", {}, {"success": True}, {"success": None}, 5])
def test_a_body_of_another_shape_tells_no_error(body: Any) -> None:
    assert failure(response(200, body), HOLOGRAM) is None
    assert failure(response(200, body), ESEYE) is None


def test_credentials_that_ran_out_in_a_vendors_own_way_are_refused_credentials() -> None:
    dialect = Dialect(credentials_expired=body_says("errorCode == 'SessionToken.Expired'"))
    assert type(failure(response(400, {"errorCode": "SessionToken.Expired"}), dialect)) is AuthenticationFailed
    assert type(failure(response(401), dialect)) is AuthenticationFailed


def test_a_quota_that_is_gone_parks_until_it_is_there_again() -> None:
    gone = response(429, {"message": "monthly quota exceeded"}, {"retry-after": "60"})
    found = failure(gone, EMNIFY)
    assert isinstance(found, ParkRequired)
    assert found.wait_seconds == (datetime(2026, 4, 1, tzinfo=UTC) - NOW).total_seconds()
    assert retry_after_for(gone, EMNIFY, NOW) == found.wait_seconds
    assert type(failure(response(429, {"message": "too fast"}), EMNIFY)) is Throttled


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (response(429, headers={"retry-after": "30"}), 30),
        (response(429), None),
        (response(503, headers={"retry-after": "30"}), 30),
        (response(500), None),
        (response(200, headers={"retry-after": "30"}), None),
        (response(404, headers={"retry-after": "30"}), None),
    ],
)
def test_everybody_is_held_where_a_carrier_names_a_wait(given: Response, seconds: float | None) -> None:
    assert retry_after_for(given, PLAIN, NOW) == seconds
