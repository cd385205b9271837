"""SIMs that a walk missed, asked for one by one: how far a session is, and what was answered."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the table and the columns; no session has asked for a SIM yet."""
    op.create_table(
        "sim_lookups",
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("sim_id", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "sim_id", name="pk_sim_lookups"),
    )
    for table, name in (
        ("sync_sessions", "lookups_expected"),
        ("sync_sessions", "lookups_done"),
        ("session_internals", "lookups_left_out"),
    ):
        op.add_column(table, sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
