"""Who decided on a held sweep, when and why, and which SIMs were shown before."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the columns; a sweep that is held already can be decided."""
    op.add_column("sync_sessions", sa.Column("sweep_decided_by", sa.Text()))
    op.add_column("sync_sessions", sa.Column("sweep_decided_at", sa.DateTime(timezone=True)))
    op.add_column("sync_sessions", sa.Column("sweep_decision_reason", sa.Text()))
    op.add_column("session_internals", sa.Column("shown_sweep_digest", sa.Text()))
