"""The tables, as both databases have them. `docs/tables.md` explains every column to the people who query them.

Some are our own notes, as that page says: `session_internals`, `carrier_internals`, `walk_cursors`, `seen_sims`,
`sim_numbers`, `sim_lookups`, `inventory_loads`, `run_leases`, `rate_limits`, `code_locations`, `forgotten_sessions`.
The others are the public contract. A change here needs a migration, and a test compares the two.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from sim_sync.warehouse.engine import JsonText, Money, RowId, UtcDateTime

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)


def on_postgresql(table: sa.Table, made: sa.Table | sa.Index, **options: Any) -> None:
    """Give a table, or an index of it, options of PostgreSQL where it is created there.

    Naming them at once would load SQLAlchemy's part for PostgreSQL, which who reads a SQLite file has no use for.
    """

    @sa.event.listens_for(table, "before_create")
    def name_them(_table: sa.Table, connection: sa.Connection, **_options: object) -> None:
        if connection.dialect.name == "postgresql":
            made.dialect_kwargs.update(options)


def _one_where(name: str, *columns: sa.Column[Any], where: sa.ColumnElement[bool]) -> None:
    """Let the database itself refuse a second row with these values among the rows that `where` chooses."""
    index = sa.Index(name, *columns, unique=True, sqlite_where=where)
    on_postgresql(columns[0].table, index, postgresql_where=where)


def _text(name: str, **options: Any) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), **options)


def _time(name: str, **options: Any) -> sa.Column[datetime]:
    return sa.Column(name, UtcDateTime(), **options)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")


carrier_sims = sa.Table(
    "carrier_sims",
    metadata,
    _text("carrier", primary_key=True),
    _text("sim_id", primary_key=True),
    _text("iccid"),
    _text("iccid_raw"),
    _text("imsi"),
    _text("msisdn"),
    _text("imei"),
    _text("eid"),
    _text("status", nullable=False),
    _text("carrier_status"),
    sa.Column("pending", sa.Boolean(), nullable=False, server_default=sa.false()),
    _text("rate_plan"),
    _text("ip_address"),
    _text("label"),
    _text("account"),
    _time("activated_at"),
    _time("carrier_updated_at"),
    sa.Column("attributes", JsonText, nullable=False),
    sa.Column("quality_flags", JsonText, nullable=False),
    _time("first_seen_at", nullable=False),
    _time("last_changed_at", nullable=False),
    _text("last_seen_session", nullable=False),
    _time("absent_since"),
    _time("vanished_at"),
    _count("first_session_number"),
    sa.Column("stored_digest", sa.BigInteger()),
    sa.Column("sim_number", sa.BigInteger()),
    sa.Column("record_digest", sa.BigInteger()),
    # Not the carrier first: PostgreSQL would take it for the SIMs of a page while it has no statistics of a new table.
    sa.Index("ix_carrier_sims_iccid_carrier", "iccid", "carrier"),
)
# A walk writes the few rows that change: with a little room beside them, PostgreSQL need not touch the indexes.
on_postgresql(carrier_sims, carrier_sims, postgresql_with={"fillfactor": 90})

sim_changes = sa.Table(
    "sim_changes",
    metadata,
    _text("carrier", primary_key=True),
    _text("sim_id", primary_key=True),
    _text("session_id", primary_key=True),
    _text("field", primary_key=True),
    _text("old_value"),
    _text("new_value"),
    _time("changed_at", nullable=False),
    sa.Index("ix_sim_changes_carrier_changed_at", "carrier", "changed_at"),
)

sync_sessions = sa.Table(
    "sync_sessions",
    metadata,
    _text("session_id", primary_key=True),
    _text("carrier", nullable=False),
    _text("state", nullable=False),
    sa.Column("cursor", JsonText),
    _count("pages_done"),
    sa.Column("pages_expected", sa.BigInteger()),
    _count("records_seen"),
    sa.Column("records_expected", sa.BigInteger()),
    _count("records_added"),
    _count("records_changed"),
    _count("records_quarantined"),
    _count("retries"),
    sa.Column("throttled_seconds", sa.Double(), nullable=False, server_default="0"),
    _time("eta_at"),
    sa.Column("fence", sa.BigInteger(), nullable=False),
    _text("owner"),
    _time("lease_expires_at"),
    _time("not_before"),
    _count("stalled_resumes"),
    _time("started_at", nullable=False),
    _time("updated_at", nullable=False),
    _time("finished_at"),
    _text("last_error"),
    _time("last_error_at"),
    _text("config_hash", nullable=False),
    _text("sweep_state", nullable=False),
    _text("sweep_reason"),
    _count("session_number"),
    _text("sweep_decided_by"),
    _time("sweep_decided_at"),
    _text("sweep_decision_reason"),
    _count("lookups_expected"),
    _count("lookups_done"),
    sa.Index("uq_sync_sessions_carrier_session_number", "carrier", "session_number", unique=True),
)
#: At most one session per carrier is open.
_one_where(
    "uq_sync_sessions_one_open_per_carrier",
    sync_sessions.c.carrier,
    where=sync_sessions.c.state.not_in(["completed", "superseded"]),
)

session_internals = sa.Table(
    "session_internals",
    metadata,
    _text("session_id", primary_key=True),
    _text("owner_host"),
    sa.Column("owner_pid", sa.BigInteger()),
    _text("owner_started"),
    sa.Column("lease_seconds", sa.Double(), nullable=False),
    sa.Column("carrier_total", sa.BigInteger()),
    sa.Column("pace_seconds", sa.Double()),
    _count("walk_restarts"),
    sa.Column("sims_seen", sa.BigInteger()),
    _text("last_cursor_digest"),
    _count("sims_listed"),
    _count("total_fallen"),
    sa.Column("total_is_stale", sa.Boolean(), nullable=False, server_default=sa.false()),
    _text("walk_gap"),
    _text("end_doubt"),
    _count("idle_pages"),
    sa.Column("max_idle_pages", sa.BigInteger(), nullable=False, server_default="100"),
    sa.Column("max_pages", sa.BigInteger(), nullable=False, server_default="1000000"),
    sa.Column("recent_page_seconds", JsonText),
    _time("page_committed_at"),
    sa.Column("moves_unseen", sa.Boolean(), nullable=False, server_default=sa.false()),
    sa.Column("longest_break_seconds", sa.Double(), nullable=False, server_default="0"),
    _count("earlier_pages"),
    _count("earlier_records"),
    _text("shown_sweep_digest"),
    _time("parked_since"),
    _time("unparked_at"),
    _count("lookups_left_out"),
)

carrier_internals = sa.Table(
    "carrier_internals",
    metadata,
    _text("carrier", primary_key=True),
    _count("list_number"),
    _time("list_changed_at"),
    _count("comparison_number"),
    _time("compared_at"),
    _count("compared_session_number"),
    _count("compared_list_number"),
)

forgotten_sessions = sa.Table(
    "forgotten_sessions",
    metadata,
    _text("carrier", primary_key=True),
    *(_count(name) for name in ("pages", "records", "sims_added", "sims_changed", "retries")),
    sa.Column("throttled_seconds", sa.Double(), nullable=False, server_default="0"),
    *(_count(name) for name in ("resumes", "completed_walks", "superseded_walks")),
)

walk_cursors = sa.Table(
    "walk_cursors",
    metadata,
    _text("session_id", primary_key=True),
    _text("digest", primary_key=True),
)

seen_sims = sa.Table(
    "seen_sims",
    metadata,
    _text("carrier", primary_key=True),
    sa.Column("session_number", sa.BigInteger(), primary_key=True, autoincrement=False),
    sa.Column("place", sa.BigInteger(), primary_key=True, autoincrement=False),
    sa.Column("sim_numbers", JsonText, nullable=False),
)

sim_numbers = sa.Table(
    "sim_numbers",
    metadata,
    _text("carrier", primary_key=True),
    sa.Column("last_number", sa.BigInteger(), nullable=False),
)

sim_lookups = sa.Table(
    "sim_lookups",
    metadata,
    _text("session_id", primary_key=True),
    _text("sim_id", primary_key=True),
    _text("outcome", nullable=False),
)

quarantined_records = sa.Table(
    "quarantined_records",
    metadata,
    sa.Column("id", RowId, primary_key=True, autoincrement=True),
    _text("carrier", nullable=False),
    _text("session_id", nullable=False),
    sa.Column("page_number", sa.BigInteger(), nullable=False),
    sa.Column("position", sa.BigInteger(), nullable=False),
    _text("reason", nullable=False),
    sa.Column("payload", JsonText, nullable=False),
    _time("quarantined_at", nullable=False),
    _time("resolved_at"),
    _text("resolution"),
    sa.Index("ix_quarantined_records_carrier_resolved_at", "carrier", "resolved_at"),
    # A walk that had to start again meets the same bad record again: it is kept once a session.
    sa.UniqueConstraint("session_id", "page_number", "position"),
)

inventory_sims = sa.Table(
    "inventory_sims",
    metadata,
    _text("carrier", primary_key=True),
    _text("iccid", primary_key=True),
    _text("iccid_raw"),
    _text("imsi"),
    _text("msisdn"),
    _text("imei"),
    _text("status"),
    _text("rate_plan"),
    _text("label"),
    sa.Column("attributes", JsonText, nullable=False),
    _time("loaded_at", nullable=False),
    _time("removed_at"),
    _text("eid"),
)
_named = inventory_sims.c.eid.is_not(None)
on_postgresql(
    inventory_sims,
    sa.Index("ix_inventory_sims_carrier_eid", inventory_sims.c.carrier, inventory_sims.c.eid, sqlite_where=_named),
    postgresql_where=_named,
)

inventory_findings = sa.Table(
    "inventory_findings",
    metadata,
    _text("source", primary_key=True),
    sa.Column("row_number", sa.BigInteger(), primary_key=True, autoincrement=False),
    _text("column_name", primary_key=True),
    _text("carrier"),
    _text("reason", nullable=False),
    sa.Column("payload", JsonText, nullable=False),
    _time("found_at", nullable=False),
)

inventory_loads = sa.Table(
    "inventory_loads",
    metadata,
    _text("carrier", primary_key=True),
    _text("source", nullable=False),
    _text("digest"),
    sa.Column("rows_left", sa.BigInteger(), nullable=False),
    sa.Column("report", JsonText, nullable=False),
    _time("loaded_at", nullable=False),
    _time("refused_at"),
    _text("refusal"),
)

run_leases = sa.Table(
    "run_leases",
    metadata,
    _text("run_id", primary_key=True),
    _text("host", nullable=False),
    sa.Column("pid", sa.BigInteger(), nullable=False),
    _text("started", nullable=False),
    _time("lease_expires_at", nullable=False),
)

sim_discrepancies = sa.Table(
    "sim_discrepancies",
    metadata,
    _text("carrier", primary_key=True),
    _text("iccid", primary_key=True),
    _text("kind", primary_key=True),
    _text("field", primary_key=True),
    _text("ours"),
    _text("theirs"),
    _text("severity", nullable=False),
    _time("first_seen_at", nullable=False),
    _time("last_seen_at", nullable=False),
    _count("times_seen"),
    _time("resolved_at"),
    _count("first_comparison_number"),
    _count("last_comparison_number"),
    _time("muted_until"),
    _text("muted_by"),
    _text("muted_reason"),
    _time("muted_at"),
    _text("resolved_by"),
    _text("advice"),
    sa.Column("monthly_cost", Money()),
    sa.Index("ix_sim_discrepancies_carrier_resolved_at", "carrier", "resolved_at"),
)
# Every comparison of something new writes each open row once: with room beside it, as above.
on_postgresql(sim_discrepancies, sim_discrepancies, postgresql_with={"fillfactor": 50})

reconciliations = sa.Table(
    "reconciliations",
    metadata,
    _text("carrier", primary_key=True),
    _time("reconciled_at", primary_key=True),
    _text("session_id", nullable=False),
    _count("comparison_number"),
    *(_count(name) for name in ("open", "new", "resolved", "muted")),
    *(
        _count(kind)
        for kind in (
            *("missing_at_carrier", "unknown_to_us", "wrong_carrier", "mismatch", "duplicate_iccid", "quality"),
            *("high", "medium", "low"),
        )
    ),
    sa.Column("monthly_cost", Money()),
    _text("currency"),
    sa.Column("counts", JsonText, nullable=False),
)

code_locations = sa.Table(
    "code_locations",
    metadata,
    _text("instance", primary_key=True),
    _text("name", primary_key=True),
    sa.Column("carriers", JsonText, nullable=False),
    _time("seen_at", nullable=False),
)

#: Limits that hosts share are kept here where the warehouse is PostgreSQL; SQLite's stays empty.
rate_limits = sa.Table(
    "rate_limits",
    metadata,
    _text("shared_key", primary_key=True),
    _text("state", nullable=False),
)
#: Each request changes its row: room for the next version on the same page.
on_postgresql(rate_limits, rate_limits, postgresql_with={"fillfactor": 50})

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("id", RowId, primary_key=True, autoincrement=True),
    _text("carrier", nullable=False),
    _text("kind", nullable=False),
    _time("opened_at", nullable=False),
    _time("closed_at"),
    _text("message", nullable=False),
    sa.Column("deliveries", JsonText, nullable=False),
    _time("next_attempt_at"),
    _text("closing_message"),
    sa.Index("ix_alerts_next_attempt_at", "next_attempt_at"),
)
#: An alert is open once a carrier and kind.
_one_where("uq_alerts_one_open_per_kind", alerts.c.carrier, alerts.c.kind, where=alerts.c.closed_at.is_(None))


def table_columns(name: str) -> Sequence[tuple[str, str, bool]]:
    """Return the columns of a table: the name, what is stored in it, and whether it may be empty."""
    columns = metadata.tables[name].columns
    return [(column.name, _kind(column.type), bool(column.nullable)) for column in columns]


def _kind(kind: sa.types.TypeEngine[Any]) -> str:
    shown = kind.impl if isinstance(kind, sa.types.TypeDecorator) else kind
    return type(shown).__name__.lower()
