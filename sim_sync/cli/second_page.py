"""The second page of a list beside the first: whether a walk over them would get anywhere. Pure.

A carrier that does not look at what asks for a page gives the same one forever, and one page alone does not show it.
"""

from collections.abc import Collection, Iterator

from sim_sync.core.counting import counted
from sim_sync.core.errors import CursorRejected, SimSyncError, UnexpectedResponse
from sim_sync.core.pages import Page, cursor_digest


def leads_back(page: Page, number: int, used: Collection[str]) -> str | None:
    """Return that a page names a next one that was fetched before, if it does; `used` are the digests of cursors."""
    if page.next_cursor is None or cursor_digest(page.next_cursor) not in used:
        return None
    return f"page {number} leads back to a page before it, so a walk would never end. {page.advice_on_repeats}."


def problem_of(first: Page, second: Page, number: int, *, may_overlap: bool) -> str | None:
    """Return what a second page shows to be wrong, with what to do about it; None where it is another page.

    Args:
        first: the page before.
        second: the page that is looked at.
        number: its number.
        may_overlap: a SIM may stand on several pages by design.
    """
    before, here = _content(first), _content(second)
    if not here or not here <= before or may_overlap or second.is_reread or _ends_by_design(second):
        return None
    if here == before:
        seen = f"page {number} is page {number - 1} again"
    else:
        seen = f"page {number} holds nothing but {counted(len(here), 'record')} of page {number - 1}"
    end = " If it ends its list by giving a page again, say `end_on: [repeated_page]` in the pagination."
    return f"{seen}, so a walk would see nothing else. {first.advice_on_repeats}.{end if first.suspect else ''}"


def failed_with(error: SimSyncError, first: Page, number: int) -> str:
    """Return that a second page could not be had, and what may be wrong; `first` is the page before."""
    told = f"page {number - 1} was read, but not page {number}: {error}"
    if first.suspect is None or not isinstance(error, UnexpectedResponse | CursorRejected) or "end_on" in told:
        return told
    return (
        f"{told}. If the carrier ends its list so, say that by `end_on` in the pagination; if not, look at how the "
        "pagination asks for a page"
    )


def doubts_about(first: Page, second: Page | None, number: int, *, may_overlap: bool) -> Iterator[str]:
    """Yield what keeps walks from marking SIMs as gone, as far as two pages show it."""
    last = first if second is None else second
    if last.end_doubt is not None:
        yield last.end_doubt
    if second is None or may_overlap or second.overlap or second.is_reread:
        return
    before, here = _content(first), _content(second)
    if twice := len(before & here):
        yield (
            f"{counted(twice, 'record')} of page {number} stood on page {number - 1} too: if the list has no stable "
            "order, its walks mark nothing as gone; ask for an order by `params`"
        )


def _ends_by_design(page: Page) -> bool:
    return page.next_cursor is None and page.overlap > 0


def _content(page: Page) -> frozenset[str]:
    return frozenset([*(sim.sim_id for sim in page.sims), *(record.payload for record in page.rejected)])
