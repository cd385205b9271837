"""A fleet of simulated SIMs: a blueprint, a size, and an overlay of what was added, changed and removed since.

Memory grows with the overlay only. Safe to use from many threads. Knows no vendor and no HTTP.
"""

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from datetime import UTC, datetime, timedelta

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from sim_sync.core.errors import InputError
from sim_sync.core.sims import Lifecycle
from sim_sync.core.text import counted
from sim_sync.simulator.fleet_spec import MAX_FLEET_SIZE, FleetSpec, SimulatedSim
from sim_sync.simulator.sim_view import BlueprintSim, SimView

#: The fields that an edit may set. Each may become null, except `status`.
CHANGEABLE_FIELDS = (
    "iccid",
    "imsi",
    "msisdn",
    "imei",
    "eid",
    "status",
    "vendor_status",
    "rate_plan",
    "label",
    "ip_address",
)

#: Edits carry no clock: edit number n happened n seconds after this moment.
FIRST_EDIT = datetime(2026, 1, 1, tzinfo=UTC)
_SCAN_SIZE = 64
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_STRICT)
class SimChange:
    """New values for some fields of some SIMs."""

    indices: Sequence[int]
    fields: Mapping[str, str | None]


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class FleetEdit:
    """What happens to a fleet at once: `add` new SIMs at the end, change, remove and bring back others by index."""

    add: int = 0
    change: Sequence[SimChange] = field(default_factory=tuple)
    remove: Sequence[int] = field(default_factory=tuple)
    restore: Sequence[int] = field(default_factory=tuple)


class Fleet:
    """The SIMs of one carrier, in the order of their index.

    A position is an index: "after position 41" means the SIMs from index 42 on, whether or not 41 still exists. -1 is
    before the first.
    """

    def __init__(self, fleet_spec: FleetSpec, size: int) -> None:
        if not 0 <= size <= MAX_FLEET_SIZE:
            raise InputError(f"simulated fleet: expected 0 to {MAX_FLEET_SIZE:,} SIMs, found {size:,}")
        self.fleet_spec = fleet_spec
        self.size = size
        self._lock = threading.RLock()
        self._end = size
        self._removed: list[int] = []
        self._changed: dict[int, SimulatedSim] = {}
        self._revision = 0
        # Which edit changed a SIM last, and which edits added SIMs from which index on.
        self._change_revisions: dict[int, int] = {}
        self._additions: list[tuple[int, int]] = []

    @property
    def end(self) -> int:
        """The index that the next added SIM gets."""
        return self._end

    @property
    def revision(self) -> int:
        """How many edits there were."""
        return self._revision

    @property
    def live_count(self) -> int:
        """How many SIMs the carrier has now."""
        with self._lock:
            return self._end - len(self._removed)

    def is_live(self, index: int) -> bool:
        """Return whether the carrier has this SIM now."""
        with self._lock:
            return 0 <= index < self._end and not self._is_removed(index)

    def sim(self, index: int) -> SimulatedSim:
        """Return a SIM as it is now, or as it was when it was removed."""
        with self._lock:
            return self._changed.get(index) or self.fleet_spec.sim(index)

    def views(self, indices: Sequence[int]) -> list[SimView]:
        """Return SIMs as vendors read them, in the order of the indices."""
        changed = self.changed_among(indices)
        fleet_spec = self.fleet_spec
        return [changed.get(index) or BlueprintSim(fleet_spec, index) for index in indices]

    def changed_among(self, indices: Iterable[int]) -> Mapping[int, SimulatedSim]:
        """Return those of the SIMs that are no longer what the blueprint says."""
        with self._lock:
            if not self._changed:
                return {}
            return {index: self._changed[index] for index in indices if index in self._changed}

    def live_at(self, offset: int) -> int:
        """Return the index of the SIM that `offset` others come before; at or beyond the last, the fleet's end."""
        with self._lock:
            # removed[k] - k is how many live SIMs come before removed[k]: it never falls, so it can be searched.
            before = bisect_right(range(len(self._removed)), offset, key=self._live_before_removed)
            return min(offset + before, self._end)

    def offset_of(self, index: int) -> int:
        """Return how many SIMs come before this index."""
        with self._lock:
            return index - bisect_left(self._removed, index)

    def live_after(self, position: int, count: int) -> list[int]:
        """Return the indices of the first `count` SIMs after a position, in ascending order."""
        found: list[int] = []
        with self._lock:
            index = max(position + 1, 0)
            while index < self._end and len(found) < count:
                gap = bisect_left(self._removed, index)
                next_removed = self._removed[gap] if gap < len(self._removed) else self._end
                stop = min(next_removed, index + count - len(found))
                found.extend(range(index, stop))
                index = self._end_of_gap(gap) if stop == next_removed else stop
        return found

    def live_before(self, position: int, count: int) -> list[int]:
        """Return the indices of the last `count` SIMs before a position, in ascending order."""
        with self._lock:
            stop = self.offset_of(min(position, self._end))
            start = max(stop - count, 0)
            return self.live_after(self.live_at(start) - 1, stop - start)

    def matching_after(self, position: int, count: int, accepts: Callable[[int], bool]) -> list[int]:
        """Return the first `count` indices after a position that `accepts` takes, in ascending order."""
        found: list[int] = []
        while len(found) < count and (indices := self.live_after(position, _SCAN_SIZE)):
            found.extend(filter(accepts, indices))
            position = indices[-1]
        return found[:count]

    def matching_before(self, position: int, count: int, accepts: Callable[[int], bool]) -> list[int]:
        """Return the last `count` indices before a position that `accepts` takes, in ascending order."""
        found: list[int] = []
        while len(found) < count and (indices := self.live_before(position, _SCAN_SIZE)):
            found[:0] = filter(accepts, indices)
            position = indices[0]
        return found[-count:]

    def index_of_iccid(self, iccid: str) -> int | None:
        """Return the index of the SIM that has this ICCID now, or None."""
        with self._lock:
            candidates = [index for index, sim in self._changed.items() if sim.iccid == iccid]
            original = self.fleet_spec.index_of_iccid(iccid)
            if original is not None and original not in self._changed:
                candidates.append(original)
            return next(filter(self.is_live, sorted(candidates)), None)

    def modifications(self) -> list[tuple[int, int]]:
        """Return what edits touched, as (edit number, index), in the order of the edits: SIMs changed last or added."""
        with self._lock:
            ends = [*(start for start, _ in self._additions[1:]), self._end]
            added = [
                (revision, index)
                for (start, revision), end in zip(self._additions, ends, strict=False)
                for index in range(start, end)
                if index not in self._change_revisions
            ]
            changed = [(revision, index) for index, revision in self._change_revisions.items()]
            return sorted(added + changed)

    def edit(self, edit: FleetEdit) -> range:
        """Apply an edit wholly or not at all, and return the indices of the SIMs it added.

        Raises:
            InputError: an index that is not there (or, for `restore`, not removed), or a field or value that is not
                possible; nothing was changed.
        """
        with self._lock:
            self._check(edit)
            self._revision += 1
            moment = moment_of_revision(self._revision)
            added = range(self._end, self._end + edit.add)
            self._end += edit.add
            if edit.add:
                self._additions.append((added.start, self._revision))
            for change in edit.change:
                for index in change.indices:
                    self._changed[index] = _changed_sim(self.sim(index), change.fields, moment)
                    self._change_revisions[index] = self._revision
            if edit.remove or edit.restore:
                self._removed = sorted((set(self._removed) - set(edit.restore)) | set(edit.remove))
            return added

    def _check(self, edit: FleetEdit) -> None:
        if not 0 <= edit.add <= MAX_FLEET_SIZE - self._end:
            raise InputError(f"edit of a fleet: cannot add {counted(edit.add, 'SIM')} to {self._end:,}")
        for change in edit.change:
            _check_fields(change.fields)
        for index in (*edit.remove, *(index for change in edit.change for index in change.indices)):
            if not self.is_live(index):
                raise InputError(f"edit of a fleet: expected the index of a SIM it has, found {index}")
        for index in edit.restore:
            if not self._is_removed(index):
                raise InputError(f"edit of a fleet: expected the index of a removed SIM to restore, found {index}")

    def _is_removed(self, index: int) -> bool:
        place = bisect_left(self._removed, index)
        return place < len(self._removed) and self._removed[place] == index

    def _live_before_removed(self, place: int) -> int:
        return self._removed[place] - place

    def _end_of_gap(self, place: int) -> int:
        """Return the first index after the unbroken run of removed SIMs that starts at this place of the list."""
        if place >= len(self._removed):
            return self._end
        run = range(place, len(self._removed))
        after = bisect_right(run, self._live_before_removed(place), key=self._live_before_removed)
        return self._removed[place + after - 1] + 1


def moment_of_revision(revision: int) -> datetime:
    """Return when an edit happened: a second after the one before, and after all that a blueprint tells."""
    return FIRST_EDIT + timedelta(seconds=revision)


def _check_fields(fields: Mapping[str, str | None]) -> None:
    for name, value in fields.items():
        if name not in CHANGEABLE_FIELDS:
            raise InputError(f"edit of a fleet: expected one of {', '.join(CHANGEABLE_FIELDS)}, found the field {name}")
        if name == "status" and value not in set(Lifecycle):
            raise InputError(f"edit of a fleet: expected a lifecycle word as status, found {value}")


def _changed_sim(sim: SimulatedSim, fields: Mapping[str, str | None], moment: datetime) -> SimulatedSim:
    values: dict[str, str | None] = dict(fields)
    if "status" in values:
        # A vendor's word belongs to the status it was set for.
        values.setdefault("vendor_status", None)
    return replace(sim, updated_at=moment, **values)  # type: ignore[arg-type]  # names and values are checked above
