"""How fast a session is beside how long it waits, and whether the pages that it expects are only an estimate."""

from datetime import datetime
from typing import Any

from sim_sync.cli.durations import duration_text
from sim_sync.core import progress
from sim_sync.core.history import PastWalk
from sim_sync.core.unresolved import CarrierOverview

_KEYS = ("duration_seconds", "pages_per_minute", "pages_expected_is_estimate")


def pace_object(overview: CarrierOverview, now: datetime) -> dict[str, Any]:
    """Return what `status --json` tells beside the columns of the newest session; no values where there is none."""
    newest = overview.newest
    if newest is None:
        return dict.fromkeys(_KEYS)
    values = (
        PastWalk(session=newest).duration_seconds(now),
        progress.pages_per_minute(newest, overview.recent_page_seconds, now),
        overview.expects_estimate,
    )
    return dict(zip(_KEYS, values, strict=True))


def pace_lines(overview: CarrierOverview, now: datetime) -> list[str]:
    """Return the pace and the waits of a session that is open, and where the pages that it expects come from."""
    newest = overview.newest
    if newest is None or not newest.is_open:
        return []
    speed = progress.pages_per_minute(newest, overview.recent_page_seconds, now)
    took = PastWalk(session=newest).duration_seconds(now)
    parts = [
        None if speed is None else f"{speed:g} pages a minute",
        _waited(newest.throttled_seconds, took),
        "the pages expected are an estimate from the last walk or our own list" if overview.expects_estimate else None,
    ]
    told = [part for part in parts if part is not None]
    return ["; ".join(told)] if told else []


def _waited(throttled_seconds: float, took: float | None) -> str | None:
    if throttled_seconds < 1 or took is None:
        return None
    return f"throttled {duration_text(throttled_seconds)} of {duration_text(took)}"
