"""Rides out transient failures, with the one formula of `core.backoff`; too long a wait frees the worker."""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from sim_sync.carriers.settings import Retry
from sim_sync.core.backoff import wait_seconds
from sim_sync.core.counting import counted
from sim_sync.core.errors import NoRoomLeft, ParkRequired, Throttled, TransientError, WaitCause
from sim_sync.core.pages import Effort
from sim_sync.core.ports import Waiter

_log = logging.getLogger("sim_sync.carriers")

Found = TypeVar("Found")


@dataclass(slots=True)
class _Tally:
    retries: int = 0
    throttled_seconds: float = 0.0
    last_error: str | None = None


class Retrier:
    """Tries again and again, as the settings of a carrier say."""

    def __init__(self, retry: Retry, waiter: Waiter, *, chance: Callable[[], float] = random.random) -> None:
        self._retry = retry
        self._waiter = waiter
        self._chance = chance

    def call(self, attempt: Callable[[], Found]) -> tuple[Found, Effort]:
        """Return what `attempt` returns in the end, and what it cost.

        Raises:
            ParkRequired: all attempts are used up, or the next wait is longer than `park_after_seconds`.
            StopRequested: a wait was cut short.
        """
        tally = _Tally()
        retrying = Retrying(
            retry=retry_if_exception_type(TransientError),
            stop=stop_after_attempt(self._retry.max_attempts),
            wait=self._wait_seconds,
            sleep=self._waiter.wait,
            before_sleep=lambda state: self._before_sleep(state, tally),
            retry_error_callback=self._free_the_worker,
        )
        try:
            found: Found = retrying(attempt)
        except ParkRequired as wait:
            wait.retries, wait.throttled_seconds = tally.retries, tally.throttled_seconds
            raise
        return found, Effort(tally.retries, tally.throttled_seconds, tally.last_error)

    def _wait_seconds(self, state: RetryCallState) -> float:
        return wait_seconds(
            state.attempt_number - 1,
            base_seconds=self._retry.base_seconds,
            ceiling_seconds=self._retry.ceiling_seconds,
            chance=self._chance(),
            retry_after_seconds=_error_of(state).retry_after_seconds,
        )

    def _before_sleep(self, state: RetryCallState, tally: _Tally) -> None:
        error = _error_of(state)
        wait = state.next_action.sleep if state.next_action else 0.0
        if wait > self._retry.park_after_seconds:
            told = f"{error}; the carrier asks for a wait of {wait:.0f} s"
            raise ParkRequired(told, wait_seconds=wait, cause=_cause_of(error)) from None
        tally.retries += 1
        tally.last_error = str(error)
        if isinstance(error, Throttled) or error.retry_after_seconds is not None:
            tally.throttled_seconds += wait
        _log.warning("%s; attempt %d follows in %.1f s", error, state.attempt_number + 1, wait)

    def _free_the_worker(self, state: RetryCallState) -> None:
        error = _error_of(state)
        wait = max(self._wait_seconds(state), self._retry.ceiling_seconds)
        told = f"{error}; no better after {counted(state.attempt_number, 'attempt')}"
        raise ParkRequired(told, wait_seconds=wait, is_outage=True, cause=_cause_of(error)) from None


def _cause_of(error: TransientError) -> WaitCause:
    match error:
        case Throttled():
            return WaitCause.THROTTLED
        case NoRoomLeft():
            return WaitCause.NO_ROOM_LEFT
        case _:
            return WaitCause.CARRIER_DOWN


def _error_of(state: RetryCallState) -> TransientError:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, TransientError):
        raise TypeError(f"expected a transient error, found {error!r}")
    return error
