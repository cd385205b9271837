"""Walking by position: what leaves a list meanwhile, how its end shows, and a page that comes twice.

When rows before our place leave, later ones move up into pages that were read already, and nobody would see them. The
carrier's total says how many rows left between two pages: the next page is then that much nearer to the beginning. What
leaves and enters between the same two answers cannot be told apart and is not noticed.

A cursor is `short` once a page had fewer records than the first one and the walk continued: then a short page shows
nothing. It is `past` once records stood behind the end that a total told: then a total ends the list no more.

A carrier that ignores the parameter of the position gives the same page again and would never end.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sim_sync.core.errors import UnexpectedResponse
from sim_sync.core.pages import Cursor, digest_of

# --- rows that leave -------------------------------------------------------------------------------------------------

#: So often a walk may step back.
MAX_REWINDS = 100
#: A total that goes up again on a page that the walk has stepped back to does not count the list: it counts what is
#: left, or what is on a page, or it is an estimate. So often that may be an accident.
MAX_RISES = 3


def total_drop(cursor: Cursor, name: str, total: int | None) -> int:
    """Return by how much a total that the cursor remembers fell since the page before, 0 where that is not known."""
    before = remembered(cursor, name)
    if rewinds(cursor) >= MAX_REWINDS or int_in(cursor, "rises", 0) >= MAX_RISES:
        return 0
    return 0 if total is None or before is None else max(before - total, 0)


def rises(cursor: Cursor, place: str, name: str, total: int | None) -> dict[str, int]:
    """Return what the next cursor remembers of how often a total went up again where the walk had stepped back to."""
    before = remembered(cursor, name)
    has_risen = behind(cursor, place) and total is not None and before is not None and total > before
    count = int_in(cursor, "rises", 0) + has_risen
    return {"rises": count} if count else {}


def has_grown(cursor: Cursor) -> bool:
    """Return whether a total has gone up again where the walk had stepped back to.

    Of pages that are on their way together, a later one may show a list that grows as it was before: its total is the
    smaller one. To leave `MAX_RISES` to what it is for, such a list is read page by page from then on.
    """
    return int_in(cursor, "rises", 0) > 0


def rewinds(cursor: Cursor) -> int:
    """Return how often the walk has stepped back so far. It makes a place that is visited again another cursor."""
    return int_in(cursor, "back", 0)


def remembered(cursor: Cursor, name: str) -> int | None:
    """Return a whole number that a cursor remembers, None where it does not."""
    value = cursor.get(name)
    return value if isinstance(value, int) else None


def behind(cursor: Cursor, name: str) -> bool:
    """Return whether a cursor stands before the farthest place that its walk has read up to."""
    here, far = remembered(cursor, name), remembered(cursor, "far")
    return here is not None and far is not None and here < far


def farthest(cursor: Cursor, here: int, following: int) -> dict[str, int]:
    """Return what the next cursor remembers of the farthest place, where it leads to one before it.

    `here` is the place behind the page that was just read, `following` the one that the walk goes to.
    """
    far = max(int_in(cursor, "far", 0), here)
    return {"far": far} if following < far else {}


def int_in(cursor: Cursor, name: str, default: int) -> int:
    """Return a whole number that a cursor remembers."""
    value = cursor.get(name, default)
    return value if isinstance(value, int) else default


# --- the end ---------------------------------------------------------------------------------------------------------

#: Why a walk that has passed its total may not have seen everything.
PAST_TOTAL = "records stood behind the end that the carrier's total told, so it counts something else"


def is_short_end(cursor: Cursor, count: int, size: int, *, is_first: bool) -> bool:
    """Return whether a page with fewer records than all before it shows by that that it is the last one.

    The first page cannot: how many a page can hold is not known from one.
    """
    return count == 0 or (not is_first and count < size and "short" not in cursor)


def is_past_total(cursor: Cursor) -> bool:
    """Return whether the walk has found records behind the end that a total told."""
    return "past" in cursor


def past_total(cursor: Cursor) -> Cursor:
    """Return the cursor, marked so."""
    return {**cursor, "past": True}


def marks(cursor: Cursor, *, is_short: bool) -> Mapping[str, bool]:
    """Return what the next cursor keeps of these marks."""
    kept = {"short": is_short or "short" in cursor, "past": "past" in cursor}
    return {name: True for name, holds in kept.items() if holds}


# --- a page that comes twice -----------------------------------------------------------------------------------------


def page_digest(records: Sequence[Any]) -> str:
    """Return 16 hex digits that name what a page holds."""
    return digest_of(records)


def is_repeated(cursor: Cursor, digest: str) -> bool:
    """Return whether the page before held the same."""
    return cursor.get("held") == digest


def repeated_page(parameter: str) -> UnexpectedResponse:
    """Return the error for a page that is the one before: the carrier does not look at the parameter."""
    return UnexpectedResponse(
        f"the carrier gave the same page twice, as if it did not look at the parameter {parameter!r}: check how the "
        "carrier's documentation calls it. If it ends its list by giving the last page again, say "
        "`end_on: [repeated_page]` in the pagination"
    )
