"""May the SIMs that a walk did not see be marked? Certification of a walk, and the mass-vanish guard. Pure.

Absent is not gone: only a certified complete walk may mark anything, a SIM is `vanished` only after two of them, or
where the carrier itself says that it is not there, and too many at once wait for an operator.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sim_sync.core.session import SessionRecord, SweepState
from sim_sync.core.text import counted, percent_text

#: A crash or a deploy costs a walk a minute; after so long, a list by position is another one.
_LONG_BREAK_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class SweepPolicy:
    """The limits of `sweep:` in `carriers.yaml`; `repeats_by_design` where a connector's pages overlap.

    `lookup_limit` is how many SIMs that a walk missed are asked for one by one; 0 asks for none.
    """

    max_vanished_percent: float = 5.0
    min_vanished_count: int = 20
    total_tolerance_percent: float = 0.5
    lookup_limit: int = 200
    repeats_by_design: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkFacts:
    """What the warehouse knows about a walk that is about to be closed.

    `sims_seen` counts distinct SIMs of this session, `sims_known` the carrier's SIMs not marked vanished before it or
    seen in it, `newly_missing` those of them that the walk saw in no form of their ICCID and that no earlier walk
    missed, `unseen` all that are not marked vanished and that it did not see. The fields from `sims_listed` on are
    those of `SessionInternals`.
    """

    sims_seen: int
    sims_known: int
    newly_missing: int
    records_quarantined: int
    carrier_total: int | None
    end_signalled: bool = True
    config_unchanged: bool = True
    unseen: int = 0
    sims_listed: int | None = None
    total_fallen: int = 0
    total_is_stale: bool = False
    walk_gap: str | None = None
    end_doubt: str | None = None
    walk_restarts: int = 0
    moves_unseen: bool = False
    longest_break_seconds: float = 0.0

    @property
    def repeats(self) -> int:
        """How many SIMs on the walk's pages were SIMs that it had seen already."""
        return 0 if self.sims_listed is None else max(self.sims_listed - self.sims_seen, 0)


@dataclass(frozen=True, slots=True)
class SweepDecision:
    """What becomes of the sweep, and why; `reason` is None where it is simply done."""

    state: SweepState
    reason: str | None = None


def facts_of(
    record: SessionRecord, *, sims_seen: int, sims_known: int, newly_missing: int, unseen: int, config_hash: str
) -> WalkFacts:
    """Return the facts about a walk from its record and what a store has counted."""
    session, known = record.session, record.internals
    return WalkFacts(
        sims_seen=sims_seen,
        sims_known=sims_known,
        newly_missing=newly_missing,
        records_quarantined=session.records_quarantined,
        carrier_total=known.carrier_total,
        end_signalled=session.walked_to_the_end,
        config_unchanged=session.config_hash == config_hash,
        unseen=unseen,
        sims_listed=known.sims_listed,
        total_fallen=known.total_fallen,
        total_is_stale=known.total_is_stale,
        walk_gap=known.walk_gap,
        end_doubt=known.end_doubt,
        walk_restarts=known.walk_restarts,
        moves_unseen=known.moves_unseen,
        longest_break_seconds=known.longest_break_seconds,
    )


def certification_problem(facts: WalkFacts, policy: SweepPolicy) -> str | None:
    """Return why the walk is not certified complete, or None where it is."""
    return next(_problems(facts, policy), None)


def _problems(facts: WalkFacts, policy: SweepPolicy) -> Iterator[str]:
    if not facts.end_signalled:
        yield "the carrier never gave its end signal"
    if not facts.config_unchanged:
        yield "the carrier's configuration changed during the walk"
    if facts.records_quarantined:
        unread = counted(facts.records_quarantined, "record")
        yield f"{unread} could not be read: each may be a SIM that seems missing"
    if facts.end_doubt is not None:
        yield facts.end_doubt
    if facts.walk_restarts and facts.unseen:
        # What was seen before the restart counts as seen: it may stand for what was missed after it.
        yield (
            f"the walk had to start again, and {counted(facts.unseen, 'known SIM')} {_is(facts.unseen)} not among "
            "those that it saw before and after that"
        )
    yield from _total_problems(facts, policy) if facts.carrier_total is not None else _repeat_problems(facts, policy)


def is_about_total(total: int, seen: int) -> bool:
    """Return whether a walk saw as many SIMs as the carrier said it has, but for the tolerance, or for one SIM."""
    return abs(total - seen) <= max(1.0, total * SweepPolicy().total_tolerance_percent / 100)


def _total_problems(facts: WalkFacts, policy: SweepPolicy) -> Iterator[str]:
    """Yield how the walk disagrees with the carrier's total.

    SIMs that left during the walk were seen or not: to have seen all that stayed for certain, a walk has to have seen
    as many as the total says and those that left. The tolerance is for a total that is not quite exact; it must not
    cover what a walk itself shows to have gone wrong.
    """
    total = facts.carrier_total or 0
    twice = _repeats_text(facts)
    others = "where some come twice, others may not have come at all"
    at_least = total + facts.total_fallen
    says = f"the carrier says it has {counted(total, 'SIM')}, but {facts.sims_seen:,} {_was(facts.sims_seen)} seen"
    if facts.sims_seen < at_least:
        if facts.repeats:
            yield f"{twice}, and the carrier says it has {at_least:,}{_those_that_left(facts)}: {others}"
        if facts.walk_gap is not None:
            yield f"{says}: {facts.walk_gap}"
        if facts.total_is_stale:
            yield f"{says}, and its last page did not tell that any more"
    elif facts.repeats and facts.unseen:
        # A total that counts something else may come to as many as were seen. Nothing is marked on its word.
        yield f"{twice}, and {counted(facts.unseen, 'known SIM')} {_is(facts.unseen)} not among them: {others}"
    percent_allowed = total * policy.total_tolerance_percent / 100
    if facts.total_fallen and at_least - facts.sims_seen > percent_allowed:
        yield f"{says} and {facts.total_fallen:,} left during the walk: others may have moved up into pages read before"
    allowed = max(1.0, percent_allowed)
    if total - facts.sims_seen > allowed or facts.sims_seen - at_least > allowed:
        yield says


def _those_that_left(facts: WalkFacts) -> str:
    return f" with {facts.total_fallen:,} that left during the walk" if facts.total_fallen else ""


def _repeats_text(facts: WalkFacts) -> str:
    listed = facts.sims_listed or 0
    return f"{counted(listed, 'record')} {_was(listed)} {counted(facts.sims_seen, 'SIM')}"


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def _repeat_problems(facts: WalkFacts, policy: SweepPolicy) -> Iterator[str]:
    """Yield what a walk without a total shows to have gone wrong."""
    if facts.repeats and not policy.repeats_by_design:
        yield f"{_repeats_text(facts)}: where some come twice, others may not have come at all"
    if facts.walk_gap is not None:
        yield facts.walk_gap
    if facts.moves_unseen and facts.longest_break_seconds >= _LONG_BREAK_SECONDS:
        yield (
            f"the walk stood still for {facts.longest_break_seconds / 3600:.1f} hours in a list by position that "
            "reports no total, so records may have moved up meanwhile into pages read before"
        )


def decide_sweep(facts: WalkFacts, policy: SweepPolicy) -> SweepDecision:
    """Decide whether the SIMs that the walk did not see are marked now, held for an operator, or left alone."""
    if problem := certification_problem(facts, policy):
        return SweepDecision(SweepState.SKIPPED, f"not certified complete: {problem}")
    if facts.sims_seen == 0 and facts.sims_known > 0:
        known = f"{facts.sims_known:,} {_was(facts.sims_known)} known"
        return SweepDecision(SweepState.HELD, f"the carrier returned no SIM at all, {known}; nothing was marked")
    missing_percent = 100 * facts.newly_missing / facts.sims_known if facts.sims_known else 0.0
    if missing_percent > policy.max_vanished_percent and facts.newly_missing > policy.min_vanished_count:
        return SweepDecision(
            SweepState.HELD,
            f"{facts.newly_missing:,} of {counted(facts.sims_known, 'known SIM')} ({percent_text(missing_percent)}) "
            f"{_was(facts.newly_missing)} missing at once, more than {policy.max_vanished_percent:g} % and "
            f"{policy.min_vanished_count:,}; nothing was marked",
        )
    return SweepDecision(SweepState.DONE)
