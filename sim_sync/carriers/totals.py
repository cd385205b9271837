"""The carrier's own totals, read from the places where it tells them."""

from collections.abc import Callable

from sim_sync.carriers.connector import Totals
from sim_sync.carriers.messages import Answer
from sim_sync.carriers.pagination import Place
from sim_sync.carriers.pagination.places import whole_number


def totals_at(*, records: Place | None = None, pages: Place | None = None) -> Callable[[Answer], Totals]:
    """Return the function that reads the totals at these places."""

    def totals(answer: Answer) -> Totals:
        return Totals(
            records=None if records is None else whole_number(records, answer),
            pages=None if pages is None else whole_number(pages, answer),
        )

    return totals
