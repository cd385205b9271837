"""The carrier's own totals, read from the places where it tells them."""

from collections.abc import Callable

from sim_sync.carriers.connector import Totals
from sim_sync.carriers.json_bodies import NumberText
from sim_sync.carriers.messages import Response
from sim_sync.carriers.pagination import ResponseField
from sim_sync.carriers.pagination.places import whole_number


def totals_at(
    *, records: ResponseField | None = None, pages: ResponseField | None = None
) -> Callable[[Response], Totals]:
    """Return the function that reads the totals at these places."""

    def totals(response: Response) -> Totals:
        return Totals(records=_count(records, response), pages=_count(pages, response))

    return totals


def _count(place: ResponseField | None, response: Response) -> int | None:
    """Return the count at a place; one that no list can have is none, for it only promises how far the end is."""
    if place is None or isinstance(place.find(response), NumberText):
        return None
    return whole_number(place, response)
