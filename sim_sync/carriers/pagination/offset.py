"""Rows by their place in the list, which ends by a number of records or with the first empty page."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

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
from sim_sync.carriers.pagination.rule import Pagination, PathOf, RecordsOf, ResponseField, whole_number, with_query
from sim_sync.core.errors import UnexpectedResponse
from sim_sync.core.pages import Cursor


@dataclass(frozen=True, slots=True, kw_only=True)
class Offset(Pagination):
    """From row to row. The list ends at `total`, which the first page tells at least; else with an empty page.

    `looks_behind` and `repeated_page_ends` are those of `PageNumber`.
    """

    base: Request
    records: RecordsOf
    offset_param: str
    limit_param: str | None = None
    page_size: int | None = None
    total: ResponseField | None = None
    looks_behind: bool = False
    repeated_page_ends: bool = False

    def request(self, cursor: Cursor) -> Request:
        """Return the request for the rows from an offset on."""
        request = with_query(self.base, {self.offset_param: str(int_in(cursor, "offset", 0))})
        if self.limit_param is None or self.page_size is None:
            return request
        return with_query(request, {self.limit_param: str(self.page_size)})

    def next_cursor(self, cursor: Cursor, response: Response, path_of: PathOf) -> Cursor | None:
        """Return the next offset, stepping back by the rows that left."""
        records, total = self.records(response), self._total(cursor, response)
        found = self.after(cursor, len(records), total)
        if found is None or not self.ends_with_nothing(found):
            return found
        digest = page_digest(records)
        if is_repeated(cursor, digest):
            if self.repeated_page_ends:
                return None
            raise repeated_page(self.offset_param)
        return {**found, "held": digest}

    def after(self, cursor: Cursor, count: int, total: int | None) -> Cursor | None:
        """Return the next offset after a page of that many rows; without a total an empty page is the end."""
        offset = int_in(cursor, "offset", 0)
        # Rows before the first one cannot have been missed.
        back = 0 if is_past_total(cursor) else min(total_drop(cursor, "total", total), offset)
        ended = count == 0 if total is None or is_past_total(cursor) else offset + count >= total
        if ended and not back:
            return None
        # A page that is empty although more is promised is passed over: standing still would be no walk.
        return self._leading_to(
            offset - back if back else offset + (count or self.page_size or 1), cursor, count, total
        )

    def ahead(self, cursor: Cursor, following: Cursor) -> Iterator[Cursor]:
        """Yield offset after offset, as far apart as the last two, up to a total; none after a step back."""
        start = int_in(following, "offset", 0)
        step, total = start - int_in(cursor, "offset", 0), remembered(following, "total")
        if step <= 0 or self.is_reread(following) or has_grown(following):
            return
        is_bounded = total is not None and not is_past_total(following)
        for offset in itertools.count(start + step, step):
            if is_bounded and offset >= (total or 0):
                return
            yield {**following, "offset": offset}

    def is_reread(self, cursor: Cursor) -> bool:
        """Return whether the walk has stepped back over these rows."""
        return behind(cursor, "offset")

    def is_handed_out(self, cursor: Cursor) -> bool:
        """Say no: an offset is a place in the list."""
        return False

    def ends_with_nothing(self, cursor: Cursor) -> bool:
        """Return whether no total ends the list, or none does any more."""
        return is_past_total(cursor) or self.total is None

    def beyond(self, cursor: Cursor, response: Response, pages: int = 1) -> Cursor | None:
        """Return rows behind, where a total alone says that these are the last ones and they are not fewer."""
        count, offset = len(self.records(response)), int_in(cursor, "offset", 0)
        if not self.looks_behind or self.ends_with_nothing(cursor):
            return None
        total = self._total(cursor, response)
        is_short = is_short_end(cursor, count, self._rows_a_page(cursor, count), is_first=offset == 0)
        if is_short and offset + count == total:
            return None
        return past_total(self._leading_to(offset + (count or 1) * pages, cursor, count, total))

    def moves_unseen(self, cursor: Cursor) -> bool:
        """Return whether no total tells it."""
        return self.ends_with_nothing(cursor)

    def gap(self, cursor: Cursor, response: Response) -> str | None:
        """Return that the total was wrong, where it was: how many records there are is not known then."""
        return PAST_TOTAL if is_past_total(cursor) else None

    def overlap(self, cursor: Cursor, response: Response) -> int:
        """Return how many records stand here again because the list has ended."""
        records: Sequence[Any] = self.records(response)
        ends = self.repeated_page_ends and "held" in cursor and is_repeated(cursor, page_digest(records))
        return len(records) if ends else 0

    def _total(self, cursor: Cursor, response: Response) -> int | None:
        """Return the total that is told here, or was told before."""
        if self.total is None:
            return None
        told = whole_number(self.total, response)
        total = remembered(cursor, "total") if told is None else told
        if total is None:
            raise UnexpectedResponse(f"expected {self.total} to say where the list ends, found nothing there")
        return total

    def _rows_a_page(self, cursor: Cursor, count: int) -> int:
        """Return how many rows a page has: as many as the first one."""
        return int_in(cursor, "size", self.page_size or 0) if cursor else count

    def _leading_to(self, offset: int, cursor: Cursor, count: int, total: int | None) -> Cursor:
        """Return the cursor of the rows that the walk goes to after those at `cursor`."""
        here, size = int_in(cursor, "offset", 0), self._rows_a_page(cursor, count)
        back = rewinds(cursor) + (offset < here)
        kept = {
            "size": size if self.looks_behind and size != self.page_size else None,
            "total": total,
            "back": back or None,
        }
        return {
            "offset": offset,
            **{name: value for name, value in kept.items() if value is not None},
            **rises(cursor, "offset", "total", total),
            **farthest(cursor, here + count, offset),
            **(marks(cursor, is_short=count < size) if self.looks_behind else {}),
        }
