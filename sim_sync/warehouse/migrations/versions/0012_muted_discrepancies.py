"""Discrepancies that somebody has acknowledged: until when, who, when and why."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the columns; nothing is muted yet."""
    op.add_column("sim_discrepancies", sa.Column("muted_until", sa.DateTime(timezone=True)))
    op.add_column("sim_discrepancies", sa.Column("muted_by", sa.Text()))
    op.add_column("sim_discrepancies", sa.Column("muted_reason", sa.Text()))
    op.add_column("sim_discrepancies", sa.Column("muted_at", sa.DateTime(timezone=True)))
