"""What the exit codes mean, and which one a session's state stands for."""

from collections.abc import Iterable
from enum import IntEnum

from sim_sync.core.session import Session, State, SweepState


class ExitCode(IntEnum):
    """The exit codes of `sim-sync`, part of the public contract."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_FINISHED = 3


def exit_code_of(session: Session) -> ExitCode:
    """Return what a session that was worked on means to the caller's script."""
    match session.state:
        case State.COMPLETED:
            return ExitCode.NOT_FINISHED if session.sweep_state is SweepState.HELD else ExitCode.DONE
        case State.FAILED:
            return ExitCode.FAILED
        case _:
            return ExitCode.NOT_FINISHED


def worst_of(codes: Iterable[int]) -> ExitCode:
    """Return the one exit code for several carriers: a failure before an open end before done."""
    order = [ExitCode.FAILED, ExitCode.USAGE, ExitCode.NOT_FINISHED, ExitCode.DONE]
    found = set(codes)
    return next((code for code in order if code in found), ExitCode.FAILED if found else ExitCode.DONE)
