"""What a connector is: one vendor's API described with the building blocks. Each lives in a small file of its own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sim_sync.carriers.http import Authorizer
from sim_sync.carriers.messages import Answer
from sim_sync.carriers.pagination import Pagination
from sim_sync.carriers.records import RecordMap
from sim_sync.carriers.settings import CarrierSettings, Options, RateLimit


@dataclass(frozen=True, slots=True)
class Totals:
    """The carrier's own totals for its whole list, where an answer gives them."""

    records: int | None = None
    pages: int | None = None


@dataclass(frozen=True, kw_only=True)
class Connector:
    """One vendor. Everything in here can be overridden in `carriers.yaml` where vendors change it.

    `base_url` is None where every account has a host of its own. `auth_model` is what `auth` must look like, a
    `Credentials` or a union of them; `options_model` are the keys that only this connector knows. `version` grows when
    a change makes older cursors meaningless.
    """

    type: str
    version: int = 1
    base_url: str | None
    page_size: int
    max_page_size: int | None = None
    auth_model: Any
    options_model: type[Options] = Options
    rate_limit: RateLimit = field(default_factory=RateLimit)
    build_auth: Callable[[CarrierSettings], Authorizer]
    pagination: Callable[[CarrierSettings], Pagination]
    #: Returns the list of records in an answer, or raises `UnexpectedAnswer`.
    records: Callable[[Answer], list[Any]]
    record_map: RecordMap
    totals: Callable[[Answer], Totals] = lambda _answer: Totals()
    #: Statuses that mean "this cursor is no longer taken", on any page but the first.
    cursor_rejected_statuses: frozenset[int] = frozenset({400, 404, 410})
