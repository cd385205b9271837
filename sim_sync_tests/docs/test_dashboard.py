"""The Grafana dashboard asks for metrics and labels that there are, and lies on Grafana's grid as it should."""

import itertools
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from sim_sync.core.session import State
from sim_sync_tests.docs.documents import PROJECT
from sim_sync_tests.docs.test_metrics import METRICS

DASHBOARD: Mapping[str, Any] = json.loads(
    (PROJECT / "deploy" / "grafana" / "sim_sync.json").read_text(encoding="utf-8")
)
PANELS: list[Mapping[str, Any]] = DASHBOARD["panels"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
LABELS = {sample.name: set(sample.labels) for metric in METRICS for sample in metric.samples}
VARIABLES = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
_SELECTOR = re.compile(r"(sim_sync_[a-z_]+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'([a-z_]+)(=~|!=|!~|=)"([^"]*)"')


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_metric_and_every_label_of_an_expression_exists(expression: str) -> None:
    found = _SELECTOR.findall(expression)
    assert found
    for name, matchers in found:
        assert name in LABELS
        assert {label for label, _, _ in _MATCHER.findall(matchers)} <= LABELS[name]
    # A matcher that was not understood would not be looked at.
    assert len(_MATCHER.findall(expression)) == expression.count('="') + expression.count('~"')


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_state_that_is_asked_for_is_one(expression: str) -> None:
    asked = {word for label, _, words in _MATCHER.findall(expression) if label == "state" for word in words.split("|")}
    assert asked <= {state.value for state in State}


@pytest.mark.parametrize("expression", [text for text in EXPRESSIONS if "sim_sync_up" not in text])
def test_every_expression_is_about_the_carriers_that_were_chosen(expression: str) -> None:
    assert all('carrier=~"$carrier"' in matchers for _, matchers in _SELECTOR.findall(expression))


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_what_a_legend_names_is_a_label_of_what_it_shows(panel: Mapping[str, Any]) -> None:
    for target in panel["targets"]:
        labels = set().union(*(LABELS[name] for name, _ in _SELECTOR.findall(target["expr"])))
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= labels


def test_totals_are_only_looked_at_as_rates() -> None:
    for expression in EXPRESSIONS:
        for found in re.finditer(r"sim_sync_[a-z_]+_total", expression):
            assert expression[: found.start()].endswith(("rate(", "increase(")), expression


def test_every_panel_asks_the_source_that_was_chosen() -> None:
    assert VARIABLES["datasource"]["type"] == "datasource"
    sources = [part["datasource"]["uid"] for panel in PANELS for part in (panel, *panel["targets"])]
    assert set(sources) == {"${datasource}"}
    assert set(re.findall(r"\$(\w+)", " ".join(EXPRESSIONS))) - {"__rate_interval"} <= set(VARIABLES)


def test_every_panel_has_a_number_a_title_and_a_place_of_its_own() -> None:
    assert len({panel["id"] for panel in PANELS}) == len({panel["title"] for panel in PANELS}) == len(PANELS)
    cells = [
        set(itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))
        for at in (panel["gridPos"] for panel in PANELS)
    ]
    assert sum(map(len, cells)) == len(set().union(*cells))
    assert max(x for x, _ in set().union(*cells)) < 24
