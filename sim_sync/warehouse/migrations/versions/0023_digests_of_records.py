"""The digest of a SIM's record as it came, by which the next walk knows it again without reading it."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Add the column. No row is written: each SIM gets its digest as a walk next meets it."""
    op.add_column("carrier_sims", sa.Column("record_digest", sa.BigInteger()))
