"""What a walk had fetched before it started again: counters of all pages and records never go back."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the columns; what a walk lost by an earlier start is not known any more."""
    for name in ("earlier_pages", "earlier_records"):
        op.add_column("session_internals", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
