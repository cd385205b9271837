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
    seconds_to_next_month,
    wait_header,
)
from sim_sync.carriers.messages import Answer
from sim_sync.carriers.verdict import hold_seconds_of, trouble_of
from sim_sync.core.errors import (
    AuthenticationFailed,
    CarrierUnavailable,
    ParkRequired,
    SimSyncError,
    Throttled,
    TransientError,
    UnexpectedAnswer,
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


def answer(status: int = 200, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status=status, headers=headers or {}, body=body)


def trouble(given: Answer, dialect: Dialect = PLAIN) -> SimSyncError | None:
    return trouble_of(given, dialect, NOW, lambda: f"carrier acme: GET /sims: HTTP {given.status}")


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
    assert wait_header(name)(answer(429, headers=headers), NOW) == seconds


@pytest.mark.parametrize(
    ("now", "seconds"),
    [
        (datetime(2026, 2, 28, 23, 59, 0, tzinfo=UTC), 60),
        (datetime(2026, 12, 31, 23, 0, 0, tzinfo=UTC), 3600),
        (datetime(2026, 3, 1, 0, 0, 0, tzinfo=UTC), 31 * 86_400),
    ],
)
def test_a_monthly_quota_is_there_again_on_the_first(now: datetime, seconds: float) -> None:
    assert seconds_to_next_month(answer(429), now) == seconds


# What an answer means


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206])
def test_any_success_is_a_page(status: int) -> None:
    assert trouble(answer(status, {"sims": []})) is None


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
        (400, UnexpectedAnswer),
        (404, UnexpectedAnswer),
        (410, UnexpectedAnswer),
        (422, UnexpectedAnswer),
    ],
)
def test_a_status_means_wait_or_stop(status: int, kind: type[SimSyncError]) -> None:
    found = trouble(answer(status))
    assert type(found) is kind
    assert f"carrier acme: GET /sims: HTTP {status}" in str(found)


@pytest.mark.parametrize("status", [429, 503])
def test_what_a_carrier_asks_for_is_in_the_error(status: int) -> None:
    found = trouble(answer(status, headers={"retry-after": "77"}))
    assert isinstance(found, TransientError)
    assert found.retry_after_seconds == 77


@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_without_reason_is_bounded_and_the_error_says_so(status: int) -> None:
    bounded = Dialect(longest_wait_seconds=86_400)
    given = answer(status, headers={"retry-after": "1798761600000"})
    found = trouble(given, bounded)
    assert isinstance(found, TransientError)
    assert found.retry_after_seconds == hold_seconds_of(given, bounded, NOW) == 86_400
    assert "it asks for a wait of 7,318 hours; it is tried again after 24 hours (retry.max_wait_seconds)" in str(found)


def test_a_quota_is_waited_for_as_its_documentation_says_whatever_wait_is_asked_for() -> None:
    bounded = replace(EMNIFY, longest_wait_seconds=3600)
    gone = answer(429, {"message": "monthly quota exceeded"}, {"retry-after": "1798761600000"})
    found = trouble(gone, bounded)
    assert isinstance(found, ParkRequired)
    assert found.wait_seconds == (datetime(2026, 4, 1, tzinfo=UTC) - NOW).total_seconds()


def test_statuses_of_a_vendor_mean_slower() -> None:
    cisco = Dialect(throttling=Throttling(statuses=frozenset({429, 503, 504})))
    assert type(trouble(answer(503), cisco)) is Throttled


def test_slower_may_be_told_in_the_body_of_a_success() -> None:
    found = trouble(answer(200, {"success": False, "error": "API rate limit exceeded"}), HOLOGRAM)
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
    assert type(trouble(answer(200, body), dialect)) is CarrierUnavailable


@pytest.mark.parametrize(("code", "kind"), [("E0001", AuthenticationFailed), ("E0002", UnexpectedAnswer)])
def test_an_error_in_the_body_may_be_permanent(code: str, kind: type[SimSyncError]) -> None:
    assert type(trouble(answer(200, {"status": {"status": "ERR", "errorCode": code}}), ESEYE)) is kind


def test_refused_credentials_may_be_told_in_the_body_of_another_status() -> None:
    body = {"status": {"status": "ERR", "errorCode": "E0001"}}
    assert type(trouble(answer(400, body), ESEYE)) is AuthenticationFailed


@pytest.mark.parametrize("body", [None, [], [{"success": False}], "text", {}, {"success": True}, {"success": None}, 5])
def test_a_body_of_another_shape_tells_no_error(body: Any) -> None:
    assert trouble(answer(200, body), HOLOGRAM) is None
    assert trouble(answer(200, body), ESEYE) is None


def test_credentials_that_ran_out_in_a_vendors_own_way_are_refused_credentials() -> None:
    dialect = Dialect(credentials_expired=body_says("errorCode == 'SessionToken.Expired'"))
    assert type(trouble(answer(400, {"errorCode": "SessionToken.Expired"}), dialect)) is AuthenticationFailed
    assert type(trouble(answer(401), dialect)) is AuthenticationFailed


def test_a_quota_that_is_gone_parks_until_it_is_there_again() -> None:
    gone = answer(429, {"message": "monthly quota exceeded"}, {"retry-after": "60"})
    found = trouble(gone, EMNIFY)
    assert isinstance(found, ParkRequired)
    assert found.wait_seconds == (datetime(2026, 4, 1, tzinfo=UTC) - NOW).total_seconds()
    assert hold_seconds_of(gone, EMNIFY, NOW) == found.wait_seconds
    assert type(trouble(answer(429, {"message": "too fast"}), EMNIFY)) is Throttled


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (answer(429, headers={"retry-after": "30"}), 30),
        (answer(429), None),
        (answer(503, headers={"retry-after": "30"}), 30),
        (answer(500), None),
        (answer(200, headers={"retry-after": "30"}), None),
        (answer(404, headers={"retry-after": "30"}), None),
    ],
)
def test_everybody_is_held_where_a_carrier_names_a_wait(given: Answer, seconds: float | None) -> None:
    assert hold_seconds_of(given, PLAIN, NOW) == seconds
