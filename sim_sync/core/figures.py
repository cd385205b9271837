"""What machines are told about a carrier: the figures behind `sim-sync metrics`. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from sim_sync.core.session import Session
from sim_sync.core.unresolved import DEFAULT_MAX_AGE_HOURS, CarrierOverview


class Totals(NamedTuple):
    """What all walks of a carrier together did. None of them ever falls."""

    pages: int = 0
    records: int = 0
    sims_added: int = 0
    sims_changed: int = 0
    retries: int = 0
    throttled_seconds: float = 0.0
    resumes: int = 0
    completed_walks: int = 0
    superseded_walks: int = 0


class Problem(NamedTuple):
    """The words of a discrepancy that figures are told apart by."""

    kind: str
    severity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierFigures:
    """What is known of one carrier at the moment `now`.

    `max_age_hours` is for how long a completed walk keeps it fresh. `discrepancies` counts the open ones, and is None
    where nothing was ever compared.
    """

    overview: CarrierOverview
    now: datetime
    max_age_hours: float = DEFAULT_MAX_AGE_HOURS
    totals: Totals = field(default_factory=Totals)
    discrepancies: Mapping[Problem, int] | None = None

    @property
    def carrier(self) -> str:
        """The carrier's name."""
        return self.overview.carrier

    @property
    def last_certified(self) -> Session | None:
        """The last walk that was certified complete."""
        return self.overview.sweeps.last

    @property
    def last_certified_at(self) -> datetime | None:
        """When the last certified walk ended."""
        return None if self.last_certified is None else self.last_certified.finished_at
