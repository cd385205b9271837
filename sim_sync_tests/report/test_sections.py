from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from sim_sync.core.report import Night, Pile, Report, ReportFigures, Standing, sentences
from sim_sync.report.plots import Plot
from sim_sync.report.sections import sections, tiles, trend
from sim_sync_tests.core.test_report import a_part

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


class Piles(list[Pile]):
    """Piles that know how often they were gone through."""

    passes = 0

    def __iter__(self) -> Iterator[Pile]:
        self.passes += 1
        return super().__iter__()


def passes_for(carriers: int) -> int:
    names = [f"c{number}" for number in range(carriers)]
    piles = Piles(Pile(name, "mismatch", "low", False, 1, 5) for name in names)
    figures = ReportFigures(since=NOW - timedelta(days=4), as_of=NOW, piles=piles)
    report = Report(figures=figures, carriers=[a_part(name, compared=False) for name in names])
    _ = (sentences(report), tiles(report), sections(report))
    return piles.passes


def test_what_is_open_is_added_up_once_however_many_carriers_there_are() -> None:
    assert passes_for(40) == passes_for(2)
