"""The comparison of our list with what the carrier says, and the history of what differs, all in set-based SQL.

One transaction: which SIM is which (`matching`), what differs now (`differences`), how bad it is (`severity`), and, in
here, what that makes of `sim_discrepancies`: opened, seen again, resolved. No row passes through Python.

A discrepancy is open while `resolved_at` is null. One that comes back after it was resolved is opened again: since now,
seen once. A comparison of what was compared before writes only what has become different; which one that is, is told
by its number (`knowledge`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from sim_sync.core.discrepancies import COMPARABLE_FIELDS, Kind
from sim_sync.core.errors import InputError
from sim_sync.core.session import Session
from sim_sync.warehouse.differences import find_differences, follow_iccid_forms, found
from sim_sync.warehouse.discrepancies import UNMUTED, unmuted_if
from sim_sync.warehouse.engine import transaction
from sim_sync.warehouse.knowledge import Comparison, next_comparison
from sim_sync.warehouse.sessions import read_last_completed
from sim_sync.warehouse.tables import sim_discrepancies
from sim_sync.warehouse.temporary import lock_comparison

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


def reconcile(engine: sa.Engine, carrier: str, fields: Sequence[str]) -> ReconcileCounts:
    """Compare our list with the carrier's last complete walk, and bring `sim_discrepancies` to what differs now.

    Args:
        engine: the warehouse.
        carrier: whose SIMs are compared.
        fields: which of `COMPARABLE_FIELDS` are compared; one is compared only where both sides tell it.

    Raises:
        InputError: a field cannot be compared, or the carrier was never walked to its end.
        WarehouseUnavailable: the transaction did not happen.
    """
    if strange := [name for name in fields if name not in COMPARABLE_FIELDS]:
        raise InputError(f"cannot compare {', '.join(strange)}: expected some of {', '.join(COMPARABLE_FIELDS)}")
    with transaction(engine, f"comparing carrier {carrier} with our inventory") as connection:
        lock_comparison(connection, carrier)
        comparison = next_comparison(connection, carrier, _last_complete_walk(connection, carrier))
        find_differences(connection, carrier, fields)
        follow_iccid_forms(connection, carrier)
        counts = {kind: _keep_history(connection, carrier, kind, comparison) for kind in Kind}
        found.drop(connection)
    return ReconcileCounts(comparison.as_of, counts)


def _last_complete_walk(connection: sa.Connection, carrier: str) -> Session:
    """Return the carrier's last completed session: without one, every SIM of ours would seem to be missing."""
    walks = read_last_completed(connection, [carrier])
    if not walks:
        raise InputError(
            f"carrier {carrier} was never walked to its end, so there is nothing to compare our inventory with: "
            f"run `sim-sync backfill {carrier}` first"
        )
    return walks[0]


def _keep_history(connection: sa.Connection, carrier: str, kind: Kind, comparison: Comparison) -> KindCounts:
    as_of, number = comparison.as_of, comparison.number
    mine = sa.and_(_kept.carrier == carrier, _kept.kind == kind.value)
    key = sa.and_(found.c.kind == _kept.kind, found.c.field == _kept.field, found.c.iccid == _kept.iccid)
    is_open = _kept.resolved_at.is_(None)
    update = sim_discrepancies.update()
    told = {name: found.c[name] for name in ("ours", "theirs", "severity")}
    differs = sa.or_(*(_kept[name].is_distinct_from(column) for name, column in told.items()))
    is_news = sa.or_(*(_kept[name].is_distinct_from(told[name]) for name in ("ours", "theirs")))
    now_told = {**told, **unmuted_if(is_news)}
    seen_now = {"last_seen_at": as_of, "last_comparison_number": number}
    since_now = {"first_seen_at": as_of, "first_comparison_number": number, **seen_now, "times_seen": 1}

    gone = sa.and_(mine, is_open, ~sa.exists().where(key))
    resolved = connection.execute(update.where(gone).values(resolved_at=as_of)).rowcount
    # The same comparison again: only what has become different is written.
    corrected = update.where(mine, key, is_open, _kept.last_comparison_number >= number, differs).values(**now_told)
    connection.execute(corrected)
    again = update.where(mine, key, is_open, _kept.last_comparison_number < number).values(
        **now_told, **seen_now, times_seen=_kept.times_seen + 1
    )
    seen_again = connection.execute(again).rowcount
    back = update.where(mine, key, ~is_open).values(**told, **since_now, **UNMUTED, resolved_at=None)
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
