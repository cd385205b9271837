"""The exposition of `sim-sync metrics`: each metric's name and meaning, in the format that a scraper takes."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import cast

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from sim_sync import __version__
from sim_sync.core import progress
from sim_sync.core.discrepancies import Kind
from sim_sync.core.notes import freshness_concern
from sim_sync.core.progress import CarrierFigures, Problem, seconds_between
from sim_sync.core.session import Session, State

# The metrics with one value a carrier: their names, meanings, and how figures give them their values.
#
# Names follow the conventions of Prometheus (https://prometheus.io/docs/practices/naming/): base units, and times as
# Unix timestamps. No text of a carrier or of an error is in here.


@dataclass(frozen=True, slots=True)
class CarrierMetric:
    """A metric with one value a carrier; it is left out where the value is None."""

    name: str
    meaning: str
    value: Callable[[CarrierFigures], float | None]


def _of_newest(value: Callable[[Session], float | None]) -> Callable[[CarrierFigures], float | None]:
    def of_figures(figures: CarrierFigures) -> float | None:
        newest = figures.overview.newest
        return None if newest is None else value(newest)

    return of_figures


def _timestamp(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()


def _remaining_seconds(figures: CarrierFigures) -> float | None:
    newest, recent = figures.overview.newest, figures.overview.recent_page_seconds
    return None if newest is None else progress.remaining(newest, recent, figures.now).seconds


def _age_seconds(figures: CarrierFigures) -> float:
    at = figures.last_certified_at
    return inf if at is None else (figures.now - at).total_seconds()


def _duration_seconds(figures: CarrierFigures) -> float | None:
    walk = figures.last_certified
    if walk is None or walk.finished_at is None:
        return None
    return seconds_between(walk.started_at, walk.finished_at)


def _is_held(figures: CarrierFigures) -> float:
    return float(figures.overview.sweeps.held is not None)


#: What never falls; `_total` is added to their names.
COUNTERS = (
    CarrierMetric("sim_sync_pages", "Pages committed, in all walks.", lambda figures: figures.totals.pages),
    CarrierMetric("sim_sync_records", "Records on those pages.", lambda figures: figures.totals.records),
    CarrierMetric("sim_sync_sims_added", "SIMs that were new.", lambda figures: figures.totals.sims_added),
    CarrierMetric(
        "sim_sync_sims_changed",
        "SIMs of which a fact changed, once a walk.",
        lambda figures: figures.totals.sims_changed,
    ),
    CarrierMetric("sim_sync_retries", "Requests that had to be repeated.", lambda figures: figures.totals.retries),
    CarrierMetric(
        "sim_sync_throttled_seconds",
        "Seconds spent waiting because the carrier said so.",
        lambda figures: figures.totals.throttled_seconds,
    ),
    CarrierMetric(
        "sim_sync_resumes", "Times that a run continued with an open session.", lambda figures: figures.totals.resumes
    ),
)
GAUGES = (
    CarrierMetric(
        "sim_sync_session_pages",
        "Pages committed in the newest session.",
        _of_newest(lambda session: session.pages_done),
    ),
    CarrierMetric(
        "sim_sync_session_expected_pages",
        "Pages of the whole walk of the newest session; absent where nobody knows.",
        _of_newest(lambda session: session.pages_expected),
    ),
    CarrierMetric(
        "sim_sync_session_remaining_seconds",
        "Seconds until the newest session will end; absent where nobody works on it or knows.",
        _remaining_seconds,
    ),
    CarrierMetric(
        "sim_sync_session_start_timestamp_seconds",
        "When the newest session was opened.",
        _of_newest(lambda session: _timestamp(session.started_at)),
    ),
    CarrierMetric(
        "sim_sync_session_update_timestamp_seconds",
        "When the newest session last committed a page or changed its state.",
        _of_newest(lambda session: _timestamp(session.updated_at)),
    ),
    CarrierMetric(
        "sim_sync_session_last_error_timestamp_seconds",
        "When something last went wrong in the newest session, also what is over; absent where nothing did.",
        _of_newest(lambda session: _timestamp(session.last_error_at)),
    ),
    CarrierMetric(
        "sim_sync_last_certified_walk_timestamp_seconds",
        "When the last walk that was certified complete ended; 0 where there is none.",
        lambda figures: _timestamp(figures.last_certified_at) or 0.0,
    ),
    CarrierMetric(
        "sim_sync_last_certified_walk_age_seconds",
        "Seconds since then, by the warehouse's clock; +Inf where there is none.",
        _age_seconds,
    ),
    CarrierMetric(
        "sim_sync_last_certified_walk_duration_seconds",
        "How long that walk took, waits included.",
        _duration_seconds,
    ),
    CarrierMetric("sim_sync_sweep_held", "1 while a held sweep waits for a person.", _is_held),
    CarrierMetric(
        "sim_sync_carrier_fresh",
        "1 while the last completed walk is no older than max_age_hours.",
        lambda figures: float(freshness_concern(figures.overview, figures.max_age_hours, figures.now) is None),
    ),
    CarrierMetric(
        "sim_sync_max_age_seconds", "max_age_hours of carriers.yaml.", lambda figures: figures.max_age_hours * 3600
    ),
    CarrierMetric(
        "sim_sync_quarantined_records",
        "Unresolved records that the last completed walk, or a later one, could not read.",
        lambda figures: figures.overview.quarantined,
    ),
    CarrierMetric(
        "sim_sync_undelivered_alerts",
        "Alerts with a message that a receiver has not taken yet.",
        lambda figures: figures.undelivered_alerts,
    ),
    CarrierMetric(
        "sim_sync_discrepancies_monthly_cost",
        "What open discrepancies cost a month, in the currency of reconcile.prices; absent where nothing is priced.",
        lambda figures: None if figures.monthly_cost is None else float(figures.monthly_cost),
    ),
)


# The exposition of `sim-sync metrics`, in the format that a scraper takes. Nothing else knows `prometheus_client`.
#
# The values of every label come from a fixed list: carriers from `carriers.yaml`, words from the contract. A word
# that another version has written counts as `other`, so that the number of series has a bound whatever is in the
# warehouse.


#: What every Prometheus and every node_exporter reads.
TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"
OTHER = "other"
_KINDS = frozenset(kind.value for kind in Kind)
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
    meaning = "Open discrepancies that nobody has acknowledged; absent where nothing was ever compared."
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
