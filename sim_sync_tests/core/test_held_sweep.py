"""Which session's sweep waits for a person, and what they may make of it. The store's rules are `decision_rules`."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.core.errors import InputError
from sim_sync.core.held_sweep import (
    OperatorDecision,
    SweepChoice,
    SweepHistory,
    decision_text,
    held_session,
    next_sweep_state,
    require_as_shown,
    sweep_digest,
    why_none_is_held,
)
from sim_sync.core.session import Session, SessionInternals, SessionRecord, State, SweepState
from sim_sync_tests.fakes.clock import START
from sim_sync_tests.fakes.fleet import CARRIER

APPROVE = OperatorDecision(SweepChoice.APPROVE, "ann")
sims = st.lists(st.tuples(st.text(max_size=3), st.booleans()), max_size=5)


def a_walk(state: SweepState, number: int = 1) -> Session:
    return Session(
        session_id=f"acme-{number}",
        session_number=number,
        carrier=CARRIER,
        state=State.COMPLETED,
        cursor=None,
        fence=1,
        config_hash="hash-1",
        started_at=START,
        updated_at=START,
        finished_at=START,
        sweep_state=state,
    )


@pytest.mark.parametrize("choice", SweepChoice)
@pytest.mark.parametrize("state", SweepState)
def test_only_a_held_sweep_can_be_decided(state: SweepState, choice: SweepChoice) -> None:
    session = a_walk(state)
    if state is SweepState.HELD:
        assert next_sweep_state(session, choice).value == {"approve": "approved", "reject": "rejected"}[choice]
        return
    with pytest.raises(InputError, match=f"nothing to {choice}: the sweep of session acme-1 is {state}"):
        next_sweep_state(session, choice)


def test_a_sweep_state_of_another_version_is_not_decided() -> None:
    with pytest.raises(InputError, match="is postponed"):
        next_sweep_state(a_walk(SweepState("postponed")), SweepChoice.REJECT)


def test_the_last_certified_walk_is_the_one_that_counts() -> None:
    held, done = a_walk(SweepState.HELD), a_walk(SweepState.DONE, 2)
    assert held_session(CARRIER, SweepHistory(held)) is held
    history = SweepHistory(done, held)
    assert (history.held, history.moot) == (None, held)
    with pytest.raises(InputError, match="carrier acme has no held sweep: the sweep of its last certified walk"):
        held_session(CARRIER, history)
    assert why_none_is_held(history) == (
        "the sweep of its last certified walk, session acme-2, is done; that has made the held sweep of session acme-1 "
        "moot"
    )


def test_whoever_decided_is_named_with_time_and_reason() -> None:
    decided = replace(a_walk(SweepState.REJECTED), sweep_decided_by="ann", sweep_decided_at=START + timedelta(hours=1))
    assert decision_text(decided) == "decided by ann at 2026-03-02 03:00:00 UTC"
    with_reason = replace(decided, sweep_decision_reason="cut off")
    assert decision_text(with_reason) == "decided by ann at 2026-03-02 03:00:00 UTC: cut off"
    assert decision_text(a_walk(SweepState.HELD)) is None


@pytest.mark.parametrize(
    ("shown", "named", "present", "words"),
    [
        (None, None, "aa", "was not shown yet"),
        ("aa", None, "bb", "has changed since it was shown"),
        ("aa", "bb", "bb", "has changed since it was shown"),
        ("bb", "aa", "bb", "has the digest bb, not aa"),
    ],
)
def test_what_was_not_shown_is_not_approved(shown: str | None, named: str | None, present: str, words: str) -> None:
    record = SessionRecord(a_walk(SweepState.HELD), SessionInternals(lease_seconds=30.0, shown_sweep_digest=shown))
    with pytest.raises(InputError, match=words) as refused:
        require_as_shown(record, replace(APPROVE, digest=named), present)
    assert "`sim-sync sweep show acme`" in str(refused.value)


@given(sims, sims, st.sampled_from(["acme-1", "acme-2"]))
def test_a_digest_names_the_session_and_each_sim_with_its_mark(
    one: list[tuple[str, bool]], other: list[tuple[str, bool]], session_id: str
) -> None:
    is_same = one == other and session_id == "acme-1"
    assert (sweep_digest("acme-1", one) == sweep_digest(session_id, other)) == is_same


@pytest.mark.parametrize("name", ["", "  ", "\t", "x" * 201])
def test_whoever_decides_has_a_name(name: str) -> None:
    with pytest.raises(InputError, match="--by"):
        OperatorDecision.of(SweepChoice.APPROVE, name)


def test_a_decision_is_kept_as_every_database_can_hold_it() -> None:
    decision = OperatorDecision.of(SweepChoice.REJECT, " ann\x00 ", "  ")
    assert (decision.by, decision.reason) == ("ann\N{REPLACEMENT CHARACTER}", None)
