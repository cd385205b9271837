"""Keeps a session's lease alive while its worker waits or fetches, and hears of a pause or a takeover meanwhile."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sim_sync.core.errors import OwnershipError, TransientError
from sim_sync.core.ports import LeaseStore
from sim_sync.core.session import Claim, State
from sim_sync.core.sync import StopReason
from sim_sync.worker.stopping import Stop

_log = logging.getLogger("sim_sync.worker")


@contextmanager
def kept_lease(store: LeaseStore, claim: Claim, *, lease_seconds: float, stop: Stop) -> Iterator[None]:
    """Renew the lease three times in its life, from a thread that ends with the block.

    A heartbeat proves only that the process lives: progress is counted in pages, elsewhere.
    """
    done = threading.Event()

    def keep() -> None:
        while stop.reason is not StopReason.FENCED and not done.wait(lease_seconds / 3):
            _renew(store, claim, stop)

    thread = threading.Thread(target=keep, name=f"lease of {claim.carrier}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=lease_seconds)


def _renew(store: LeaseStore, claim: Claim, stop: Stop) -> None:
    try:
        session = store.renew_lease(claim)
    except OwnershipError as lost:
        stop.request(StopReason.FENCED, error=lost)
    except TransientError as error:
        # The step in hand meets the same trouble and decides; the lease has two more chances.
        _log.warning("the lease on carrier %s could not be renewed: %s", claim.carrier, error)
    except Exception:  # noqa: BLE001 - a keeper that dies of it would leave the next two chances unused
        _log.exception("the lease on carrier %s could not be renewed", claim.carrier)
    else:
        if session.state is State.PAUSED:
            stop.request(StopReason.PAUSED)
