from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sim_sync.core.held_sweep import SweepHistory
from sim_sync.core.notes import CarrierOverview
from sim_sync.core.report import (
    CarrierPart,
    Flow,
    Hotspot,
    Pile,
    ReasonCount,
    Reasons,
    Report,
    ReportFigures,
    Standing,
    sentences,
)
from sim_sync.core.session import State, SweepState
from sim_sync_tests.core.test_unresolved import a_session

NOW = datetime(2026, 3, 2, 4, tzinfo=UTC)
SINCE = NOW - timedelta(days=30)


def a_part(carrier: str = "acme", *, compared: bool = True, **fields: Any) -> CarrierPart:
    done = a_session(carrier=carrier, state=State.COMPLETED, sweep_state=SweepState.DONE, finished_at=NOW)
    overview = CarrierOverview(carrier=carrier, newest=done, last_completed=done, sweeps=SweepHistory(done))
    return CarrierPart(
        **{
            "overview": overview,
            "max_age_hours": 36.0,
            "compared_as_of": NOW if compared else None,
            **fields,
        }
    )


def a_report(*parts: CarrierPart, **figures: Any) -> Report:
    found = ReportFigures(since=SINCE, as_of=NOW, **figures)
    return Report(figures=found, carriers=parts or (a_part(),))


def piles(**found: int) -> list[Pile]:
    kinds: Mapping[str, str] = {"high": "unknown_to_us", "medium": "mismatch", "low": "mismatch"}
    return [Pile("acme", kinds[severity], severity, False, count) for severity, count in found.items()]


def test_the_first_sentence_says_how_much_is_open_and_how_bad_it_is() -> None:
    told = sentences(a_report(piles=piles(high=1, medium=1_200), flows={"acme": Flow(3, 1)}))
    assert told[:3] == [
        "1,201 discrepancies are open at 1 carrier: 1 high and 1,200 medium.",
        "Of these, 1,200 are fields that both sides tell differently and 1 is a SIM that only a carrier has.",
        "Since 31 January 2026, 3 of the open ones appeared and 1 was resolved.",
    ]


def test_what_it_costs_is_said_where_it_is_priced() -> None:
    priced = [Pile("acme", "unknown_to_us", "high", False, 3, 12_345_678), Pile("acme", "mismatch", "low", True, 1, 5)]
    standing = Standing("acme", NOW.date(), 3, 0, 0, 1, "EUR")
    assert "What is open costs 1,234.57 EUR a month." in sentences(a_report(piles=priced, standings=[standing]))
    assert a_report(piles=piles(high=1)).cost_of() is None


def test_that_nothing_differs_is_said_only_of_what_was_compared() -> None:
    assert sentences(a_report())[0] == "Nothing differs at 1 carrier."
    assert sentences(a_report(a_part(compared=False)))[0].startswith("Nothing was compared yet")
    assert sentences(a_report(a_part(has_list=False, compared=False)))[0].startswith(
        "Nothing is compared: no inventory is configured"
    )


def test_carriers_that_no_list_is_for_are_named() -> None:
    told = sentences(a_report(a_part(), a_part("zeta", compared=False, has_list=False)))
    assert "Not compared, because no list of ours is configured for it: zeta." in told


def test_what_is_acknowledged_is_not_counted_as_open_and_not_concealed() -> None:
    report = a_report(piles=[Pile("acme", "mismatch", "low", True, 4)])
    assert (report.open_of(), report.muted) == (0, 4)
    assert sentences(report)[0] == "Nothing differs at 1 carrier. 4 more are acknowledged."


def test_carriers_of_which_nothing_is_known_are_named() -> None:
    never = [a_part(name, compared=False, overview=CarrierOverview(carrier=name)) for name in "abcde"]
    told = sentences(a_report(a_part(), *never))
    assert "Nothing is known yet of a, b and 3 others: never walked to the end." in told


def test_a_held_sweep_asks_for_a_person() -> None:
    part = a_part()
    held = a_session(state=State.COMPLETED, sweep_state=SweepState.HELD, finished_at=NOW)
    part = replace(part, overview=replace(part.overview, sweeps=SweepHistory(held)))
    assert "A person has to decide: the sweep of acme is held, and nothing was marked as gone." in sentences(
        a_report(part)
    )


def test_what_could_not_be_used_is_counted() -> None:
    told = sentences(
        a_report(
            unusable=Reasons(2, [ReasonCount("ours.csv", "no ICCID", 2)]),
            unread=Reasons(1, [ReasonCount("acme", "no sim_id", 1)]),
        )
    )
    assert told[-2:] == [
        "2 findings in our own list: rows or values that could not be used.",
        "1 record of the carriers could not be read.",
    ]


@pytest.mark.parametrize(("on_plan", "is_told"), [(38, True), (6, False)])
def test_where_it_concentrates_is_said_only_where_chance_does_not_explain_it(on_plan: int, is_told: bool) -> None:
    spots = [Hotspot("acme", "plan", "X", on_plan, 50)]
    told = sentences(a_report(piles=piles(high=40), hotspots=spots, sims={"acme": 1000}))
    sentence = "95 % of the open discrepancies are on plan X, which has 5 % of the SIMs."
    assert (sentence in told) is is_told
