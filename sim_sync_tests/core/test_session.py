import itertools
from datetime import UTC, datetime

import pytest

from sim_sync.core.errors import IllegalTransition
from sim_sync.core.session import (
    FINAL_STATES,
    TRANSITIONS,
    Claim,
    Event,
    Session,
    State,
    SweepState,
    next_state,
)

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
STOPPED = {State.INTERRUPTED, State.PARKED, State.PAUSED, State.FAILED}

#: The table of states in the public contract: where a session can go from each, in one step.
CONTRACT = {
    State.RUNNING: {State.RUNNING, State.COMPLETED, State.SUPERSEDED} | STOPPED,
    State.INTERRUPTED: {State.RUNNING, State.PAUSED, State.FAILED, State.SUPERSEDED},
    State.PARKED: {State.RUNNING, State.INTERRUPTED, State.PAUSED, State.FAILED, State.SUPERSEDED},
    # Only an operator continues it: it becomes an interrupted one, which may be taken over.
    State.PAUSED: {State.PAUSED, State.INTERRUPTED, State.SUPERSEDED},
    State.FAILED: {State.RUNNING, State.INTERRUPTED, State.PAUSED, State.SUPERSEDED},
    State.COMPLETED: set(),
    State.SUPERSEDED: set(),
}


def ways_out(state: State) -> set[State]:
    return {after for (before, _), after in TRANSITIONS.items() if before is state}


def reachable(state: State) -> set[State]:
    found: set[State] = set()
    waiting = [state]
    while waiting:
        new = ways_out(waiting.pop()) - found
        found |= new
        waiting += new
    return found


def a_session(state: State = State.RUNNING, cursor: dict[str, int] | None = None) -> Session:
    return Session(
        session_id="acme-1",
        session_number=1,
        carrier="acme",
        state=state,
        cursor=cursor,
        fence=3,
        config_hash="config-1",
        started_at=NOW,
        updated_at=NOW,
    )


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_an_event_moves_a_session_as_the_table_says_or_is_illegal(state: State, event: Event) -> None:
    if (state, event) in TRANSITIONS:
        assert next_state(state, event) is TRANSITIONS[state, event]
    else:
        with pytest.raises(IllegalTransition, match=f"{state.value}.*{event.value}.*report this"):
            next_state(state, event)


@pytest.mark.parametrize("state", list(State))
def test_the_states_lead_where_the_public_contract_says(state: State) -> None:
    assert ways_out(state) == CONTRACT[state]


def test_a_state_and_its_words_are_those_of_the_public_contract() -> None:
    assert {state.value for state in State} == {
        "running",
        "interrupted",
        "parked",
        "paused",
        "failed",
        "completed",
        "superseded",
    }
    assert {state.value for state in SweepState} == {"pending", "done", "held", "approved", "rejected", "skipped"}


def test_final_states_have_no_way_out() -> None:
    assert {state for state in State if not ways_out(state)} == FINAL_STATES == {State.COMPLETED, State.SUPERSEDED}


@pytest.mark.parametrize("state", sorted(set(State) - FINAL_STATES))
def test_every_session_that_is_not_final_can_still_be_completed_and_superseded(state: State) -> None:
    assert reachable(state) >= FINAL_STATES


@pytest.mark.parametrize("state", sorted(set(State) - {State.RUNNING}))
def test_every_state_is_reached_from_a_running_session(state: State) -> None:
    assert state in reachable(State.RUNNING)


@pytest.mark.parametrize("event", list(Event))
def test_every_event_moves_some_session(event: Event) -> None:
    assert event in {known for _, known in TRANSITIONS}


def test_only_an_operator_lets_a_paused_session_go_on() -> None:
    ways = {event for (state, event), after in TRANSITIONS.items() if state is State.PAUSED and after is not state}
    assert ways == {Event.RELEASED_BY_OPERATOR, Event.REPLACED_BY_NEW_SESSION}


def test_a_session_is_completed_only_by_the_owner_that_walked_it_to_the_end() -> None:
    assert [way for way, after in TRANSITIONS.items() if after is State.COMPLETED] == [
        (State.RUNNING, Event.WALKED_TO_THE_END)
    ]


def test_machine_stop_human_stop_waiting_and_giving_up_are_never_mixed() -> None:
    events = {
        Event.STOPPED_BY_MACHINE: State.INTERRUPTED,
        Event.OWNER_LOST: State.INTERRUPTED,
        Event.WAIT_TOO_LONG: State.PARKED,
        Event.PAUSED_BY_OPERATOR: State.PAUSED,
        Event.GAVE_UP: State.FAILED,
        Event.WALKED_TO_THE_END: State.COMPLETED,
        Event.REPLACED_BY_NEW_SESSION: State.SUPERSEDED,
        Event.TAKEN_OVER: State.RUNNING,
        Event.RELEASED_BY_OPERATOR: State.INTERRUPTED,
    }
    led_to = {event: {after for (_, known), after in TRANSITIONS.items() if known is event} for event in events}
    assert led_to == {event: {state} for event, state in events.items()}


def test_a_page_leaves_the_state_as_it_is() -> None:
    kept = {state: after for (state, event), after in TRANSITIONS.items() if event is Event.PAGE_COMMITTED}
    assert kept == {State.RUNNING: State.RUNNING, State.PAUSED: State.PAUSED}


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        TRANSITIONS[State.COMPLETED, Event.TAKEN_OVER] = State.RUNNING  # type: ignore[index] # what is tested


def test_a_sessions_claim_is_its_id_and_fence() -> None:
    assert a_session().claim == Claim("acme-1", "acme", 3)


@pytest.mark.parametrize("state", list(State))
def test_a_session_is_open_until_it_is_final(state: State) -> None:
    assert a_session(state).is_open is (state not in FINAL_STATES)


def test_a_session_without_a_cursor_has_walked_to_the_end() -> None:
    assert a_session(cursor=None).walked_to_the_end
    assert not a_session(cursor={}).walked_to_the_end
