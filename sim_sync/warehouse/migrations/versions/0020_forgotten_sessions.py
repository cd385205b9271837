"""What the sessions did that were deleted because they are old: counters must not fall."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Add the table; nothing is forgotten yet."""
    op.create_table(
        "forgotten_sessions",
        sa.Column("carrier", sa.Text(), nullable=False),
        *(_count(name) for name in ("pages", "records", "sims_added", "sims_changed", "retries")),
        sa.Column("throttled_seconds", sa.Double(), nullable=False, server_default="0"),
        *(_count(name) for name in ("resumes", "completed_walks", "superseded_walks")),
        sa.PrimaryKeyConstraint("carrier", name="pk_forgotten_sessions"),
    )


def _count(name: str) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")
