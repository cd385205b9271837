"""What a pagination rule is."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from sim_sync.carriers.messages import Request, Response
from sim_sync.core.pages import Cursor

#: Turns a URL that the carrier supplied into path and query, or refuses it (`HttpClient.path_of`).
PathOf: TypeAlias = Callable[[str], str]
#: Returns the list of records in an answer, or raises `UnexpectedResponse`.
RecordsOf: TypeAlias = Callable[[Response], list[Any]]


class Pagination(Protocol):
    """One way to walk a list. The empty cursor `{}` is the first page of every walk.

    A rule inherits from this: what most of them have nothing to say about is answered here.
    """

    def first_cursor(self) -> Cursor:
        """Return the cursor of the first page."""
        return {}

    def request(self, cursor: Cursor) -> Request:
        """Return the request for the page at a cursor."""

    def next_cursor(self, cursor: Cursor, response: Response, path_of: PathOf) -> Cursor | None:
        """Return where the walk continues after an answer, or None at the carrier's own end signal.

        Raises:
            UnexpectedResponse: the answer does not say whether, or where, the list continues.
            ForeignOrigin: it leads to another origin.
        """

    def is_reread(self, cursor: Cursor) -> bool:
        """Return whether the page at a cursor need not bring anything new, by the rule's own doing."""
        return False

    def is_handed_out(self, cursor: Cursor) -> bool:
        """Return whether the cursor is the carrier's own, which it may no longer take; if not, it is a place."""
        return True

    def ends_with_nothing(self, cursor: Cursor) -> bool:
        """Return whether the lack of records alone ends the list at a cursor: so does a page that is not there."""
        return False

    def beyond(self, cursor: Cursor, response: Response, pages: int = 1) -> Cursor | None:
        """Return the place that many pages behind an end that may be none; None where it is beyond doubt."""
        return None

    def overlap(self, cursor: Cursor, response: Response) -> int:
        """Return how many records of an answer stood on the page before too, by the paging's design."""
        return 0

    def moves_unseen(self, cursor: Cursor) -> bool:
        """Return whether nothing says that records have moved up from page to page."""
        return False

    def gap(self, cursor: Cursor, response: Response) -> str | None:
        """Return why records may have been passed over before or on this page."""
        return None
