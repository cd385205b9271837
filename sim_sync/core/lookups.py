"""SIMs that a certified walk missed and that are asked for one by one: what a carrier says of each, and what of all.

The loop that asks is in `looking_up`; what the answers do to the tables is the store's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

from sim_sync.core.pages import Effort, are_forms_of_one, is_named_by_iccid
from sim_sync.core.session import Session, SessionRecord, SweepState
from sim_sync.core.sims import Sim
from sim_sync.core.sweep import SweepDecision, SweepPolicy
from sim_sync.core.text import counted


class LookupOutcome(StrEnum):
    """What a carrier says of one SIM."""

    FOUND = "found"
    NOT_FOUND = "not_found"
    #: An error, another SIM, or an absence that the carrier has not said in its own way.
    UNCLEAR = "unclear"


class AskedSim(NamedTuple):
    """A SIM that is asked for, by what names it: its ids, and its ICCID as the carrier last sent it."""

    sim_id: str
    iccid: str | None = None
    iccid_raw: str | None = None


@dataclass(frozen=True, slots=True)
class LookedUp:
    """An answer: with the SIM where it was found, with the problem where it is unclear, and with what it has cost."""

    outcome: LookupOutcome
    sim: Sim | None = None
    problem: str | None = None
    effort: Effort = field(default_factory=Effort)


@dataclass(frozen=True, slots=True)
class LookupPlan:
    """Whom a session has still to ask for, in order; `witness` is a SIM that its walk has seen."""

    session: Session
    sims: Sequence[AskedSim] = ()
    witness: AskedSim | None = None


@dataclass(frozen=True, slots=True)
class LookupLimits:
    """What the lookups of a run are bound by.

    A wait that a page would park for parks the session here too, unless it was resumed so often in a row without an
    answer (`max_parks`), or the account's quota is gone: the walk is whole, and does not wait for what it can do
    without.
    """

    policy: SweepPolicy
    max_parks: int = 2


class LookupCounts(NamedTuple):
    """What became of the SIMs that a walk missed: how many were answered how, and why others were not asked for."""

    found: int = 0
    not_found: int = 0
    unclear: int = 0
    #: The lookups were given up before them.
    given_up: int = 0
    #: They are more than the limit.
    left_out: int = 0


def is_the_one(asked: AskedSim, sim: Sim) -> bool:
    """Return whether a record that came back is of the SIM that was asked for, and not of another one."""
    if sim.sim_id == asked.sim_id:
        return True
    if asked.iccid is None or sim.iccid is None or not is_named_by_iccid(sim):
        return False
    return sim.iccid == asked.iccid or are_forms_of_one(sim.iccid, asked.iccid)


def counts_of(record: SessionRecord, answers: Mapping[str, int]) -> LookupCounts:
    """Return what became of the SIMs that a walk missed, from how many were answered how."""
    session = record.session
    given_up = session.lookups_expected - session.lookups_done
    return LookupCounts(**answers, given_up=given_up, left_out=record.internals.lookups_left_out)


def with_lookups(decision: SweepDecision, counts: LookupCounts, limit: int) -> SweepDecision:
    """Return the decision on a sweep that says what the lookups before it have told, if it is to be done."""
    if decision.state is not SweepState.DONE:
        return decision
    return replace(decision, reason=lookups_text(counts, limit))


def lookups_text(counts: LookupCounts, limit: int) -> str | None:
    """Return what the lookups of a walk have told, for whoever reads its sweep; None where there were none."""
    asked = counts.found + counts.not_found + counts.unclear
    answers = [
        f"{counts.not_found:,} not there, vanished now" if counts.not_found else "",
        f"{counts.found:,} still there, so the list was not whole" if counts.found else "",
        f"{counts.unclear:,} without a clear answer" if counts.unclear else "",
    ]
    told = [
        _sims_that_were(asked, "looked up", ", ".join(filter(None, answers))),
        _sims_that_were(counts.given_up, "not asked for", "the lookups before them failed"),
        _sims_that_were(counts.left_out, "not asked for", f"more than sweep.lookup_limit ({limit:,})"),
    ]
    return "; ".join(filter(None, told)) or None


def _sims_that_were(number: int, what: str, why: str) -> str:
    was = "was" if number == 1 else "were"
    return f"{counted(number, 'SIM')} that the list lacks {was} {what}: {why}" if number else ""
