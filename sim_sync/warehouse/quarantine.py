"""The rows of `quarantined_records` as people list, look at and drop them. How they are replayed is in `replaying`."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from sim_sync.core.errors import InputError
from sim_sync.core.storable import storable_text
from sim_sync.warehouse.dialects import text_of_json
from sim_sync.warehouse.engine import read_clock, reading, transaction
from sim_sync.warehouse.tables import quarantined_records

_FETCHED_AT_ONCE = 1000
_kept = quarantined_records.c


class QuarantineRow(NamedTuple):
    """One row of `quarantined_records`; open while `resolved_at` is None. `payload` is JSON text."""

    id: int
    carrier: str
    session_id: str
    page_number: int
    position: int
    reason: str
    payload: str
    quarantined_at: datetime
    resolved_at: datetime | None
    resolution: str | None


def quarantined(engine: sa.Engine, *, carrier: str | None = None, include_resolved: bool) -> Iterator[QuarantineRow]:
    """Yield the records of a carrier or of all, in the order in which they were met."""
    query = rows_query(engine.dialect.name).order_by(_kept.id)
    if carrier is not None:
        query = query.where(_kept.carrier == carrier)
    if not include_resolved:
        query = query.where(_kept.resolved_at.is_(None))
    with reading(engine, "listing quarantined records") as connection:
        for row in connection.execution_options(yield_per=_FETCHED_AT_ONCE).execute(query):
            yield QuarantineRow(*row)


def quarantined_by_id(engine: sa.Engine, ids: Sequence[int]) -> list[QuarantineRow]:
    """Return records by their ids, in the order of those.

    Raises:
        InputError: one is not there.
    """
    found: dict[int, QuarantineRow] = {}
    with reading(engine, "reading quarantined records") as connection:
        for one in dict.fromkeys(ids):
            row = connection.execute(rows_query(engine.dialect.name).where(_kept.id == one)).one_or_none()
            if row is None:
                raise InputError(f"no quarantined record {one}; `sim-sync quarantine list --all` lists them")
            found[one] = QuarantineRow(*row)
    return list(found.values())


def drop(engine: sa.Engine, ids: Sequence[int], reason: str) -> list[int]:
    """Give up open records for a reason, which stays beside them; return those that this did.

    Raises:
        InputError: one is not there, and nothing was written.
    """
    quarantined_by_id(engine, ids)
    is_open = sa.and_(_kept.id == sa.bindparam("b_id"), _kept.resolved_at.is_(None))
    with transaction(engine, "dropping quarantined records") as connection:
        values = {"resolved_at": read_clock(connection), "resolution": f"dropped: {storable_text(reason)}"}
        update = quarantined_records.update().where(is_open).values(**values)
        return [one for one in dict.fromkeys(ids) if connection.execute(update, {"b_id": one}).rowcount]


def rows_query(dialect_name: str) -> sa.Select[Any]:
    """Return the query for rows with the columns of `QuarantineRow`, the payload as it was written."""
    payload = sa.literal_column(text_of_json(dialect_name, "payload"), sa.Text()).label("payload")
    return sa.select(*(payload if name == "payload" else _kept[name] for name in QuarantineRow._fields))
