"""The phase between a certified walk and its sweep: SIMs that the walk missed are asked for one by one, a step each.

Absence is believed where the vendor says it of the SIM itself, and only after the same lookup has found a SIM that the
list has: a path that is gone, or a right that is missing, is a 404 for every SIM. Whatever else comes, a SIM keeps the
rule of two walks, and the walk its certificate.
"""

from sim_sync.core.errors import CarrierError, ParkRequired, WaitCause
from sim_sync.core.lookups import AskedSim, LookedUp, LookupOutcome, LookupPlan
from sim_sync.core.pages import Effort
from sim_sync.core.ports import LookupSource, LookupStore
from sim_sync.core.session import Claim, State
from sim_sync.core.sync import StepRules, StopReason, reason_to_stop

#: So many lookups in a row that told nothing, and the others of this walk are not worth their requests.
_FAILURES_IN_A_ROW = 3


def look_up_missing(claim: Claim, carrier: LookupSource, store: LookupStore, rules: StepRules) -> StopReason | None:
    """Ask for the SIMs that a walk has missed, one step each, until there is none (None) or a reason to stop.

    Raises:
        ParkRequired, OwnershipError, TransientError: as from a walk.
    """
    limits = rules.lookups
    if limits is None or limits.policy.lookup_limit == 0 or not carrier.can_look_up:
        return None
    plan: LookupPlan = rules.retried(store.plan_lookups, claim, limits.policy, carrier.config_hash)
    return _Lookups(plan, carrier, store, rules, limits.max_parks).run()


class _GaveUp(Exception):
    """No further lookup is worth its request; the text says why."""


class _Lookups:
    def __init__(
        self, plan: LookupPlan, carrier: LookupSource, store: LookupStore, rules: StepRules, max_parks: int
    ) -> None:
        self._session = plan.session
        self._sims = plan.sims
        self._witness = plan.witness
        self._carrier = carrier
        self._store = store
        self._rules = rules
        self._max_parks = max_parks
        self._can_find = False
        self._failures = 0

    def run(self) -> StopReason | None:
        for asked in self._sims:
            if reason := reason_to_stop(self._session, self._rules):
                return reason
            try:
                looked_up, is_last = self._answer(asked), False
            except _GaveUp as why:
                looked_up, is_last = LookedUp(LookupOutcome.UNCLEAR, problem=str(why)), True
            self._rules.at("look_up_sim:answered")
            self._session = self._rules.retried(self._store.commit_lookup, self._session.claim, asked, looked_up)
            self._rules.on_checkpoint(self._session)
            self._failures = self._failures + 1 if looked_up.outcome is LookupOutcome.UNCLEAR else 0
            if is_last or self._failures >= _FAILURES_IN_A_ROW:
                break
        return StopReason.PAUSED if self._session.state is State.PAUSED else None

    def _answer(self, asked: AskedSim) -> LookedUp:
        looked_up = self._ask(asked)
        self._can_find = self._can_find or looked_up.outcome is LookupOutcome.FOUND
        if looked_up.outcome is LookupOutcome.NOT_FOUND and not self._can_find:
            self._prove_that_it_finds()
        return looked_up

    def _prove_that_it_finds(self) -> None:
        """Ask for a SIM that the list has: a lookup that does not find it says nothing about any other."""
        found = LookedUp(LookupOutcome.UNCLEAR) if self._witness is None else self._ask(self._witness)
        if found.outcome is not LookupOutcome.FOUND:
            raise _GaveUp(
                f"carrier {self._session.carrier}: its lookup does not find a SIM that its list has"
                f"{f' ({found.problem})' if found.problem else ''}, so what it does not find may be there"
            )
        self._can_find = True

    def _ask(self, asked: AskedSim) -> LookedUp:
        try:
            return self._carrier.look_up(asked)
        except CarrierError as error:
            return LookedUp(LookupOutcome.UNCLEAR, problem=str(error))
        except ParkRequired as wait:
            return self._after(wait)

    def _after(self, wait: ParkRequired) -> LookedUp:
        """Return what a SIM gets whose lookup stays without an answer; or let the session wait, as for a page."""
        effort = Effort(wait.retries, wait.throttled_seconds)
        if wait.is_outage and wait.cause is WaitCause.CARRIER_DOWN:
            return LookedUp(LookupOutcome.UNCLEAR, problem=str(wait), effort=effort)
        if wait.cause is WaitCause.NO_ROOM_LEFT:
            raise wait
        if wait.cause is WaitCause.QUOTA_USED_UP or self._session.stalled_resumes >= self._max_parks:
            raise _GaveUp(str(wait)) from None
        raise wait
