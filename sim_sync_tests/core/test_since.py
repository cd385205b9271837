from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.core.clocks import parse_since
from sim_sync.core.errors import InputError

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T14:30", datetime(2026, 3, 1, 14, 30, tzinfo=UTC)),
        ("2026-03-01 14:30:05", datetime(2026, 3, 1, 14, 30, 5, tzinfo=UTC)),
        ("2026-03-01T14:30:00Z", datetime(2026, 3, 1, 14, 30, tzinfo=UTC)),
        ("2026-03-01T14:30+02:00", datetime(2026, 3, 1, 12, 30, tzinfo=UTC)),
        ("24h", datetime(2026, 3, 1, 2, 0, tzinfo=UTC)),
        ("7d", datetime(2026, 2, 23, 2, 0, tzinfo=UTC)),
        (" 1.5 H ", datetime(2026, 3, 2, 0, 30, tzinfo=UTC)),
        ("2w", datetime(2026, 2, 16, 2, 0, tzinfo=UTC)),
        ("90m", datetime(2026, 3, 2, 0, 30, tzinfo=UTC)),
        ("0s", NOW),
    ],
)
def test_a_time_is_a_date_a_time_or_how_long_ago(text: str, expected: datetime) -> None:
    assert parse_since(text, NOW) == expected


@pytest.mark.parametrize("text", ["99999999999d", "9" * 400 + "h", "2026w"])
def test_longer_ago_than_the_calendar_is_its_beginning(text: str) -> None:
    assert parse_since(text, NOW) <= NOW - timedelta(weeks=2026)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "7", "-7d", "7y", "2026-13-01", "0001-01-01T00:00+23:00", "24 h ago"]
)
def test_what_means_no_time_is_refused_with_what_would(text: str) -> None:
    with pytest.raises(InputError, match="such as 24h"):
        parse_since(text, NOW)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_is_understood_as_it_is_printed(at: datetime) -> None:
    assert parse_since(at.isoformat(), NOW) == at


@given(st.text())
def test_any_text_is_a_time_or_refused(text: str) -> None:
    with suppress(InputError):
        assert parse_since(text, NOW).tzinfo is UTC
