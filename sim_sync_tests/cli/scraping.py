"""An exposition as its readers see it: parsed by `prometheus_client`, and asked over HTTP."""

from collections.abc import Iterable, Mapping
from http.client import HTTPConnection
from typing import NamedTuple
from urllib.parse import urlsplit

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families


def families(text: str) -> list[Metric]:
    """Return the metrics of an exposition; the parser refuses what is none."""
    return list(text_string_to_metric_families(text))


def samples(text: str) -> Mapping[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return the values of an exposition, by name and labels; no series is there twice."""
    found = [sample for family in families(text) for sample in family.samples]
    by_key = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in found}
    assert len(by_key) == len(found)
    return by_key


def value(text: str, name: str, **labels: str) -> float | None:
    """Return one value, or None where there is no such series."""
    return samples(text).get((name, frozenset(labels.items())))


def names(metrics: Iterable[Metric]) -> set[str]:
    """Return the names of all samples, and of metrics without one."""
    return {
        name
        for metric in metrics
        for name in (
            {sample.name for sample in metric.samples} or {metric.name + "_total" * (metric.type == "counter")}
        )
    }


class Fetched(NamedTuple):
    """What an endpoint answered."""

    status: int
    headers: Mapping[str, str]
    text: str


def fetch(url: str, *, method: str = "GET", path: str | None = None, **headers: str) -> Fetched:
    """Ask an endpoint."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    connection.request(method, parts.path if path is None else path, headers=headers)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return Fetched(response.status, dict(response.getheaders()), text)


#: Units that are not base units, and abbreviations of units, as parts of a name (promtool's package promlint).
_NO_BASE_UNITS = frozenset(
    {"milliseconds", "microseconds", "nanoseconds", "minutes", "hours", "days", "weeks", "percent", "bits"}
    | {"kilobytes", "megabytes", "gigabytes", "terabytes", "fahrenheit", "kelvin", "kilograms", "milligrams"}
    | {"kilometers", "centimeters", "millimeters", "feet", "inches", "miles"}
)
_ABBREVIATIONS = frozenset(["s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"])
_TYPES = frozenset({"gauge", "counter", "histogram", "summary", "untyped"})


def lint(metrics: Iterable[Metric]) -> list[str]:
    """Return what `promtool check metrics` has against these names, as "name: why"."""
    return [f"{metric.name}: {why}" for metric in metrics for why in _complaints(metric)]


def _complaints(metric: Metric) -> Iterable[str]:
    parts = set(metric.name.split("_"))
    labels = {label for sample in metric.samples for label in sample.labels}
    sampled = {sample.name for sample in metric.samples}
    rules = {
        "no help text": not metric.documentation.strip(),
        'counter metrics should have "_total" suffix': metric.type == "counter"
        and not all(name.endswith("_total") for name in sampled),
        'non-counter metrics should not have "_total" suffix': metric.type != "counter" and "total" in parts,
        "suffix of a histogram or summary": metric.name.endswith(("_bucket", "_count", "_sum")),
        "label of a histogram or summary": bool(labels & {"le", "quantile"}),
        "colons are for recording rules": ":" in metric.name,
        "snake_case": any(word != word.lower() for word in (metric.name, *labels)),
        "base units": bool(parts & _NO_BASE_UNITS),
        "no abbreviated units": bool(parts & _ABBREVIATIONS),
        "no type in the name": bool(parts & _TYPES),
    }
    return [why for why, is_broken in rules.items() if is_broken]
