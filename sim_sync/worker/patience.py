"""Rides out a warehouse that is away for a while: a restart, a cut connection, a lock held too long, a full disk.

Every method of the store is one transaction that either happened or did not, and says so when asked again; so asking
again is always safe.
"""

import logging
import random
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import ParamSpec, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from sim_sync.core.backoff import backoff_seconds
from sim_sync.core.errors import WarehouseUnavailable
from sim_sync.core.opening import Opened, OpenRequest
from sim_sync.core.pages import Cursor, Page
from sim_sync.core.ports import SessionStore, Waiter
from sim_sync.core.session import Claim, Event, Session
from sim_sync.core.sweep import SweepPolicy

_log = logging.getLogger("sim_sync.worker")

#: 0.5, 1, 2, 4, 8, 15, 15 seconds: a restart of a database server fits in.
_ATTEMPTS = 8
_BASE_SECONDS = 0.5
_CEILING_SECONDS = 15.0

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


class PatientStore:
    """A `SessionStore` that asks another one again while the warehouse is unavailable, `attempts` times at most."""

    def __init__(
        self,
        store: SessionStore,
        waiter: Waiter,
        *,
        attempts: int = _ATTEMPTS,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._chance = chance
        self._retrying = Retrying(
            retry=retry_if_exception_type(WarehouseUnavailable),
            stop=stop_after_attempt(attempts),
            wait=self._wait_seconds,
            sleep=waiter.wait,
            before_sleep=_warn,
            reraise=True,
        )

    def open_session(self, request: OpenRequest) -> Opened:
        """See `SessionStore`."""
        return self._ask(self._store.open_session, request)

    def commit_page(self, claim: Claim, expected_cursor: Cursor, page: Page) -> Session:
        """See `SessionStore`."""
        return self._ask(self._store.commit_page, claim, expected_cursor, page)

    def commit_walk_restart(self, claim: Claim, first_cursor: Cursor, reason: str) -> Session:
        """See `SessionStore`."""
        return self._ask(self._store.commit_walk_restart, claim, first_cursor, reason)

    def renew_lease(self, claim: Claim) -> Session:
        """See `SessionStore`."""
        return self._ask(self._store.renew_lease, claim)

    def release(
        self,
        claim: Claim,
        event: Event,
        *,
        error: str | None = None,
        wait_seconds: float | None = None,
        retries: int = 0,
        throttled_seconds: float = 0.0,
    ) -> Session:
        """See `SessionStore`."""
        return self._ask(
            self._store.release,
            claim,
            event,
            error=error,
            wait_seconds=wait_seconds,
            retries=retries,
            throttled_seconds=throttled_seconds,
        )

    def close_session(self, claim: Claim, policy: SweepPolicy, config_hash: str) -> Session:
        """See `SessionStore`."""
        return self._ask(self._store.close_session, claim, policy, config_hash)

    def session(self, session_id: str) -> Session:
        """See `SessionStore`."""
        return self._ask(self._store.session, session_id)

    def open_session_of(self, carrier: str) -> Session | None:
        """See `SessionStore`."""
        return self._ask(self._store.open_session_of, carrier)

    def latest_sessions(self, carriers: Sequence[str]) -> Sequence[Session]:
        """See `SessionStore`."""
        return self._ask(self._store.latest_sessions, carriers)

    def now(self) -> datetime:
        """See `SessionStore`."""
        return self._ask(self._store.now)

    def _ask(
        self, method: Callable[Arguments, Answer], *arguments: Arguments.args, **options: Arguments.kwargs
    ) -> Answer:
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
    _log.warning("attempt %d: %s; trying again in %.1f s", state.attempt_number, error, wait_seconds)
