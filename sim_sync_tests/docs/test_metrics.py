"""docs/metrics.md tells every metric as the program does, and its rules ask for no other."""

import re
from collections.abc import Iterator

import pytest
import yaml
from prometheus_client.core import Metric

from sim_sync.cli.exposition import exposition
from sim_sync_tests.cli.scraping import families, names
from sim_sync_tests.docs.documents import PROJECT, code_blocks, table_rows
from sim_sync_tests.fakes.figures import everything

PAGE = PROJECT / "docs" / "metrics.md"
METRICS = families(exposition([everything()])[0].decode())


def rows(metrics: list[Metric]) -> Iterator[list[str]]:
    """Yield the rows of the table as they should be."""
    for metric in metrics:
        sample = metric.samples[0]
        labels = ", ".join(f"`{label}`" for label in sample.labels)
        yield [sample.name, metric.type, labels, metric.documentation.removesuffix(".")]


def test_every_metric_is_described_as_the_program_describes_it() -> None:
    assert [list(row) for row in table_rows(PAGE) if row[0].startswith("sim_sync_")] == list(rows(METRICS))


def expressions() -> list[str]:
    (rules,) = [text for text in code_blocks(PAGE, "yaml") if text.startswith("groups:")]
    return [rule["expr"] for group in yaml.safe_load(rules)["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("expression", expressions())
def test_the_rules_ask_for_metrics_that_there_are(expression: str) -> None:
    asked = set(re.findall(r"sim_sync_[a-z_]+", expression)) - {"sim_sync_"}
    assert asked
    assert asked <= names(METRICS)
