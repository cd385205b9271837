"""The cursor whose page was committed last: a lost acknowledgement is told from a page that was never written."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the digest; a session that is open meanwhile gets it with its next page."""
    op.add_column("session_internals", sa.Column("last_cursor_digest", sa.Text()))
