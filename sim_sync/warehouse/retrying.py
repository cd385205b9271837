"""Rides out a warehouse that is away for a while: a restart, a cut connection, a lock held too long, a full disk.

Every method of a store is one transaction that either happened or did not, and says so when asked again; so asking
again is always safe.
"""

import logging
import random
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from sim_sync.core.backoff import backoff_seconds
from sim_sync.core.errors import WarehouseUnavailable
from sim_sync.core.ports import Waiter

_log = logging.getLogger("sim_sync.worker")

#: 0.5, 1, 2, 4, 8, 15, 15 seconds: a restart of a database server fits in.
_ATTEMPTS = 8
_BASE_SECONDS = 0.5
_CEILING_SECONDS = 15.0

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class WarehouseRetry:
    """Calls a method of the store again while the warehouse is unavailable, `attempts` times at most.

    `waiter` waits between the attempts, and cuts them short when the sync has to stop.
    """

    def __init__(
        self, waiter: Waiter, *, attempts: int = _ATTEMPTS, chance: Callable[[], float] = random.random
    ) -> None:
        self._chance = chance
        self._retrying = Retrying(
            retry=retry_if_exception_type(WarehouseUnavailable),
            stop=stop_after_attempt(attempts),
            wait=self._wait_seconds,
            sleep=waiter.wait,
            before_sleep=_warn,
            reraise=True,
        )

    def __call__(
        self, method: Callable[Arguments, Result], *arguments: Arguments.args, **options: Arguments.kwargs
    ) -> Result:
        """Return what the method returns, or raise the error of its last attempt."""
        return self._retrying(method, *arguments, **options)

    def _wait_seconds(self, state: RetryCallState) -> float:
        return backoff_seconds(
            state.attempt_number - 1,
            base_seconds=_BASE_SECONDS,
            ceiling_seconds=_CEILING_SECONDS,
            chance=self._chance(),
        )


def _warn(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    wait_seconds = state.next_action.sleep if state.next_action else 0.0
    # The first says it all, and what to do; those that follow are for who reads the whole log.
    _log.log(
        logging.WARNING if state.attempt_number == 1 else logging.INFO,
        "attempt %d: %s; trying again in %.1f s",
        state.attempt_number,
        error,
        wait_seconds,
    )
