"""May the SIMs that a walk did not see be marked? Certification of a walk, and the mass-vanish guard.

Absent is not gone: only a certified complete walk may mark anything, a SIM is `vanished` only after two of them, and
too many at once wait for an operator.
"""

from dataclasses import dataclass

from sim_sync.core.session import SweepState


@dataclass(frozen=True, slots=True)
class SweepPolicy:
    """The limits of `sweep:` in `carriers.yaml`."""

    max_vanished_percent: float = 5.0
    min_vanished_count: int = 20
    total_tolerance_percent: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkFacts:
    """What the warehouse knows about a walk that is about to be closed.

    `sims_seen` counts distinct SIMs of this session, `sims_known` the carrier's SIMs not marked vanished before it or
    seen in it, `newly_missing` those of them that the walk did not see and that no earlier walk missed.
    """

    sims_seen: int
    sims_known: int
    newly_missing: int
    records_quarantined: int
    carrier_total: int | None
    end_signalled: bool = True
    config_unchanged: bool = True


@dataclass(frozen=True, slots=True)
class SweepVerdict:
    """What becomes of the sweep, and why; `reason` is None where it is simply done."""

    state: SweepState
    reason: str | None = None


def certification_problem(facts: WalkFacts, policy: SweepPolicy) -> str | None:
    """Return why the walk is not certified complete, or None where it is."""
    if not facts.end_signalled:
        return "the carrier never gave its end signal"
    if not facts.config_unchanged:
        return "the carrier's configuration changed during the walk"
    if facts.records_quarantined:
        return f"{facts.records_quarantined} records could not be read, and any of them may be a SIM that seems missing"
    if facts.carrier_total is not None:
        allowed = max(1.0, facts.carrier_total * policy.total_tolerance_percent / 100)
        if abs(facts.carrier_total - facts.sims_seen) > allowed:
            return f"the carrier says it has {facts.carrier_total} SIMs, but {facts.sims_seen} were seen"
    return None


def decide_sweep(facts: WalkFacts, policy: SweepPolicy) -> SweepVerdict:
    """Decide whether the SIMs that the walk did not see are marked now, held for an operator, or left alone."""
    if problem := certification_problem(facts, policy):
        return SweepVerdict(SweepState.SKIPPED, f"not certified complete: {problem}")
    if facts.sims_seen == 0 and facts.sims_known > 0:
        return SweepVerdict(
            SweepState.HELD,
            f"the carrier returned no SIM at all, {facts.sims_known} were known; nothing was marked",
        )
    missing_percent = 100 * facts.newly_missing / facts.sims_known if facts.sims_known else 0.0
    if missing_percent > policy.max_vanished_percent and facts.newly_missing > policy.min_vanished_count:
        return SweepVerdict(
            SweepState.HELD,
            f"{facts.newly_missing} of {facts.sims_known} known SIMs ({missing_percent:.1f} %) were missing at once, "
            f"more than {policy.max_vanished_percent:g} % and {policy.min_vanished_count}; nothing was marked",
        )
    return SweepVerdict(SweepState.DONE)
