"""What a run holds from its first step to its end: its own lease, the claim to its session, and the lease on that.

All of it lives in the memory of the process that took it. What a retry finds on another host, or in another process, is
the warehouse: it has to claim the session again.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TypeAlias

from sim_sync.core.ports import LeaseStore, RunLeaseStore
from sim_sync.core.session import Claim, Process
from sim_sync.worker.lease import kept_lease, kept_run_lease
from sim_sync.worker.stopping import StopSignal

Wait: TypeAlias = Callable[[float], None]


class KeptRun:
    """Says that a run lives, whatever it does, and keeps its session's lease while it does something else.

    `wait` passes that many seconds.
    """

    def __init__(self, wait: Wait = time.sleep) -> None:
        self.wait = wait
        self._living = ExitStack()
        self._holding = ExitStack()
        self._run_id: str | None = None
        self._claim: Claim | None = None

    def begin(self, runs: RunLeaseStore, run_id: str, process: Process, *, lease_seconds: float) -> None:
        """Take the lease of the run and keep it until `end`; every step says so, and the first one does it."""
        if self._run_id != run_id:
            self._living.enter_context(kept_run_lease(runs, run_id, process, lease_seconds=lease_seconds))
            self._run_id = run_id

    def hold(self, store: LeaseStore, claim: Claim, *, lease_seconds: float) -> None:
        """Keep the lease on a session until `let_go`; of a pause or a takeover the next step reads in the warehouse."""
        self.let_go()
        self._holding.enter_context(kept_lease(store, claim, lease_seconds=lease_seconds, stop=StopSignal()))
        self._claim = claim

    def let_go(self) -> Claim | None:
        """Stop keeping the lease on the session, and return the claim that was held, if there was one."""
        self._holding.close()
        claim, self._claim = self._claim, None
        return claim

    def end(self) -> None:
        """Let go of everything."""
        self.let_go()
        self._living.close()
        self._run_id = None
