"""Keeps leases while a run waits, fetches or reads, and hears of a pause or a takeover meanwhile.

What a run holds from its first step to its end is `KeptRun`: its own lease, the claim to its session, and the lease on
that. All of it lives in the memory of the process that took it. What a retry finds on another host, or in another
process, is the warehouse: it has to claim the session again.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeAlias

from sim_sync.core.errors import NoRoomLeft, OwnershipError, SimSyncError, TransientError
from sim_sync.core.ports import LeaseStore, RunLeaseStore
from sim_sync.core.session import Claim, Process, State
from sim_sync.core.sync import StopReason
from sim_sync.worker.stopping import StopSignal

_log = logging.getLogger("sim_sync.worker")

#: A renewal that failed is tried again so soon: whoever looks after an outage is to find that the owner lives.
_TRY_AGAIN_SECONDS = 1.0


@contextmanager
def kept_lease(store: LeaseStore, claim: Claim, *, lease_seconds: float, stop: StopSignal) -> Iterator[None]:
    """Keep the lease on a session until the end of the block.

    A heartbeat proves only that the process lives: progress is counted in pages, elsewhere.
    """

    def renew() -> None:
        if stop.reason is StopReason.FENCED:  # there is nothing left to keep
            return
        try:
            session = store.renew_lease(claim)
        except OwnershipError as lost:
            stop.request(StopReason.FENCED, error=lost)
        else:
            if session.state is State.PAUSED:
                stop.request(StopReason.PAUSED)

    with _renewed(renew, f"lease on carrier {claim.carrier}", lease_seconds):
        yield


@contextmanager
def kept_run_lease(store: RunLeaseStore, run_id: str, process: Process, *, lease_seconds: float) -> Iterator[None]:
    """Take the lease of a run, keep it until the end of the block, and give it back.

    Where the warehouse does not answer yet, the lease is taken as soon as it does: the work itself meets that trouble
    and decides what comes of it.
    """
    name = f"lease of run {run_id}"

    def renew() -> None:
        store.renew(run_id, process, lease_seconds)

    try:
        with _renewed(renew, name, lease_seconds, is_taken=_is_taken(renew, name)):
            yield
    finally:
        _give_back(store, run_id)


def _is_taken(renew: Callable[[], None], name: str) -> bool:
    try:
        renew()
    except TransientError as error:
        level = logging.INFO if isinstance(error, NoRoomLeft) else logging.WARNING
        _log.log(level, "the %s could not be taken yet: %s", name, error)
        return False
    return True


def _give_back(store: RunLeaseStore, run_id: str) -> None:
    try:
        store.give_back(run_id)
    except SimSyncError as error:  # it runs out by itself, and of a full disk whoever works on it speaks
        level = logging.INFO if isinstance(error, NoRoomLeft) else logging.WARNING
        _log.log(level, "the lease of run %s could not be given back: %s", run_id, error)


@contextmanager
def _renewed(renew: Callable[[], None], name: str, lease_seconds: float, *, is_taken: bool = True) -> Iterator[None]:
    """Renew three times in the life of a lease, from a thread that ends with the block."""
    done = threading.Event()
    every_seconds = lease_seconds / 3

    def wait_seconds(*, is_held: bool) -> float:
        return every_seconds if is_held else min(every_seconds, _TRY_AGAIN_SECONDS)

    def keep() -> None:
        is_held = is_taken
        while not done.wait(wait_seconds(is_held=is_held)):
            is_held = _succeeds(renew, name, was_held=is_held)

    thread = threading.Thread(target=keep, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=lease_seconds)


def _succeeds(renew: Callable[[], None], name: str, *, was_held: bool) -> bool:
    """Renew once; of failures in a row only the first is worth a warning."""
    try:
        renew()
    except TransientError as error:
        # The step in hand meets the same trouble and decides; the lease has two more chances.
        is_news = was_held and not isinstance(error, NoRoomLeft)
        _log.log(logging.WARNING if is_news else logging.INFO, "the %s could not be renewed: %s", name, error)
        return False
    except Exception:  # noqa: BLE001 - a keeper that dies of it would leave the next two chances unused
        _log.log(logging.ERROR if was_held else logging.INFO, "the %s could not be renewed", name, exc_info=True)
        return False
    return True


# --- what a run holds ------------------------------------------------------------------------------------------------

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
