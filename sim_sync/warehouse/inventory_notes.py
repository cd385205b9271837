"""What of our list could not be used (`inventory_findings`), and what was loaded last (`inventory_loads`)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from sim_sync.warehouse.engine import reading
from sim_sync.warehouse.inventory_staging import findings as staged
from sim_sync.warehouse.tables import UtcDateTime, inventory_findings, inventory_loads, inventory_sims
from sim_sync.warehouse.temporary import lock_list

_found = inventory_findings.c
_loads = inventory_loads.c


class LoadNote(NamedTuple):
    """What is remembered of a load: the digest of what was loaded, if it has one, and what was told about it."""

    digest: str | None
    report: Mapping[str, Any]


class LastLoad(NamedTuple):
    """What was told about the load that still stands, and when that was."""

    report: Mapping[str, Any]
    loaded_at: datetime


def unchanged_load(engine: sa.Engine, carrier: str, digest: str) -> LastLoad | None:
    """Return the carrier's last load if it was of the same list, and the table still has as many rows as it left."""
    with reading(engine, f"looking up what was loaded for carrier {carrier}") as connection:
        query = sa.select(inventory_loads).where(_loads.carrier == carrier, _loads.digest == digest)
        last = connection.execute(query).one_or_none()
        if last is None or last.rows_left != _rows_of(connection, carrier):
            return None
        return LastLoad(last.report, last.loaded_at)


def write_note(connection: sa.Connection, carrier: str, source: str, note: LoadNote | None, now: datetime) -> None:
    """Remember a load in the place of the one before it."""
    connection.execute(inventory_loads.delete().where(_loads.carrier == carrier))
    if note is not None:
        row = {"carrier": carrier, "source": source, "digest": note.digest, "report": dict(note.report)}
        rows_left = _rows_of(connection, carrier)
        connection.execute(inventory_loads.insert().values(**row, rows_left=rows_left, loaded_at=now))


def write_findings(connection: sa.Connection, carrier: str, source: str, now: datetime) -> None:
    """Make the table say what the list's findings are now: the carrier's, and those of rows that name no carrier.

    A finding that was there already stays as it is: `found_at` is when it was first found.
    """
    # Rows that name no carrier are found by every carrier's load.
    lock_list(connection)
    key = sa.and_(_found.row_number == staged.c.row_number, _found.column_name == staged.c.column_name)
    same = sa.and_(key, *(_found[name].is_not_distinct_from(staged.c[name]) for name in ("carrier", "reason")))
    of_this_load = sa.or_(_found.carrier == carrier, _found.carrier.is_(None))
    is_told = sa.and_(_found.source == source, sa.exists().where(same).correlate(inventory_findings))
    connection.execute(inventory_findings.delete().where(of_this_load, ~is_told))
    is_there = sa.exists().where(_found.source == source, key).correlate(staged)
    payload = staged.c.payload if connection.dialect.name == "sqlite" else sa.cast(staged.c.payload, sa.JSON())
    new = sa.select(
        sa.literal(source),
        staged.c.row_number,
        staged.c.column_name,
        staged.c.carrier,
        staged.c.reason,
        payload,
        sa.literal(now, UtcDateTime()),
    ).where(~is_there)
    columns = ["source", "row_number", "column_name", "carrier", "reason", "payload", "found_at"]
    connection.execute(inventory_findings.insert().from_select(columns, new))


def _rows_of(connection: sa.Connection, carrier: str) -> int:
    ours = inventory_sims.c
    query = sa.select(sa.func.count()).where(ours.carrier == carrier, ours.removed_at.is_(None))
    return int(connection.execute(query).scalar_one())
