"""What a run that finds a session in other hands learns by watching the lease on it: is its owner at work, or lost?

Pure: `defs` looks again and again, and asks here what the looks mean.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sim_sync.core.session import Session, State


class Finding(StrEnum):
    """What became of the owner that was watched."""

    AT_WORK = "at work"
    LOST = "lost"
    #: The session is not in its hands any more; who may have it now is to be decided again.
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a carrier's open session, by the warehouse's time.

    `alive_until` is the end of the longest lease that speaks for its owner. `is_gone` where the owner is known to be
    over; `can_renew` unless nobody could renew a lease at this moment.
    """

    now: datetime
    session: Session | None
    alive_until: datetime | None = None
    is_gone: bool = False
    can_renew: bool = True


def finding(first: Look, latest: Look, *, not_before: datetime) -> Finding | None:
    """Return what two looks at a running session say of its owner; None where it is to be looked at again.

    An owner is lost only after its lease has run out, and not before `not_before`: one that lives may be about to renew
    a lease that ran out while the warehouse was away.
    """
    before, after = first.session, latest.session
    if before is None or after is None or after.state is not State.RUNNING or after.session_id != before.session_id:
        return Finding.LEFT
    if latest.is_gone:
        return Finding.LOST
    if after.fence != before.fence or after.updated_at != before.updated_at or _renewed(first, latest):
        return Finding.AT_WORK
    is_silent = first.alive_until is None or latest.now >= first.alive_until
    return Finding.LOST if is_silent and latest.now >= not_before and latest.can_renew else None


def _renewed(first: Look, latest: Look) -> bool:
    if first.alive_until is None or latest.alive_until is None:
        return latest.alive_until is not None
    return latest.alive_until > first.alive_until
