"""Alerts with their deliveries, and since when a session waits without a page."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Create the table; a session that is parked already waits since it was parked last."""
    op.create_table(
        "alerts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, autoincrement=True),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True)),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("deliveries", sa.JSON(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True)),
        sa.Column("closing_message", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
    )
    op.create_index("ix_alerts_next_attempt_at", "alerts", ["next_attempt_at"])
    is_open = sa.text("closed_at IS NULL")
    op.create_index(
        "uq_alerts_one_open_per_kind",
        "alerts",
        ["carrier", "kind"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.add_column("session_internals", sa.Column("parked_since", sa.DateTime(timezone=True)))
    op.add_column("session_internals", sa.Column("unparked_at", sa.DateTime(timezone=True)))
