"""A held sweep and a person's decision on it: which session's it is, what may follow, and on exactly which SIMs.

The last certified complete walk is the one that counts: a later one that is certified makes a held sweep moot, one that
is not certified changes nothing. What was shown and what is marked are the same SIMs, or nothing is marked.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, Self

from sim_sync.core.errors import InputError
from sim_sync.core.session import Session, SessionRecord, SweepState
from sim_sync.core.storable import canonical_json, storable_text
from sim_sync.core.text import counted

#: The name of whoever decides, in characters: longer is a mistake.
_MAX_NAME = 200
#: A hex digit has four bits: enough that two different lists never have the same digest.
_DIGEST_DIGITS = 16

#: The sweep states of walks that were certified complete.
CERTIFIED = frozenset({SweepState.DONE, SweepState.HELD, SweepState.APPROVED, SweepState.REJECTED})


class SweepChoice(StrEnum):
    """What a person may say about a held sweep."""

    #: The SIMs are gone: mark them, as the walk would have done.
    APPROVE = "approve"
    #: The walk was wrong: mark nothing.
    REJECT = "reject"


SWEEP_TRANSITIONS: Mapping[tuple[SweepState, SweepChoice], SweepState] = MappingProxyType(
    {
        # Somebody has asked the carrier, and the SIMs are gone.
        (SweepState.HELD, SweepChoice.APPROVE): SweepState.APPROVED,
        # The carrier's list lacked them by mistake.
        (SweepState.HELD, SweepChoice.REJECT): SweepState.REJECTED,
    }
)


@dataclass(frozen=True, slots=True)
class OperatorDecision:
    """Who says what about a held sweep, and why; `digest` where they name the list that they have seen."""

    choice: SweepChoice
    by: str
    reason: str | None = None
    digest: str | None = None

    @classmethod
    def of(cls, choice: SweepChoice, by: str, reason: str | None = None, digest: str | None = None) -> Self:
        """Return a decision as it can be stored.

        Raises:
            InputError: `by` is no name.
        """
        name = storable_text(by).strip()
        if not 0 < len(name) <= _MAX_NAME:
            raise InputError(f"who decides has to have a name of 1 to {_MAX_NAME} characters (--by), found {len(name)}")
        return cls(choice, name, (storable_text(reason).strip() or None) if reason is not None else None, digest)


class UnseenSim(NamedTuple):
    """A SIM that a held sweep would mark, as it was when it was last seen."""

    sim_id: str
    iccid: str | None
    status: str
    rate_plan: str | None
    account: str | None
    #: An earlier walk has missed it too: it would be vanished, and not only absent.
    vanishes: bool


class GroupCount(NamedTuple):
    """How many of the SIMs have a value in common; None where the carrier tells none."""

    value: str | None
    sims: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSweep:
    """What approving a held sweep would mark, now. The lists are capped; the counts are not."""

    session: Session
    digest: str
    absent: int
    vanished: int
    by_status: Sequence[GroupCount]
    by_rate_plan: Sequence[GroupCount]
    by_account: Sequence[GroupCount]
    listed: Sequence[UnseenSim]

    @property
    def sims(self) -> int:
        """How many SIMs would be marked."""
        return self.absent + self.vanished


class Marked(NamedTuple):
    """How many SIMs a decision has marked."""

    absent: int = 0
    vanished: int = 0


@dataclass(frozen=True, slots=True)
class SweepHistory:
    """A carrier's last two certified walks: the one that counts, and the one before it."""

    last: Session | None = None
    before: Session | None = None

    @property
    def held(self) -> Session | None:
        """The session whose sweep waits for a person."""
        return self.last if self.last is not None and self.last.sweep_state is SweepState.HELD else None

    @property
    def moot(self) -> Session | None:
        """The session whose sweep nobody has decided on, and nobody has to any more."""
        return self.before if self.before is not None and self.before.sweep_state is SweepState.HELD else None


def sweep_digest(session_id: str, sims: Iterable[tuple[str, bool]]) -> str:
    """Return the digest of what a session's sweep would mark: each SIM's id, and whether it would be vanished."""
    digest = hashlib.sha256(canonical_json(session_id).encode())
    for sim_id, vanishes in sims:
        digest.update(canonical_json([sim_id, vanishes]).encode())
    return digest.hexdigest()[:_DIGEST_DIGITS]


def held_session(carrier: str, history: SweepHistory) -> Session:
    """Return the session whose sweep is held.

    Raises:
        InputError: none is; the message says what became of it.
    """
    if history.held is None:
        raise InputError(f"carrier {carrier} has no held sweep: {why_none_is_held(history)}")
    return history.held


def why_none_is_held(history: SweepHistory) -> str:
    """Return what became of the sweep of the last certified walk."""
    last = history.last
    if last is None:
        return "no walk was certified complete yet"
    told = f"the sweep of its last certified walk, session {last.session_id}, is {last.sweep_state.value}"
    if decision := decision_text(last):
        told = f"{told}, {decision}"
    return f"{told}; {moot_text(history.moot)}" if history.moot is not None else told


def held_text(held: Session) -> str:
    """Return why a sweep is held, and what to do."""
    return f"held: {held.sweep_reason}; `sim-sync sweep show {held.carrier}` lists the SIMs, then approve or reject it"


def moot_text(moot: Session) -> str:
    """Return that a held sweep no longer waits for anybody."""
    return f"that has made the held sweep of session {moot.session_id} moot"


def decision_text(session: Session) -> str | None:
    """Return who has decided on a session's sweep, when and why; None where nobody has."""
    if session.sweep_decided_by is None or session.sweep_decided_at is None:
        return None
    reason = f": {session.sweep_decision_reason}" if session.sweep_decision_reason else ""
    return f"decided by {session.sweep_decided_by} at {session.sweep_decided_at:%Y-%m-%d %H:%M:%S} UTC{reason}"


def next_sweep_state(session: Session, choice: SweepChoice) -> SweepState:
    """Return what a person's choice makes of a session's sweep.

    Raises:
        InputError: the sweep is not held, or somebody has decided on it already.
    """
    try:
        return SWEEP_TRANSITIONS[session.sweep_state, choice]
    except KeyError:
        raise InputError(
            f"carrier {session.carrier}: nothing to {choice.value}: the sweep of session {session.session_id} is "
            f"{session.sweep_state.value}, {decision_text(session) or 'and not held'}"
        ) from None


def require_as_shown(record: SessionRecord, decision: OperatorDecision, present: str) -> None:
    """Raise `InputError` where what would be marked now is not what was shown.

    Args:
        record: the session with the held sweep.
        decision: the approval.
        present: the digest of what would be marked now.
    """
    carrier, shown = record.session.carrier, record.internals.shown_sweep_digest
    show = f"`sim-sync sweep show {carrier}` shows what would be marked; nothing was marked"
    if shown is None:
        raise InputError(f"carrier {carrier}: the held sweep was not shown yet: {show}")
    if shown != present:
        raise InputError(
            f"carrier {carrier}: what would be marked has changed since it was shown (digest {shown}, now {present}): "
            f"{show}"
        )
    if decision.digest not in {None, present}:
        raise InputError(
            f"carrier {carrier}: what would be marked has the digest {present}, not {decision.digest}: {show}"
        )


def changed_meanwhile(carrier: str) -> InputError:
    """Return the error for SIMs that another session has written while they were to be marked."""
    return InputError(
        f"carrier {carrier}: some of the SIMs were seen again at this very moment: `sim-sync sweep show {carrier}` "
        "shows what would be marked; nothing was marked"
    )


def decided_as(choice: SweepChoice, marked: Marked, at: datetime) -> str:
    """Return what a decision has done, in one sentence."""
    if choice is SweepChoice.REJECT:
        return f"rejected at {at:%Y-%m-%d %H:%M:%S} UTC: the walk counts as wrong, and nothing was marked"
    return (
        f"approved at {at:%Y-%m-%d %H:%M:%S} UTC: {counted(marked.absent, 'SIM was', 'SIMs were')} marked absent, "
        f"{marked.vanished:,} vanished"
    )
