"""What of our list could not be used, and what was loaded last: an unchanged list is not loaded again."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create both tables; the next load of each carrier fills them."""
    op.create_table(
        "inventory_findings",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("row_number", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("column_name", sa.Text(), nullable=False),
        sa.Column("carrier", sa.Text()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", "row_number", "column_name", name="pk_inventory_findings"),
    )
    op.create_table(
        "inventory_loads",
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text()),
        sa.Column("rows_left", sa.BigInteger(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("carrier", name="pk_inventory_loads"),
    )
