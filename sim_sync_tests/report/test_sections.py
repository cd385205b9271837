from datetime import UTC, datetime, timedelta

import pytest

from sim_sync.core.report import Night, ReportFigures, Standing
from sim_sync.report.plots import Plot
from sim_sync.report.sections import trend

NOW = datetime(2026, 3, 5, 4, tzinfo=UTC)


def plots(*standings: Standing, nights: tuple[Night, ...] = (), days: int = 4) -> list[Plot]:
    figures = ReportFigures(since=NOW - timedelta(days=days), as_of=NOW, standings=standings, nights=nights)
    return list(trend(figures))


def standing(carrier: str, day: int, high: int, low: int = 0) -> Standing:
    return Standing(carrier, (NOW - timedelta(days=5 - day)).date(), high, 0, low, None, None)


def values(plot: Plot) -> dict[str, list[float]]:
    return {series.name: list(series.values) for series in plot.series}


def test_a_carrier_that_was_not_compared_on_a_day_stands_as_on_the_day_before() -> None:
    (plot,) = plots(standing("acme", 1, 5), standing("zeta", 2, 3, 1), standing("acme", 4, 2))
    assert list(plot.labels) == ["1 Mar", "2 Mar", "3 Mar", "4 Mar", "5 Mar"]
    assert values(plot) == {"high": [5, 8, 8, 5, 5], "medium": [0] * 5, "low": [0, 1, 1, 1, 1]}


def test_what_stood_before_the_period_is_where_it_begins() -> None:
    (plot,) = plots(standing("acme", -20, 7), standing("acme", 3, 6), days=2)
    assert values(plot)["high"] == [6, 6, 6]
    (plot,) = plots(standing("acme", -20, 7), standing("acme", 5, 6), days=2)
    assert values(plot)["high"] == [7, 7, 6]


@pytest.mark.parametrize("known", [(), (standing("acme", 5, 5),)])
def test_one_night_is_no_trend(known: tuple[Standing, ...]) -> None:
    assert plots(*known) == []


def test_days_on_which_nothing_happened_are_told_as_such() -> None:
    (plot,) = plots(nights=(Night(NOW.date(), 2, 1),))
    assert values(plot) == {"appeared": [0, 0, 0, 0, 2], "resolved": [0, 0, 0, 0, 1]}


def test_a_long_period_shows_its_last_days() -> None:
    (plot,) = plots(nights=(Night(NOW.date(), 2, 1),), days=900)
    assert (len(plot.labels), plot.labels[-1]) == (62, "5 Mar")
    assert plots(days=-900) == []
