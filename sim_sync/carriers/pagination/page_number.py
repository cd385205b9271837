"""Pages by number, which end by a number of pages, a number of records, a flag, or the first empty page."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sim_sync.carriers.messages import Request, Response
from sim_sync.carriers.pagination.positional import (
    PAST_TOTAL,
    behind,
    farthest,
    has_grown,
    int_in,
    is_past_total,
    is_repeated,
    is_short_end,
    marks,
    page_digest,
    past_total,
    remembered,
    repeated_page,
    rewinds,
    rises,
    total_drop,
)
from sim_sync.carriers.pagination.rule import (
    Pagination,
    PathOf,
    RecordsOf,
    ResponseField,
    flag,
    whole_number,
    with_query,
)
from sim_sync.core.errors import UnexpectedResponse
from sim_sync.core.pages import Cursor


class _Told(NamedTuple):
    """What an answer says about the whole list; None where it does not."""

    records: int | None
    pages: int | None
    is_last: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PageNumber(Pagination):
    """Page after page by its number.

    The end is said by the first of these that the answer holds: `last_page` (a flag), `total_pages`, `total` (of
    records). Totals may stand on the first page alone. Where none is declared, an empty page is the end. Falling
    totals also show rows that left (see `positional`).

    A total that a person has declared may count something else than the list's records, or be capped: with
    `looks_behind`, the page behind the end is asked for, unless a short last page shows that it is one. Where records
    stand there, the total ends the list no more; an empty page does. `repeated_page_ends`: so does the same page again.
    """

    base: Request
    records: RecordsOf
    page_param: str
    size_param: str | None = None
    page_size: int | None = None
    first_page: int = 1
    total_pages: ResponseField | None = None
    total: ResponseField | None = None
    last_page: ResponseField | None = None
    looks_behind: bool = False
    repeated_page_ends: bool = False

    def request(self, cursor: Cursor) -> Request:
        """Return the request for a page by its number."""
        request = with_query(self.base, {self.page_param: str(int_in(cursor, "page", self.first_page))})
        if self.size_param is None or self.page_size is None:
            return request
        return with_query(request, {self.size_param: str(self.page_size)})

    def next_cursor(self, cursor: Cursor, response: Response, path_of: PathOf) -> Cursor | None:
        """Return the number of the next page, stepping back by the rows that left."""
        page = int_in(cursor, "page", self.first_page)
        records = self.records(response)
        count = len(records)
        size = self._rows_a_page(cursor, count)
        told = self._told(response)
        # Rows before the first page cannot have been missed.
        back = min(_pages_back(cursor, told, size), page - self.first_page)
        if self._ended(cursor, count, self._known(cursor, told)) and not back:
            return None
        following = self._leading_to(page - back if back else page + 1, cursor, count, told)
        return self._not_repeated(cursor, following, records) if self.ends_with_nothing(following) else following

    def ahead(self, cursor: Cursor, following: Cursor) -> Iterator[Cursor]:
        """Yield page after page, up to the last one that a total tells; none where the walk has stepped back."""
        # Pages that are read again are read one by one: answers of about the same time may tell their totals in another
        # order than that of their pages.
        if self.is_reread(following) or has_grown(following):
            return
        last = self._last_page(following)
        for page in itertools.count(int_in(following, "page", self.first_page) + 1):
            if last is not None and page > last:
                return
            yield {**following, "page": page}

    def is_reread(self, cursor: Cursor) -> bool:
        """Return whether the walk has stepped back over this page."""
        return behind(cursor, "page")

    def is_handed_out(self, cursor: Cursor) -> bool:
        """Say no: a number is a place in the list."""
        return False

    def ends_with_nothing(self, cursor: Cursor) -> bool:
        """Return whether no total and no flag ends the list, or none does any more."""
        return is_past_total(cursor) or not (self.last_page or self.total_pages or self.total)

    def beyond(self, cursor: Cursor, response: Response, pages: int = 1) -> Cursor | None:
        """Return a page behind, where a total alone says that this is the last one and this one is not short."""
        told, count = self._told(response), len(self.records(response))
        if not self.looks_behind or self.last_page or self.ends_with_nothing(cursor):
            return None
        page, size = int_in(cursor, "page", self.first_page), self._rows_a_page(cursor, count)
        total = self._known(cursor, told).records
        is_exact = total is None or (page - self.first_page) * size + count == total
        if is_short_end(cursor, count, size, is_first=page == self.first_page) and is_exact:
            return None
        return past_total(self._leading_to(page + pages, cursor, count, told))

    def moves_unseen(self, cursor: Cursor) -> bool:
        """Return whether no total of records tells it."""
        return self.total is None or is_past_total(cursor)

    def gap(self, cursor: Cursor, response: Response) -> str | None:
        """Return that the total was wrong, where it was: how many records there are is not known then."""
        return PAST_TOTAL if is_past_total(cursor) else None

    def overlap(self, cursor: Cursor, response: Response) -> int:
        """Return how many records stand here again because the list has ended."""
        records = self.records(response)
        return len(records) if self._ends_by_repeating(cursor, records) else 0

    def _ends_by_repeating(self, cursor: Cursor, records: Sequence[Any]) -> bool:
        return self.repeated_page_ends and "held" in cursor and is_repeated(cursor, page_digest(records))

    def _not_repeated(self, cursor: Cursor, following: Cursor, records: Sequence[Any]) -> Cursor | None:
        digest = page_digest(records)
        if is_repeated(cursor, digest):
            if self.repeated_page_ends:
                return None
            raise repeated_page(self.page_param)
        return {**following, "held": digest}

    def _known(self, cursor: Cursor, told: _Told) -> _Told:
        """Return what is told here, or was told before."""
        return _Told(
            records=remembered(cursor, "total") if told.records is None else told.records,
            pages=remembered(cursor, "pages") if told.pages is None else told.pages,
            is_last=told.is_last,
        )

    def _told(self, response: Response) -> _Told:
        return _Told(
            records=None if self.total is None else whole_number(self.total, response),
            pages=None if self.total_pages is None else whole_number(self.total_pages, response),
            is_last=None if self.last_page is None else flag(self.last_page, response),
        )

    def _rows_a_page(self, cursor: Cursor, count: int) -> int:
        """Return how many rows a page has: as many as the first one, which may be fewer than were asked for."""
        asked = self.page_size or 0
        if not cursor:
            return count or asked or 1
        return int_in(cursor, "size", asked) or 1

    def _last_page(self, cursor: Cursor) -> int | None:
        """Return the number of the last page, where a total that the cursor remembers tells it."""
        pages, records = remembered(cursor, "pages"), remembered(cursor, "total")
        if self.ends_with_nothing(cursor) or (pages is None and records is None):
            return None
        if pages is None:
            pages = -(-(records or 0) // (int_in(cursor, "size", self.page_size or 0) or 1))
        return self.first_page + pages - 1

    def _ended(self, cursor: Cursor, count: int, known: _Told) -> bool:
        pages_before = int_in(cursor, "page", self.first_page) - self.first_page
        if self.ends_with_nothing(cursor):
            return count == 0
        if known.is_last is not None:
            return known.is_last
        if self.last_page is None and known.pages is not None:
            return pages_before + 1 >= known.pages
        if self.last_page is None and known.records is not None:
            return pages_before * self._rows_a_page(cursor, count) + count >= known.records
        place = self.last_page or self.total_pages or self.total
        raise UnexpectedResponse(f"expected {place} to say where the list ends, found nothing there")

    def _leading_to(self, page: int, cursor: Cursor, count: int, told: _Told) -> Cursor:
        """Return the cursor of a page that the walk goes to after the one at `cursor`."""
        here, size = int_in(cursor, "page", self.first_page), self._rows_a_page(cursor, count)
        known = self._known(cursor, told)
        kept = {
            "size": None if size == self.page_size else size,
            "total": known.records,
            "pages": known.pages if known.records is None else None,
            "back": (rewinds(cursor) + (page <= here)) or None,
        }
        return {
            "page": page,
            **{name: value for name, value in kept.items() if value is not None},
            **rises(cursor, "page", *(("pages", told.pages) if self.total is None else ("total", told.records))),
            **farthest(cursor, here + 1, page),
            **(marks(cursor, is_short=count < size) if self.looks_behind else {}),
        }


def _pages_back(cursor: Cursor, told: _Told, size: int) -> int:
    """Return how many pages hold the rows that may have moved up."""
    if is_past_total(cursor):
        return 0
    rows = total_drop(cursor, "total", told.records)
    if rows:
        return -(-rows // size)
    pages = total_drop(cursor, "pages", told.pages)
    # Two pages fewer may be almost three pages of rows.
    return pages + 1 if pages else 0
