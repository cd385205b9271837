"""The exposition of `sim-sync metrics`, in the format that a scraper takes. Nothing else knows `prometheus_client`.

The values of every label come from a fixed list: carriers from `carriers.yaml`, words from the contract. A word that
another version has written counts as `other`, so that the number of series has a bound whatever is in the warehouse.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from sim_sync import __version__
from sim_sync.cli.metric_table import COUNTERS, GAUGES, CarrierMetric
from sim_sync.core.discrepancies import Kind
from sim_sync.core.figures import CarrierFigures, Problem
from sim_sync.core.session import State

#: What every Prometheus and every node_exporter reads.
TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"
OTHER = "other"
#: Kinds that have a name already, and that no comparison of this version looks for, are counted where they are.
_KINDS = frozenset({*(kind.value for kind in Kind), "wrong_carrier", "duplicate_iccid"})
_SEVERITIES = ("high", "medium", "low")


def exposition(carriers: Sequence[CarrierFigures], accept: str | None = None) -> tuple[bytes, str]:
    """Return the metrics of carriers, and their content type.

    Args:
        carriers: the figures of each.
        accept: which formats the scraper takes (its header `Accept`); without it, the text format.
    """
    return _encoded(_families(carriers), accept)


def exposition_of_failure() -> bytes:
    """Return what is exposed where no figure can be had: that, and nothing that was true before."""
    return _encoded([_up(0)], None)[0]


def _encoded(families: Iterable[Metric], accept: str | None) -> tuple[bytes, str]:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(cast("Collector", _Collected(families)))
    encode, content_type = choose_encoder(accept) if accept else (generate_latest, TEXT_FORMAT)
    return encode(registry), content_type


class _Collected:
    """Families that are there already: all that a registry wants of a collector."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        """Return them."""
        return self._families


def _families(carriers: Sequence[CarrierFigures]) -> Iterator[Metric]:
    yield _up(1)
    build = GaugeMetricFamily("sim_sync_build_info", "The version of sim_sync that exposes this.", labels=["version"])
    build.add_metric([__version__], 1)
    yield build
    yield from (_counter(metric, carriers) for metric in COUNTERS)
    yield _ended_walks(carriers)
    yield _session_states(carriers)
    yield from (_gauge(metric, carriers) for metric in GAUGES)
    yield _discrepancies(carriers)


def _up(value: int) -> Metric:
    return GaugeMetricFamily("sim_sync_up", "1 if the configuration and the warehouse could be read.", value=value)


def _counter(metric: CarrierMetric, carriers: Sequence[CarrierFigures]) -> Metric:
    family = CounterMetricFamily(metric.name, metric.meaning, labels=["carrier"])
    for carrier, value in _values(metric, carriers):
        family.add_metric([carrier], value)
    return family


def _gauge(metric: CarrierMetric, carriers: Sequence[CarrierFigures]) -> Metric:
    family = GaugeMetricFamily(metric.name, metric.meaning, labels=["carrier"])
    for carrier, value in _values(metric, carriers):
        family.add_metric([carrier], value)
    return family


def _values(metric: CarrierMetric, carriers: Sequence[CarrierFigures]) -> Iterator[tuple[str, float]]:
    for figures in carriers:
        value = metric.value(figures)
        if value is not None:
            yield figures.carrier, value


def _ended_walks(carriers: Sequence[CarrierFigures]) -> Metric:
    family = CounterMetricFamily("sim_sync_walks", "Walks that are over, by how.", labels=["carrier", "outcome"])
    for figures in carriers:
        family.add_metric([figures.carrier, State.COMPLETED.value], figures.totals.completed_walks)
        family.add_metric([figures.carrier, State.SUPERSEDED.value], figures.totals.superseded_walks)
    return family


def _session_states(carriers: Sequence[CarrierFigures]) -> Metric:
    meaning = "1 for the state that the newest session is in, 0 for every other."
    family = GaugeMetricFamily("sim_sync_session_state", meaning, labels=["carrier", "state"])
    for figures in carriers:
        newest = figures.overview.newest
        for state in State:
            family.add_metric([figures.carrier, state.value], int(newest is not None and newest.state == state))
        if newest is not None and not newest.state.is_known:
            family.add_metric([figures.carrier, OTHER], 1)
    return family


def _discrepancies(carriers: Sequence[CarrierFigures]) -> Metric:
    meaning = "Open discrepancies; absent where nothing was ever compared."
    family = GaugeMetricFamily("sim_sync_discrepancies", meaning, labels=["carrier", "kind", "severity"])
    for figures in carriers:
        if figures.discrepancies is not None:
            for problem, count in _bounded(figures.discrepancies).items():
                family.add_metric([figures.carrier, *problem], count)
    return family


def _bounded(counts: Mapping[Problem, int]) -> Mapping[Problem, int]:
    """Return the counts by words of the contract alone, and 0 for whatever was looked for and not found."""
    bounded = {Problem(kind.value, severity): 0 for kind in Kind for severity in _SEVERITIES}
    for kind, severity, count in ((*problem, count) for problem, count in counts.items()):
        known = Problem(kind if kind in _KINDS else OTHER, severity if severity in _SEVERITIES else OTHER)
        bounded[known] = bounded.get(known, 0) + count
    return bounded
