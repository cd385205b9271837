"""The times of the last pages, for a pace that one slow page does not spoil."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the columns; a walk that is under way has a pace again after its next pages."""
    op.add_column("session_internals", sa.Column("recent_page_seconds", sa.JSON()))
    op.add_column("session_internals", sa.Column("page_committed_at", sa.DateTime(timezone=True)))
