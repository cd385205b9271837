"""The code locations of Dagster that look after carriers of this warehouse, and when each was last at work."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Create the table; who is at work is known as soon as its sensor looks."""
    op.create_table(
        "code_locations",
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("carriers", sa.JSON(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("instance", "name", name="pk_code_locations"),
    )
