"""A `CrashPoint` that a test arms: it lets the process die at a named point of `core.sync`."""

import threading

from sim_sync.core.sync import CRASH_POINTS, DECISION_POINTS


class SimulatedCrash(BaseException):
    """The process died here. It passes every `except Exception`, as death does."""


class ArmedPoints:
    """Called with every point as it is passed; raises at those that the test has armed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: dict[str, tuple[int, BaseException]] = {}
        #: Every point passed so far, in order.
        self.passed: list[str] = []

    def arm(self, point: str, *, skip: int = 0, error: BaseException | None = None) -> None:
        """Raise once at this point, after it was passed `skip` times more: a crash, unless an error is given."""
        if point not in (*CRASH_POINTS, *DECISION_POINTS):
            raise KeyError(f"there is no crash point {point}")
        with self._lock:
            self._armed[point] = (skip, error or SimulatedCrash(point))

    def disarm(self) -> None:
        """Forget every armed point."""
        with self._lock:
            self._armed.clear()

    def __call__(self, point: str) -> None:
        """Pass the point, or die at it."""
        with self._lock:
            self.passed.append(point)
            if point not in self._armed:
                return
            skip, error = self._armed.pop(point)
            if skip > 0:
                self._armed[point] = (skip - 1, error)
                return
        raise error
