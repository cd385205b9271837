"""What a discrepancy costs, what to do about it and who resolved it; one row a reconciliation; EIDs of our list."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_MONEY = sa.Numeric(16, 4)
_KINDS = ("missing_at_carrier", "unknown_to_us", "wrong_carrier", "mismatch", "duplicate_iccid", "quality")
_COUNTS = ("open", "new", "resolved", "muted", *_KINDS, "high", "medium", "low")


def upgrade() -> None:
    """Add the columns and the table; what was compared before has neither a price nor a row."""
    op.add_column("inventory_sims", sa.Column("eid", sa.Text()))
    op.add_column("sim_discrepancies", sa.Column("resolved_by", sa.Text()))
    op.add_column("sim_discrepancies", sa.Column("advice", sa.Text()))
    op.add_column("sim_discrepancies", sa.Column("monthly_cost", _MONEY))
    op.create_table(
        "reconciliations",
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("reconciled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("comparison_number", sa.BigInteger(), nullable=False, server_default="0"),
        *(sa.Column(name, sa.BigInteger(), nullable=False, server_default="0") for name in _COUNTS),
        sa.Column("monthly_cost", _MONEY),
        sa.Column("currency", sa.Text()),
        sa.Column("counts", _json(), nullable=False),
        sa.PrimaryKeyConstraint("carrier", "reconciled_at", name="pk_reconciliations"),
    )


def _json() -> sa.JSON:
    return sa.JSON(none_as_null=True)
