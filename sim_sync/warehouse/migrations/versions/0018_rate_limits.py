"""Rate limits that hosts share: a row a key, changed by each request of theirs."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Create the table; limits that were kept in files of single hosts start afresh."""
    op.create_table(
        "rate_limits",
        sa.Column("shared_key", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("shared_key", name="pk_rate_limits"),
        postgresql_with={"fillfactor": 50},
    )
