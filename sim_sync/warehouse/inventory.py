"""Our own list of SIMs in the warehouse: bringing `inventory_sims` to what the list says now, in one transaction.

Where the list comes from and what its words mean is not decided here: see the room `inventory`, and `inventory_sql`.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import NamedTuple, Protocol

import sqlalchemy as sa

from sim_sync.core.errors import InventoryError
from sim_sync.warehouse.dialects import BulkInsert
from sim_sync.warehouse.engine import read_clock, transaction
from sim_sync.warehouse.tables import UtcDateTime, inventory_sims
from sim_sync.warehouse.temporary import analyzed, lock_comparison, temporary_table

#: Rows in one statement: enough to be quick, few enough to need little memory.
_CHUNK_ROWS = 10_000
#: What our list says of a SIM; a row is changed if any of it is.
_TOLD = ("iccid_raw", "imsi", "msisdn", "imei", "status", "rate_plan", "label", "attributes")

_listed = temporary_table("listed_sims", "iccid", *_TOLD, key=("iccid",))
# Of an ICCID that stands twice in the list, the first row counts.
_INSERT_LISTED = BulkInsert(_listed, ("iccid", *_TOLD), "ON CONFLICT (iccid) DO NOTHING")

_ours = inventory_sims.c


class InventoryRow(Protocol):
    """A SIM of our list: `inventory.InventorySim`, without importing the room beside this one."""

    @property
    def carrier(self) -> str:
        """The carrier that the list has it under."""

    @property
    def iccid(self) -> str:
        """The ICCID in its normal form."""

    @property
    def iccid_raw(self) -> str | None:
        """The ICCID as the list has it."""

    @property
    def imsi(self) -> str | None:
        """The IMSI."""

    @property
    def msisdn(self) -> str | None:
        """The MSISDN."""

    @property
    def imei(self) -> str | None:
        """The IMEI."""

    @property
    def status(self) -> str | None:
        """A lifecycle word."""

    @property
    def rate_plan(self) -> str | None:
        """The rate plan."""

    @property
    def label(self) -> str | None:
        """The label."""

    @property
    def attributes(self) -> str:
        """The rest of the row as canonical JSON text."""


class LoadCounts(NamedTuple):
    """What loading the list did to `inventory_sims`. A SIM that came back to the list counts as added."""

    added: int
    changed: int
    removed: int
    unchanged: int


def load_inventory(
    engine: sa.Engine,
    carrier: str,
    rows: Iterable[InventoryRow],
    *,
    allow_empty: bool = False,
    now: datetime | None = None,
) -> LoadCounts:
    """Make the carrier's part of `inventory_sims` say what the list says; rows of other carriers are left alone.

    A row that says what it said is not touched: its `loaded_at` is when it last became what it is.

    Args:
        engine: the warehouse.
        carrier: whose rows are loaded.
        rows: the list, complete for this carrier.
        allow_empty: take an empty list for the truth.
        now: the time of loading; the warehouse's own by default.

    Raises:
        InventoryError: the list has no SIM of this carrier although it had some before.
        WarehouseUnavailable: the transaction did not happen.
    """
    with transaction(engine, f"loading the inventory of carrier {carrier}") as connection:
        lock_comparison(connection, carrier)
        _listed.create(connection)
        listed = _fill(connection, (row for row in rows if row.carrier == carrier))
        if not listed and not allow_empty:
            _refuse_emptying(connection, carrier)
        time = now or read_clock(connection)
        counts = _apply(connection, carrier, time)
        _listed.drop(connection)
    return counts


def _fill(connection: sa.Connection, rows: Iterator[InventoryRow]) -> int:
    while chunk := list(islice(rows, _CHUNK_ROWS)):
        _INSERT_LISTED.execute(connection, [_values(row) for row in chunk])
    analyzed(connection, _listed)
    return connection.execute(sa.select(sa.func.count()).select_from(_listed)).scalar_one()


def _values(row: InventoryRow) -> tuple[str | None, ...]:
    return (
        row.iccid,
        row.iccid_raw,
        row.imsi,
        row.msisdn,
        row.imei,
        row.status,
        row.rate_plan,
        row.label,
        row.attributes,
    )


def _refuse_emptying(connection: sa.Connection, carrier: str) -> None:
    query = sa.select(sa.func.count()).where(_ours.carrier == carrier, _ours.removed_at.is_(None))
    if known := connection.execute(query).scalar_one():
        raise InventoryError(
            f"our inventory has no SIM of carrier {carrier} any more, and {known} are known: a failed export looks "
            "like this. Nothing was written. Check the list and its carrier column; if the carrier is really given up, "
            "remove it from carriers.yaml."
        )


def _apply(connection: sa.Connection, carrier: str, now: datetime) -> LoadCounts:
    """Write the difference between the list and the table; each statement is over all rows."""
    same = sa.and_(_ours.carrier == carrier, _ours.iccid == _listed.c.iccid)
    told = _told_by_list(connection)
    differs = sa.or_(*(_comparable(name).is_distinct_from(_listed.c[name]) for name in _TOLD))
    is_there = _ours.removed_at.is_(None)
    update = inventory_sims.update()

    changed = connection.execute(update.where(same, is_there, differs).values(**told, loaded_at=now)).rowcount
    back = update.where(same, ~is_there).values(**told, loaded_at=now, removed_at=None)
    returned = connection.execute(back).rowcount
    new = sa.select(sa.literal(carrier), _listed.c.iccid, *told.values(), sa.literal(now, UtcDateTime())).where(
        ~sa.exists().where(same)
    )
    columns = ["carrier", "iccid", *_TOLD, "loaded_at"]
    insert = inventory_sims.insert().from_select(columns, new)
    # psycopg forgets the count of an INSERT unless SQLAlchemy is told to keep it.
    inserted = connection.execute(insert.execution_options(preserve_rowcount=True)).rowcount
    gone = sa.and_(_ours.carrier == carrier, is_there, ~sa.exists().where(_listed.c.iccid == _ours.iccid))
    removed = connection.execute(update.where(gone).values(removed_at=now)).rowcount

    listed = connection.execute(sa.select(sa.func.count()).select_from(_listed)).scalar_one()
    added = inserted + returned
    return LoadCounts(added=added, changed=changed, removed=removed, unchanged=listed - added - changed)


def _comparable(name: str) -> sa.ColumnElement[str]:
    """Return a stored column in the form in which the list has it: JSON as its text."""
    return sa.cast(_ours[name], sa.Text()) if name == "attributes" else _ours[name]


def _told_by_list(connection: sa.Connection) -> dict[str, sa.ColumnElement[object]]:
    """Return what the list says, in the form in which it is stored."""
    told: dict[str, sa.ColumnElement[object]] = {name: _listed.c[name] for name in _TOLD}
    if connection.dialect.name == "postgresql":
        told["attributes"] = sa.cast(_listed.c.attributes, sa.JSON())
    return told
