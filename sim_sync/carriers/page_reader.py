"""What an answer is to a walk: SIMs, and where the list continues or why it ends. Pure."""

from sim_sync.carriers.connector import Connector, Totals
from sim_sync.carriers.messages import Response
from sim_sync.carriers.pagination import Pagination, PathOf
from sim_sync.carriers.records import RecordMap
from sim_sync.core.pages import Cursor, Page
from sim_sync.core.storable import storable_count

#: A page that is not there. Behind the last one, where nothing else is told, that is how many frameworks say: the end.
_NOT_THERE = 404


class PageReader:
    """Reads the pages of one carrier."""

    def __init__(self, connector: Connector, pagination: Pagination, record_map: RecordMap) -> None:
        self._connector = connector
        self._pagination = pagination
        self._record_map = record_map

    def is_declared_end(self, cursor: Cursor, response: Response) -> bool:
        """Return whether the account declares this answer, behind the first page, to be the end of the list."""
        return not self._is_first(cursor) and self._connector.end_signs.says(response)

    def may_be_the_end(self, cursor: Cursor, response: Response) -> bool:
        """Return whether a page that is not there may be how the list ends."""
        return (
            response.status == _NOT_THERE and not self._is_first(cursor) and self._pagination.ends_with_nothing(cursor)
        )

    def read(self, cursor: Cursor, response: Response, path_of: PathOf) -> Page:
        """Return the page that an answer is.

        Raises:
            UnexpectedResponse: it is none, or does not say whether the list continues.
            ForeignOrigin: it leads to another origin.
        """
        if self.is_declared_end(cursor, response) or self.may_be_the_end(cursor, response):
            return Page(sims=(), next_cursor=None, records=0)
        find = self._connector.records_of_first_page if self._is_first(cursor) else None
        records = (find or self._connector.records)(response)
        next_cursor = None if self._ends_here(records) else self._pagination.next_cursor(cursor, response, path_of)
        sims, rejected = self._record_map.read_page(records)
        totals = self._connector.totals(response) if response.body is not None else Totals()
        return Page(
            sims=sims,
            next_cursor=next_cursor,
            records=len(records),
            rejected=rejected,
            records_total=storable_count(totals.records),
            pages_total=storable_count(totals.pages),
            overlap=self._pagination.overlap(cursor, response),
            is_reread=self._pagination.is_reread(cursor),
            gap=self._pagination.gap(cursor, response),
            moves_unseen=self._pagination.moves_unseen(cursor),
            suspect=self._connector.suspect,
        )

    def beyond(self, cursor: Cursor, response: Response, pages: int = 1) -> Cursor | None:
        """Return the place that many pages behind the end at a page; None where that end is beyond doubt."""
        if self.is_declared_end(cursor, response) or self.may_be_the_end(cursor, response):
            return None
        return self._pagination.beyond(cursor, response, pages)

    def _ends_here(self, records: list[object]) -> bool:
        return self._connector.end_signs.empty_page and not records

    def _is_first(self, cursor: Cursor) -> bool:
        return cursor == self._pagination.first_cursor()
