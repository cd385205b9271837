"""Whether the end of a list is one: looked at where it shows, before anybody relies on it.

Two ends can be mistaken. One that a total alone tells: totals count other things too, and are capped. And a page that
is not there: so is every page while a gateway has lost the list.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from sim_sync.core.errors import CarrierError, ParkRequired, SimSyncError
from sim_sync.core.pages import Cursor, Page

#: Fetches and reads a page, without the walk going there.
Look = Callable[[Cursor], Page]


_FIRST_AGAIN = (
    "asked for a second page, the carrier gave the first one again, so it may not look at the parameter; if lists end "
    "like this there, say `end_on: [repeated_page]` in the pagination"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeemingEnd:
    """A page that seems to be the last one.

    Args:
        page: the page.
        is_first: it is the first one, too.
        first: the first page's cursor.
        beyond: where the walk continues if records stand there.
        far: a place that lies far behind the end.
        ends_on_repeat: the account declares that the last page is given again behind the end.
    """

    page: Page
    is_first: bool
    first: Cursor
    beyond: Cursor
    far: Cursor
    ends_on_repeat: bool

    def seen_through(self, look: Look) -> Page:
        """Return the page as it is, with a doubt about the end, or leading on, by what stands behind it.

        Raises:
            ParkRequired: the carrier asks for a long wait.
        """
        try:
            return self._judged(look)
        except CarrierError as refused:
            return self._doubted(refused)
        except ParkRequired as wait:
            if not wait.is_outage:
                raise
            return self._doubted(wait)

    def _judged(self, look: Look) -> Page:
        behind = look(self.beyond)
        if behind.records == 0:
            return self.page
        if _holds_the_same(behind, self.page):
            return self._given_again(look)
        begins_again = not self.is_first and _holds_the_same(behind, look(self.first))
        return self.page if begins_again else replace(self.page, next_cursor=self.beyond)

    def _given_again(self, look: Look) -> Page:
        """Tell a carrier that gives its last page for every number behind it from a list that has just moved up."""
        if self.ends_on_repeat:
            return self.page
        if self.is_first:  # where page after page is another one, the carrier does look at what is asked for
            return replace(self.page, end_doubt=_FIRST_AGAIN)
        is_end = _holds_the_same(look(self.far), self.page)
        return self.page if is_end else replace(self.page, next_cursor=self.beyond)

    def _doubted(self, error: SimSyncError) -> Page:
        return replace(
            self.page,
            end_doubt=f"what stands behind the last page could not be seen, so the list may continue: {error}",
        )


def _holds_the_same(page: Page, other: Page) -> bool:
    return _content(page) == _content(other)


def _content(page: Page) -> tuple[frozenset[str], frozenset[str]]:
    return frozenset(sim.sim_id for sim in page.sims), frozenset(record.payload for record in page.rejected)
