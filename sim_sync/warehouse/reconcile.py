"""The comparison of our list with what the carrier says, and the history of what differs, all in set-based SQL.

One transaction: which SIM is which (`matching`), what differs now (`differences`), how bad it is (`severity`), and, in
here, what that makes of `sim_discrepancies`: opened, seen again, resolved. No row passes through Python.

A discrepancy is open while `resolved_at` is null. One that comes back after it was resolved is opened anew: since now,
seen once. A comparison as of a time that was compared before writes only what has changed since.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from sim_sync.core.discrepancies import COMPARABLE_FIELDS, Kind
from sim_sync.core.errors import InputError
from sim_sync.core.session import State
from sim_sync.warehouse.differences import find_differences, found
from sim_sync.warehouse.engine import transaction
from sim_sync.warehouse.tables import inventory_sims, sim_discrepancies, sync_sessions
from sim_sync.warehouse.temporary import lock_comparison

_ours = inventory_sims.c
_kept = sim_discrepancies.c


class KindCounts(NamedTuple):
    """What a comparison did to one kind: what it wrote, and how many are `open` after it."""

    opened: int
    seen_again: int
    resolved: int
    open: int


@dataclass(frozen=True, slots=True)
class ReconcileCounts:
    """What a comparison did, by kind. `as_of` is the time of the knowledge that was compared."""

    as_of: datetime
    kinds: Mapping[Kind, KindCounts]

    def by_kind(self) -> dict[str, dict[str, int]]:
        """Return the counts as plain words and numbers."""
        return {kind.value: counts._asdict() for kind, counts in self.kinds.items()}


def reconcile(engine: sa.Engine, carrier: str, fields: Sequence[str], as_of: datetime | None = None) -> ReconcileCounts:
    """Compare our list with what the carrier says, and bring `sim_discrepancies` to what differs now.

    Args:
        engine: the warehouse.
        carrier: whose SIMs are compared.
        fields: which of `COMPARABLE_FIELDS` are compared; one is compared only where both sides tell it.
        as_of: the time of the comparison; by default that of the newest knowledge: the carrier's last complete walk,
            or the last change of our list.

    Raises:
        InputError: a field cannot be compared, or the carrier was never walked to its end and `as_of` is not given.
        WarehouseUnavailable: the transaction did not happen.
    """
    if strange := [name for name in fields if name not in COMPARABLE_FIELDS]:
        raise InputError(f"cannot compare {', '.join(strange)}: expected some of {', '.join(COMPARABLE_FIELDS)}")
    with transaction(engine, f"comparing carrier {carrier} with our inventory") as connection:
        lock_comparison(connection, carrier)
        time = as_of or _newest_knowledge(connection, carrier)
        find_differences(connection, carrier, fields)
        counts = {kind: _keep_history(connection, carrier, kind, time) for kind in Kind}
        found.drop(connection)
    return ReconcileCounts(time, counts)


def _newest_knowledge(connection: sa.Connection, carrier: str) -> datetime:
    """Return when the newest of what is compared came to be known.

    Without one complete walk there is nothing to compare with: every SIM of ours would seem to be missing.
    """
    walks = sa.select(sa.func.max(sync_sessions.c.finished_at)).where(
        sync_sessions.c.carrier == carrier, sync_sessions.c.state == State.COMPLETED.value
    )
    walked_at = connection.execute(walks).scalar_one()
    if walked_at is None:
        raise InputError(
            f"carrier {carrier} was never walked to its end, so there is nothing to compare our inventory with: "
            f"run `sim-sync backfill {carrier}` first"
        )
    lists = sa.select(sa.func.max(_ours.loaded_at), sa.func.max(_ours.removed_at)).where(_ours.carrier == carrier)
    times: list[datetime] = [time for time in (walked_at, *connection.execute(lists).one()) if time is not None]
    return max(times)


def _keep_history(connection: sa.Connection, carrier: str, kind: Kind, as_of: datetime) -> KindCounts:
    mine = sa.and_(_kept.carrier == carrier, _kept.kind == kind.value)
    key = sa.and_(found.c.kind == _kept.kind, found.c.field == _kept.field, found.c.iccid == _kept.iccid)
    is_open = _kept.resolved_at.is_(None)
    update = sim_discrepancies.update()
    told = {name: found.c[name] for name in ("ours", "theirs", "severity")}
    differs = sa.or_(*(_kept[name].is_distinct_from(column) for name, column in told.items()))
    since_now = {"first_seen_at": as_of, "last_seen_at": as_of, "times_seen": 1}

    gone = sa.and_(mine, is_open, ~sa.exists().where(key))
    resolved = connection.execute(update.where(gone).values(resolved_at=as_of)).rowcount
    # The same night again: only what has become different is written.
    corrected = update.where(mine, key, is_open, _kept.last_seen_at >= as_of, differs).values(**told)
    connection.execute(corrected)
    again = update.where(mine, key, is_open, _kept.last_seen_at < as_of).values(
        **told, last_seen_at=as_of, times_seen=_kept.times_seen + 1
    )
    seen_again = connection.execute(again).rowcount
    back = update.where(mine, key, ~is_open).values(**told, **since_now, resolved_at=None)
    reopened = connection.execute(back).rowcount
    opened = reopened + _insert_new(connection, carrier, kind, since_now)
    count = sa.select(sa.func.count()).select_from(sim_discrepancies).where(mine, is_open)
    return KindCounts(opened, seen_again, resolved, connection.execute(count).scalar_one())


def _insert_new(connection: sa.Connection, carrier: str, kind: Kind, since_now: Mapping[str, Any]) -> int:
    keys = [found.c[name] for name in ("kind", "field", "iccid")]
    told = [found.c[name] for name in ("ours", "theirs", "severity")]
    known = sa.and_(_kept.carrier == carrier, *(_kept[column.name] == column for column in keys))
    times = [sa.literal(value, _kept[name].type) for name, value in since_now.items()]
    new = sa.select(sa.literal(carrier, sa.Text()), *keys, *told, *times).where(
        found.c.kind == kind.value, ~sa.exists().where(known)
    )
    columns = ["carrier", "kind", "field", "iccid", "ours", "theirs", "severity", *since_now]
    insert = sim_discrepancies.insert().from_select(columns, new)
    # psycopg forgets the count of an INSERT unless SQLAlchemy is told to keep it.
    return connection.execute(insert.execution_options(preserve_rowcount=True)).rowcount
