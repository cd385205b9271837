"""For how long a walk stood still, and whether its list tells what happened to it meanwhile."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the columns; of a walk that is under way, breaks count from now on."""
    op.add_column(
        "session_internals", sa.Column("moves_unseen", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column(
        "session_internals", sa.Column("longest_break_seconds", sa.Double(), nullable=False, server_default="0")
    )
