"""What a connector is: one vendor's API described with the building blocks. Each lives in a small file of its own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sim_sync.carriers.auth import Authorizer
from sim_sync.carriers.dialect import Dialect
from sim_sync.carriers.json_bodies import NumberText
from sim_sync.carriers.messages import Response
from sim_sync.carriers.pagination import EndSigns, Pagination, ResponseField
from sim_sync.carriers.pagination.rule import whole_number
from sim_sync.carriers.point_lookup import PointLookup
from sim_sync.carriers.records import RecordMap
from sim_sync.carriers.settings import CarrierSettings, LinkRule, Options, RateLimit

#: A class of options; inside of `Connector`, the word `type` is its field.
OptionsModel: TypeAlias = type[Options]


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
    options_model: OptionsModel = Options
    rate_limit: RateLimit = field(default_factory=RateLimit)
    build_auth: Callable[[CarrierSettings], Authorizer]
    pagination: Callable[[CarrierSettings], Pagination]
    #: Returns the list of records in an answer, or raises `UnexpectedResponse`.
    records: Callable[[Response], list[Any]]
    record_map: RecordMap
    #: The same for the first page, where that is asked more of: null in the place of a list is no empty list there.
    records_of_first_page: Callable[[Response], list[Any]] | None = None
    #: How one SIM is asked for, where the vendor has a call for that: its absence is then known a night earlier.
    lookup: Callable[[CarrierSettings], PointLookup] | None = None
    #: What ends the list beside what the pagination reads.
    end_signs: EndSigns = field(default_factory=EndSigns)
    totals: Callable[[Response], Totals] | None = None
    #: How it says "slower", "quota gone", "log in again" and "this is an error" where that is not HTTP's way.
    dialect: Dialect = field(default_factory=Dialect)
    #: Statuses that mean "this cursor is no longer taken", on any page but the first.
    cursor_rejected_statuses: frozenset[int] = frozenset({400, 404, 410})
    #: A SIM may stand on several pages of a walk by design.
    pages_overlap: bool = False
    #: What is taken of the carrier's links; None leaves it to the account's `links`.
    links: LinkRule | None = None
    #: What of the account's configuration is likely to be wrong where pages repeat: see `Page.suspect`.
    suspect: str | None = None
    #: Returns the connector that the account's own settings describe: `rest` is nothing without them.
    described_by: Callable[[CarrierSettings], "Connector"] | None = None

    def for_account(self, settings: CarrierSettings) -> "Connector":
        """Return the connector as this account needs it: itself, for all but those that settings describe."""
        return self if self.described_by is None else self.described_by(settings)


def totals_at(
    *, records: ResponseField | None = None, pages: ResponseField | None = None
) -> Callable[[Response], Totals]:
    """Return the function that reads the totals at these places."""

    def totals(response: Response) -> Totals:
        return Totals(records=_count(records, response), pages=_count(pages, response))

    return totals


def _count(place: ResponseField | None, response: Response) -> int | None:
    """Return the count at a place; one that no list can have is none, for it only promises how far the end is."""
    if place is None or isinstance(place.find(response), NumberText):
        return None
    return whole_number(place, response)
