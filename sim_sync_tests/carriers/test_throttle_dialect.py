"""How carriers say "slower", "quota gone" and "this is an error", and what each answer then means."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.carriers.dialect import (
    Dialect,
    ErrorInBody,
    Throttling,
    WaitRule,
    body_says,
    epoch_seconds,
    seconds_left,
    seconds_to_next_month,
    told_retry_after,
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
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "120"}, 120),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "Mon, 02 Mar 2026 02:01:00 GMT"}, 60),
        ({"retry-after": "Monday, 02-Mar-26 02:01:00 GMT"}, 60),
        ({"retry-after": "Mon Mar  2 02:01:00 2026"}, 60),
        ({"retry-after": "Mon, 02 Mar 2026 01:00:00 GMT"}, 0),
        # The carrier's clock is an hour ahead of ours.
        ({"retry-after": "Mon, 02 Mar 2026 03:01:00 GMT", "date": "Mon, 02 Mar 2026 03:00:00 GMT"}, 60),
        ({"retry-after": "Mon, 02 Mar 2026 02:01:00 GMT", "date": "no date"}, 60),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "1e5"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "Mon, 99 Foo 2026 99:99:99 GMT"}, None),
        ({"retry-after": ""}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_on_the_carriers_clock(headers: dict[str, str], seconds: float | None) -> None:
    assert told_retry_after(answer(429, headers=headers), NOW) == seconds


@given(st.integers(min_value=0, max_value=10**7), st.integers(min_value=-(10**6), max_value=10**6))
def test_a_date_is_as_far_away_as_the_carrier_meant_it_whatever_our_clock_says(ahead: int, skew: int) -> None:
    carriers_now = NOW + timedelta(seconds=skew)
    headers = {
        "date": format_datetime(carriers_now, usegmt=True),
        "retry-after": format_datetime(carriers_now + timedelta(seconds=ahead), usegmt=True),
    }
    assert told_retry_after(answer(429, headers=headers), NOW) == ahead


@pytest.mark.parametrize(
    ("rule", "headers", "seconds"),
    [
        (seconds_left("x-ratelimit-reset"), {"x-ratelimit-reset": "17"}, 17),  # Telnyx
        (
            seconds_left("X-Soracom-Ratelimit-Seconds-Before-Refresh"),
            {"x-soracom-ratelimit-seconds-before-refresh": "42"},
            42,
        ),
        (seconds_left("x-ratelimit-reset"), {"x-ratelimit-reset": "never"}, None),
        (seconds_left("x-ratelimit-reset"), {"x-ratelimit-reset": "nan"}, None),
        (seconds_left("x-ratelimit-reset"), {}, None),
        (epoch_seconds("x-ratelimit-reset"), {"x-ratelimit-reset": str(int(NOW.timestamp()) + 25)}, 25),  # Onomondo
        (epoch_seconds("x-ratelimit-reset"), {"x-ratelimit-reset": str(int(NOW.timestamp()) - 25)}, 0),
        (
            epoch_seconds("x-ratelimit-reset"),
            {
                "x-ratelimit-reset": str(int(NOW.timestamp()) + 3625),
                "date": format_datetime(NOW + timedelta(hours=1), usegmt=True),
            },
            25,
        ),
        (epoch_seconds("x-ratelimit-reset"), {}, None),
    ],
)
def test_a_reset_header_is_seconds_left_or_a_time(
    rule: WaitRule, headers: dict[str, str], seconds: float | None
) -> None:
    assert rule(answer(429, headers=headers), NOW) == seconds


def test_the_longest_told_wait_counts_and_the_default_only_where_none_is_told() -> None:
    telnyx = Throttling(waits=(told_retry_after, seconds_left("x-ratelimit-reset")), default_wait_seconds=10)
    both = answer(429, headers={"retry-after": "30", "x-ratelimit-reset": "17"})
    assert telnyx.wait_seconds(both, NOW) == 30
    assert telnyx.wait_seconds(answer(429, headers={"x-ratelimit-reset": "3"}), NOW) == 3
    assert telnyx.wait_seconds(answer(429), NOW) == 10
    assert Throttling().wait_seconds(answer(429), NOW) is None


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
