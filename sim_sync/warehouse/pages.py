"""The rows of a page: SIMs, their change history and unreadable records, in a handful of statements whatever its size.

Runs inside the transaction that `store` opened and fenced; nothing here commits.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache

import sqlalchemy as sa

from sim_sync.core.diff import PageDiff, diff_page
from sim_sync.core.iccid_forms import Settled
from sim_sync.core.pages import QuarantinedRecord
from sim_sync.core.session import Session
from sim_sync.core.sims import FieldChange, Sim
from sim_sync.warehouse.dialects import BulkInsert, is_one_of, list_parameter
from sim_sync.warehouse.known_sims import stored_beside
from sim_sync.warehouse.tables import carrier_sims, quarantined_records, sim_changes

_KEPT_AT_FIRST_SIGHT = {"carrier", "sim_id", "first_seen_at", "first_session_number"}
_SIM_COLUMNS = (
    "carrier",
    *Sim._fields,
    *("first_seen_at", "last_changed_at", "last_seen_session", "first_session_number"),
)
_OVERWRITTEN = ", ".join(f"{name} = excluded.{name}" for name in _SIM_COLUMNS if name not in _KEPT_AT_FIRST_SIGHT)

_UPSERT_SIMS = BulkInsert(
    carrier_sims,
    _SIM_COLUMNS,
    # A SIM that is seen again is neither absent nor vanished, however long it was.
    f"ON CONFLICT (carrier, sim_id) DO UPDATE SET {_OVERWRITTEN}, absent_since = NULL, vanished_at = NULL",
)
_INSERT_CHANGES = BulkInsert(
    sim_changes,
    ("carrier", "sim_id", "session_id", "field", "old_value", "new_value", "changed_at"),
    # A second change within one walk: from what it was before the walk to what it is now.
    "ON CONFLICT (carrier, sim_id, session_id, field) "
    "DO UPDATE SET new_value = excluded.new_value, changed_at = excluded.changed_at",
)
_INSERT_QUARANTINED = BulkInsert(
    quarantined_records,
    ("carrier", "session_id", "page_number", "position", "reason", "payload", "quarantined_at"),
    "ON CONFLICT (session_id, page_number, position) DO NOTHING",
)


def write_sims(
    connection: sa.Connection, session: Session, sims: Sequence[Sim], now: datetime, *, may_come_again: bool = False
) -> PageDiff:
    """Bring the page's SIMs into `carrier_sims` and return what that changed.

    `may_come_again`: the walk visits pages again, so a SIM that it has seen may come under its ICCID's other form.
    """
    if not sims:
        return PageDiff()
    settled = stored_beside(connection, session.carrier, sims, session.session_id, may_come_again=may_come_again)
    return write_settled(connection, session, settled, now)


def write_settled(connection: sa.Connection, session: Session, settled: Settled, now: datetime) -> PageDiff:
    """Bring SIMs into `carrier_sims` that stand beside what is stored of them, and return what that changed."""
    diff = diff_page(settled.sims, settled.known, now, session.session_id)
    _UPSERT_SIMS.execute(
        connection,
        [
            (session.carrier, *sim, now, changed_at, session.session_id, session.session_number)
            for sim, changed_at in diff.upserts
        ],
    )
    _note_seen(connection, session, diff.unchanged)
    return diff


def _note_seen(connection: sa.Connection, session: Session, sim_ids: Sequence[str]) -> None:
    if not sim_ids:
        return
    dialect = connection.dialect
    connection.execute(
        _seen_statement(dialect.name),
        {
            "session_id": session.session_id,
            "carrier": session.carrier,
            "sim_ids": list_parameter(dialect, sim_ids),
        },
    )


@cache
def _seen_statement(dialect_name: str) -> sa.TextClause:
    return sa.text(
        "UPDATE carrier_sims SET last_seen_session = :session_id, absent_since = NULL, vanished_at = NULL "
        f"WHERE carrier = :carrier AND {is_one_of(dialect_name, 'sim_id', 'sim_ids')}"
    )


def write_changes(connection: sa.Connection, session: Session, changes: Sequence[FieldChange], now: datetime) -> None:
    """Append the page's field changes to the history."""
    _INSERT_CHANGES.execute(
        connection,
        [
            (session.carrier, change.sim_id, session.session_id, change.field, change.old_value, change.new_value, now)
            for change in changes
        ],
    )


def write_quarantined(
    connection: sa.Connection, session: Session, rejected: Sequence[QuarantinedRecord], now: datetime
) -> None:
    """Keep the records that could not be read, with their reasons."""

    def row(one: QuarantinedRecord) -> tuple[object, ...]:
        place = (session.pages_done + 1, one.position)
        return (session.carrier, session.session_id, *place, one.reason, one.payload, now)

    _INSERT_QUARANTINED.execute(connection, [row(one) for one in rejected])
