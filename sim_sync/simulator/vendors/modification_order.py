"""A fleet in the order of its SIMs' last modification, a window at a time; holds only the SIMs that edits touched.

Untouched SIMs were modified evenly over some years, in the order of their index; what edits touched comes after them
all, in the order of the edits. So a modification moves a SIM to the end, and those behind it one place forward.
"""

from bisect import bisect_left
from datetime import UTC, datetime, timedelta

from sim_sync.simulator.fleet import Fleet, moment_of_revision

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
