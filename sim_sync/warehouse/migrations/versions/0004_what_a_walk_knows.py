"""What a walk knows about having seen everything, and its bounds."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns; a walk that is under way counts from its next page on."""
    _add_count("sims_listed")
    _add_count("total_fallen")
    op.add_column(
        "session_internals", sa.Column("total_is_stale", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("session_internals", sa.Column("walk_gap", sa.Text()))
    op.add_column("session_internals", sa.Column("end_doubt", sa.Text()))
    _add_count("idle_pages")
    _add_count("max_idle_pages", "100")
    _add_count("max_pages", "1000000")


def _add_count(name: str, default: str = "0") -> None:
    op.add_column("session_internals", sa.Column(name, sa.BigInteger(), nullable=False, server_default=default))
