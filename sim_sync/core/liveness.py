"""Which runs are at work, and whether the owner of a lease that is being watched is lost. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sim_sync.core.clocks import TOLERANCE
from sim_sync.core.session import Process, Session, State

# Which runs are at work: decided by their leases, and by what the orchestrator and their own host know of them.
#
# A run keeps a lease of its own in the warehouse from its first step to its end, whatever it does meanwhile and
# whether or not it owns a session. So nobody has to guess how long a start, our list or a comparison may take.


#: A run that was created and never submitted: its daemon died between the two.
_SUBMITTED_WITHIN = timedelta(minutes=1)
#: A container may be minutes in coming; the orchestrator itself sees to a start that never ends.
_HEARD_OF_WITHIN = timedelta(minutes=15)
#: A run takes its lease in its first step, seconds after its start. Whoever looks after it grants it one of this length
#: until then: a process that died before it said a word is noticed like any other.
FIRST_LEASE_SECONDS = 60.0
#: The longest lease that `lease_seconds` may ask for.
LONGEST_LEASE_SECONDS = 3600.0
#: Who lives and could not renew its lease tries again every second.
_RENEWED_WITHIN_SECONDS = 3.0
#: Who could renew it all the time does so every third of a lease, ten seconds by default.
_RENEWED_IN_TURN_WITHIN_SECONDS = 13.0


@dataclass(frozen=True, slots=True)
class RunLease:
    """Until when a run is presumed alive, and the process it is."""

    run_id: str
    process: Process
    expires_at: datetime


class Phase(StrEnum):
    """How far the orchestrator has got with an unfinished run."""

    CREATED = "created"
    QUEUED = "queued"
    STARTING = "starting"
    STARTED = "started"
    ENDING = "ending"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSnapshot:
    """What is seen of one unfinished run.

    `takes_a_lease` where it is certain that this run, once started, takes one and keeps it to its end.
    """

    phase: Phase
    phase_lasts: timedelta
    lease: RunLease | None = None
    is_known_dead: bool = False
    takes_a_lease: bool = True


def is_stray(until: datetime | None, now: datetime) -> bool:
    """Return whether a lease lies farther ahead than one can: a clock that was ahead has written it."""
    return until is not None and until - now > timedelta(seconds=LONGEST_LEASE_SECONDS) + TOLERANCE


def renewal_seconds(overdue: Iterable[datetime], now: datetime) -> float:
    """Return for how long leases that ran out at these times are watched: who lives renews his in that time.

    One that ran out long ago may have been cut short by a clock that was put forward: then its owner knows of nothing,
    and renews it when its turn comes.
    """
    is_cut_short = any(now - until > TOLERANCE for until in overdue)
    return _RENEWED_IN_TURN_WITHIN_SECONDS if is_cut_short else _RENEWED_WITHIN_SECONDS


def is_lost(run: RunSnapshot, silent: Collection[str]) -> bool:
    """Return whether it is certain that nobody works on the run any more. `silent`: see `silent_runs`.

    A run without a lease never counts as lost: it may be about to take one, or have just given its own back.
    """
    return run.lease is not None and (run.is_known_dead or run.lease.run_id in silent)


def is_owed_a_lease(run: RunSnapshot) -> bool:
    """Return whether the run has begun and has no lease yet: it is granted one, which it renews if it lives.

    No time is compared here: the clocks of two hosts may differ by more than a start takes.
    """
    return run.lease is None and run.phase is Phase.STARTED and run.takes_a_lease


def is_waited_for(run: RunSnapshot, silent: Collection[str]) -> bool:
    """Return whether the run may still come to its carrier's session, so that another one would only be in its way.

    What is not waited for any more need not be dead: if it comes after all, it finds the session in other hands.
    """
    if is_lost(run, silent):
        return False
    if run.lease is not None or run.phase in {Phase.QUEUED, Phase.ENDING}:
        return True
    longest = _SUBMITTED_WITHIN if run.phase is Phase.CREATED else _HEARD_OF_WITHIN
    # A phase that has yet to begin was written by a clock that was ahead: how long it lasts, nobody knows.
    return -TOLERANCE <= run.phase_lasts <= longest


def presumed_alive_until(sessions: Sequence[Session], leases: Sequence[RunLease]) -> Mapping[str, datetime]:
    """Return until when each run is presumed alive: by its own lease, or by that of the session that it owns."""
    until = {lease.run_id: lease.expires_at for lease in leases}
    for session in sessions:
        if session.state is State.RUNNING and session.owner is not None and session.lease_expires_at is not None:
            until[session.owner] = max(session.lease_expires_at, until.get(session.owner, session.lease_expires_at))
    return until


def silent_runs(before: Mapping[str, datetime], after: Mapping[str, datetime], now: datetime) -> frozenset[str]:
    """Return the runs whose lease has run out and was not renewed between two looks.

    One look would not do: after an outage of the warehouse all leases have run out, and every run that lives is about
    to renew its own.
    """
    return frozenset(run for run, until in after.items() if until <= now and before.get(run) == until)


# What a run that finds a session in other hands learns by watching the lease on it: is its owner at work, or lost?
#
# `defs` looks again and again, and asks here what the looks mean.


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
