"""The metrics with one value a carrier: their names, meanings, and how figures give them their values.

Names follow the conventions of Prometheus (https://prometheus.io/docs/practices/naming/): base units, and times as Unix
timestamps. No text of a carrier or of an error is in here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from math import inf

from sim_sync.core import progress
from sim_sync.core.figures import CarrierFigures
from sim_sync.core.history import seconds_between
from sim_sync.core.session import Session
from sim_sync.core.unresolved import freshness_concern


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
)
