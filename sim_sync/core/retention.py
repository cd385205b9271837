"""Which sessions may be forgotten. Nobody who reads what is left can tell, but for what is older."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from sim_sync.core.held_sweep import CERTIFIED
from sim_sync.core.progress import WALKS_COMPARED
from sim_sync.core.session import FINAL_STATES, State, SweepState

#: So many of a carrier's certified walks are what a sweep is decided by, a held one too.
_CERTIFIED_KEPT = 2


class PastSession(NamedTuple):
    """A session, as far as it matters whether it may be forgotten. `touched_at` is when anything last became of it."""

    session_id: str
    number: int
    state: State
    sweep_state: SweepState
    touched_at: datetime
    has_open_records: bool = False

    @property
    def is_completed(self) -> bool:
        """Whether the walk went to its end."""
        return self.state is State.COMPLETED

    @property
    def is_certified(self) -> bool:
        """Whether it was a complete walk that could sweep."""
        return self.is_completed and self.sweep_state in CERTIFIED


def standing(sessions: Sequence[PastSession]) -> Sequence[PastSession]:
    """Return the sessions by which a carrier is judged today, whatever their age. `sessions` are the newest first.

    The open or else newest one, the last that was completed, and the last two certified ones.
    """
    completed = [one for one in sessions if one.is_completed]
    certified = [one for one in sessions if one.is_certified]
    unfinished = [one for one in sessions if one.state not in FINAL_STATES]
    return [*sessions[:1], *unfinished, *completed[:1], *certified[:_CERTIFIED_KEPT]]


def first_kept(sessions: Sequence[PastSession], before: datetime, *, named: int | None = None) -> int:
    """Return the number of a carrier's oldest session that stays; those with a lower number may be forgotten.

    None is forgotten from between two that stay. So whatever was last seen by a session that is not there any more was
    seen before everything that is.

    Args:
        sessions: all of the carrier's, the newest first.
        before: a session that anything became of since then stays.
        named: the oldest session that is named by what stays elsewhere.
    """
    oldest = min(_needed(sessions, before, named), default=0)
    earlier = [one.number for one in sessions if one.is_completed and one.number < oldest]
    # How long a walk took is told beside how long those before it took.
    return min(earlier[:WALKS_COMPARED], default=oldest)


def _needed(sessions: Sequence[PastSession], before: datetime, named: int | None) -> Iterator[int]:
    yield from (one.number for one in standing(sessions))
    yield from (one.number for one in sessions if one.touched_at >= before or one.has_open_records)
    if named is not None:
        yield named
