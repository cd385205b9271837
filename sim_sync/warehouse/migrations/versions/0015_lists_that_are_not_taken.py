"""Which newer list of ours is not taken, why, and since when."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the columns; of lists that were refused before, nothing is known."""
    op.add_column("inventory_loads", sa.Column("refused_at", sa.DateTime(timezone=True)))
    op.add_column("inventory_loads", sa.Column("refusal", sa.Text()))
