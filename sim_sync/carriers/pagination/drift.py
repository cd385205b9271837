"""Rows that leave a list while it is walked by position, and the step back that this asks for.

When rows before our place leave, later ones move up into pages that were read already, and nobody would see them. The
carrier's total tells how many rows left between two pages: the next page is then that much nearer to the beginning.
What leaves and enters between the same two answers cannot be told apart and is not noticed.
"""

from sim_sync.core.pages import Cursor

#: A total that goes up and down at every answer must not hold a walk for ever: so often it may step back.
MAX_STEPS_BACK = 100


def fallen(cursor: Cursor, name: str, total: int | None) -> int:
    """Return by how much a total that the cursor remembers fell since the page before, 0 where that is not known."""
    before = cursor.get(name)
    if total is None or not isinstance(before, int) or steps_back(cursor) >= MAX_STEPS_BACK:
        return 0
    return max(before - total, 0)


def steps_back(cursor: Cursor) -> int:
    """Return how often the walk has stepped back so far. It makes a place that is visited again another cursor."""
    return whole(cursor, "back", 0)


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
    far = max(whole(cursor, "far", 0), here)
    return {"far": far} if following < far else {}


def whole(cursor: Cursor, name: str, default: int) -> int:
    """Return a whole number that a cursor remembers."""
    value = cursor.get(name, default)
    return value if isinstance(value, int) else default
