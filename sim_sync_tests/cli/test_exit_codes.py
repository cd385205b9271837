from datetime import UTC, datetime

import pytest

from sim_sync.core.session import Session, State, SweepState
from sim_sync.terminal.output import ExitCode, exit_code_of, worst_of

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def a_session(state: State, sweep_state: SweepState = SweepState.PENDING) -> Session:
    return Session(
        session_id="s-1",
        session_number=1,
        carrier="acme",
        state=state,
        cursor=None,
        fence=1,
        config_hash="h",
        started_at=NOW,
        updated_at=NOW,
        sweep_state=sweep_state,
    )


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (State.COMPLETED, 0),
        (State.FAILED, 1),
        (State.RUNNING, 3),
        (State.INTERRUPTED, 3),
        (State.PARKED, 3),
        (State.PAUSED, 3),
        (State.SUPERSEDED, 3),
    ],
)
def test_every_state_has_its_exit_code(state: State, code: int) -> None:
    assert exit_code_of(a_session(state)) == code


@pytest.mark.parametrize(
    ("sweep_state", "code"),
    [(SweepState.DONE, 0), (SweepState.SKIPPED, 0), (SweepState.REJECTED, 0), (SweepState.HELD, 3)],
)
def test_a_completed_walk_is_not_finished_while_its_sweep_is_held(sweep_state: SweepState, code: int) -> None:
    assert exit_code_of(a_session(State.COMPLETED, sweep_state)) == code


@pytest.mark.parametrize(
    ("codes", "worst"), [([], 0), ([0, 0], 0), ([0, 3], 3), ([3, 2, 0], 2), ([3, 1, 2], 1), ([0, 137], 1)]
)
def test_of_several_carriers_the_worst_one_decides(codes: list[int], worst: int) -> None:
    assert worst_of(code if code in set(ExitCode) else ExitCode.FAILED for code in codes) == worst
