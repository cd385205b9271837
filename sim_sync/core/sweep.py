"""May the SIMs that a walk did not see be marked? What a walk knows, its certification, and the mass-vanish guard."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from sim_sync.core.errors import EndlessList
from sim_sync.core.pages import Page, PageDiff
from sim_sync.core.session import SessionInternals, SessionRecord, SweepState
from sim_sync.core.text import counted, percent_text

# May the SIMs that a walk did not see be marked? Certification of a walk, and the mass-vanish guard.
#
# Absent is not gone: only a certified complete walk may mark anything, a SIM is `vanished` only after two of them,
# and too many at once wait for an operator.


#: A crash or a deploy costs a walk a minute; after so long, a list by position is another one.
_LONG_BREAK_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class SweepPolicy:
    """The limits of `sweep:` in `carriers.yaml`; `repeats_by_design` where a connector's pages overlap."""

    max_vanished_percent: float = 5.0
    min_vanished_count: int = 20
    total_tolerance_percent: float = 0.5
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


# What a walk knows about having seen everything: kept with its pages, and asked for at its end (`sweep`).
#
# Also where a walk that has no end stops: a list that merely grows brings SIMs that were not seen, an endless one
# none.


def learned(record: SessionRecord, page: Page, diff: PageDiff) -> SessionInternals:
    """Return what is known of the walk with one page more.

    Raises:
        EndlessList: the walk has reached one of its bounds.
    """
    known = record.internals
    has_told = known.carrier_total is not None
    total = page.records_total
    _check_length(record)
    return replace(
        known,
        sims_listed=known.sims_listed + (diff.first_seen if page.is_reread else len(page.sims) - page.overlap),
        carrier_total=known.carrier_total if total is None else total,
        total_fallen=known.total_fallen + _fall(known.carrier_total, total),
        total_is_stale=has_told if total is None else False,
        walk_gap=known.walk_gap or page.gap,
        end_doubt=page.end_doubt,
        moves_unseen=known.moves_unseen or page.moves_unseen,
        idle_pages=_idle_pages(record, page, diff),
    )


def started_again(record: SessionRecord) -> SessionInternals:
    """Return what is known of a walk that starts again: nothing, but that its pages so far will bring nothing new."""
    return replace(
        record.internals,
        sims_listed=0,
        total_fallen=0,
        total_is_stale=False,
        walk_gap=None,
        end_doubt=None,
        moves_unseen=False,
        longest_break_seconds=0.0,
        idle_pages=-record.session.pages_done,
    )


def after_a_break(record: SessionRecord, now: datetime) -> SessionInternals:
    """Return what is known of a walk that somebody continues with: how long nobody did."""
    known, session = record.internals, record.session
    seconds = (now - session.updated_at).total_seconds() if session.pages_done else 0.0
    return replace(known, longest_break_seconds=max(known.longest_break_seconds, seconds))


def _fall(before: int | None, now: int | None) -> int:
    return 0 if before is None or now is None else max(before - now, 0)


def _idle_pages(record: SessionRecord, page: Page, diff: PageDiff) -> int:
    known, session = record.internals, record.session
    if diff.first_seen or (page.rejected and not page.sims):
        return 0
    if page.is_reread:
        return known.idle_pages
    if known.idle_pages >= known.max_idle_pages and page.next_cursor is not None:
        idle = counted(known.max_idle_pages, "page")
        raise EndlessList(
            f"carrier {session.carrier}: page {session.pages_done + 1}: {idle} in a row brought no SIM that this walk "
            "had not seen, and the carrier still names a next page, so its list seems to have no end. "
            f"{page.advice_on_repeats}; if that many such pages are usual, raise `max_idle_pages`"
        )
    return known.idle_pages + 1


def _check_length(record: SessionRecord) -> None:
    known, session = record.internals, record.session
    if session.pages_done >= known.max_pages:
        raise EndlessList(
            f"carrier {session.carrier}: page {session.pages_done + 1}: the walk is longer than `max_pages_per_walk` "
            f"({known.max_pages:,}) allows. If the fleet is so large, raise it, or let `page_size` be larger; if not, "
            "the list has no end: check the pagination and `sim_id` in carriers.yaml"
        )
