"""A wait is understood in every form and place in which carriers name it, whatever our clock shows."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.carriers.messages import Response
from sim_sync.carriers.waits import is_limit_used_up, requested_wait, seconds_until, throttled_wait

NOW = datetime(2026, 3, 2, 2, 0, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())


def response(headers: Mapping[str, str] | None = None, body: Any = None) -> Response:
    return Response(status=429, headers=headers or {}, body=body)


# Forms


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 1.5 ", 1.5),
        ('"30"', 30),
        ("1e2", 100),
        (".5", 0.5),
        ("5.", 5),
        (30, 30),
        (0.25, 0.25),
        ("0", 0),
        ("-5", 0),
        (-5, 0),
        ("Mon, 02 Mar 2026 02:01:00 GMT", 60),
        ("Monday, 02-Mar-26 02:01:00 GMT", 60),
        ("Mon Mar  2 02:01:00 2026", 60),
        ("Mon, 02 Mar 2026 03:01:00 +0100", 60),
        ("Mon, 02 Mar 2026 01:00:00 GMT", 0),
        (str(EPOCH + 60), 60),
        (str(EPOCH - 60), 0),
        (f"{EPOCH + 60}.5", 60.5),
        ((EPOCH + 60) * 1000, 60),
        (str((EPOCH + 60) * 1000), 60),
        ((EPOCH + 60) * 10**6, 60),
        ((EPOCH + 60) * 10**9, 60),
        ("2026-03-02T02:01:00Z", 60),
        ("2026-03-02T02:01:00.000Z", 60),
        ("2026-03-02T03:01:00+01:00", 60),
        ("2026-03-02 02:01:00", 60),
        ("2026-03-02 02:01:00 UTC", 60),
        ("2026-03-02T01:00:00Z", 0),
        ("30s", 30),
        ("250ms", 0.25),
        ("1m30s", 90),
        ("6m0s", 360),
        ("PT1M30S", 90),
        ("2 hours", 7200),
        ("90 seconds", 90),
        ("30, 40", 40),
        ("Mon, 02 Mar 2026 02:01:00 GMT, Mon, 02 Mar 2026 02:01:00 GMT", 60),
    ],
)
def test_a_wait_is_seconds_a_duration_or_a_point_in_time(value: Any, seconds: float) -> None:
    assert seconds_until(value, NOW) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        [],
        {},
        "",
        "soon",
        "inf",
        "nan",
        float("nan"),
        float("inf"),
        10**400,
        "9" * 400,
        "\u0663",
        "Mon, 99 Foo 2026 99:99:99 GMT",
        "5 months",
        "12:30",
        "9999-12-31T23:59:59-23:00",
        ",",
    ],
)
def test_what_names_no_wait_is_none(value: Any) -> None:
    assert seconds_until(value, NOW) is None


@given(st.one_of(st.text(max_size=40), st.integers(), st.floats(), st.from_regex(r"[\d ,:smhPT.\-GMT]{1,30}")))
def test_any_value_is_a_wait_that_is_not_negative_or_none(value: Any) -> None:
    seconds = seconds_until(value, NOW)
    assert seconds is None or 0 <= seconds < float("inf")


@given(
    st.integers(min_value=0, max_value=10**7),
    st.integers(min_value=-(10**6), max_value=10**6),
    st.sampled_from(["date", "epoch", "milliseconds", "iso"]),
)
def test_a_point_in_time_is_as_far_away_as_the_carrier_meant_it_whatever_our_clock_shows(
    ahead: int, skew: int, form: str
) -> None:
    theirs = NOW + timedelta(seconds=skew)
    due = theirs + timedelta(seconds=ahead)
    text = {
        "date": format_datetime(due, usegmt=True),
        "epoch": str(int(due.timestamp())),
        "milliseconds": str(int(due.timestamp()) * 1000),
        "iso": due.isoformat(),
    }[form]
    headers = {"date": format_datetime(theirs, usegmt=True), "retry-after": text}
    assert requested_wait(response(headers), NOW) == ahead


def test_without_a_readable_date_of_the_carrier_our_clock_counts() -> None:
    headers = {"retry-after": str(EPOCH + 60), "date": "no date"}
    assert requested_wait(response(headers), NOW) == 60


# Places


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"x-retry-after": "7"}, 7),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"x-ms-retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "2", "retry-after-ms": "1500"}, 2),
        ({"x-ratelimit-reset": "17"}, 17),
        ({"x-rate-limit-reset": str(EPOCH + 17)}, 17),
        ({"ratelimit-reset": "17"}, 17),
        ({"x-ratelimit-reset-after": "17.5"}, 17.5),
        ({"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-remaining-requests": "0"}, 360),
        ({"ratelimit": "limit=100, remaining=0, reset=30"}, 30),
        ({"ratelimit": '"default";r=0;t=30'}, 30),
        # What is said outright counts more than when a limit starts again ...
        ({"retry-after": "7", "x-ratelimit-reset": "3600"}, 7),
        # ... unless it says nothing.
        ({"retry-after": "0", "x-ratelimit-reset": "17", "x-ratelimit-remaining": "0"}, 17),
        ({"retry-after": "soon", "x-ratelimit-reset": "17"}, 17),
        ({"retry-after": "0"}, 0),
        # Requests are left in this limit: another one was hit.
        ({"x-ratelimit-reset": "3600", "x-ratelimit-remaining": "12"}, None),
        ({"x-ratelimit-reset-after": "3600", "x-ratelimit-remaining": "12"}, None),
        ({"ratelimit": "limit=100, remaining=5, reset=30"}, None),
        (
            {
                "x-ratelimit-remaining-minute": "0",
                "x-ratelimit-reset-minute": "20",
                "x-ratelimit-remaining-day": "500",
                "x-ratelimit-reset-day": "40000",
            },
            20,
        ),
    ],
)
def test_a_throttled_answer_names_its_wait_in_one_header_or_another(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert throttled_wait(response(headers), NOW) == seconds


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"retry_after": 30}, 30),
        ({"retryAfter": "30"}, 30),
        ({"retryAfterMs": 1500}, 1.5),
        ({"retry_after_seconds": 30}, 30),
        ({"retry-after-milliseconds": 1500}, 1.5),
        ({"error": {"code": "slow", "parameters": {"retry_after": 30}}}, 30),
        ({"error": {"details": [{"reason": "RATE"}, {"retryDelay": "30s"}]}}, 30),
        ({"errors": [{"retry_after": 3}, {"retry_after": 5}]}, 5),
        ({"retryAt": "2026-03-02T02:01:00Z"}, 60),
        ({"retry_after": (EPOCH + 60) * 1000}, 60),
        ({"wait_seconds": 12}, 12),
        ({"retry_after": None}, None),
        ({"retry_after": True}, None),
        ({"retries": 3, "waiting": 4, "retry": 5}, None),
        ([{"retry_after": 30}], 30),
        ("retry_after: 30", None),
        (None, None),
    ],
)
def test_a_wait_may_stand_in_the_body(body: Any, seconds: float | None) -> None:
    assert requested_wait(response(body=body), NOW) == seconds


def test_the_longest_of_the_waits_that_are_asked_for_counts() -> None:
    assert requested_wait(response({"retry-after": "5"}, {"retry_after": 30}), NOW) == 30
    assert requested_wait(response({"retry-after": "50"}, {"retry_after": 30}), NOW) == 50


def test_a_wait_is_not_looked_for_without_an_end() -> None:
    deep: Any = {"retry_after": 30}
    for _ in range(50):
        deep = {"more": deep}
    assert requested_wait(response(body=deep), NOW) is None
    wide = {f"key{number}": number for number in range(100_000)} | {"retry_after": 30}
    assert requested_wait(response(body=wide), NOW) is None


@pytest.mark.parametrize(
    ("headers", "is_used_up"),
    [
        ({}, False),
        ({"x-ratelimit-remaining": "0"}, True),
        ({"x-rate-limit-remaining": "-1"}, True),
        ({"ratelimit-remaining": "0"}, True),
        ({"x-ratelimit-remaining-day": "0", "x-ratelimit-remaining-minute": "9"}, True),
        ({"ratelimit": '"default";r=0;t=30'}, True),
        ({"ratelimit": "limit=100, remaining=5, reset=30"}, False),
        ({"x-ratelimit-remaining": "12"}, False),
        ({"x-ratelimit-remaining": "none"}, False),
        ({"x-ratelimit-limit": "0"}, False),
    ],
)
def test_a_limit_that_is_used_up_shows_in_the_headers(headers: dict[str, str], is_used_up: bool) -> None:
    assert is_limit_used_up(headers) is is_used_up
