"""What a run holds from one of its steps to the next: the claim to its session, and the lease on it.

Both live in the memory of the process that took them. What a retry finds on another host, or in another process, is
the warehouse: it has to claim the session anew.
"""

from contextlib import ExitStack

from sim_sync.core.ports import LeaseStore
from sim_sync.core.session import Claim
from sim_sync.worker.lease import kept_lease
from sim_sync.worker.stopping import Stop


class KeptRun:
    """Keeps a session's lease while its run does something else than walking: reads our list, waits for a retry."""

    def __init__(self) -> None:
        self._keeping = ExitStack()
        self._claim: Claim | None = None

    def hold(self, store: LeaseStore, claim: Claim, *, lease_seconds: float) -> None:
        """Keep the lease from now on, until `let_go`; of a pause or a takeover the next step reads in the warehouse."""
        self.let_go()
        self._keeping.enter_context(kept_lease(store, claim, lease_seconds=lease_seconds, stop=Stop()))
        self._claim = claim

    def let_go(self) -> Claim | None:
        """Stop keeping the lease, and return the claim that was held, if there was one."""
        self._keeping.close()
        claim, self._claim = self._claim, None
        return claim
