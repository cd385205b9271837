"""How simulated vendors page: numbered pages, cursors, lists by time of modification."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sim_sync.simulator.faults import EarlyEnd, PageFault, WrongTotal
from sim_sync.simulator.fleet import Fleet, moment_of_revision
from sim_sync.simulator.fleet_spec import MASK64, mix64, seeded_number, unmix64
from sim_sync.simulator.vendors.bodies import BadParameter

# Pages by number, counted over what the carrier has at this moment: they shift when SIMs come and go.


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


# The `X-` headers in which emnify and 1NCE count SIMs and pages; the body itself is a bare array.


def counted_headers(page: NumberedPage) -> Mapping[str, str]:
    """Return what the carrier says about the whole."""
    return {
        "X-Total-Count": str(page.total),
        "X-Total-Pages": str(page.total_pages),
        "X-Current-Page": str(page.number),
        "X-Count-Per-Page": str(page.size),
    }


# Opaque cursors over a fleet's positions: made without memory, checked, and expired on demand.


_POSITION_BITS = 40


class UnknownCursor(BadParameter):
    """This carrier never gave that cursor out."""


class ExpiredCursor(BadParameter):
    """The carrier gave that cursor out, and no longer knows it."""


class Cursors:
    """Turns positions of one fleet's list into opaque texts and back. A cursor of another fleet is not accepted.

    A position is a whole number of at most 40 bits; `name` tells one kind of a vendor's cursors from another. After a
    start they are the same again.
    """

    def __init__(self, fleet: Fleet, name: str, *, prefix: str = "") -> None:
        self._prefix = prefix
        self._seed = (name, fleet.fleet_spec.seed)
        self._keys = [self._key(0)]
        self._expired_status = 400

    def cursor(self, position: int) -> str:
        """Return the cursor of a position."""
        return self._text(position, self._keys[-1])

    def position(self, cursor: str) -> int:
        """Return the position that a cursor names.

        Raises:
            UnknownCursor: this carrier never gave that cursor out.
            ExpiredCursor: it did, before its cursors expired.
        """
        *earlier, current = self._keys
        position = self._position(cursor, current)
        if position is not None:
            return position
        if any(self._position(cursor, key) is not None for key in earlier):
            raise ExpiredCursor("the cursor has expired", self._expired_status)
        raise UnknownCursor("the cursor is invalid")

    def expire(self, status: int) -> None:
        """Refuse all cursors given out so far, with this status."""
        self._expired_status = status
        self._keys.append(self._key(len(self._keys)))

    def _key(self, generation: int) -> int:
        return seeded_number("cursors", *self._seed, generation) & MASK64

    def _text(self, position: int, key: int) -> str:
        check = mix64(key + position) >> _POSITION_BITS
        return f"{self._prefix}{mix64((check << _POSITION_BITS | position) ^ key):016x}"

    def _position(self, cursor: str, key: int) -> int | None:
        try:
            block = unmix64(int(cursor.removeprefix(self._prefix), 16) & MASK64) ^ key
        except ValueError:
            return None
        position = block & ((1 << _POSITION_BITS) - 1)
        return position if self._text(position, key) == cursor else None


# A fleet in the order of its SIMs' last modification, a window at a time; holds only the SIMs that edits touched.
#
# Untouched SIMs were modified evenly over some years, in the order of their index; what edits touched comes after
# them all, in the order of the edits. So a modification moves a SIM to the end, and those behind it one place
# forward.


_FIRST = datetime(2018, 3, 1, tzinfo=UTC)
_SPAN_SECONDS = int((datetime(2025, 12, 31, tzinfo=UTC) - _FIRST).total_seconds())


def untouched_moment(fleet: Fleet, index: int) -> datetime:
    """Return when a SIM was modified last that no edit touched."""
    return _FIRST + timedelta(seconds=index * _SPAN_SECONDS // max(fleet.size, 1))


class ModificationWindow:
    """The SIMs modified at or after one moment and before another, as the fleet is now."""

    def __init__(self, fleet: Fleet, since: datetime, until: datetime) -> None:
        self._fleet = fleet
        self._start, self._stop = _first_index_at(fleet, since), _first_index_at(fleet, until)
        touched = fleet.modifications()
        self._touched = {index for _, index in touched}
        self._excluded = sorted(filter(fleet.is_live, self._touched))
        self._tail = [
            index
            for revision, index in touched
            if since <= moment_of_revision(revision) < until and fleet.is_live(index)
        ]
        self._untouched = self._rank(self._stop)

    @property
    def total(self) -> int:
        """How many SIMs are in the window."""
        return self._untouched + len(self._tail)

    def page(self, offset: int, count: int) -> list[int]:
        """Return the `count` SIMs that `offset` others of the window come before; fewer at the end."""
        found = self._from_rank(offset, min(count, self._untouched - offset)) if offset < self._untouched else []
        place = max(offset - self._untouched, 0)
        return found + self._tail[place : place + count - len(found)]

    def _rank(self, index: int) -> int:
        """Return how many untouched SIMs of the window come before an index."""
        live = self._fleet.offset_of(index) - self._fleet.offset_of(self._start)
        return live - bisect_left(self._excluded, index) + bisect_left(self._excluded, self._start)

    def _from_rank(self, rank: int, count: int) -> list[int]:
        place = bisect_left(range(self._start, self._stop), rank + 1, key=lambda index: self._rank(index + 1))
        position = self._start + place - 1
        found: list[int] = []
        while len(found) < count:
            indices = self._fleet.live_after(position, count)
            found += [index for index in indices if index not in self._touched]
            position = indices[-1]
        return found[:count]


def _first_index_at(fleet: Fleet, moment: datetime) -> int:
    """Return the first index of those at the start whose moment, untouched, is not before this one."""
    seconds = -((_FIRST - moment) // timedelta(seconds=1))
    return min(max(-(-seconds * fleet.size // _SPAN_SECONDS), 0), fleet.size)
