"""A carrier that does what the test wrote down: pages, totals, and everything that carriers do wrong."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sim_sync.core.errors import CursorRejected
from sim_sync.core.lookups import AskedSim, LookedUp, LookupOutcome
from sim_sync.core.pages import Cursor, Effort, Page, QuarantinedRecord
from sim_sync.core.sims import Sim


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record of the carrier that cannot be a SIM."""

    reason: str = "no sim_id"
    payload: str = '{"iccid":null}'


Record = Sim | Unreadable


def paged(records: Sequence[Record], page_size: int) -> list[list[Record]]:
    """Cut records into pages; no record at all is one empty page."""
    starts = range(0, max(len(records), 1), page_size)
    return [list(records[start : start + page_size]) for start in starts]


@dataclass(kw_only=True)
class ScriptedCarrier:
    """A `CarrierSource` over lists of records, with the cursor `{"page": n}`; only its last page is the end.

    `faults` are raised at the fetch with that number, from 0, instead of an answer. `rejections` says how often the
    cursor of a page is refused. `detours` replaces the next cursor that a page gives. `efforts` is what a page costs.

    `there` are the SIMs that its lookup finds, by the ids that are asked for; without it, it has no lookup.
    `lookup_faults` are raised at the lookup with that number, from 0.
    """

    pages: Sequence[Sequence[Record]]
    name: str = "acme"
    config_hash: str = "config-1"
    tells_totals: bool = False
    faults: Mapping[int, BaseException] = field(default_factory=dict)
    rejections: dict[int, int] = field(default_factory=dict)
    detours: Mapping[int, Cursor] = field(default_factory=dict)
    efforts: Mapping[int, Effort] = field(default_factory=dict)
    there: Mapping[str, Sim] | None = None
    lookup_faults: Mapping[int, BaseException] = field(default_factory=dict)
    #: Every id that was asked for one by one, answered or not.
    asked: list[str] = field(default_factory=list)
    #: Called when a page has been fetched and is not yet committed.
    on_fetched: Callable[[], object] = lambda: None
    #: Every cursor that was asked for, answered or not.
    fetched: list[Cursor] = field(default_factory=list)

    @property
    def fetched_pages(self) -> list[int]:
        """The page numbers that were asked for, in order."""
        return [_page_number(cursor) for cursor in self.fetched]

    def first_cursor(self) -> Cursor:
        """Return the cursor of the first page."""
        return {"page": 0}

    @contextmanager
    def reading_ahead(self, pages_left: Callable[[], int | None]) -> Iterator[None]:
        """Ask for nothing ahead: a script is read page by page."""
        yield

    def fetch_page(self, cursor: Cursor) -> Page:
        """LookupOutcome as the script says."""
        fetch_number = len(self.fetched)
        self.fetched.append(cursor)
        if fault := self.faults.get(fetch_number):
            raise fault
        number = _page_number(cursor)
        if self.rejections.get(number, 0) > 0:
            self.rejections[number] -= 1
            raise CursorRejected(f"carrier {self.name}: page {number}: the cursor is no longer known")
        page = self._page(number)
        self.on_fetched()
        return page

    @property
    def can_look_up(self) -> bool:
        """Whether the script says what a lookup finds."""
        return self.there is not None

    def look_up(self, asked: AskedSim) -> LookedUp:
        """LookupOutcome as the script says."""
        lookup_number = len(self.asked)
        self.asked.append(asked.sim_id)
        if fault := self.lookup_faults.get(lookup_number):
            raise fault
        sim = (self.there or {}).get(asked.sim_id)
        return LookedUp(LookupOutcome.NOT_FOUND) if sim is None else LookedUp(LookupOutcome.FOUND, sim)

    def _page(self, number: int) -> Page:
        records = self.pages[number]
        return Page(
            sims=[record for record in records if isinstance(record, Sim)],
            next_cursor=self._next_cursor(number),
            records=len(records),
            rejected=tuple(
                QuarantinedRecord(position, record.reason, record.payload)
                for position, record in enumerate(records)
                if isinstance(record, Unreadable)
            ),
            records_total=sum(map(len, self.pages)) if self.tells_totals else None,
            pages_total=len(self.pages) if self.tells_totals else None,
            effort=self.efforts.get(number, Effort()),
        )

    def _next_cursor(self, number: int) -> Cursor | None:
        if number in self.detours:
            return self.detours[number]
        return {"page": number + 1} if number + 1 < len(self.pages) else None


def _page_number(cursor: Cursor) -> int:
    number = cursor["page"]
    if not isinstance(number, int):
        raise TypeError(f"expected a cursor of the scripted carrier, found {cursor!r}")
    return number
