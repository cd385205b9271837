"""The leases of runs, in the warehouse and by its clock: whether a run lives is seen from any host."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from sim_sync.core.liveness import RunLease
from sim_sync.core.session import Process
from sim_sync.core.text import counted
from sim_sync.warehouse.engine import can_write_now, insert_into, read_clock, reading, transaction
from sim_sync.warehouse.tables import run_leases

#: Of a run that has not told its process yet, nobody can say that this is gone.
_UNKNOWN = Process("", 0, "")
#: The lease of a run that died is kept for as long as somebody may ask for it.
_KEPT_FOR = timedelta(days=7)


class SqlRunLeases:
    """`RunLeaseStore` on SQLite or PostgreSQL; `clock` replaces the database's clock in tests."""

    def __init__(self, engine: sa.Engine, *, clock: Callable[[], datetime] | None = None) -> None:
        self._engine = engine
        self._clock = clock

    def renew(self, run_id: str, process: Process, lease_seconds: float) -> None:
        """Take the run's lease, or extend it."""
        with transaction(self._engine, f"renewing the lease of run {run_id}") as connection:
            values = _values(run_id, process, self._now(connection) + timedelta(seconds=lease_seconds))
            insert = insert_into(connection, run_leases).values(values)
            connection.execute(insert.on_conflict_do_update(index_elements=["run_id"], set_=values))

    def grant(self, run_ids: Sequence[str], lease_seconds: float) -> None:
        """Give runs their first lease before they have taken their own; one that a run has is left as it is."""
        with transaction(self._engine, f"granting a lease to {counted(len(run_ids), 'run')}") as connection:
            until = self._now(connection) + timedelta(seconds=lease_seconds)
            rows = [_values(run_id, _UNKNOWN, until) for run_id in run_ids]
            connection.execute(insert_into(connection, run_leases).values(rows).on_conflict_do_nothing())

    def give_back(self, run_id: str) -> None:
        """Let go of the run's lease; those that nobody has asked for in a week go with it."""
        with transaction(self._engine, f"giving back the lease of run {run_id}") as connection:
            forgotten = run_leases.c.lease_expires_at < self._now(connection) - _KEPT_FOR
            connection.execute(run_leases.delete().where((run_leases.c.run_id == run_id) | forgotten))

    def read(self) -> Sequence[RunLease]:
        """Return the leases of all runs that have not given theirs back."""
        with reading(self._engine, "reading the leases of runs") as connection:
            rows = connection.execute(sa.select(run_leases).order_by(run_leases.c.run_id)).all()
        return [RunLease(row.run_id, Process(row.host, row.pid, row.started), row.lease_expires_at) for row in rows]

    def can_be_renewed(self) -> bool:
        """Return whether a run that lives could renew its lease now.

        SQLite has one writer at a time: while another one writes for longer than a lease lasts, silence says nothing.
        """
        return self._engine.dialect.name != "sqlite" or can_write_now(self._engine)

    def _now(self, connection: sa.Connection) -> datetime:
        return read_clock(connection) if self._clock is None else self._clock()


def _values(run_id: str, process: Process, until: datetime) -> dict[str, object]:
    return {
        "run_id": run_id,
        "host": process.host,
        "pid": process.pid,
        "started": process.started,
        "lease_expires_at": until,
    }
