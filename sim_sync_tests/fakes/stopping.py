"""Ways to stop a walk from a test, in the shape of `StepRules.should_stop`."""

from collections.abc import Callable

from sim_sync.core.session import Session
from sim_sync.core.sync import StopReason


def stop_after(steps: int, reason: StopReason = StopReason.PAGE_BUDGET) -> Callable[[Session], StopReason | None]:
    """Return a `should_stop` that lets a walk take this many steps; made again for every walk."""
    steps_left = steps

    def should_stop(_session: Session) -> StopReason | None:
        nonlocal steps_left
        if steps_left == 0:
            return reason
        steps_left -= 1
        return None

    return should_stop


def never_stop(_session: Session) -> StopReason | None:
    """Let a walk continue to its end."""
    return None
