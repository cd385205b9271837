"""The carrier hands out an opaque cursor, in the body or in a response header, that goes into the next request."""

from collections.abc import Callable
from dataclasses import dataclass

from sim_sync.carriers.messages import Request, Response
from sim_sync.carriers.pagination.places import ResponseField, ToBody, ToQuery, position
from sim_sync.carriers.pagination.rule import Pagination, PathOf
from sim_sync.core.errors import UnexpectedResponse
from sim_sync.core.pages import Cursor


@dataclass(frozen=True, slots=True)
class CursorInResponse(Pagination):
    """The next cursor stands at `found_in` and goes to `sent_to`; where it is absent, null or empty the list ends.

    Where the carrier also says whether there is more, `more` decides, and a cursor that is then missing is an error.
    """

    first: Request
    found_in: ResponseField
    sent_to: ToQuery | ToBody
    more: Callable[[Response], bool] | None = None

    def request(self, cursor: Cursor) -> Request:
        """Return the first request, with the cursor from the second page on."""
        return self.sent_to.put(self.first, cursor["after"]) if cursor else self.first

    def next_cursor(self, cursor: Cursor, response: Response, path_of: PathOf) -> Cursor | None:
        """Return the cursor that the carrier handed out."""
        if self.more is not None and not self.more(response):
            return None
        after = position(self.found_in.find(response), self.found_in)
        if after is not None:
            return {"after": after}
        if self.more is None:
            return None
        raise UnexpectedResponse(
            f"the carrier says that there is more, but {self.found_in} is empty: the list cannot be followed. "
            "Nothing is lost; try again later, and ask the carrier if it stays so"
        )
