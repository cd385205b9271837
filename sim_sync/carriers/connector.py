"""What a connector is: one vendor's API described with the building blocks. Each lives in a small file of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sim_sync.carriers.http import Authorizer
from sim_sync.carriers.messages import Answer
from sim_sync.carriers.pagination import Pagination
from sim_sync.carriers.records import RecordMap
from sim_sync.carriers.settings import CarrierSettings, RateLimit


@dataclass(frozen=True, slots=True)
class Totals:
    """The carrier's own totals for its whole list, where an answer gives them."""

    records: int | None = None
    pages: int | None = None


@dataclass(frozen=True, kw_only=True)
class Connector:
    """One vendor. Everything in here can be overridden in `carriers.yaml` where vendors change it.

    `auth_keys` are the keys that `auth` must have, `identity_keys` those of them that are no secret and tell one
    account from another. `version` grows when a change makes older cursors meaningless.
    """

    type: str
    version: int = 1
    base_url: str
    page_size: int
    max_page_size: int
    auth_keys: tuple[str, ...]
    identity_keys: tuple[str, ...] = ()
    rate_limit: RateLimit = field(default_factory=RateLimit)
    build_auth: Callable[[Mapping[str, str]], Authorizer]
    pagination: Callable[[CarrierSettings], Pagination]
    #: Returns the list of records in an answer, or raises `UnexpectedAnswer`.
    records: Callable[[Answer], list[Any]]
    record_map: RecordMap
    totals: Callable[[Answer], Totals] = lambda _answer: Totals()
    #: Statuses that mean "this cursor is no longer taken", on any page but the first.
    cursor_rejected_statuses: frozenset[int] = frozenset({400, 404, 410})
