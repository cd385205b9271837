"""Leases that were written while the clock was days ahead, brought back to what a lease can be.

Who lives renews his own by the clock as it is now; of who does not, nobody would know for days.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from sim_sync.core.errors import OwnershipError
from sim_sync.core.liveness import LONGEST_LEASE_SECONDS, RunLease, is_stray
from sim_sync.core.session import Session, State
from sim_sync.warehouse import Warehouse


def bring_back_leases(
    warehouse: Warehouse, sessions: Sequence[Session], leases: Sequence[RunLease], now: datetime
) -> bool:
    """Renew once, by today's clock, the leases that lie farther ahead than a lease can; return whether there were any.

    A run's lease is as long as that of the session that it owns; without one, as long as any may be.
    """
    owned = [one for one in sessions if one.state is State.RUNNING and is_stray(one.lease_expires_at, now)]
    runs = [lease for lease in leases if is_stray(lease.expires_at, now)]
    if not (owned or runs) or not warehouse.runs.can_be_renewed():
        return False
    for session in owned:
        with suppress(OwnershipError):  # somebody else has it by now, under a lease of today
            warehouse.sessions.renew_lease(session.claim)
    lengths = {
        session.owner: warehouse.sessions.internals(session.session_id).lease_seconds
        for session in sessions
        if session.state is State.RUNNING
    }
    for lease in runs:
        warehouse.runs.renew(lease.run_id, lease.process, lengths.get(lease.run_id, LONGEST_LEASE_SECONDS))
    return True
