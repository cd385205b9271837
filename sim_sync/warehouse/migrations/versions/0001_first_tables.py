"""The first tables. A migration is history: it never changes, and so it imports nothing from `tables`."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _text(name: str, *, nullable: bool = True) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _time(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _json(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.JSON(), nullable=nullable)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger())


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")


def upgrade() -> None:
    """Create all tables of the contract, and our own two."""
    _create_carrier_tables()
    _create_session_tables()
    _create_inventory_tables()


def _create_carrier_tables() -> None:
    op.create_table(
        "carrier_sims",
        *(_text(name, nullable=False) for name in ("carrier", "sim_id")),
        *(_text(name) for name in ("iccid", "iccid_raw", "imsi", "msisdn", "imei", "eid")),
        _text("status", nullable=False),
        _text("carrier_status"),
        sa.Column("pending", sa.Boolean(), nullable=False, server_default=sa.false()),
        *(_text(name) for name in ("rate_plan", "ip_address", "label", "account")),
        _time("activated_at"),
        _time("carrier_updated_at"),
        _json("attributes", nullable=False),
        _json("quality_flags", nullable=False),
        _time("first_seen_at", nullable=False),
        _time("last_changed_at", nullable=False),
        _text("last_seen_session", nullable=False),
        _time("absent_since"),
        _time("vanished_at"),
        sa.PrimaryKeyConstraint("carrier", "sim_id", name="pk_carrier_sims"),
        postgresql_with={"fillfactor": 50},
    )
    op.create_index("ix_carrier_sims_iccid_carrier", "carrier_sims", ["iccid", "carrier"])
    op.create_table(
        "sim_changes",
        *(_text(name, nullable=False) for name in ("carrier", "sim_id", "session_id", "field")),
        _text("old_value"),
        _text("new_value"),
        _time("changed_at", nullable=False),
        sa.PrimaryKeyConstraint("carrier", "sim_id", "session_id", "field", name="pk_sim_changes"),
    )
    op.create_index("ix_sim_changes_carrier_changed_at", "sim_changes", ["carrier", "changed_at"])


def _create_session_tables() -> None:
    op.create_table(
        "sync_sessions",
        *(_text(name, nullable=False) for name in ("session_id", "carrier", "state")),
        _json("cursor"),
        _count("pages_done"),
        _number("pages_expected"),
        _count("records_seen"),
        _number("records_expected"),
        *(_count(name) for name in ("records_added", "records_changed", "records_quarantined", "retries")),
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
        sa.PrimaryKeyConstraint("session_id", name="pk_sync_sessions"),
    )
    op.create_index("ix_sync_sessions_carrier_started_at", "sync_sessions", ["carrier", "started_at"])
    is_open = sa.text("state NOT IN ('completed', 'superseded')")
    op.create_index(
        "uq_sync_sessions_one_open_per_carrier",
        "sync_sessions",
        ["carrier"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.create_table(
        "session_internals",
        _text("session_id", nullable=False),
        _text("owner_host"),
        _number("owner_pid"),
        _text("owner_started"),
        sa.Column("lease_seconds", sa.Double(), nullable=False),
        _number("carrier_total"),
        sa.Column("pace_seconds", sa.Double()),
        _count("walk_restarts"),
        _number("sims_seen"),
        sa.PrimaryKeyConstraint("session_id", name="pk_session_internals"),
    )
    op.create_table(
        "walk_cursors",
        _text("session_id", nullable=False),
        _text("digest", nullable=False),
        sa.PrimaryKeyConstraint("session_id", "digest", name="pk_walk_cursors"),
    )
    op.create_table(
        "quarantined_records",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        *(_text(name, nullable=False) for name in ("carrier", "session_id")),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("page_number", "position")),
        _text("reason", nullable=False),
        _json("payload", nullable=False),
        _time("quarantined_at", nullable=False),
        _time("resolved_at"),
        _text("resolution"),
        sa.UniqueConstraint(
            "session_id",
            "page_number",
            "position",
            name="uq_quarantined_records_session_id_page_number_position",
        ),
    )
    op.create_index("ix_quarantined_records_carrier_resolved_at", "quarantined_records", ["carrier", "resolved_at"])


def _create_inventory_tables() -> None:
    op.create_table(
        "inventory_sims",
        *(_text(name, nullable=False) for name in ("carrier", "iccid")),
        *(_text(name) for name in ("iccid_raw", "imsi", "msisdn", "imei", "status", "rate_plan", "label")),
        _json("attributes", nullable=False),
        _time("loaded_at", nullable=False),
        _time("removed_at"),
        sa.PrimaryKeyConstraint("carrier", "iccid", name="pk_inventory_sims"),
    )
    op.create_table(
        "sim_discrepancies",
        *(_text(name, nullable=False) for name in ("carrier", "iccid", "kind", "field")),
        _text("ours"),
        _text("theirs"),
        _text("severity", nullable=False),
        _time("first_seen_at", nullable=False),
        _time("last_seen_at", nullable=False),
        _count("times_seen"),
        _time("resolved_at"),
        sa.PrimaryKeyConstraint("carrier", "iccid", "kind", "field", name="pk_sim_discrepancies"),
    )
    op.create_index("ix_sim_discrepancies_carrier_resolved_at", "sim_discrepancies", ["carrier", "resolved_at"])
