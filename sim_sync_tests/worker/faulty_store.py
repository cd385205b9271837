"""A `SessionStore` that another one stands behind, and that fails, or reports the test, where the test wants it."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from sim_sync.core.lookups import AskedSim, LookedUp, LookupPlan
from sim_sync.core.opening import Opened, OpenRequest
from sim_sync.core.pages import Cursor, Page
from sim_sync.core.ports import SessionStore
from sim_sync.core.session import Claim, Release, Session
from sim_sync.core.sweep import SweepPolicy

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")


class FaultyStore:
    """Passes every call on, unless there is a fault left for its name: that is raised instead, one a call.

    `on_call` hears of every call by its name, before it is made; `calls` are the names so far.
    """

    def __init__(self, store: SessionStore, *, on_call: Callable[[str], object] = lambda _name: None) -> None:
        self._store = store
        self._on_call = on_call
        self._faults: dict[str, list[BaseException]] = {}
        self.calls: list[str] = []

    def fail(self, method: str, *faults: BaseException) -> None:
        """Let the next calls of a method fail, in this order."""
        self._faults.setdefault(method, []).extend(faults)

    def open_session(self, request: OpenRequest) -> Opened:
        return self._pass_on(self._store.open_session, request)

    def commit_page(self, claim: Claim, expected_cursor: Cursor, page: Page) -> Session:
        return self._pass_on(self._store.commit_page, claim, expected_cursor, page)

    def commit_walk_restart(self, claim: Claim, first_cursor: Cursor, reason: str) -> Session:
        return self._pass_on(self._store.commit_walk_restart, claim, first_cursor, reason)

    def plan_lookups(self, claim: Claim, policy: SweepPolicy, config_hash: str) -> LookupPlan:
        return self._pass_on(self._store.plan_lookups, claim, policy, config_hash)

    def commit_lookup(self, claim: Claim, asked: AskedSim, looked_up: LookedUp) -> Session:
        return self._pass_on(self._store.commit_lookup, claim, asked, looked_up)

    def renew_lease(self, claim: Claim) -> Session:
        return self._pass_on(self._store.renew_lease, claim)

    def release(self, claim: Claim, release: Release) -> Session:
        return self._pass_on(self._store.release, claim, release)

    def close_session(self, claim: Claim, policy: SweepPolicy, config_hash: str) -> Session:
        return self._pass_on(self._store.close_session, claim, policy, config_hash)

    def session(self, session_id: str) -> Session:
        return self._pass_on(self._store.session, session_id)

    def _pass_on(
        self, method: Callable[Arguments, Returned], *arguments: Arguments.args, **options: Arguments.kwargs
    ) -> Returned:
        name = method.__name__
        self.calls.append(name)
        self._on_call(name)
        if faults := self._faults.get(name):
            raise faults.pop(0)
        return method(*arguments, **options)
