"""Pages by number, which end by a number of pages, a number of records, a flag, or the first empty page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sim_sync.carriers.messages import Answer, Ask
from sim_sync.carriers.pagination.drift import behind, fallen, farthest, remembered, steps_back, whole
from sim_sync.carriers.pagination.places import Place, flag, whole_number, with_query
from sim_sync.carriers.pagination.repeats import page_digest, refuse_repeated
from sim_sync.carriers.pagination.rule import Pagination, PathOf, RecordsOf
from sim_sync.core.errors import UnexpectedAnswer
from sim_sync.core.pages import Cursor


class _Told(NamedTuple):
    """What an answer says about the whole list; None where it does not."""

    records: int | None
    pages: int | None
    is_last: bool | None


_NOTHING = _Told(None, None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageNumber(Pagination):
    """Page after page by its number.

    The end is said by the first of these that the answer holds: `last_page` (a flag), `total_pages`, `total` (of
    records). Totals may stand on the first page alone. Where none is declared, an empty page is the end. Falling
    totals also show rows that left (see `drift`).
    """

    base: Ask
    records: RecordsOf
    page_param: str
    size_param: str | None = None
    page_size: int | None = None
    first_page: int = 1
    total_pages: Place | None = None
    total: Place | None = None
    last_page: Place | None = None

    def ask(self, cursor: Cursor) -> Ask:
        """Return the request for a page by its number."""
        ask = with_query(self.base, {self.page_param: str(whole(cursor, "page", self.first_page))})
        if self.size_param is None or self.page_size is None:
            return ask
        return with_query(ask, {self.size_param: str(self.page_size)})

    def next_cursor(self, cursor: Cursor, answer: Answer, path_of: PathOf) -> Cursor | None:
        """Return the number of the next page, stepping back by the rows that left."""
        page = whole(cursor, "page", self.first_page)
        records = self.records(answer)
        count = len(records)
        size = self._rows_a_page(cursor, count)
        told = self._told(answer)
        known = _Told(
            records=remembered(cursor, "total") if told.records is None else told.records,
            pages=remembered(cursor, "pages") if told.pages is None else told.pages,
            is_last=told.is_last,
        )
        # Rows before the first page cannot have been missed.
        back = min(_pages_back(cursor, told, size), page - self.first_page)
        if self._ended(page - self.first_page, size, count, known) and not back:
            return None
        following = self._cursor(page - back if back else page + 1, size, known, steps_back(cursor) + bool(back))
        following = {**following, **farthest(cursor, page + 1, whole(following, "page", 0))}
        return following if known != _NOTHING else self._not_repeated(cursor, following, records)

    def is_reread(self, cursor: Cursor) -> bool:
        """Return whether the walk has stepped back over this page."""
        return behind(cursor, "page")

    def _not_repeated(self, cursor: Cursor, following: Cursor, records: Sequence[Any]) -> Cursor:
        digest = page_digest(records)
        refuse_repeated(cursor, digest, self.page_param)
        return {**following, "held": digest}

    def _told(self, answer: Answer) -> _Told:
        return _Told(
            records=None if self.total is None else whole_number(self.total, answer),
            pages=None if self.total_pages is None else whole_number(self.total_pages, answer),
            is_last=None if self.last_page is None else flag(self.last_page, answer),
        )

    def _rows_a_page(self, cursor: Cursor, count: int) -> int:
        """Return how many rows a page has: as many as the first one, which may be fewer than were asked for."""
        asked = self.page_size or 0
        if not cursor:
            return count or asked or 1
        return whole(cursor, "size", asked) or 1

    def _ended(self, pages_before: int, size: int, count: int, told: _Told) -> bool:
        if told.is_last is not None:
            return told.is_last
        if self.last_page is None and told.pages is not None:
            return pages_before + 1 >= told.pages
        if self.last_page is None and told.records is not None:
            return pages_before * size + count >= told.records
        if place := self.last_page or self.total_pages or self.total:
            raise UnexpectedAnswer(f"expected {place} to say where the list ends, found nothing there")
        return count == 0

    def _cursor(self, page: int, size: int, known: _Told, back: int) -> Cursor:
        kept = {
            "size": None if size == self.page_size else size,
            "total": known.records,
            "pages": known.pages if known.records is None else None,
            "back": back or None,
        }
        return {"page": page, **{name: value for name, value in kept.items() if value is not None}}


def _pages_back(cursor: Cursor, told: _Told, size: int) -> int:
    """Return how many pages hold the rows that may have moved up."""
    rows = fallen(cursor, "total", told.records)
    if rows:
        return -(-rows // size)
    pages = fallen(cursor, "pages", told.pages)
    # Two pages fewer may be almost three pages of rows.
    return pages + 1 if pages else 0
