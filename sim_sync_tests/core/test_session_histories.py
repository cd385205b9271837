"""Any history of events leaves a session as `session_model` says it has to be, or is refused."""

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sim_sync.core import session_events
from sim_sync.core.errors import IllegalTransition, InputError, InternalError
from sim_sync.core.held_sweep import OperatorDecision, SweepChoice
from sim_sync.core.opening import OpenRequest, Resume
from sim_sync.core.pages import Effort, PageDiff
from sim_sync.core.session import Event, Process, Release, SessionRecord, State, SweepState
from sim_sync.core.sweep import SweepDecision
from sim_sync_tests.core.session_model import SessionModel
from sim_sync_tests.fakes.clock import START
from sim_sync_tests.fakes.fleet import FIRST_CURSOR, a_fleet, a_page, a_rejected, a_request

_SECONDS = st.sampled_from([0, 1, 7, 29, 30, 4000])
_NUMBERS = st.integers(0, 3)
_TOTALS = st.sampled_from([None, None, 3, 40])
_ERRORS = st.sampled_from([None, "HTTP 503", "HTTP 429"])
_THROTTLED = st.sampled_from([0.0, 1.5, 60.0])
_LEASES = st.sampled_from([30.0, 60.0])
_DOUBTS = st.sampled_from([None, None, "a key came twice"])
_SELDOM = st.sampled_from([True, *[False] * 7])


def _request(owner: str, lease_seconds: float) -> OpenRequest:
    process = Process("host-1", int(owner.removeprefix("run-")), "1.0")
    return a_request(owner, lease_seconds=lease_seconds, process=process)


def _facts(request: OpenRequest) -> dict[str, Any]:
    return {
        "owner": request.owner,
        "lease_seconds": request.lease_seconds,
        "pid": request.process and request.process.pid,
    }


class SessionHistory(RuleBasedStateMachine):
    """One session that lives through everything that can happen, and the model that only takes notes."""

    def __init__(self) -> None:
        super().__init__()
        self.model = SessionModel()
        self.now = START
        self.takers = self.cursors = 0
        self.record: SessionRecord

    @initialize(expects=_TOTALS, lease_seconds=_LEASES)
    def a_run_opens_it(self, expects: int | None, lease_seconds: float) -> None:
        request = _request("run-0", lease_seconds)
        self.record = session_events.opened(request, "acme-1", 1, expects, self.now)
        self.model.happens("opening", self.now, cursor=FIRST_CURSOR, expects=expects, **_facts(request))

    @rule(seconds=_SECONDS)
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    def happens(self, event: Callable[[], SessionRecord], what: str, **facts: Any) -> None:
        """Let something happen to both where the model allows it; the event has to be refused where it does not."""
        if self.model.may_happen(what):
            self.record = event()
            self.model.happens(what, self.now, **facts)
        else:
            with pytest.raises(IllegalTransition):
                event()

    @rule(counts=st.booleans(), lease_seconds=_LEASES)
    def a_run_takes_it_over(self, counts: bool, lease_seconds: float) -> None:
        self.takers += 1
        request = _request(f"run-{self.takers}", lease_seconds)
        takeover = Resume(counts_as_stalled=counts)
        self.happens(
            lambda: session_events.taken_over(self.record, request, takeover, self.now),
            "takeover",
            counts=counts,
            **_facts(request),
        )

    @rule(lease_seconds=_LEASES)
    def a_run_takes_it_over_whose_owner_was_lost(self, lease_seconds: float) -> None:
        self.takers += 1
        request = _request(f"run-{self.takers}", lease_seconds)
        if self.model.may_happen("lost"):
            self.model.happens("lost", self.now, error="its run died")
            self.happens(
                lambda: session_events.taken_over(self.record, request, Resume("its run died"), self.now),
                "takeover",
                counts=True,
                **_facts(request),
            )

    @rule(
        sims=_NUMBERS,
        overlap=st.sampled_from([0, 0, 1]),
        unreadable=_NUMBERS,
        diff=st.builds(PageDiff, added=_NUMBERS, changed=_NUMBERS),
        totals=st.tuples(_TOTALS, _TOTALS),
        effort=st.builds(Effort, _NUMBERS, _THROTTLED, _ERRORS),
        doubts=st.tuples(_DOUBTS, _DOUBTS),
        is_last=_SELDOM,
    )
    def a_page_is_committed(
        self,
        *,
        sims: int,
        overlap: int,
        unreadable: int,
        diff: PageDiff,
        totals: tuple[int | None, int | None],
        effort: Effort,
        doubts: tuple[str | None, str | None],
        is_last: bool,
    ) -> None:
        if self.record.session.cursor is None:
            return
        self.cursors += 1
        records_total, pages_total = totals
        gap, end_doubt = doubts
        page = a_page(
            a_fleet(sims),
            None if is_last else {"page": self.cursors},
            rejected=[a_rejected(position) for position in range(unreadable)],
            records_total=records_total,
            overlap=min(overlap, sims),
            gap=gap,
            end_doubt=end_doubt,
            pages_total=pages_total,
            effort=effort,
        )
        self.happens(
            lambda: session_events.page_committed(self.record, page, diff, self.now),
            "page",
            leads_to=page.next_cursor,
            records=page.records,
            sims=sims,
            overlap=page.overlap,
            gap=gap,
            end_doubt=end_doubt,
            unreadable=unreadable,
            added=diff.added,
            changed=diff.changed,
            total=records_total,
            pages=pages_total,
            retries=effort.retries,
            throttled=effort.throttled_seconds,
            error=effort.last_error,
        )

    @rule(is_meant=st.booleans())
    def the_walk_starts_again(self, is_meant: bool) -> None:
        if is_meant:
            self.happens(
                lambda: session_events.walk_restarted(self.record, FIRST_CURSOR, "HTTP 410", self.now),
                "restart",
                error="the walk started again from its first page: HTTP 410",
            )

    @rule()
    def the_lease_is_renewed(self) -> None:
        if self.model.state() == "paused":
            assert session_events.lease_renewed(self.record, self.now) is self.record
        else:
            self.happens(lambda: session_events.lease_renewed(self.record, self.now), "renewal")

    @rule(
        how=st.sampled_from(
            [
                (Event.STOPPED_BY_MACHINE, "stopped"),
                (Event.WAIT_TOO_LONG, "waits"),
                (Event.PAUSED_BY_OPERATOR, "pause"),
                (Event.GAVE_UP, "gave up"),
            ]
        ),
        error=_ERRORS,
        wait_seconds=st.sampled_from([None, 3600.0]),
        effort=st.builds(Effort, _NUMBERS, _THROTTLED),
        is_overtaken=_SELDOM,
    )
    def its_owner_gives_it_back(
        self,
        *,
        how: tuple[Event, str],
        error: str | None,
        wait_seconds: float | None,
        effort: Effort,
        is_overtaken: bool,
    ) -> None:
        event, what = how
        wait_seconds = wait_seconds if what == "waits" else None
        release = Release(event, error, wait_seconds, effort)
        claim = self.record.session.claim
        if is_overtaken or self.model.state() != "running":
            claim = replace(claim, fence=claim.fence - is_overtaken)
            assert session_events.released(self.record, claim, release, self.now) is self.record
            return
        self.happens(
            lambda: session_events.released(self.record, claim, release, self.now),
            what,
            by_owner=True,
            error=error,
            wait_seconds=wait_seconds,
            retries=effort.retries,
            throttled=effort.throttled_seconds,
        )

    @rule(sims_seen=_NUMBERS, state=st.sampled_from([SweepState.DONE, SweepState.HELD, SweepState.SKIPPED]))
    def it_is_closed(self, sims_seen: int, state: SweepState) -> None:
        decision = SweepDecision(state, "a reason")
        if self.record.session.cursor is not None:
            with pytest.raises(InternalError, match="acme-1"):
                session_events.completed(self.record, decision, sims_seen, self.now)
            return
        self.happens(
            lambda: session_events.completed(self.record, decision, sims_seen, self.now),
            "end",
            sims_seen=sims_seen,
            sweep=state.value,
        )
        if self.model.state() == "completed":
            assert self.record.session.sweep_state is not SweepState.PENDING

    @rule(
        choice=st.sampled_from(SweepChoice), by=st.sampled_from(["ann", "bob"]), reason=st.sampled_from([None, "why"])
    )
    def a_person_decides_on_its_sweep(self, choice: SweepChoice, by: str, reason: str | None) -> None:
        decision = OperatorDecision(choice, by, reason)
        if not self.model.may_be_decided():
            with pytest.raises(InputError, match="nothing to"):
                session_events.sweep_decided(self.record, decision, self.now)
            return
        self.happens(
            lambda: session_events.sweep_decided(self.record, decision, self.now),
            "decision",
            choice=choice.value,
            by=by,
            reason=reason,
        )

    @rule(error=_ERRORS)
    def a_person_pauses_it(self, error: str | None) -> None:
        event = Event.PAUSED_BY_OPERATOR
        self.happens(
            lambda: session_events.moved_by_operator(self.record, event, error, self.now),
            "pause",
            by_owner=False,
            error=error,
        )

    @rule()
    def a_person_resumes_it(self) -> None:
        event = Event.RELEASED_BY_OPERATOR
        self.happens(lambda: session_events.moved_by_operator(self.record, event, None, self.now), "resume")

    @rule()
    def it_is_given_up(self) -> None:
        if self.model.may_happen("lost"):
            self.model.happens("lost", self.now)
        self.happens(
            lambda: session_events.gave_up(self.record, "gave up after 3", self.now), "gave up", error="gave up after 3"
        )

    @rule(is_meant=_SELDOM)
    def a_new_session_replaces_it(self, is_meant: bool) -> None:
        if is_meant:
            self.happens(
                lambda: session_events.superseded(self.record, "a restart", self.now), "replaced", error="a restart"
            )

    # --- what has to hold --------------------------------------------------------------------------------------------

    @invariant()
    def it_is_what_its_history_makes_it(self) -> None:
        if not self.model.history:
            return
        session = asdict(self.record.session)
        expected = self.model.expected()
        expected_eta = expected.pop("eta_at")
        assert (session["eta_at"] is None) is (expected_eta is None)
        assert abs((session["eta_at"] or START) - (expected_eta or START)) < timedelta(milliseconds=1)
        assert {name: session[name] for name in expected} == expected

    @invariant()
    def what_is_remembered_is_what_its_history_makes_it(self) -> None:
        if not self.model.history:
            return
        internals = asdict(self.record.internals)
        expected = self.model.expected_internals()
        assert {name: internals[name] for name in expected} == expected
        assert internals["pace_seconds"] == pytest.approx(self.model.pace())

    @invariant()
    def each_state_has_what_belongs_to_it_and_nothing_else(self) -> None:
        if not self.model.history:
            return
        session = self.record.session
        assert session.lease_expires_at is not None or session.state is not State.RUNNING
        assert session.lease_expires_at is None or session.state in {State.RUNNING, State.PAUSED}
        assert session.eta_at is None or session.state is State.RUNNING
        assert session.not_before is None or session.state is State.PARKED
        assert (session.finished_at is None) is session.is_open


TestSessionHistories = SessionHistory.TestCase
TestSessionHistories.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
