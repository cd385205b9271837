"""Pages by number, counted over what the carrier has at this moment: they shift when SIMs come and go."""

from collections.abc import Sequence
from dataclasses import dataclass

from sim_sync.simulator.faults import EarlyEnd, PageFault, WrongTotal
from sim_sync.simulator.fleet import Fleet


@dataclass(frozen=True, slots=True)
class NumberedPage:
    """One page: which SIMs it lists, and what the carrier says about the whole."""

    number: int
    size: int
    indices: Sequence[int]
    total: int
    total_pages: int


def numbered_page(fleet: Fleet, number: int, size: int, fault: PageFault | None = None) -> NumberedPage:
    """Return the page with this number, counted from 1; `fault` is what the carrier tells wrongly about the whole."""
    offset = (number - 1) * size
    total = fleet.live_count
    page = slice_at(fleet, offset, size)
    pages = -(-total // size)
    match fault:
        case WrongTotal():
            return NumberedPage(number, size, page, max(total + fault.records, 0), max(pages + fault.pages, 0))
        case EarlyEnd():
            return NumberedPage(number, size, page, total, number)
        case _:
            return NumberedPage(number, size, page, total, pages)


def slice_at(fleet: Fleet, offset: int, count: int) -> list[int]:
    """Return the `count` SIMs that `offset` others come before; fewer at the end."""
    return fleet.live_after(fleet.live_at(offset) - 1, count)
