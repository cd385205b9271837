"""The carrier's own totals, read from the places where it tells them."""

from collections.abc import Callable

from sim_sync.carriers.connector import Totals
from sim_sync.carriers.json_bodies import NumberText
from sim_sync.carriers.messages import Answer
from sim_sync.carriers.pagination import Place
from sim_sync.carriers.pagination.places import whole_number


def totals_at(*, records: Place | None = None, pages: Place | None = None) -> Callable[[Answer], Totals]:
    """Return the function that reads the totals at these places."""

    def totals(answer: Answer) -> Totals:
        return Totals(records=_count(records, answer), pages=_count(pages, answer))

    return totals


def _count(place: Place | None, answer: Answer) -> int | None:
    """Return the count at a place; one that no list can have is none, for it only promises how far the end is."""
    if place is None or isinstance(place.find(answer), NumberText):
        return None
    return whole_number(place, answer)
