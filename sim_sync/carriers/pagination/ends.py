"""What a walk by position knows about its end: whether a short page shows it, and whether a total was passed.

A cursor is `short` once a page had fewer records than the first one and the walk continued: then a short page shows
nothing. It is `past` once records stood behind the end that a total told: then a total ends the list no more.
"""

from collections.abc import Mapping

from sim_sync.core.pages import Cursor

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
