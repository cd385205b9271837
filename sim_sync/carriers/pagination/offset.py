"""Rows by their place in the list, which ends by a number of records or with the first empty page."""

from dataclasses import dataclass

from sim_sync.carriers.messages import Answer, Ask
from sim_sync.carriers.pagination.drift import behind, fallen, farthest, remembered, steps_back, whole
from sim_sync.carriers.pagination.places import Place, whole_number, with_query
from sim_sync.carriers.pagination.repeats import page_digest, refuse_repeated
from sim_sync.carriers.pagination.rule import Pagination, PathOf, RecordsOf
from sim_sync.core.errors import UnexpectedAnswer
from sim_sync.core.pages import Cursor


@dataclass(frozen=True, slots=True, kw_only=True)
class Offset(Pagination):
    """From row to row. The list ends at `total`, which the first page tells at least; else with an empty page."""

    base: Ask
    records: RecordsOf
    offset_param: str
    limit_param: str | None = None
    page_size: int | None = None
    total: Place | None = None

    def ask(self, cursor: Cursor) -> Ask:
        """Return the request for the rows from an offset on."""
        ask = with_query(self.base, {self.offset_param: str(whole(cursor, "offset", 0))})
        if self.limit_param is None or self.page_size is None:
            return ask
        return with_query(ask, {self.limit_param: str(self.page_size)})

    def next_cursor(self, cursor: Cursor, answer: Answer, path_of: PathOf) -> Cursor | None:
        """Return the next offset, stepping back by the rows that left."""
        total = None if self.total is None else whole_number(self.total, answer)
        if total is None and self.total is not None:
            total = remembered(cursor, "total")
        if self.total is not None and total is None:
            raise UnexpectedAnswer(f"expected {self.total} to say where the list ends, found nothing there")
        records = self.records(answer)
        found = self.after(cursor, len(records), total)
        if found is None or total is not None:
            return found
        digest = page_digest(records)
        refuse_repeated(cursor, digest, self.offset_param)
        return {**found, "held": digest}

    def after(self, cursor: Cursor, count: int, total: int | None) -> Cursor | None:
        """Return the next offset after a page of so many rows; without a total an empty page is the end."""
        offset = whole(cursor, "offset", 0)
        # Rows before the first one cannot have been missed.
        back = min(fallen(cursor, "total", total), offset)
        ended = count == 0 if total is None else offset + count >= total
        if ended and not back:
            return None
        # A page that is empty although more is promised is passed over: standing still would be no walk.
        found: dict[str, int] = {"offset": offset - back if back else offset + (count or self.page_size or 1)}
        if total is not None:
            found["total"] = total
        if times := steps_back(cursor) + bool(back):
            found["back"] = times
        return found | farthest(cursor, offset + count, found["offset"])

    def is_reread(self, cursor: Cursor) -> bool:
        """Return whether the walk has stepped back over these rows."""
        return behind(cursor, "offset")
