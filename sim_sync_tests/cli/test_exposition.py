"""What machines are told: names by the conventions, label values with a bound, and no text of anybody."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from math import inf

import pytest
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families

from sim_sync.cli.exposition import exposition, exposition_of_failure
from sim_sync.core.discrepancies import Kind
from sim_sync.core.notes import CarrierOverview
from sim_sync.core.progress import CarrierFigures, Problem
from sim_sync.core.session import State, SweepState
from sim_sync.warehouse.severity import SEVERITIES
from sim_sync_tests.cli.scraping import families, lint, names, samples, value
from sim_sync_tests.fakes.clock import START
from sim_sync_tests.fakes.figures import SECRET, a_session, everything, figures

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def text_of(*carriers: CarrierFigures) -> str:
    body, _ = exposition(carriers)
    return body.decode()


def test_every_name_follows_the_conventions() -> None:
    found = families(text_of(everything()))
    assert len(found) > 20
    for family in found:
        assert re.fullmatch(r"sim_sync(_[a-z]+)+", family.name), family.name
        assert family.documentation.endswith("."), family.name
        assert family.type in {"counter", "gauge"}, family.name
        # No unit but base units, no type in a name, no ending that means a histogram or a summary.
        assert not re.search(r"_(ms|minutes|hours|days|gauge|counter|bucket|sum|count)(_|$)", family.name), family.name
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter"), sample.name
            assert {"carrier", "version"} & set(sample.labels) or sample.name == "sim_sync_up"


def test_no_name_breaks_a_rule_of_promtool() -> None:
    assert lint(families(text_of(everything()))) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("# HELP x_things \n# TYPE x_things gauge\nx_things 1\n", "no help text"),
        ("# HELP x_total Y.\n# TYPE x_total gauge\nx_total 1\n", "non-counter metrics"),
        ("# HELP x_wait_minutes Y.\n# TYPE x_wait_minutes gauge\nx_wait_minutes 1\n", "base units"),
        ("# HELP x_wait_ms Y.\n# TYPE x_wait_ms gauge\nx_wait_ms 1\n", "no abbreviated units"),
        ("# HELP x_gauge Y.\n# TYPE x_gauge gauge\nx_gauge 1\n", "no type in the name"),
        ("# HELP x_pages_count Y.\n# TYPE x_pages_count gauge\nx_pages_count 1\n", "suffix of a histogram"),
        ("# HELP xPages Y.\n# TYPE xPages gauge\nxPages 1\n", "snake_case"),
        ('# HELP x Y.\n# TYPE x gauge\nx{carrierName="a"} 1\n', "snake_case"),
        ("# HELP x:y Y.\n# TYPE x:y gauge\nx:y 1\n", "colons"),
    ],
)
def test_a_name_that_breaks_a_rule_is_found(text: str, why: str) -> None:
    (found,) = lint(families(text))
    assert why in found


def test_every_metric_has_a_value_where_all_is_known() -> None:
    assert [family.name for family in families(text_of(everything())) if not family.samples] == []


def test_the_totals_are_counters() -> None:
    text = text_of(everything())
    assert {
        name: value(text, f"sim_sync_{name}_total", carrier="acme")
        for name in ("pages", "records", "sims_added", "sims_changed", "retries", "throttled_seconds", "resumes")
    } == {
        "pages": 700,
        "records": 7000,
        "sims_added": 50,
        "sims_changed": 60,
        "retries": 8,
        "throttled_seconds": 12.5,
        "resumes": 2,
    }
    assert value(text, "sim_sync_walks_total", carrier="acme", outcome="completed") == 5
    assert value(text, "sim_sync_walks_total", carrier="acme", outcome="superseded") == 1


@pytest.mark.parametrize("state", list(State))
def test_a_state_is_one_series_of_all_that_is_1(state: State) -> None:
    text = text_of(figures(a_session(state)))
    values = {other: value(text, "sim_sync_session_state", carrier="acme", state=other.value) for other in State}
    assert values == {other: float(other is state) for other in State}


def test_a_carrier_that_was_never_synced_is_in_no_state_and_infinitely_old() -> None:
    text = text_of(figures())
    assert {value(text, "sim_sync_session_state", carrier="acme", state=state.value) for state in State} == {0.0}
    assert value(text, "sim_sync_last_certified_walk_age_seconds", carrier="acme") == inf
    assert value(text, "sim_sync_last_certified_walk_timestamp_seconds", carrier="acme") == 0
    assert value(text, "sim_sync_carrier_fresh", carrier="acme") == 0
    assert value(text, "sim_sync_session_pages", carrier="acme") is None


def test_the_age_of_a_certified_walk_is_that_of_its_end() -> None:
    text = text_of(figures(a_session()))
    assert value(text, "sim_sync_last_certified_walk_age_seconds", carrier="acme") == 3600
    assert value(text, "sim_sync_last_certified_walk_timestamp_seconds", carrier="acme") == START.timestamp()
    assert value(text, "sim_sync_last_certified_walk_duration_seconds", carrier="acme") == 5400
    assert value(text, "sim_sync_max_age_seconds", carrier="acme") == 36 * 3600
    assert value(text, "sim_sync_carrier_fresh", carrier="acme") == 1
    assert value(text_of(figures(a_session(), max_age_hours=0.5)), "sim_sync_carrier_fresh", carrier="acme") == 0


@pytest.mark.parametrize("sweep", list(SweepState))
def test_only_a_held_sweep_is_held(sweep: SweepState) -> None:
    text = text_of(figures(a_session(sweep_state=sweep)))
    assert value(text, "sim_sync_sweep_held", carrier="acme") == (sweep is SweepState.HELD)


def test_what_nobody_knows_is_left_out() -> None:
    text = text_of(figures(a_session(State.PAUSED, pages_expected=None)))
    for name in ("session_expected_pages", "session_remaining_seconds", "last_certified_walk_duration_seconds"):
        assert value(text, f"sim_sync_{name}", carrier="acme") is None
    assert value(text_of(everything()), "sim_sync_session_remaining_seconds", carrier="acme") == 3600


def test_discrepancies_are_0_where_they_were_looked_for_and_absent_where_nothing_was_compared() -> None:
    compared = text_of(figures(discrepancies={Problem("mismatch", "high"): 2}))
    for kind in Kind:
        for severity in SEVERITIES:
            found = value(compared, "sim_sync_discrepancies", carrier="acme", kind=kind.value, severity=severity)
            assert found == (2 if (kind, severity) == ("mismatch", "high") else 0)
    assert not any(name == "sim_sync_discrepancies" for name, _ in samples(text_of(figures())))


def test_words_of_another_version_count_as_other() -> None:
    odd = {Problem(f"kind-{number}", f"severity-{number}"): 1 for number in range(50)}
    text = text_of(figures(a_session(State("hibernating")), discrepancies=odd))
    assert value(text, "sim_sync_discrepancies", carrier="acme", kind="other", severity="other") == 50
    assert value(text, "sim_sync_session_state", carrier="acme", state="other") == 1
    values = {label for _, labels in samples(text) for _, label in labels}
    assert not {word for word in values if word.startswith(("kind-", "severity-", "hibernating"))}


def test_no_error_and_no_cursor_is_exposed() -> None:
    text = text_of(everything(), replace(everything(), overview=CarrierOverview(carrier="zeta")))
    assert SECRET not in text
    assert "HTTP" not in text
    assert text.isascii()
    assert "\x1b" not in text


def test_a_scraper_that_takes_openmetrics_gets_it() -> None:
    body, content_type = exposition([everything()], OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text")
    parse: Callable[[str], Iterable[Metric]] = openmetrics_families
    assert names(parse(body.decode())) == names(families(text_of(everything())))


def test_of_a_failure_only_that_is_exposed() -> None:
    assert samples(exposition_of_failure().decode()) == {("sim_sync_up", frozenset()): 0.0}
    assert value(text_of(), "sim_sync_up") == 1
